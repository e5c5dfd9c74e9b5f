"""Callback, the list of them, History and TerminateOnNaN. https://keras.io/api/callbacks/"""

import numpy as np

from fastseq.tensors import nest


class Callback:
    """Base class of callbacks: a subclass defines the methods it wants to be called at.

    It has `params`, what `fit` says of the run (verbose, epochs, steps), and `model`, the model that trains. Setting
    `self.model.stop_training = True` ends the run after the step or epoch at hand.

    Example:
        >>> class Losses(callbacks.Callback):
        ...     def on_epoch_end(self, epoch, logs=None):
        ...         print(epoch, sorted(logs))
        >>> model = fastseq.Sequential([layers.Input((2,)), layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> history = model.fit(np.zeros((4, 2)), np.zeros((4, 1)), verbose=0, callbacks=[Losses()])
        0 ['loss']
    """

    _comes_last = False  # whether it is called last in a list, to see what the others did at the same moment

    def __init__(self):
        self.params = None
        self._model = None
        self._listed = ()  # all callbacks of the list it is in

    def get_state(self):
        """What a run that goes on later must know of it: BackupAndRestore keeps it.

        Returns:
            dict, name -> array.
        """
        return {}

    def set_state(self, state):
        """Takes what `get_state` gave, in a run that goes on.

        Args:
            state (dict): Name -> array.
        """

    def set_params(self, params):
        """Gets what the run is; before it begins.

        Args:
            params (dict): "verbose", "epochs" and "steps".
        """
        self.params = params

    def set_model(self, model):
        """Gets the model; before the run begins.

        Args:
            model (Model): The one that trains, evaluates or predicts.
        """
        self._model = model

    @property
    def model(self):
        """The model that trains, evaluates or predicts; None before `set_model`."""
        return self._model

    def on_batch_begin(self, batch, logs=None):
        """Older name of `on_train_batch_begin`, which calls it.

        Args:
            batch (int): Its number, from 0 in every epoch.
            logs (dict, default None): Nothing yet.
        """

    def on_batch_end(self, batch, logs=None):
        """Older name of `on_train_batch_end`, which calls it.

        Args:
            batch (int): Its number, from 0 in every epoch.
            logs (dict, default None): Name -> number: loss and metrics of the epoch so far.
        """

    def on_epoch_begin(self, epoch, logs=None):
        """Before an epoch of training.

        Args:
            epoch (int): Its number, from 0.
            logs (dict, default None): Nothing yet.
        """

    def on_epoch_end(self, epoch, logs=None):
        """After an epoch and its validation.

        Args:
            epoch (int): Its number, from 0.
            logs (dict, default None): Name -> number: the epoch's loss and metrics, those of validation as "val_...".
        """

    def on_train_batch_begin(self, batch, logs=None):
        """Before a training step.

        Args:
            batch (int): Its number, from 0 in every epoch.
            logs (dict, default None): Nothing yet.
        """
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch, logs=None):
        """After a training step.

        Args:
            batch (int): Its number, from 0 in every epoch.
            logs (dict, default None): Name -> number: loss and metrics of the epoch so far.
        """
        self.on_batch_end(batch, logs=logs)

    def on_test_batch_begin(self, batch, logs=None):
        """Before a batch of `evaluate`, or of validation within `fit`.

        Args:
            batch (int): Its number, from 0.
            logs (dict, default None): Nothing yet.
        """

    def on_test_batch_end(self, batch, logs=None):
        """After a batch of `evaluate`, or of validation within `fit`.

        Args:
            batch (int): Its number, from 0.
            logs (dict, default None): Name -> number: loss and metrics so far.
        """

    def on_predict_batch_begin(self, batch, logs=None):
        """Before a batch of a `predict` of your own; `Model.predict` calls no callbacks.

        Args:
            batch (int): Its number, from 0.
            logs (dict, default None): Nothing yet.
        """

    def on_predict_batch_end(self, batch, logs=None):
        """After a batch of a `predict` of your own.

        Args:
            batch (int): Its number, from 0.
            logs (dict, default None): {"outputs": ...}.
        """

    def on_train_begin(self, logs=None):
        """Before the first epoch.

        Args:
            logs (dict, default None): Nothing yet.
        """

    def on_train_end(self, logs=None):
        """After the last epoch.

        Args:
            logs (dict, default None): Those of the last epoch.
        """

    def on_test_begin(self, logs=None):
        """Before `evaluate`, or validation.

        Args:
            logs (dict, default None): Nothing yet.
        """

    def on_test_end(self, logs=None):
        """After `evaluate`, or validation.

        Args:
            logs (dict, default None): Name -> number: loss and metrics.
        """

    def on_predict_begin(self, logs=None):
        """Before a `predict` of your own.

        Args:
            logs (dict, default None): Nothing yet.
        """

    def on_predict_end(self, logs=None):
        """After a `predict` of your own.

        Args:
            logs (dict, default None): Nothing yet.
        """


class CallbackList(Callback):
    """Callbacks that are called one after the other.

    Args:
        callbacks (Callback or list, default None): A callback, or a nest of them; a BackupAndRestore comes last
            wherever it stands.
        add_history (bool, default False): Whether a `History` is added unless there is one.
        add_progbar (bool, default False): True raises: the bar that `fit` shows is its own.
        model (Model, default None): Told to all of them.
        **params: Told to all of them.

    Raises:
        ValueError: add_progbar=True.
        TypeError: What is no Callback.

    Example:
        >>> both = callbacks.CallbackList([callbacks.TerminateOnNaN()], add_history=True)
        >>> len(both.callbacks)
        2
    """

    def __init__(self, callbacks=None, add_history=False, add_progbar=False, model=None, **params):
        super().__init__()
        if add_progbar:
            raise ValueError("add_progbar=True: there is no ProgbarLogger; fit shows its bar itself.")
        self.callbacks = [] if callbacks is None else nest.flatten(callbacks)
        for callback in self.callbacks:
            if not hasattr(callback, "set_model"):
                raise TypeError(f"callbacks are Callback objects, or a list of them; got {callback!r}.")
        self._history = next((callback for callback in self.callbacks if isinstance(callback, History)), None)
        if self._history is None and add_history:
            self._history = History()
            self.callbacks.append(self._history)
        self._order()
        if model:
            self.set_model(model)
        self.set_params(params)

    def append(self, callback):
        """Adds a callback; a BackupAndRestore stays the last.

        Args:
            callback (Callback): What is called from now on.
        """
        self.callbacks.append(callback)
        self._order()

    def _order(self):
        self.callbacks.sort(key=lambda callback: getattr(callback, "_comes_last", False))
        for callback in self.callbacks:
            callback._listed = self.callbacks

    def set_params(self, params):
        self.params = params
        if params:
            for callback in self.callbacks:
                callback.set_params(params)

    def set_model(self, model):
        super().set_model(model)
        if self._history is not None:
            model.history = self._history
        for callback in self.callbacks:
            callback.set_model(model)


def _forward(name):
    def method(self, *position, logs=None):
        logs = _plain(logs)
        for callback in self.callbacks:
            # By position, whatever a user's method calls its argument.
            getattr(callback, name)(*position, logs)

    def on_run(self, logs=None):
        method(self, logs=logs)

    def on_epoch(self, epoch, logs=None):
        method(self, epoch, logs=logs)

    def on_batch(self, batch, logs=None):
        method(self, batch, logs=logs)

    return on_batch if "batch" in name else on_epoch if "epoch" in name else on_run


for _name in [name for name in vars(Callback) if name.startswith("on_")]:
    _method = _forward(_name)
    _method.__name__, _method.__qualname__ = _name, f"CallbackList.{_name}"
    setattr(CallbackList, _name, _method)


def _plain(logs):
    """A copy of logs with numbers as Python's floats. One for all callbacks: some add to it what later ones write."""
    logs = dict(logs or {})
    for key, value in logs.items():
        if isinstance(value, (np.generic, np.ndarray)) and np.ndim(value) == 0:
            logs[key] = float(value)
    return logs


class History(Callback):
    """What `fit` returns: `history`, dict name -> list with a value for each epoch, and `epoch`, their numbers.

    Example:
        >>> model = fastseq.Sequential([layers.Input((2,)), layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> history = model.fit(np.zeros((4, 2)), np.zeros((4, 1)), epochs=2, verbose=0)
        >>> history.epoch, history.history["loss"]
        ([0, 1], [0.0, 0.0])
    """

    def __init__(self):
        super().__init__()
        self.history = {}

    def on_train_begin(self, logs=None):
        self.epoch = []

    def on_epoch_end(self, epoch, logs=None):
        self.epoch.append(epoch)
        for key, value in (logs or {}).items():
            self.history.setdefault(key, []).append(value)
        self.model.history = self


class TerminateOnNaN(Callback):
    """Stops training when the loss is NaN or infinite.

    Args:
        raise_error (bool, default False): Whether to raise instead.

    Raises:
        RuntimeError: With raise_error, at the step that it names.

    Example:
        >>> model, callback = fastseq.Sequential([layers.Dense(1)]), callbacks.TerminateOnNaN()
        >>> callback.set_model(model)
        >>> callback.on_train_batch_end(7, {"loss": float("nan")})  # as `fit` calls it
        Batch 7: Invalid loss, terminating training
        >>> model.stop_training
        True
    """

    def __init__(self, raise_error=False):
        super().__init__()
        self.raise_error = raise_error

    def on_batch_end(self, batch, logs=None):
        """Stops the run where the loss is NaN or infinite.

        Raises:
            RuntimeError: Instead, with raise_error.
        """
        loss = (logs or {}).get("loss")
        if loss is None or np.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(
                f"NaN or Inf loss encountered at batch {batch}. Loss value: {loss}. Terminating training immediately."
            )
        print(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True

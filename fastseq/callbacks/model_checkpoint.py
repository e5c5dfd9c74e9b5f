"""ModelCheckpoint: saves the model while it trains. https://keras.io/api/callbacks/model_checkpoint/"""

import os
import warnings

import numpy as np

from fastseq.callbacks.monitor import MonitorCallback


class ModelCheckpoint(MonitorCallback):
    """Saves the model, or its weights, after every epoch or so many steps.

    Args:
        filepath (str or path): Name of the file, which may hold ``{epoch}``, ``{batch}`` (both count from 1) and names
            from the logs as ``{val_loss:.2f}``; it ends in .keras or .h5, with save_weights_only in .weights.h5.
            Folders are made.
        monitor (str, default "val_loss"): Name in the logs of the number that is watched; those of validation begin
            with "val_".
        verbose (int, default 0): 1 says what it does, 0 nothing.
        save_best_only (bool, default False): Whether to save only when the number got better.
        save_weights_only (bool, default False): Whether to save the weights alone.
        mode (str, default "auto"): "min", "max", or "auto", which knows the loss and the built-in metrics of the model.
        save_freq (str or int, default "epoch"): "epoch", or a number of steps, counted over epochs; 0 is every step
            too.
        initial_value_threshold (float, default None): What the first model has to beat; None is nothing.

    Raises:
        ValueError: Another ending or save_freq.
        KeyError: In training, a name in `filepath` that is not in the logs.
        OSError: In training, where the file cannot be written.

    Example:
        >>> import os, tempfile
        >>> folder = tempfile.mkdtemp()
        >>> model = fastseq.Sequential([layers.Input((2,)), layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> save = callbacks.ModelCheckpoint(f"{folder}/{{epoch}}.keras")
        >>> history = model.fit(np.zeros((4, 2)), np.zeros((4, 1)), epochs=2, verbose=0, callbacks=[save])
        >>> sorted(os.listdir(folder))
        ['1.keras', '2.keras']
    """

    def __init__(
        self,
        filepath,
        monitor="val_loss",
        verbose=0,
        save_best_only=False,
        save_weights_only=False,
        mode="auto",
        save_freq="epoch",
        initial_value_threshold=None,
    ):
        super().__init__(monitor, mode, initial_value_threshold)
        self.verbose = verbose
        self.filepath = os.fspath(filepath)
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        self._steps = StepCount(save_freq)
        self._current_epoch = 0
        of_weights = self.filepath.endswith(".weights.h5")
        # A reader would take a whole model in a file of such a name for weights.
        fits = of_weights if save_weights_only else self.filepath.endswith((".keras", ".h5")) and not of_weights
        if not fits:
            raise ValueError(
                f"With save_weights_only={save_weights_only} the filepath must end in "
                f"{'`.weights.h5`' if save_weights_only else '`.keras` or `.h5`, not `.weights.h5`'}. Received: "
                f"filepath={self.filepath}"
            )

    def on_epoch_begin(self, epoch, logs=None):
        self._current_epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self._steps.is_due(batch):
            if self.monitor_op is None and self.save_best_only:
                self._set_monitor_op()
            self._save_model(self._current_epoch, batch, logs or {})

    def on_epoch_end(self, epoch, logs=None):
        if self.monitor_op is None and self.save_best_only:
            self._set_monitor_op()
        if self.save_freq == "epoch":
            self._save_model(epoch, None, logs or {})

    def _save_model(self, epoch, batch, logs):
        path = self._get_file_path(epoch, batch, logs)
        if not self._should_save(epoch, logs, path):
            return
        if os.path.isdir(path):
            raise OSError(f"ModelCheckpoint was given an existing folder as its file: {path}")
        folder = os.path.dirname(path)
        if folder:
            os.makedirs(folder, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path, overwrite=True)
        else:
            self.model.save(path, overwrite=True)
        self._say(epoch, f"finished saving model to {path}")

    def _should_save(self, epoch, logs, path):
        if not self.save_best_only:
            self._say(epoch, f"saving model to {path}")
            return True
        current = logs.get(self.monitor)
        if current is None:
            warnings.warn(f"Can save best model only with {self.monitor} available.", stacklevel=2)
            return True
        if np.ndim(current):
            warnings.warn(f"Can save best model only when `monitor` is a scalar value. Received: {current}.")
            return True
        best = "None" if self.best is None else f"{self.best:.5f}"
        if not self._is_improvement(current, self.best):
            self._say(epoch, f"{self.monitor} did not improve from {best}")
            return False
        self._say(epoch, f"{self.monitor} improved from {best} to {current:.5f}, saving model to {path}")
        self.best = current
        return True

    def _say(self, epoch, text):
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: {text}")

    def _get_file_path(self, epoch, batch, logs):
        names = {"epoch": epoch + 1, **logs}
        if batch is not None:
            names.setdefault("batch", batch + 1)
        try:
            return self.filepath.format(**names)
        except KeyError as error:
            raise KeyError(f'Failed to format this callback filepath: "{self.filepath}". Reason: {error}') from None


class StepCount:
    """Whether a step is one of every `save_freq`, counted over epochs; never with "epoch".

    Raises ValueError for another save_freq.
    """

    def __init__(self, save_freq):
        if save_freq != "epoch" and (isinstance(save_freq, bool) or not isinstance(save_freq, int) or save_freq < 0):
            raise ValueError(f"`save_freq` is 'epoch' or a whole number from 0. Received: save_freq={save_freq}")
        self._wanted = save_freq
        self._since = 0
        self._last = None

    def is_due(self, batch):
        """batch: the step's number in its epoch; one call may stand for several steps."""
        if self._wanted == "epoch":
            return False
        self._since += batch + 1 if self._last is None or batch <= self._last else batch - self._last
        self._last = batch
        if self._since < self._wanted:
            return False
        self._since = 0
        return True

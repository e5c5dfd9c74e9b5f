"""Trainable: `compile`, `fit`, `evaluate` and their like, as models have them. https://keras.io/api/models/"""

import warnings

from fastseq.models.training_state import HasTrainingState
from fastseq.native import interrupts
from fastseq.native.kept_states import all_or_nothing
from fastseq.training.turns import Turn

_COMPILE = ("optimizer", "loss", "loss_weights", "metrics", "weighted_metrics")
_FIT = (
    "x", "y", "batch_size", "epochs", "nb_epoch", "verbose", "callbacks", "validation_split", "validation_data",
    "shuffle", "class_weight", "sample_weight", "initial_epoch", "steps_per_epoch", "validation_steps",
    "validation_batch_size", "validation_freq",
)  # fmt: skip
_EVALUATE = ("x", "y", "batch_size", "verbose", "sample_weight", "steps", "callbacks", "return_dict")
_ON_BATCH = ("x", "y", "sample_weight", "class_weight", "return_dict")


def _unknown(name, given, known):
    if given:
        raise TypeError(f"{name}() has no argument {', '.join(sorted(given))}. There are: {', '.join(known)}.")


class Trainable(HasTrainingState):
    """Mixed into `Model`. A model that is not compiled has no `optimizer`, `loss` or metrics."""

    _trainer = None
    history = None
    stop_training = False
    _initial_epoch = _initial_batch = 0

    def compile(self, optimizer="rmsprop", loss=None, loss_weights=None, metrics=None, weighted_metrics=None, **kwargs):
        """Says how to train: optimizer, loss and metrics, as in Keras.

        Args:
            optimizer (str, dict or Optimizer, default "rmsprop"): What changes the weights.
            loss (str, Loss or function, default None): A function is traced and differentiated, or has a gradient of
                its own (losses.with_gradient); for several outputs a list or dict.
            loss_weights (list or dict, default None): A number for each output's loss; None is 1 for each.
            metrics (list, default None): Names or Metrics; for several outputs a list or dict of lists.
            weighted_metrics (list, default None): Those that take sample weights into account.
            **kwargs: None are known.

        Raises:
            TypeError: Other arguments, naming those that exist.
            ValueError: Unknown names.

        Example:
            >>> model = fastseq.Sequential([layers.Input((2,)), layers.Dense(1, kernel_initializer="zeros")])
            >>> model.compile(optimizers.SGD(0.5), loss="mse", metrics=["mae"])
            >>> float(model.optimizer.learning_rate), model.loss
            (0.5, 'mse')
        """
        from fastseq.training.trainer import Trainer

        _unknown("compile", kwargs, _COMPILE)
        self._trainer = Trainer(self, optimizer, loss, loss_weights, metrics, weighted_metrics)
        self.stop_training = False

    @property
    def optimizer(self):
        """The optimizer; None before `compile`."""
        return None if self._trainer is None else self._trainer.optimizer

    @optimizer.setter
    def optimizer(self, value):
        if self._trainer is None:
            raise AttributeError(f"Model '{self.name}' is not compiled: give the optimizer to compile().")
        self._trainer.set_optimizer(value)

    @property
    def loss(self):
        """The loss as `compile` was told it; None before."""
        return None if self._trainer is None else self._trainer.loss

    @property
    def compiled(self):
        """Whether `compile` was called."""
        return self._trainer is not None

    @property
    def metrics(self):
        """The mean of the loss and the metrics, then those that are attributes; the former are there once compiled."""
        from fastseq.metrics.base import Metric

        found = [] if self._trainer is None or not self.built else self._trainer.compiled.metrics
        own = [value for value in vars(self).values() if isinstance(value, Metric)]
        return [*found, *(metric for metric in own if not any(metric is other for other in found))]

    @property
    def metrics_names(self):
        """The names of `metrics`."""
        return [metric.name for metric in self.metrics]

    def _trainer_for(self, method):
        if self._trainer is None:
            raise ValueError(f"Model '{self.name}': you must call `compile()` before `{method}()`.")
        return self._trainer

    def fit(
        self, x=None, y=None, batch_size=None, epochs=1, verbose="auto", callbacks=None, validation_split=0.0,
        validation_data=None, shuffle=True, class_weight=None, sample_weight=None, initial_epoch=0,
        steps_per_epoch=None, validation_steps=None, validation_batch_size=None, validation_freq=1, **kwargs,
    ):  # fmt: skip
        """Trains for some epochs. Ctrl-C leaves the weights of the last whole step.

        Other threads may call the model meanwhile; what they get may be of weights of two steps. A stateful model takes
        batches of one size: of batches that x makes, the error comes with the one that is smaller, after steps that
        stay.

        Args:
            x (array, nest or batches, default None): Arrays, or a generator, iterable or object with `__len__` and
                `__getitem__` of batches (x, y) or (x, y, sample_weight).
            y (array or nest, default None): Labels; a list or dict for several outputs.
            batch_size (int, default None): Rows of a batch of arrays; None is 32. Batches that x makes stay as they
                are.
            epochs (int, default 1): Number of the epoch to stop before, counted from 0: how many, with initial_epoch=0.
            verbose (int or str, default "auto"): 1 or "auto" a bar, 2 a line for each epoch, 0 nothing; on stderr.
            callbacks (list, default None): Callbacks, which are called along the way.
            validation_split (float, default 0.0): The last share of the rows, which is not trained with.
            validation_data (tuple or batches, default None): (x, y), (x, y, weights) or batches.
            shuffle (bool or str, default True): Another order of the rows, or of the batches that x makes, in every
                pass; "batch": within each.
            class_weight (dict, default None): Class number -> weight.
            sample_weight (array, default None): One for each sample, or for each timestep.
            initial_epoch (int, default 0): The first epoch's number.
            steps_per_epoch (int, default None): Batches in an epoch, where it is not one pass over the data: an epoch
                goes on where the last one stopped, and ends with the pass. Without batch_size arrays are cut into so
                many batches.
            validation_steps (int, default None): Batches of validation; None is all.
            validation_batch_size (int, default None): Rows of its batches; None is batch_size.
            validation_freq (int or list, default 1): After every how many epochs, or after which ones, from 1.
            **kwargs: `nb_epoch`, Keras 1's name for epochs.

        Returns:
            The `History`.

        Raises:
            TypeError: Other arguments, naming those that exist.
            ValueError: Data that does not fit, and a stateful model whose rows do not divide into batches.
            RuntimeError: While another thread trains this model, or one that shares layers or the optimizer.

        Example:
            >>> model = fastseq.Sequential([layers.Input((2,)), layers.Dense(1, kernel_initializer="zeros")])
            >>> model.compile("sgd", "mse", metrics=["mae"])
            >>> history = model.fit(np.ones((8, 2)), np.zeros((8, 1)), epochs=2, validation_split=0.25, verbose=0)
            >>> history.history["val_loss"]
            [0.0, 0.0]
        """
        from fastseq.training.fit import fit

        if "nb_epoch" in kwargs:
            epochs = kwargs.pop("nb_epoch")
        _unknown("fit", kwargs, _FIT)
        return fit(
            self, x, y, batch_size, epochs, verbose, callbacks, validation_split, validation_data, shuffle,
            class_weight, sample_weight, initial_epoch, steps_per_epoch, validation_steps, validation_batch_size,
            validation_freq,
        )  # fmt: skip

    @all_or_nothing
    def evaluate(
        self, x=None, y=None, batch_size=None, verbose="auto", sample_weight=None, steps=None, callbacks=None,
        return_dict=False, **kwargs,
    ):  # fmt: skip
        """The loss and the metrics over all batches.

        Args:
            x (array, nest or batches, default None): As for `fit`.
            y (array or nest, default None): Labels.
            batch_size (int, default None): Rows of a batch of arrays; None is 32.
            verbose (int or str, default "auto"): 1 or "auto" a bar, 2 a line, 0 nothing; on stderr.
            sample_weight (array, default None): One for each sample, or for each timestep.
            steps (int, default None): Batches to run; None is all.
            callbacks (list, default None): Callbacks, which are called along the way.
            return_dict (bool, default False): Whether to return a dict by name.
            **kwargs: None are known.

        Returns:
            The loss, a float, or a list of it and the metrics in the order of `metrics_names`.

        Raises:
            TypeError: Other arguments, naming those that exist.
            ValueError: Data that does not fit, and a model that is not compiled.
            RuntimeError: While another thread trains or evaluates this model.

        Example:
            >>> model = fastseq.Sequential([layers.Input((2,)), layers.Dense(1, kernel_initializer="zeros")])
            >>> model.compile("sgd", "mse", metrics=["mae"])
            >>> model.evaluate(np.ones((8, 2)), np.ones((8, 1)), verbose=0)
            [1.0, 1.0]
            >>> model.evaluate(np.ones((8, 2)), np.ones((8, 1)), verbose=0, return_dict=True)
            {'loss': 1.0, 'mae': 1.0}
        """
        from fastseq.training.fit import evaluate

        _unknown("evaluate", kwargs, _EVALUATE)
        return evaluate(self, x, y, batch_size, verbose, sample_weight, steps, callbacks, return_dict)

    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, return_dict=False, **kwargs):
        """One step of training with a batch.

        Args:
            x (array or nest): The inputs.
            y (array or nest, default None): Labels.
            sample_weight (array, default None): One for each sample, or for each timestep.
            class_weight (dict, default None): Class number -> weight.
            return_dict (bool, default False): Whether to return a dict by name.
            **kwargs: None are known.

        Returns:
            The loss, a float, or a list of it and the metrics in the order of `metrics_names`.

        Raises:
            TypeError: Other arguments, naming those that exist.
            ValueError: Data that does not fit, and a model that is not compiled.
            RuntimeError: While another thread trains or evaluates this model.

        Example:
            >>> model = fastseq.Sequential([layers.Input((2,)), layers.Dense(1, kernel_initializer="zeros")])
            >>> model.compile("sgd", "mse", metrics=["mae"])
            >>> model.train_on_batch(np.ones((8, 2)), np.ones((8, 1)))
            [1.0, 1.0]
        """
        _unknown("train_on_batch", kwargs, _ON_BATCH)
        trainer = self._trainer_for("train_on_batch")
        turn = Turn(trainer, trains=True)
        try:
            trainer.reset_results()
            with interrupts.whole(kernels_stop=True):
                trainer.train(x, y, sample_weight, class_weight)
            return self._on_batch(trainer, return_dict)
        finally:
            turn.over()

    @all_or_nothing
    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False, **kwargs):
        """Loss and metrics of a batch; nothing is trained.

        Args:
            x (array or nest): The inputs.
            y (array or nest, default None): Labels.
            sample_weight (array, default None): One for each sample, or for each timestep.
            return_dict (bool, default False): Whether to return a dict by name.
            **kwargs: None are known.

        Returns:
            What `train_on_batch` returns.

        Raises:
            TypeError: Other arguments, naming those that exist.
            ValueError: Data that does not fit, and a model that is not compiled.
            RuntimeError: While another thread trains or evaluates this model.

        Example:
            >>> model = fastseq.Sequential([layers.Input((2,)), layers.Dense(1, kernel_initializer="zeros")])
            >>> model.compile("sgd", "mse", metrics=["mae"])
            >>> model.test_on_batch(np.ones((8, 2)), np.ones((8, 1)), return_dict=True)
            {'loss': 1.0, 'mae': 1.0}
        """
        _unknown("test_on_batch", kwargs, [name for name in _ON_BATCH if name != "class_weight"])
        trainer = self._trainer_for("test_on_batch")
        turn = Turn(trainer, trains=False)
        try:
            trainer.reset_results()
            trainer.test(x, y, sample_weight)
            return self._on_batch(trainer, return_dict)
        finally:
            turn.over()

    @staticmethod
    def _on_batch(trainer, return_dict):
        if return_dict:
            return trainer.results()
        found = list(trainer.results(in_order=True).values())
        return found[0] if len(found) == 1 else found

    def reset_metrics(self):
        """Forgets the numbers of the batches so far.

        Example:
            >>> model = fastseq.Sequential([layers.Input((2,)), layers.Dense(1, kernel_initializer="zeros")])
            >>> model.compile("sgd", "mse", metrics=["mae"])
            >>> model.test_on_batch(np.ones((8, 2)), np.ones((8, 1)))
            [1.0, 1.0]
            >>> model.reset_metrics()
            >>> model.metrics[0].result()
            0.0
        """
        if self._trainer is not None:
            self._trainer.reset_results()

    # ---- files ---------------------------------------------------------------------------------------------------

    def get_compile_config(self):
        """What `compile` was told, as Keras's files hold it.

        It warns, and gives an empty dict, where a loss or a metric has no config (a lambda for one).

        Returns:
            dict; an empty one before `compile`.

        Example:
            >>> model = fastseq.Sequential([layers.Input((2,)), layers.Dense(1, kernel_initializer="zeros")])
            >>> model.compile("sgd", "mse", metrics=["mae"])
            >>> config = model.get_compile_config()
            >>> config["loss"], config["metrics"], config["optimizer"]["class_name"]
            ('mse', ['mae'], 'SGD')
        """
        from fastseq.saving import compile_config

        return compile_config.compile_config(self)

    def compile_from_config(self, config):
        """Compiles as a config says, and makes the optimizer's variables.

        How Keras ran its steps (run_eagerly, jit_compile) makes no difference here. A class with a `compile` of its own
        is left alone, with a warning, as in Keras: it needs a `compile_from_config` of its own too.

        Args:
            config (dict): What `get_compile_config` gives, of fastseq or Keras.

        Raises:
            TypeError: Other arguments that `compile` does not have.
            ValueError: What does not exist.

        Example:
            >>> model = fastseq.Sequential([layers.Input((2,)), layers.Dense(1, kernel_initializer="zeros")])
            >>> model.compile("sgd", "mse", metrics=["mae"])
            >>> other = models.clone_model(model)
            >>> other.compile_from_config(model.get_compile_config())
            >>> other.loss
            'mse'
        """
        from fastseq.saving import compile_config

        if type(self).compile is not Trainable.compile:
            warnings.warn(
                f"Model '{self.name}' is not compiled: {type(self).__name__} has a compile() of its own, and so needs "
                "its own get_compile_config() and compile_from_config(config) too. Or call compile() after loading.",
                stacklevel=2,
            )
            return
        compile_config.compile_model(self, config)

    def saved_tree(self):
        """See `Layer.saved_tree`; a compiled model has its optimizer in it.

        Returns:
            dict.
        """
        tree = super().saved_tree()
        return tree if self.optimizer is None else {**tree, "optimizer": self.optimizer}

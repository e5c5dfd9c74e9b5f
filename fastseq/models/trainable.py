"""Trainable: `compile`, `fit`, `evaluate` and their like, as models have them. https://keras.io/api/models/"""

import warnings

import numpy as np

from fastseq.native import interrupts
from fastseq.native.kept_states import all_or_nothing, write
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


class Trainable:
    """Mixed into `Model`. A model that is not compiled has no `optimizer`, `loss` or metrics."""

    _trainer = None
    history = None
    stop_training = False
    _initial_epoch = _initial_batch = 0

    def compile(self, optimizer="rmsprop", loss=None, loss_weights=None, metrics=None, weighted_metrics=None, **kwargs):
        """Says how to train: optimizer, loss and metrics, as in Keras.

        optimizer: name, config or object; loss: name, object or function with a gradient (losses.with_gradient), or for
        several outputs a list or dict of them; loss_weights: a number for each output's loss; metrics: a list, or for
        several outputs a list or dict of lists; weighted_metrics: those that take sample weights into account.
        Raises TypeError for other arguments, naming those that exist, ValueError for unknown names.
        """
        from fastseq.training.trainer import Trainer

        _unknown("compile", kwargs, _COMPILE)
        self._trainer = Trainer(self, optimizer, loss, loss_weights, metrics, weighted_metrics)
        self.stop_training = False

    @property
    def optimizer(self):
        return None if self._trainer is None else self._trainer.optimizer

    @optimizer.setter
    def optimizer(self, value):
        if self._trainer is None:
            raise AttributeError(f"Model '{self.name}' is not compiled: give the optimizer to compile().")
        self._trainer.set_optimizer(value)

    @property
    def loss(self):
        return None if self._trainer is None else self._trainer.loss

    @property
    def compiled(self):
        return self._trainer is not None

    @property
    def metrics(self):
        """The mean of the loss and the metrics; empty before `compile`."""
        return [] if self._trainer is None or not self.built else self._trainer.compiled.metrics

    @property
    def metrics_names(self):
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
        """Trains for `epochs` (Keras 1: nb_epoch) and returns the `History`.

        x, y: arrays, or lists and dicts of them for several inputs and outputs; or x a generator or other iterable, or
        an object with `__len__` and `__getitem__`, of batches (x, y) or (x, y, sample_weight).
        batch_size: of arrays, 32 by default; batches that x makes stay as they are, as in Keras. verbose: 1 or "auto" a
        bar, 2 a line for each epoch, 0 nothing; on stderr.
        validation_split: the last share of the rows, which is not trained with; validation_data: (x, y), (x, y,
        weights) or batches. validation_freq: after every how many epochs, or a list of their numbers, from 1. shuffle:
        another order of the rows, or of the batches that x makes, in every pass over them; "batch" of the rows in each
        batch. class_weight: dict class number -> weight. sample_weight: one for each sample, or for each timestep.
        steps_per_epoch: batches in an epoch, where it is not one pass over the data: an epoch goes on where the last
        one stopped, and ends with the pass. Without batch_size arrays are cut into so many batches.
        A stateful model takes batches of one size: ValueError before the first step where arrays do not divide into
        them; of batches that x makes it comes with the one that is smaller, after steps that stay (Keras broadcasts one
        of a single row, and fails in others).
        Ctrl-C leaves the weights of the last whole step. Raises TypeError for other arguments, naming those that exist,
        and RuntimeError while another thread trains or evaluates this model, or one that shares layers or the optimizer
        with it. Other threads may call the model meanwhile; what they get may be of weights of two steps.
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
        """The loss, or a list of it and the metrics in the order of `metrics_names`, over all batches; x, y as for fit.

        return_dict: a dict by name instead. Raises TypeError for other arguments, naming those that exist, and
        RuntimeError while another thread trains or evaluates this model.
        """
        from fastseq.training.fit import evaluate

        _unknown("evaluate", kwargs, _EVALUATE)
        return evaluate(self, x, y, batch_size, verbose, sample_weight, steps, callbacks, return_dict)

    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, return_dict=False, **kwargs):
        """One step with a batch. Returns its loss, or a list of that and the metrics in the order of `metrics_names`.

        return_dict: a dict by name instead. Raises as `fit` does.
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
        """Loss and metrics of a batch, as `train_on_batch` returns them; nothing is trained."""
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
        """Forgets the numbers of the batches so far."""
        if self._trainer is not None:
            self._trainer.reset_results()

    # ---- files ---------------------------------------------------------------------------------------------------

    def get_compile_config(self):
        """What `compile` was told, as Keras's files hold it; an empty dict before.

        Warns, and gives an empty dict, where a loss or a metric has no config (a lambda for one).
        """
        from fastseq.saving import compile_config

        return compile_config.compile_config(self)

    def compile_from_config(self, config):
        """Compiles as a dict from `get_compile_config`, of fastseq or Keras, says, and makes the optimizer's variables.

        How Keras ran its steps (run_eagerly, jit_compile) makes no difference here. A class with a `compile` of its own
        is left alone, with a warning, as in Keras: it needs a `compile_from_config` of its own too.
        Raises TypeError for other arguments that `compile` does not have, ValueError for what does not exist.
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
        """See `Layer.saved_tree`; a compiled model has its optimizer in it."""
        tree = super().saved_tree()
        return tree if self.optimizer is None else {**tree, "optimizer": self.optimizer}

    # ---- for BackupAndRestore ------------------------------------------------------------------------------------

    def get_training_state(self):
        """dict name -> array: what the order of rows, layers' random numbers and states, and the epoch's totals go on
        from."""
        trainer = self._trainer_for("get_training_state")
        states = {f"random/{number}": state for number, state in enumerate(trainer.random_states())}
        states |= {f"kept/{number}": state for number, state in enumerate(trainer.kept_states())}
        totals = {f"total/{number}": variable.numpy() for number, variable in enumerate(trainer.totals())}
        return {"seed": np.array(trainer.seed), **states, **totals}

    def set_training_state(self, found):
        """Takes what `get_training_state` gave.

        Raises ValueError, and changes nothing, for states of stateful layers of other shapes and for what is no state.
        """
        trainer = self._trainer_for("set_training_state")
        kept = [found[f"kept/{number}"] for number in range(sum(name.startswith("kept/") for name in found))]
        # Backups of earlier versions have none.
        shapes = [[state.shape for state in states] for states in (kept, trainer.kept_states())]
        if kept and shapes[0] != shapes[1]:
            raise ValueError(
                f"Model '{self.name}': its stateful layers keep states of the shapes {shapes[1]}, got {shapes[0]}, "
                "perhaps of another batch size."
            )
        pairs = list(zip(trainer.kept_states(), kept))
        pairs += [(state, found.get(f"random/{number}")) for number, state in enumerate(trainer.random_states())]
        totals = [found.get(f"total/{number}") for number in range(sum(name.startswith("total/") for name in found))]
        for state, value in (*pairs, (np.array(0), found.get("seed")), *((total, total) for total in totals)):
            if value is None or state.shape != value.shape or value.dtype.kind not in "biuf":
                raise ValueError(f"Model '{self.name}': this is not the state of its training.")
        write([state for state, _ in pairs], [value for _, value in pairs])
        trainer.seed = int(found["seed"])
        trainer.kept_totals = totals

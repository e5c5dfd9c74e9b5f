"""Trainer: what a compiled model trains and evaluates with, batch by batch."""

from collections import OrderedDict

import numpy as np

from fastseq import nest, optimizers
from fastseq.models import predict as prediction
from fastseq.seeds import default_seed
from fastseq.training.compiled import Compiled, per_output
from fastseq.training.data import class_weights
from fastseq.training.penalties import penalty, penalty_gradient
from fastseq.training.program import TrainingProgram, bound, key_of

_MOST_PROGRAMS = 32  # for shapes of batches


class Trainer:
    """Optimizer, losses, metrics and programs of one model. Arguments as `Model.compile` takes them."""

    def __init__(self, model, optimizer, loss, loss_weights, metrics, weighted_metrics):
        self.model = model
        self.optimizer = optimizers.get(optimizer)
        self.loss = loss
        self._told = loss, metrics, loss_weights, weighted_metrics
        self._compiled = None
        self._programs = OrderedDict()
        self.seed = default_seed()

    @property
    def compiled(self):
        """The losses and metrics; the model is built by then."""
        if self._compiled is None:
            names = getattr(self.model, "output_names", None) or ["output"]
            self._compiled = Compiled(list(names), *self._told)
        return self._compiled

    # ---- one batch -----------------------------------------------------------------------------------------------

    def train(self, x, y, sample_weight=None, class_weight=None):
        """One step: gradients, the optimizer, the epoch's numbers."""
        self._build(x)
        y, weights = self._targets(y, sample_weight, class_weight)
        variables = self.model.trainable_variables
        if not variables:
            raise ValueError(f"Model '{self.model.name}' has no trainable weights.")
        if not self.optimizer.built:
            self.optimizer.build(variables)
        for variable in variables:
            # Programs point to where the optimizer changes the weights.
            self.optimizer._updates._own(variable, in_place=True)
        batch = self._run(x, y, weights, variables, training=True)
        penalized = 0.0
        gradients = batch.gradients
        for number, variable in enumerate(variables):
            if variable.regularizer is not None:
                penalized += penalty(variable.regularizer, variable._value)
                slope = penalty_gradient(variable.regularizer, variable._value)
                gradients[number] = slope if gradients[number] is None else gradients[number] + slope
        scale = self.optimizer.loss_scale_factor
        if scale is not None:
            gradients = [None if gradient is None else gradient * np.float32(scale) for gradient in gradients]
        self.optimizer.apply(gradients, variables, tell_layers=False)
        self._tell_layers(variables)
        self.compiled.update(batch.total + penalized, batch.each, batch.outputs, y, weights)

    def test(self, x, y, sample_weight=None):
        """Loss and metrics of a batch, added to the epoch's numbers."""
        self._build(x)
        y, weights = self._targets(y, sample_weight, None)
        batch = self._run(x, y, weights, [], training=False)
        penalized = sum(
            penalty(variable.regularizer, variable._value)
            for variable in self.model.trainable_variables
            if variable.regularizer is not None
        )
        self.compiled.update(batch.total + penalized, batch.each, batch.outputs, y, weights)

    @staticmethod
    def _tell_layers(variables):
        for owner in {id(v._owner): v._owner for v in variables if v._owner is not None}.values():
            owner._weights_changed()

    def _build(self, x):
        if not self.model.built or getattr(self.model, "_functional", self) is None:
            prediction.run(self.model, x)

    def _targets(self, y, sample_weight, class_weight):
        """Labels and sample weights, a list of one entry for each output."""
        names = self.compiled.names
        y = [None if part is None else np.asarray(part) for part in per_output(_one(y), names, "y")]
        weights = per_output(_one(sample_weight), names, "sample_weight", spread=True)
        if class_weight is not None:
            if len(names) > 1:
                raise ValueError("`class_weight` is only supported for models with a single output.")
            if sample_weight is not None:
                raise ValueError("You cannot use `class_weight` and `sample_weight` at the same time.")
            weights = [class_weights(class_weight, y[0])]
        return y, weights

    def _run(self, x, y, weights, variables, training):
        arguments = bound(self.model, x, training)
        key, arrays = key_of(arguments)
        key = (key, training, tuple(map(id, variables)))
        program = self._programs.get(key)
        if program is None or not program.is_current():
            if self.compiled.losses is None:
                self.compiled.prepare(y, [np.asarray(part) for part in nest.flatten(prediction.run(self.model, x))])
            program = TrainingProgram(self.model, arguments, variables, self.compiled.losses, training)
            self._programs[key] = program
            if len(self._programs) > _MOST_PROGRAMS:
                self._programs.popitem(last=False)
        batch = _Batch()

        def compute(outputs):
            batch.total, batch.each, gradients = self.compiled.compute(outputs, y, weights)
            batch.outputs = outputs
            return batch.total, gradients

        batch.total, batch.gradients = program.run(arrays, compute)
        return batch

    def results(self, in_order=False):
        """The epoch's numbers so far by name: sorted, as Keras's logs are, or in the order of `metrics`."""
        found = self.compiled.results()
        return found if in_order else dict(sorted(found.items()))

    def reset_results(self):
        """Forgets the numbers of the last epoch, where there was one."""
        if self._compiled is not None:
            self._compiled.reset()

    # ---- what BackupAndRestore keeps -----------------------------------------------------------------------------

    def random_states(self):
        """The arrays that layers' random numbers come from."""
        from fastseq.models.model import all_layers

        return [layer._random_state for layer in all_layers(self.model) if hasattr(layer, "_random_state")]


class _Batch:
    """Results of a step: total, each, outputs, gradients."""


def _one(value):
    """Lists of one entry stand for the entry; plain lists of numbers are an array."""
    if isinstance(value, (list, tuple)) and not any(hasattr(v, "shape") or v is None for v in value):
        return np.asarray(value)
    return value

"""Trainer: what a compiled model trains and evaluates with, batch by batch."""

import warnings

import numpy as np

from fastseq import optimizers
from fastseq.data.batches import class_weights
from fastseq.layers import inference
from fastseq.layers.walk import all_layers
from fastseq.metrics.base import Metric
from fastseq.native.kept_states import all_or_nothing, stateful_layers, undone
from fastseq.tensors import nest
from fastseq.tensors.seeds import default_seed
from fastseq.training import own_steps
from fastseq.training.compiled import Compiled, output_names, per_output
from fastseq.training.step import Step


class Trainer:
    """Optimizer, losses, metrics and programs of one model. Arguments as `Model.compile` takes them."""

    def __init__(self, model, optimizer, loss, loss_weights, metrics, weighted_metrics):
        self.model = model
        self.optimizer = optimizers.get(optimizer)
        self.loss = loss
        self._told = loss, metrics, loss_weights, weighted_metrics
        self._compiled = None
        self.train_step, self.test_step = Step(self, trains=True), Step(self, trains=False)
        self.seed = default_seed()
        self._logs = None  # what a step of the model's own gave last
        self.kept_totals = None  # of the epoch that a killed run was in, for `go_on`

    def set_optimizer(self, optimizer):
        """Another optimizer from the next step on."""
        self.optimizer = optimizers.get(optimizer)
        self.train_step.clear()

    @property
    def compiled(self):
        """The losses and metrics; the model is built by then."""
        if self._compiled is None:
            names, given = output_names(self.model)
            self._compiled = Compiled(names, *self._told, given)
        return self._compiled

    def given_metrics(self):
        """The Metric objects that compile() was given, which other models may have too."""
        _, metrics, _, weighted = self._told
        return [one for one in nest.flatten([metrics, weighted]) if isinstance(one, Metric)]

    # ---- one batch -----------------------------------------------------------------------------------------------

    @all_or_nothing
    def train(self, x, y, sample_weight=None, class_weight=None):
        """One step: gradients, the optimizer, the epoch's numbers. If it raises, states and weights are of one step."""
        if not own_steps.overrides(self.model, "train_step"):
            self.train_natively(x, y, sample_weight, class_weight)
            return
        if class_weight is not None:
            _, (sample_weight,) = self._targets(y, sample_weight, class_weight)
        self._run_own(self.model.train_step, x, y, sample_weight)

    def test(self, x, y, sample_weight=None):
        """Loss and metrics of a batch, added to the epoch's numbers."""
        if not own_steps.overrides(self.model, "test_step"):
            self.test_natively(x, y, sample_weight)
            return
        self._run_own(self.model.test_step, x, y, sample_weight)

    def train_natively(self, x, y, sample_weight=None, class_weight=None):
        """The native step of training."""
        self._logs = None
        self._build(x)
        self.train_step.run(x, *self._targets(y, sample_weight, class_weight))

    def test_natively(self, x, y, sample_weight=None):
        """The native step of evaluation."""
        self._logs = None
        self._build(x)
        self.test_step.run(x, *self._targets(y, sample_weight, None))

    def _run_own(self, step, x, y, sample_weight):
        """A step that the model's class overrides."""
        self._build(x)
        if self.compiled.losses is None and y is not None:
            labels, _ = self._targets(y, None, None)
            self.compiled.prepare(labels, nest.flatten(undone(inference.run, self.model, x)))
        data = (x,) if y is None else (x, y) if sample_weight is None else (x, y, sample_weight)
        self._logs = own_steps.logs_of(self.model, step, data)

    def _build(self, x):
        if not self.model.built or getattr(self.model, "_functional", self) is None:
            undone(inference.run, self.model, x)

    def _targets(self, y, sample_weight, class_weight):
        """Labels and sample weights, a list of one entry for each output."""
        names = self.compiled.names
        y = [None if part is None else np.asarray(part) for part in per_output(_one(y), names, "y")]
        weights = per_output(_one(sample_weight), names, "sample_weight", spread=True)
        weights = [None if part is None else np.asarray(part) for part in weights]
        if class_weight is not None:
            if len(names) > 1:
                raise ValueError("`class_weight` is only supported for models with a single output.")
            if sample_weight is not None:
                raise ValueError("You cannot use `class_weight` and `sample_weight` at the same time.")
            weights = [class_weights(class_weight, y[0])]
        return y, weights

    def results(self, in_order=False):
        """The epoch's numbers so far by name: sorted, as Keras's logs are, or in the order of `metrics`."""
        found = self.compiled.results() if self._logs is None else self._logs
        return found if in_order else dict(sorted(found.items()))

    def native_results(self):
        """The epoch's numbers of the losses and metrics of compile, whatever a step of the model's own gave."""
        return self.compiled.results()

    def reset_results(self):
        """Forgets the numbers of the last epoch, where there was one."""
        if self._compiled is not None:
            self._compiled.reset()
        self._logs = None
        for metric in self.model.metrics:
            metric.reset_state()

    # ---- what BackupAndRestore keeps -----------------------------------------------------------------------------

    def random_states(self):
        """The arrays that layers' random numbers come from."""
        return [layer._random_state for layer in all_layers(self.model) if hasattr(layer, "_random_state")]

    def kept_states(self):
        """The arrays of the states that stateful layers keep."""
        return [state for layer in stateful_layers(self.model) for state in nest.flatten(layer.states or ())]

    def totals(self):
        """The variables of losses and metrics, which make up the epoch's numbers so far."""
        return [variable for metric in self.compiled.metrics for variable in metric.variables]

    def go_on(self, x, y, sample_weight=None):
        """Puts back the epoch's numbers that a killed run had; any batch tells what losses and metrics there are."""
        self._build(x)
        y, _ = self._targets(y, sample_weight, None)
        outputs = undone(inference.run, self.model, x)
        self.compiled.prepare(y, nest.flatten(outputs))
        kept, self.kept_totals = self.kept_totals, None
        if [variable.shape for variable in self.totals()] != [value.shape for value in kept]:
            warnings.warn("The epoch's numbers begin anew: the run that was stopped had other losses or metrics.")
            return
        for variable, value in zip(self.totals(), kept):
            variable.assign(value)


def _one(value):
    """Lists of one entry stand for the entry; plain lists of numbers are an array."""
    if isinstance(value, (list, tuple)) and not any(hasattr(v, "shape") or v is None for v in value):
        return np.asarray(value)
    return value

"""Trainer: what a compiled model trains and evaluates with, batch by batch."""

import warnings
from collections import OrderedDict

import numpy as np

from fastseq import optimizers
from fastseq.data.batches import class_weights
from fastseq.layers import inference
from fastseq.layers.walk import all_layers
from fastseq.metrics.base import Metric
from fastseq.native import runtime
from fastseq.native.kept_states import all_or_nothing, settle, stateful_layers, undone
from fastseq.optimizers import fused
from fastseq.tensors import nest
from fastseq.tensors.seeds import default_seed
from fastseq.training import labels
from fastseq.training.compiled import Compiled, output_names, per_output
from fastseq.training.penalties import penalty, penalty_gradient
from fastseq.training.program import NoGradientError, StaleError, TrainingProgram, bound, key_of
from fastseq.training.targets import targets_for

_MOST_PROGRAMS = 32  # for shapes of batches, those used last


class Trainer:
    """Optimizer, losses, metrics and programs of one model. Arguments as `Model.compile` takes them."""

    def __init__(self, model, optimizer, loss, loss_weights, metrics, weighted_metrics):
        self.model = model
        self.optimizer = optimizers.get(optimizer)
        self.loss = loss
        self._told = loss, metrics, loss_weights, weighted_metrics
        self._compiled = None
        self._programs = OrderedDict()
        self._plain = {}  # form of a plain array x -> key of the inputs
        self.seed = default_seed()
        self.kept_totals = None  # of the epoch that a killed run was in, for `go_on`

    def set_optimizer(self, optimizer):
        """Another optimizer from the next step on."""
        self.optimizer = optimizers.get(optimizer)
        # The programs there end with the steps of the old optimizer.
        self._programs.clear()

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
        self._build(x)
        y, weights = self._targets(y, sample_weight, class_weight)
        variables = self.model.trainable_variables
        if variables:
            self.optimizer.build_for(variables)
        try:
            program, results, gradients = self._run(x, y, weights, variables, training=True)
        finally:
            # The layers hear of it even where an interrupt came after the program had changed the weights.
            self._tell_layers(variables)
        penalized = self._penalized(results, variables)
        if program.updates is None and variables:
            self._apply(gradients, variables)
        self.compiled.update(results, penalized, program.target.rows, y, weights)

    def _apply(self, gradients, variables):
        """The optimizer's step, for what a program does not do itself."""
        for number, variable in enumerate(variables):
            if variable.regularizer is not None:
                slope = penalty_gradient(variable.regularizer, variable._value)
                gradients[number] = slope if gradients[number] is None else gradients[number] + slope
        scale = self.optimizer.loss_scale_factor
        if scale is not None:
            gradients = [None if gradient is None else gradient * np.float32(scale) for gradient in gradients]
        settle()
        self.optimizer.apply(gradients, variables, tell_layers=False)
        self._tell_layers(variables)

    def test(self, x, y, sample_weight=None):
        """Loss and metrics of a batch, added to the epoch's numbers."""
        self._build(x)
        y, weights = self._targets(y, sample_weight, None)
        program, results, _ = self._run(x, y, weights, [], training=False)
        penalized = self._penalized(results, self.model.trainable_variables)
        self.compiled.update(results, penalized, program.target.rows, y, weights)

    def _penalized(self, results, variables):
        """What weights add to the loss. Raises ValueError where nothing at all makes a loss, as Keras does."""
        found = [penalty(v.regularizer, v._value) for v in variables if v.regularizer is not None]
        if not found and results.added is None and not results.each:
            raise ValueError(f"Model '{self.model.name}' has no loss to compute: give compile() a loss=.")
        return sum(found)

    @staticmethod
    def _tell_layers(variables):
        for owner in {id(v._owner): v._owner for v in variables if v._owner is not None}.values():
            owner._weights_changed()

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

    def _run(self, x, y, weights, variables, training):
        """(TrainingProgram, Results, gradients by the variables) of a batch."""
        key, found = self._inputs(x, training)
        key = (key, tuple(map(id, variables)), *(form_of(part) for part in (*y, *weights)))
        # Labels of the same shape and dtype may still need another program, fractions as class numbers for one.
        for native in (True, False):
            program = self._programs.get((key, native))
            if program is None or not program.is_current():
                program = self._make((key, native), x, y, weights, variables, training)
            else:
                self._programs[key, native] = self._programs.pop((key, native), program)  # behind the others
            taken = program.target.arrays(y, weights)
            if taken is not None:
                break
        try:
            results, gradients = program.run(found, taken)
        except StaleError:
            program = self._make((key, native), x, y, weights, variables, training)
            results, gradients = program.run(found, program.target.arrays(y, weights))
        return program, results, gradients

    def _inputs(self, x, training):
        """(what a program depends on for inputs x, the arrays it takes)."""
        plain = type(x) is np.ndarray and x.flags.carray
        seen = (x.shape, x.dtype, training, runtime.active_isa()) if plain else None
        if seen in self._plain:
            return self._plain[seen], (x,)
        key, found = key_of(bound(self.model, x, training))
        # Binding takes 10 us, and an array that was taken as it is will be taken so again: its key is kept.
        if plain and len(found) == 1 and found[0] is x:
            if len(self._plain) > 8 * _MOST_PROGRAMS:
                self._plain.clear()
            self._plain[seen] = key
        return key, found

    def _make(self, key, x, y, weights, variables, training):
        arguments = bound(self.model, x, training)
        if training and not variables:
            warnings.warn(f"The model '{self.model.name}' does not have any trainable weights.", stacklevel=2)

        def losses_of(slots):
            shapes = [slot.shape for slot in slots]
            labels.check(self.model, self.compiled, y, shapes)
            self.compiled.prepare(y, slots)
            labels.check_losses(self.model, self.compiled, y, weights, shapes)
            return list(zip(self.compiled.losses, y))

        updates = None
        for variable in variables:
            # Programs point to where the optimizer changes the weights.
            self.optimizer._updates.own(variable, in_place=True)
        if variables and fused.possible(self.optimizer, variables) and all(v.regularizer is None for v in variables):
            steps = fused.FusedUpdates(self.optimizer, variables)
            try:
                updates = steps, steps.begin()
            finally:
                steps.end()
        target_for = targets_for(self.compiled, y, weights, native=key[-1])

        def made(updates):
            return TrainingProgram(
                self.model, arguments, variables, losses_of, target_for, training=training, updates=updates
            )

        try:
            program = made(updates)
        except NoGradientError:
            program = made(None)  # the optimizer warns of such weights
        self._programs[key] = program
        if len(self._programs) > _MOST_PROGRAMS:
            self._programs.popitem(last=False)
        return program

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


def form_of(array):
    """The key of an array of labels or weights among programs: shape and dtype; None for no array."""
    return None if array is None else (array.shape, array.dtype)


def _one(value):
    """Lists of one entry stand for the entry; plain lists of numbers are an array."""
    if isinstance(value, (list, tuple)) and not any(hasattr(v, "shape") or v is None for v in value):
        return np.asarray(value)
    return value

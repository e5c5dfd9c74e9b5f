"""A step: one batch through the program for its shapes, which trains or only computes losses and metrics."""

import warnings

import numpy as np

from fastseq.native import runtime
from fastseq.native.kept_states import settle
from fastseq.optimizers import fused
from fastseq.program.kept_programs import MOST_THAT_TRAIN, KeptPrograms
from fastseq.training import labels
from fastseq.training.penalties import penalty, penalty_gradient
from fastseq.training.program import NoGradientError, StaleError, TrainingProgram, bound, key_of
from fastseq.training.targets import targets_for


class Step:
    """What a compiled model does with a batch: `step.run(x, y)`.

    Args:
        trainer (Trainer): Whose model, optimizer, losses and metrics it takes.
        trains (bool): Whether it changes the weights, and layers behave as while training.
    """

    def __init__(self, trainer, trains):
        self._trainer, self._trains = trainer, trains
        self._programs = KeptPrograms(MOST_THAT_TRAIN)
        self._plain = {}  # form of a plain array x -> key of the inputs

    def clear(self):
        """Forgets the programs: they end with the steps of the optimizer that they were made with."""
        self._programs.clear()

    def run(self, x, y, weights):
        """Runs one batch and adds its numbers to the epoch's.

        Args:
            x: The model's inputs, as a call takes them.
            y, weights: Labels and sample weights, an array or None for each output.

        Raises:
            ValueError: Labels or weights that do not fit the model, or a model without any loss.
            UnsupportedError: A layer that cannot be trained.
        """
        trainer = self._trainer
        trained = trainer.model.trainable_variables
        if not self._trains:
            program, results, _ = self._run(x, y, weights, [])
            penalized = self._penalized(results, trained)
        else:
            if trained:
                trainer.optimizer.build_for(trained)
            try:
                program, results, gradients = self._run(x, y, weights, trained)
            finally:
                # The layers hear of it even where an interrupt came after the program had changed the weights.
                _tell_layers(trained)
            penalized = self._penalized(results, trained)
            if program.updates is None and trained:
                self._apply(gradients, trained)
        trainer.compiled.update(results, penalized, program.target.rows, y, weights)

    def _apply(self, gradients, variables):
        """The optimizer's step, for what a program does not do itself."""
        optimizer = self._trainer.optimizer
        for number, variable in enumerate(variables):
            if variable.regularizer is not None:
                slope = penalty_gradient(variable.regularizer, variable._value)
                gradients[number] = slope if gradients[number] is None else gradients[number] + slope
        scale = optimizer.loss_scale_factor
        if scale is not None:
            gradients = [None if gradient is None else gradient * np.float32(scale) for gradient in gradients]
        settle()
        optimizer.apply(gradients, variables, tell_layers=False)
        _tell_layers(variables)

    def _penalized(self, results, variables):
        """What weights add to the loss. Raises ValueError where nothing at all makes a loss, as Keras does."""
        found = [penalty(v.regularizer, v._value) for v in variables if v.regularizer is not None]
        if not found and results.added is None and not results.each:
            raise ValueError(f"Model '{self._trainer.model.name}' has no loss to compute: give compile() a loss=.")
        return sum(found)

    # ---- programs ------------------------------------------------------------------------------------------------

    def _run(self, x, y, weights, variables):
        """(TrainingProgram, Results, gradients by the variables) of a batch."""
        key, found = self._inputs(x)
        key = (key, tuple(map(id, variables)), *(_form(part) for part in (*y, *weights)))

        def make(native):
            return self._make(native, x, y, weights, variables)

        # Labels of the same shape and dtype may still need another program, fractions as class numbers for one.
        for native in (True, False):
            program, _ = self._programs.find((key, native), lambda native=native: make(native))
            if not program.is_current():
                program = make(native)
                self._programs.replace((key, native), program)
            taken = program.target.arrays(y, weights)
            if taken is not None:
                break
        try:
            results, gradients = program.run(found, taken)
        except StaleError:
            program = make(native)
            self._programs.replace((key, native), program)
            results, gradients = program.run(found, program.target.arrays(y, weights))
        return program, results, gradients

    def _inputs(self, x):
        """(what a program depends on for inputs x, the arrays it takes)."""
        plain = type(x) is np.ndarray and x.flags.carray
        seen = (x.shape, x.dtype, runtime.active_isa()) if plain else None
        if seen in self._plain:
            return self._plain[seen], (x,)
        key, found = key_of(bound(self._trainer.model, x, self._trains))
        # Binding takes 10 us, and an array that was taken as it is will be taken so again: its key is kept.
        if plain and len(found) == 1 and found[0] is x:
            if len(self._plain) > 8 * MOST_THAT_TRAIN:
                self._plain.clear()
            self._plain[seen] = key
        return key, found

    def _make(self, native, x, y, weights, variables):
        """The program for such a batch. native: whether losses and metrics are native steps."""
        model, compiled, optimizer = self._trainer.model, self._trainer.compiled, self._trainer.optimizer
        arguments = bound(model, x, self._trains)
        if self._trains and not variables:
            warnings.warn(f"The model '{model.name}' does not have any trainable weights.", stacklevel=2)

        def losses_of(slots):
            shapes = [slot.shape for slot in slots]
            labels.check(model, compiled, y, shapes)
            compiled.prepare(y, slots)
            labels.check_losses(model, compiled, y, weights, shapes)
            return list(zip(compiled.losses, y))

        updates = None
        for variable in variables:
            # Programs point to where the optimizer changes the weights.
            optimizer._updates.own(variable, in_place=True)
        if variables and fused.possible(optimizer, variables) and all(v.regularizer is None for v in variables):
            steps = fused.FusedUpdates(optimizer, variables)
            try:
                updates = steps, steps.begin()
            finally:
                steps.end()
        target_for = targets_for(compiled, y, weights, native=native)

        def made(updates):
            return TrainingProgram(
                model, arguments, variables, losses_of, target_for, training=self._trains, updates=updates
            )

        try:
            return made(updates)
        except NoGradientError:
            return made(None)  # the optimizer warns of such weights


def _form(array):
    """The key of an array of labels or weights among programs: shape and dtype; None for no array."""
    return None if array is None else (array.shape, array.dtype)


def _tell_layers(variables):
    for owner in {id(v._owner): v._owner for v in variables if v._owner is not None}.values():
        owner._weights_changed()

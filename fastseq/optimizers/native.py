"""A training step's updates as one program: one native call for all weights, whatever the optimizer."""

import sys

import numpy as np

from fastseq.gradients.backward import Rows
from fastseq.native.kinds import HYPER_OWN, HYPER_SIZE, HYPER_UNSCALE, NORM_BLOCK
from fastseq.program import packing
from fastseq.program.builder import Builder
from fastseq.program.kept_programs import MOST_THAT_TRAIN, KeptPrograms
from fastseq.program.program import Program


def _holders(array):
    """Number of references to an array and to its base, since views of the array refer to the base."""
    return sys.getrefcount(array) + sys.getrefcount(array.base)


class Updates:
    """The native side of one optimizer: its numbers, and a program for each set of weights that got gradients."""

    def __init__(self, optimizer):
        self._optimizer = optimizer
        self.hyper = np.zeros(HYPER_SIZE, np.float32)
        self._programs = KeptPrograms(MOST_THAT_TRAIN)
        self._owned = {}
        self._alone = 0  # `_holders` of an array that only its variable and this object hold

    def run(self, gradients, variables, indices, decays, rate, unscale, in_place):
        """Updates `variables` in place from `gradients` (contiguous float32 arrays of their shapes).

        indices: numbers of the variables among those the optimizer was built with; decays: bool for each of them.
        rate: the learning rate; unscale: what gradients are multiplied with first; in_place: even
        where somebody holds the arrays, whose place then stays the same.
        """
        key = self.begin(indices, decays, rate, unscale)
        weights = tuple(self.own(variable, in_place) for variable in variables)
        program, _ = self._programs.find(key, lambda: self._program(variables, key))
        program.run(tuple(gradients), weights)

    def _program(self, variables, key):
        builder = Builder()
        inputs = [builder.input(variable.shape, "float32") for variable in variables]
        outputs = [builder.new(variable.shape) for variable in variables]
        # Even the long updates of millions of weights are not interrupted: all weights change or none.
        builder.at_end(lambda: self.append(builder, inputs, outputs, key))
        return Program(builder, inputs, outputs)

    def begin(self, indices, decays, rate, unscale):
        """Sets the numbers of the coming step, and returns what the steps that read them depend on."""
        optimizer = self._optimizer
        limits = (optimizer.clipnorm, optimizer.global_clipnorm, optimizer.clipvalue)
        limit = next((limit for limit in limits if limit and limit > 0), 0.0)
        numbers = optimizer._hyper(rate)
        # Keras multiplies the weight with both numbers; their product differs in its last bit.
        decay = (optimizer.weight_decay or 0.0) * float(rate)
        self.hyper[: HYPER_OWN + len(numbers)] = (rate, decay, limit, unscale, *numbers)
        limited = tuple(bool(limit and limit > 0) for limit in limits)
        return tuple(indices), tuple(decays), limited, optimizer._options()

    def replace(self, variable, value, in_place):
        """Gives the variable another value, at the place where it is if it may stay there."""
        self.own(variable, in_place)[...] = value

    def own(self, variable, in_place):
        """The variable's array, a copy the first time and when it was assigned to.

        Unless `in_place`, or where a program for gradients reads the weight at its place, also when somebody else holds
        it: so a program keeps the weights that it was made from.
        """
        value = variable._held()
        in_place = in_place or variable.trained_in_place
        if self._owned.get(id(variable)) is not value or not (in_place or _holders(value) <= self._alone):
            value = packing.aligned(value)
            variable._value = self._owned[id(variable)] = value
            self._alone = _holders(value)
        return value

    def append(self, builder, gradients, weights, key):
        """Adds the steps that change `weights` by `gradients`, Slots (gradients also `Rows`), to a builder.

        key: from `begin`.
        """
        indices, decays, (by_norm, by_global_norm, by_value), _ = key
        scales = [self.hyper[HYPER_UNSCALE : HYPER_UNSCALE + 1]] * len(weights)
        if by_norm:
            scales = [self._scale(builder, [gradient], whole=0) for gradient in gradients]
        elif by_global_norm:
            scales = [self._scale(builder, gradients, whole=1)] * len(weights)
        name, states, option = self._optimizer._native_update()
        for gradient, weight, scale, index, decayed in zip(gradients, weights, scales, indices, decays):
            gradient, places = gradient if isinstance(gradient, Rows) else (gradient, None)
            own = [None if state is None else state[index]._value for state in states]
            builder.step(
                name, g=gradient, places=places, width=0 if places is None else weight.shape[-1], scale=scale,
                hyper=self.hyper, w=weight, state0=own[0], state1=own[1], state2=own[2], count=weight.size,
                decays=int(decayed), clips=int(by_value), option=int(option),
            )  # fmt: skip

    def _scale(self, builder, gradients, whole):
        """An array of one factor that brings the norm of `gradients` together down to the limit."""
        gradients = [gradient.gradient if isinstance(gradient, Rows) else gradient for gradient in gradients]
        blocks = [-(-gradient.size // NORM_BLOCK) for gradient in gradients]
        partial = np.zeros(max(1, sum(blocks)), np.float32)
        scale = np.ones(1, np.float32)
        start = 0
        for gradient, count in zip(gradients, blocks):
            builder.step("sum_squares", x=gradient, partial=partial[start : start + count], count=gradient.size)
            start += count
        builder.step("clip_scale", partial=partial, hyper=self.hyper, scale=scale, count=start, whole=whole)
        return scale

"""What layers add to the loss while a call is traced: the values of `add_loss`, and `losses` as traced arrays."""

import numpy as np

from fastseq import ops, regularizers
from fastseq.ops.tracing import CannotTrace
from fastseq.ops.values import Traced, lift
from fastseq.program import added_losses
from fastseq.program.added_losses import Penalty
from fastseq.tensors import nest
from fastseq.tensors.variable import Variable


def add(p, layer, loss):
    """See `Layer.add_loss`; p: the program that the layer's call is traced for."""
    values = nest.flatten(loss)
    for value in values:
        if not isinstance(value, Traced):
            added_losses.check(layer, value)
        elif value.p is not p:
            raise CannotTrace("its call adds a loss from inside of another program")
    p.adds_losses = p.adds_losses or bool(values)
    if p.penalized:
        p.penalties += [Penalty(layer, None, lift(p, value).slot, 1) for value in values]


def losses_of(p, layer):
    """See `Layer.losses`: what the calls in the program `p` added so far, and the penalties of weights, traced."""
    found = []
    for part in added_losses.flattened(layer):
        for owner, regularizer, slot, steps in p.penalties:
            if owner is part:
                found += _values_of(part, regularizer, slot, steps, p)
    return found + [
        penalty(variable.regularizer, Traced(p, p.weight(variable)))
        for variable in layer.trainable_weights
        if isinstance(variable, Variable) and variable.regularizer is not None
    ]


def _values_of(layer, regularizer, slot, steps, p):
    """The values of a `Penalty`."""
    if slot is None:
        raise added_losses.not_computed(layer)
    x = Traced(p, slot)
    if regularizer is None:
        return [x]
    parts = [x] if not slot.shape or steps == 1 else _timesteps(x, steps)
    return [penalty(regularizer, part) / float(added_losses.rows_of(part) if part.ndim else 1) for part in parts]


def _timesteps(x, steps):
    """The parts of an output that have a penalty each: the timesteps that TimeDistributed made rows."""
    apart = ops.reshape(x, (x.shape[0] // steps, steps, *x.shape[1:]))
    return [ops.squeeze(part, 1) for part in ops.split(apart, steps, axis=1)]


def penalty(regularizer, x):
    """A regularizer's penalty of a Traced array: of Keras's own by the formula, of a user's by its call."""
    kind = type(regularizer)
    if kind in (regularizers.L1, regularizers.L2, regularizers.L1L2):
        found = ops.zeros_like(ops.sum(x))
        if getattr(regularizer, "l1", 0.0):
            found = found + regularizer.l1 * ops.sum(ops.abs(x))
        if getattr(regularizer, "l2", 0.0):
            found = found + regularizer.l2 * ops.sum(ops.square(x))
        return found
    return lift(x.p, np.float32(regularizer(x))) if kind is regularizers.Regularizer else ops.sum(regularizer(x))

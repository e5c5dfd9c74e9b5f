"""Penalties of regularizers, of weights and of layers' outputs, and their gradients."""

import weakref

import numpy as np

from fastseq import ops, regularizers
from fastseq.errors import UnsupportedError
from fastseq.program import added_losses
from fastseq.training.value_and_grad import value_and_grad

_functions = weakref.WeakKeyDictionary()  # a user's regularizer -> what gives its gradient


def penalty(regularizer, x):
    return float(regularizer(x))


def penalty_gradient(regularizer, x):
    """The derivative of a penalty by the array x, of its shape.

    A regularizer of the user's own defines it as `gradient(x)`, or its call is traced and differentiated. Raises
    UnsupportedError where neither is possible.
    """
    if hasattr(regularizer, "gradient"):
        return np.asarray(regularizer.gradient(x), np.float32)
    kind = type(regularizer)
    if kind is regularizers.Regularizer:
        return np.zeros_like(x)
    if kind is regularizers.L1:
        return np.float32(regularizer.l1) * np.sign(x)
    if kind is regularizers.L2:
        return np.float32(2 * regularizer.l2) * x
    if kind is regularizers.L1L2:
        found = np.zeros_like(x)
        # As for the penalty: a factor of zero keeps an infinite weight out.
        if regularizer.l1:
            found += np.float32(regularizer.l1) * np.sign(x)
        if regularizer.l2:
            found += np.float32(2 * regularizer.l2) * x
        return found
    return _traced_gradient(regularizer)(np.asarray(x, np.float32))


def _traced_gradient(regularizer):
    """A function of an array that gives the gradient of a regularizer's call by native steps."""
    try:
        found = _functions.get(regularizer)
    except TypeError:  # neither a weak reference nor a hash
        return _gradient_function(lambda: regularizer, regularizer)
    if found is None:
        found = _functions[regularizer] = _gradient_function(weakref.ref(regularizer), regularizer)
    return found


def _gradient_function(held, regularizer):
    name = getattr(regularizer, "__name__", type(regularizer).__name__)

    def penalty_of(x):
        found = held()(x)
        return found if np.ndim(found) == 0 else ops.sum(found)

    compute = value_and_grad(penalty_of)

    def gradient(x):
        try:
            return compute(x)[1]
        except UnsupportedError as error:
            raise UnsupportedError(
                f"Regularizer {name} has no gradient: {error} Or give it one of its own, as gradient(x)."
            ) from error

    return gradient


def activity_gradient(wanted, array):
    """The gradient of an output's penalty (an `added_losses.Penalty`) by the output, of its shape."""
    gradient = np.empty_like(array)
    parts = added_losses.parts_of(array, wanted.steps), added_losses.parts_of(gradient, wanted.steps)
    for part, by_part in zip(*parts):
        by_part[...] = penalty_gradient(wanted.regularizer, part) / np.float32(added_losses.rows_of(part))
    return gradient

"""Penalties of regularizers, of weights and of layers' outputs, and their gradients."""

import numpy as np

from fastseq import regularizers
from fastseq.errors import UnsupportedError
from fastseq.program import added_losses


def penalty(regularizer, x):
    return float(regularizer(x))


def penalty_gradient(regularizer, x):
    """The derivative of a penalty by the array x, of its shape.

    A regularizer of the user's own defines it as `gradient(x)`. Raises UnsupportedError where there is none.
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
    name = getattr(regularizer, "__name__", kind.__name__)
    raise UnsupportedError(f"Regularizer {name} has no gradient: training needs one of its own, as gradient(x).")


def activity_gradient(wanted, array):
    """The gradient of an output's penalty (an `added_losses.Penalty`) by the output, of its shape."""
    gradient = np.empty_like(array)
    parts = added_losses.parts_of(array, wanted.steps), added_losses.parts_of(gradient, wanted.steps)
    for part, by_part in zip(*parts):
        by_part[...] = penalty_gradient(wanted.regularizer, part) / np.float32(added_losses.rows_of(part))
    return gradient

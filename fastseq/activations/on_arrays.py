"""How an activation is a function of arrays: dtypes in and out, and no warnings."""

import functools

import numpy as np

from fastseq.tensors.symbolic import KerasTensor


def as_float(x):
    """``x`` as an array of a floating dtype."""
    if isinstance(x, KerasTensor):
        raise TypeError(
            "Activation functions work on arrays, and this is a symbolic tensor. "
            "Use fastseq.layers.Activation(name)(x) to put an activation into a model."
        )
    array = np.asarray(x)
    if array.dtype.kind == "f" and hasattr(x, "dtype"):
        return array
    if array.dtype.kind in "cOSUmM":
        raise TypeError(f"Activation functions take real numbers. Received: dtype={array.dtype}")
    return array.astype(np.float32)


def activation_of(compute):
    """Give ``compute`` an array of a floating dtype, keep that dtype, and do not warn where IEEE infinities arise."""

    @functools.wraps(compute)
    def activation(x, *args, **kwargs):
        x = as_float(x)
        with np.errstate(all="ignore"):
            return np.asarray(compute(x, *args, **kwargs), dtype=x.dtype)

    return activation

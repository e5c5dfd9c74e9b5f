"""How an activation is a function of arrays, and of symbolic tensors: dtypes in and out, and no warnings."""

import functools
import importlib

import numpy as np

from fastseq.tensors.symbolic import KerasTensor


def as_float(x):
    """``x`` as an array of a floating dtype."""
    if isinstance(x, KerasTensor):
        raise TypeError(
            "This activation function works on arrays, and this is a symbolic tensor. "
            "Use fastseq.layers.Activation(name)(x) to put the activation into a model."
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
        if isinstance(x, KerasTensor):
            operation = _operation(compute.__name__)
            if operation is not None:
                return operation(x, *args, **kwargs)
        x = as_float(x)
        with np.errstate(all="ignore"):
            return np.asarray(compute(x, *args, **kwargs), dtype=x.dtype)

    return activation


# Where Keras's activation, called on a symbolic tensor, makes the node of a function of another name.
_OPERATIONS = {"exponential": "exp"}


def _operation(name):
    """The function of fastseq.ops by which a call on a symbolic tensor stands in a graph; None where there is none."""
    if name == "relu":  # keras.activations.relu has more options than keras.ops.relu, and a class of its own
        return importlib.import_module("fastseq.ops.activation_classes").relu
    ops = importlib.import_module("fastseq.ops")
    name = _OPERATIONS.get(name, name)
    return getattr(ops, name) if name in ops.__all__ else None

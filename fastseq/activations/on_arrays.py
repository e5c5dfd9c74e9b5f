"""How an activation is a function of arrays, and of symbolic tensors: dtypes in and out, and no warnings."""

import functools
import importlib
import inspect

import numpy as np

from fastseq import ops
from fastseq.native.kinds import ACTIVATION_KINDS
from fastseq.ops.numpy_protocol import NeedsValues
from fastseq.ops.values import MixesTimesteps, Traced
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
        if isinstance(x, Traced):
            return _traced(activation, x, args, kwargs)
        x = as_float(x)
        with np.errstate(all="ignore"):
            return np.asarray(compute(x, *args, **kwargs), dtype=x.dtype)

    return activation


def _traced(activation, x, args, kwargs):
    """An activation in what is traced of a user's own layer: its kernel, or the function of fastseq.ops."""
    bound = inspect.signature(activation).bind(x, *args, **kwargs).arguments
    options = dict(list(bound.items())[1:])
    spec = importlib.import_module("fastseq.activations").native_spec(functools.partial(activation, **options))
    if spec is None:
        operation = _operation(activation.__name__)
        if operation is None:
            raise NeedsValues(f"{activation.__name__}() with these options has no native steps")
        return operation(x, **options)
    by_row = ACTIVATION_KINDS.get(spec[0], -1) >= ACTIVATION_KINDS["softmax"]
    if by_row and x.time == x.ndim - 1:
        raise MixesTimesteps("it takes all timesteps together")
    return Traced(x.p, x.p.activation(spec, x.p.float32(x.slot)), x.time)


# Where Keras's activation, called on a symbolic tensor, makes the node of a function of another name.
_OPERATIONS = {"exponential": "exp"}


def _operation(name):
    """The function of fastseq.ops by which a call on a symbolic tensor stands in a graph; None where there is none."""
    if name == "relu":  # keras.activations.relu has more options than keras.ops.relu, and a class of its own
        from fastseq.ops.activation_classes import relu  # here, so that calls on arrays do not wait for its import

        return relu
    name = _OPERATIONS.get(name, name)
    return getattr(ops, name) if name in ops.__all__ else None

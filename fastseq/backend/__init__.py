"""The names of ``keras.backend`` that tutorials and older code use, on NumPy arrays.

Reference: https://keras.io/api/utils/config_utils/ and, for the array helpers, the backend page of Keras 2.
Helpers take array-likes and return arrays; Python numbers and lists become float32, the one float type here.
"""

import numpy as np

from fastseq.backend.arrays import (
    abs,
    argmax,
    as_array,
    clip,
    dot,
    exp,
    log,
    max,
    mean,
    min,
    relu,
    sigmoid,
    softmax,
    sqrt,
    square,
    sum,
    tanh,
)
from fastseq.backend.shapes import (
    concatenate,
    expand_dims,
    ones,
    permute_dimensions,
    reshape,
    squeeze,
    stack,
    transpose,
    zeros,
)
from fastseq.configs.lazy_names import publish
from fastseq.tensors import naming
from fastseq.tensors.settings import (
    backend,
    epsilon,
    floatx,
    image_data_format,
    is_float_dtype,
    is_int_dtype,
    set_epsilon,
    set_floatx,
    set_image_data_format,
    standardize_dtype,
)
from fastseq.tensors.symbolic import KerasTensor

__all__ = [
    "abs", "argmax", "backend", "cast", "cast_to_floatx", "clear_session", "clip", "concatenate", "dot", "epsilon",
    "exp", "expand_dims", "floatx", "get_uid", "get_value", "image_data_format", "int_shape", "is_float_dtype",
    "is_int_dtype", "is_keras_tensor", "log", "max", "mean", "min", "ndim", "ones", "permute_dimensions", "relu",
    "reset_uids", "reshape", "set_epsilon", "set_floatx", "set_image_data_format", "shape", "sigmoid", "softmax",
    "sqrt", "square", "squeeze", "stack", "standardize_dtype", "sum", "tanh", "transpose", "zeros",
]  # fmt: skip
publish(globals())

_REMOVED = {
    "learning_phase": "pass training=True or training=False to the call instead",
    "set_learning_phase": "pass training=True or training=False to the call instead",
    "learning_phase_scope": "pass training=True or training=False to the call instead",
    "function": "make a Model of the inputs and outputs and call it",
    "placeholder": "use fastseq.Input instead",
    "is_placeholder": "test with is_keras_tensor instead",
    "get_session": "there are no sessions, arrays have their values at once",
    "set_session": "there are no sessions, arrays have their values at once",
    "get_graph": "there are no graphs, arrays have their values at once",
    "manual_variable_initialization": "weights always have values here",
    "variable": "use NumPy arrays, or add_weight inside of a layer",
    "constant": "use NumPy arrays",
    "eval": "use get_value, arrays have their values already",
    "gradients": "training works through Model.fit and Model.train_on_batch only",
    "rnn": "use fastseq.layers.RNN with a cell instead",
}


def __getattr__(name):
    if name in _REMOVED:
        raise AttributeError(f"fastseq.backend has no '{name}', nor has Keras 3: {_REMOVED[name]}.")
    raise AttributeError(f"module 'fastseq.backend' has no attribute '{name}'")


# ---- names -------------------------------------------------------------------------------------------------------


def clear_session(free_memory=True):
    """Starts the automatic names again. There is no global graph to free.

    Args:
        free_memory (bool, default True): Whether to run Python's collector.

    Example:
        >>> backend.clear_session()
    """
    naming.reset()
    if free_memory:
        import gc

        gc.collect()


def get_uid(prefix=""):
    """Number of automatic names given under a prefix so far, this call included.

    Args:
        prefix (str, default ""): What the names begin with.

    Returns:
        int.

    Example:
        >>> backend.get_uid("never_used_before")
        1
    """
    return naming.get_uid(prefix)


def reset_uids():
    """Starts the automatic names, and the counts of ``get_uid``, again.

    Example:
        >>> backend.reset_uids()
    """
    naming.reset()


# ---- tensors and dtypes ------------------------------------------------------------------------------------------


def is_keras_tensor(x):
    """Whether ``x`` is a symbolic tensor of the functional API.

    Args:
        x (object): Anything.

    Returns:
        bool.

    Example:
        >>> backend.is_keras_tensor(layers.Input((3,)))
        True
    """
    return isinstance(x, KerasTensor)


def int_shape(x):
    """The shape of an object that has one.

    Args:
        x (object): Anything.

    Returns:
        tuple, with None for unknown sizes; None for an object without a shape.

    Example:
        >>> backend.int_shape(layers.Input((3,)))
        (None, 3)
    """
    return tuple(x.shape) if hasattr(x, "shape") else None


def shape(x):
    """The shape of an array, or of a symbolic tensor.

    Args:
        x (array or KerasTensor): Anything that NumPy makes an array of.

    Returns:
        tuple.

    Example:
        >>> backend.shape([[1.0, 2.0]])
        (1, 2)
    """
    return int_shape(x) if hasattr(x, "shape") else np.shape(x)


def ndim(x):
    """The number of axes.

    Args:
        x (array or KerasTensor): Anything that NumPy makes an array of.

    Returns:
        int.

    Example:
        >>> backend.ndim([[1.0, 2.0]])
        2
    """
    return len(shape(x))


def cast(x, dtype):
    """``x`` in another dtype.

    Args:
        x (array): Numbers; Python's floats become float32.
        dtype (str): Its name.

    Returns:
        An array of ``dtype``.

    Example:
        >>> backend.cast([1.5, 2.5], "int32")
        array([1, 2], dtype=int32)
    """
    return as_array(x).astype(standardize_dtype(dtype))


def cast_to_floatx(x):
    """``x`` as a float32 array.

    Args:
        x (array): Numbers; Python's floats become float32.

    Returns:
        float32 array.

    Example:
        >>> backend.cast_to_floatx([1, 2])
        array([1., 2.], dtype=float32)
    """
    return np.asarray(x, dtype=np.float32)


def get_value(x):
    """``x`` as a NumPy array.

    Args:
        x (array or Variable): What has values.

    Returns:
        An array.

    Example:
        >>> backend.get_value(fastseq.Variable([1.0], "w"))
        array([1.], dtype=float32)
    """
    return np.asarray(x)

"""The names of ``keras.backend`` that tutorials and older code use, on NumPy arrays.

Reference: https://keras.io/api/utils/config_utils/ and, for the array helpers, the backend page of Keras 2.
Helpers take array-likes and return arrays; Python numbers and lists become float32, the one float type here.
"""

import numpy as np

from fastseq import activations
from fastseq.tensors import naming
from fastseq.tensors.settings import (  # noqa: F401 - names of this module
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
    """Starts the automatic names again. There is no global graph to free; ``free_memory`` runs Python's collector."""
    naming.reset()
    if free_memory:
        import gc

        gc.collect()


def get_uid(prefix=""):
    """Number of automatic names given under ``prefix`` so far, this call included."""
    return naming.get_uid(prefix)


def reset_uids():
    """Starts the automatic names, and the counts of ``get_uid``, again."""
    naming.reset()


# ---- tensors and dtypes ------------------------------------------------------------------------------------------


def is_keras_tensor(x):
    """Whether ``x`` is a symbolic tensor of the functional API."""
    return isinstance(x, KerasTensor)


def int_shape(x):
    """The shape of ``x`` as a tuple, with None for unknown sizes; None for an object without a shape."""
    return tuple(x.shape) if hasattr(x, "shape") else None


def shape(x):
    """The shape of an array, or of a symbolic tensor, as a tuple."""
    return int_shape(x) if hasattr(x, "shape") else np.shape(x)


def ndim(x):
    """The number of axes."""
    return len(shape(x))


def cast(x, dtype):
    """``x`` as an array of ``dtype``."""
    return _array(x).astype(standardize_dtype(dtype))


def cast_to_floatx(x):
    """``x`` as a float32 array."""
    return np.asarray(x, dtype=np.float32)


def get_value(x):
    """``x`` as a NumPy array."""
    return np.asarray(x)


def _array(x):
    array = np.asarray(x)
    # Python's floats have no width of their own, and NumPy would give them 64 bits.
    return array.astype(np.float32) if array.dtype == np.float64 and not hasattr(x, "dtype") else array


# ---- array helpers -----------------------------------------------------------------------------------------------


def _floating(x):
    """Keras takes means and roots of booleans and integers in ``floatx`` where NumPy would take float64."""
    array = _array(x)
    return array if array.dtype.kind == "f" else array.astype(np.float32)


def sum(x, axis=None, keepdims=False):
    """Sum over ``axis``; booleans are counted in int32, other dtypes are kept."""
    array = _array(x)
    array = array.astype(np.int32) if array.dtype == bool else array
    return np.sum(array, axis=axis, keepdims=keepdims, dtype=array.dtype)


def mean(x, axis=None, keepdims=False):
    """Mean over ``axis``."""
    return np.mean(_floating(x), axis=axis, keepdims=keepdims)


def max(x, axis=None, keepdims=False):
    """Largest value over ``axis``."""
    return np.max(_array(x), axis=axis, keepdims=keepdims)


def min(x, axis=None, keepdims=False):
    """Smallest value over ``axis``."""
    return np.min(_array(x), axis=axis, keepdims=keepdims)


def argmax(x, axis=-1):
    """Index of the largest value of ``axis``, int64."""
    return np.argmax(_array(x), axis=axis)


def abs(x):
    """Absolute value of each element."""
    return np.abs(_array(x))


def exp(x):
    """``e ** x``."""
    return np.exp(_floating(x))


def log(x):
    """Natural logarithm; -inf at zero and nan below, without a warning."""
    with np.errstate(all="ignore"):
        return np.log(_floating(x))


def sqrt(x):
    """Square root, of zero for negative numbers, as in Keras."""
    return np.sqrt(np.maximum(_floating(x), 0))


def square(x):
    """``x * x``."""
    return np.square(_array(x))


def clip(x, min_value, max_value):
    """``x`` kept between the two values; None is no bound."""
    low = -np.inf if min_value is None else min_value
    high = np.inf if max_value is None else np.maximum(max_value, low)
    array = _array(x)
    return np.minimum(np.maximum(array, low), high).astype(array.dtype)


def dot(x, y):
    """Product over the last axis of ``x`` and the last but one of ``y``."""
    return np.dot(_array(x), _array(y))


def concatenate(tensors, axis=-1):
    """Arrays joined along an axis they have."""
    return np.concatenate([_array(x) for x in tensors], axis=axis)


def stack(x, axis=0):
    """Arrays joined along a new axis."""
    return np.stack([_array(item) for item in x], axis=axis)


def expand_dims(x, axis=-1):
    """A new axis of size 1."""
    return np.expand_dims(_array(x), axis)


def squeeze(x, axis):
    """Without an axis of size 1."""
    return np.squeeze(_array(x), axis)


def reshape(x, shape):
    """The same elements in another shape; one size may be -1."""
    return np.reshape(_array(x), shape)


def transpose(x):
    """Axes in reverse order."""
    return np.transpose(_array(x))


def permute_dimensions(x, pattern):
    """Axes in the order of ``pattern``."""
    return np.transpose(_array(x), pattern)


def zeros(shape, dtype=None, name=None):
    """Zeros of this shape; ``name`` is for code that passes one, an array has none."""
    return np.zeros(shape, standardize_dtype(dtype))


def ones(shape, dtype=None, name=None):
    """Ones of this shape; ``name`` is for code that passes one, an array has none."""
    return np.ones(shape, standardize_dtype(dtype))


def relu(x, alpha=0.0, max_value=None, threshold=0.0):
    """``activations.relu`` with the argument names of Keras 2."""
    return activations.relu(x, alpha, max_value, threshold)


def sigmoid(x):
    """``activations.sigmoid``."""
    return activations.sigmoid(x)


def softmax(x, axis=-1):
    """``activations.softmax``."""
    return activations.softmax(x, axis)


def tanh(x):
    """``activations.tanh``."""
    return activations.tanh(x)

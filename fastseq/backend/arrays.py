"""The array helpers of ``keras.backend``, on NumPy arrays. See the backend page of Keras 2."""

import numpy as np

from fastseq import activations
from fastseq.tensors.settings import standardize_dtype


def as_array(x):
    """``x`` as an array; Python's floats become float32."""
    array = np.asarray(x)
    # Python's floats have no width of their own, and NumPy would give them 64 bits.
    return array.astype(np.float32) if array.dtype == np.float64 and not hasattr(x, "dtype") else array


def _floating(x):
    """Keras takes means and roots of booleans and integers in ``floatx`` where NumPy would take float64."""
    array = as_array(x)
    return array if array.dtype.kind == "f" else array.astype(np.float32)


def sum(x, axis=None, keepdims=False):
    """Sum over ``axis``; booleans are counted in int32, other dtypes are kept."""
    array = as_array(x)
    array = array.astype(np.int32) if array.dtype == bool else array
    return np.sum(array, axis=axis, keepdims=keepdims, dtype=array.dtype)


def mean(x, axis=None, keepdims=False):
    """Mean over ``axis``."""
    return np.mean(_floating(x), axis=axis, keepdims=keepdims)


def max(x, axis=None, keepdims=False):
    """Largest value over ``axis``."""
    return np.max(as_array(x), axis=axis, keepdims=keepdims)


def min(x, axis=None, keepdims=False):
    """Smallest value over ``axis``."""
    return np.min(as_array(x), axis=axis, keepdims=keepdims)


def argmax(x, axis=-1):
    """Index of the largest value of ``axis``, int64."""
    return np.argmax(as_array(x), axis=axis)


def abs(x):
    """Absolute value of each element."""
    return np.abs(as_array(x))


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
    return np.square(as_array(x))


def clip(x, min_value, max_value):
    """``x`` kept between the two values; None is no bound."""
    low = -np.inf if min_value is None else min_value
    high = np.inf if max_value is None else np.maximum(max_value, low)
    array = as_array(x)
    return np.minimum(np.maximum(array, low), high).astype(array.dtype)


def dot(x, y):
    """Product over the last axis of ``x`` and the last but one of ``y``."""
    return np.dot(as_array(x), as_array(y))


def concatenate(tensors, axis=-1):
    """Arrays joined along an axis they have."""
    return np.concatenate([as_array(x) for x in tensors], axis=axis)


def stack(x, axis=0):
    """Arrays joined along a new axis."""
    return np.stack([as_array(item) for item in x], axis=axis)


def expand_dims(x, axis=-1):
    """A new axis of size 1."""
    return np.expand_dims(as_array(x), axis)


def squeeze(x, axis):
    """Without an axis of size 1."""
    return np.squeeze(as_array(x), axis)


def reshape(x, shape):
    """The same elements in another shape; one size may be -1."""
    return np.reshape(as_array(x), shape)


def transpose(x):
    """Axes in reverse order."""
    return np.transpose(as_array(x))


def permute_dimensions(x, pattern):
    """Axes in the order of ``pattern``."""
    return np.transpose(as_array(x), pattern)


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

"""The functions of values in ``keras.backend``, on NumPy arrays. See the backend page of Keras 2."""

import numpy as np

from fastseq import activations
from fastseq.backend.traceable import traceable


def as_array(x):
    """``x`` as an array; Python's floats become float32."""
    array = np.asarray(x)
    # Python's floats have no width of their own, and NumPy would give them 64 bits.
    return array.astype(np.float32) if array.dtype == np.float64 and not hasattr(x, "dtype") else array


def _floating(x):
    """Keras takes means and roots of booleans and integers in ``floatx`` where NumPy would take float64."""
    array = as_array(x)
    return array if array.dtype.kind == "f" else array.astype(np.float32)


@traceable("sum")
def sum(x, axis=None, keepdims=False):
    """Sum over ``axis``.

    Args:
        x (array): Numbers; Python's floats become float32.
        axis (int or tuple, default None): The axes; None is all.
        keepdims (bool, default False): Whether they stay, with size 1.

    Returns:
        An array; booleans are counted in int32, other dtypes are kept.

    Example:
        >>> backend.sum(np.array([[1, 2], [3, 4]]), axis=1)
        array([3, 7])
    """
    array = as_array(x)
    array = array.astype(np.int32) if array.dtype == bool else array
    return np.sum(array, axis=axis, keepdims=keepdims, dtype=array.dtype)


@traceable("mean")
def mean(x, axis=None, keepdims=False):
    """Mean over ``axis``.

    Args:
        x (array): Numbers; Python's floats become float32.
        axis (int or tuple, default None): The axes; None is all.
        keepdims (bool, default False): Whether they stay, with size 1.

    Returns:
        A floating array; integers become float32.

    Example:
        >>> backend.mean([[1.0, 2.0], [3.0, 4.0]], axis=1)
        array([1.5, 3.5], dtype=float32)
    """
    return np.mean(_floating(x), axis=axis, keepdims=keepdims)


@traceable("max")
def max(x, axis=None, keepdims=False):
    """Largest value over ``axis``.

    Args:
        x (array): Numbers; Python's floats become float32.
        axis (int or tuple, default None): The axes; None is all.
        keepdims (bool, default False): Whether they stay, with size 1.

    Returns:
        An array of the dtype of ``x``.

    Example:
        >>> backend.max([[1.0, 2.0], [3.0, 4.0]], axis=1)
        array([2., 4.], dtype=float32)
    """
    return np.max(as_array(x), axis=axis, keepdims=keepdims)


@traceable("min")
def min(x, axis=None, keepdims=False):
    """Smallest value over ``axis``.

    Args:
        x (array): Numbers; Python's floats become float32.
        axis (int or tuple, default None): The axes; None is all.
        keepdims (bool, default False): Whether they stay, with size 1.

    Returns:
        An array of the dtype of ``x``.

    Example:
        >>> backend.min([[1.0, 2.0], [3.0, 4.0]], axis=1)
        array([1., 3.], dtype=float32)
    """
    return np.min(as_array(x), axis=axis, keepdims=keepdims)


@traceable("argmax")
def argmax(x, axis=-1):
    """Index of the largest value of ``axis``.

    Args:
        x (array): Numbers; Python's floats become float32.
        axis (int, default -1): The axis.

    Returns:
        int64 array.

    Example:
        >>> backend.argmax([[1.0, 2.0], [4.0, 3.0]])
        array([1, 0])
    """
    return np.argmax(as_array(x), axis=axis)


@traceable("absolute")
def abs(x):
    """Absolute value of each element.

    Args:
        x (array): Numbers; Python's floats become float32.

    Returns:
        An array of the dtype of ``x``.

    Example:
        >>> backend.abs([-1.0, 2.0])
        array([1., 2.], dtype=float32)
    """
    return np.abs(as_array(x))


@traceable("exp")
def exp(x):
    """``e ** x``.

    Args:
        x (array): Numbers; Python's floats become float32.

    Returns:
        A floating array; integers become float32.

    Example:
        >>> backend.exp([0.0, 1.0]).round(4)
        array([1.    , 2.7183], dtype=float32)
    """
    return np.exp(_floating(x))


@traceable("log")
def log(x):
    """Natural logarithm; -inf at zero and nan below, without a warning.

    Args:
        x (array): Numbers; Python's floats become float32.

    Returns:
        A floating array; integers become float32.

    Example:
        >>> backend.log([0.0, 1.0])
        array([-inf,   0.], dtype=float32)
    """
    with np.errstate(all="ignore"):
        return np.log(_floating(x))


@traceable("sqrt")
def sqrt(x):
    """Square root, of zero for negative numbers, as in Keras.

    Args:
        x (array): Numbers; Python's floats become float32.

    Returns:
        A floating array; integers become float32.

    Example:
        >>> backend.sqrt([-1.0, 4.0])
        array([0., 2.], dtype=float32)
    """
    return np.sqrt(np.maximum(_floating(x), 0))


@traceable("square")
def square(x):
    """``x * x``.

    Args:
        x (array): Numbers; Python's floats become float32.

    Returns:
        An array of the dtype of ``x``.

    Example:
        >>> backend.square([-1.0, 3.0])
        array([1., 9.], dtype=float32)
    """
    return np.square(as_array(x))


@traceable("clip")
def clip(x, min_value, max_value):
    """``x`` kept between two values.

    Args:
        x (array): Numbers; Python's floats become float32.
        min_value (float): The lower one; None is no bound.
        max_value (float): The upper one; None is no bound.

    Returns:
        An array of the dtype of ``x``.

    Example:
        >>> backend.clip([-1.0, 0.5, 3.0], 0, 1)
        array([0. , 0.5, 1. ], dtype=float32)
    """
    low = -np.inf if min_value is None else min_value
    high = np.inf if max_value is None else np.maximum(max_value, low)
    array = as_array(x)
    return np.minimum(np.maximum(array, low), high).astype(array.dtype)


@traceable("dot")
def dot(x, y):
    """Product over the last axis of ``x`` and the last but one of ``y``.

    Args:
        x (array): Numbers; Python's floats become float32.
        y (array): Numbers.

    Returns:
        An array.

    Example:
        >>> backend.dot([[1.0, 2.0]], [[3.0], [4.0]])
        array([[11.]], dtype=float32)
    """
    return np.dot(as_array(x), as_array(y))


def relu(x, alpha=0.0, max_value=None, threshold=0.0):
    """``activations.relu`` with the argument names of Keras 2.

    Args:
        x (array): Numbers; Python's floats become float32.
        alpha (float, default 0.0): The slope below the threshold.
        max_value (float, default None): Largest value; None is no bound.
        threshold (float, default 0.0): Where the output begins to be x.

    Returns:
        A floating array.

    Example:
        >>> backend.relu([-1.0, 2.0], alpha=0.5)
        array([-0.5,  2. ], dtype=float32)
    """
    return activations.relu(x, alpha, max_value, threshold)


@traceable("sigmoid")
def sigmoid(x):
    """``activations.sigmoid``.

    Args:
        x (array): Numbers; Python's floats become float32.

    Returns:
        A floating array.

    Example:
        >>> backend.sigmoid([0.0])
        array([0.5], dtype=float32)
    """
    return activations.sigmoid(x)


@traceable("softmax")
def softmax(x, axis=-1):
    """``activations.softmax``.

    Args:
        x (array): Numbers; Python's floats become float32.
        axis (int or tuple, default -1): The axis, several of them, or None for all together.

    Returns:
        A floating array.

    Example:
        >>> backend.softmax([0.0, 0.0])
        array([0.5, 0.5], dtype=float32)
    """
    return activations.softmax(x, axis)


@traceable("tanh")
def tanh(x):
    """``activations.tanh``.

    Args:
        x (array): Numbers; Python's floats become float32.

    Returns:
        A floating array.

    Example:
        >>> backend.tanh([0.0])
        array([0.], dtype=float32)
    """
    return activations.tanh(x)

"""The functions of shapes in ``keras.backend``, on NumPy arrays. See the backend page of Keras 2."""

import numpy as np

from fastseq.backend.arrays import as_array
from fastseq.backend.traceable import traceable
from fastseq.tensors.settings import standardize_dtype


@traceable("concatenate")
def concatenate(tensors, axis=-1):
    """Arrays joined along an axis they have.

    Args:
        tensors (list): Arrays that are alike in the other axes.
        axis (int, default -1): The axis.

    Returns:
        An array.

    Example:
        >>> backend.concatenate([[1.0], [2.0]])
        array([1., 2.], dtype=float32)
    """
    return np.concatenate([as_array(x) for x in tensors], axis=axis)


@traceable("stack")
def stack(x, axis=0):
    """Arrays joined along a new axis.

    Args:
        x (list): Arrays of one shape.
        axis (int, default 0): The new axis.

    Returns:
        An array.

    Example:
        >>> backend.stack([[1.0], [2.0]]).shape
        (2, 1)
    """
    return np.stack([as_array(item) for item in x], axis=axis)


@traceable("expand_dims")
def expand_dims(x, axis=-1):
    """A new axis of size 1.

    Args:
        x (array): Numbers; Python's floats become float32.
        axis (int, default -1): Where it stands.

    Returns:
        An array.

    Example:
        >>> backend.expand_dims([1.0, 2.0]).shape
        (2, 1)
    """
    return np.expand_dims(as_array(x), axis)


@traceable("squeeze")
def squeeze(x, axis):
    """Without an axis of size 1.

    Args:
        x (array): Numbers; Python's floats become float32.
        axis (int): The axis.

    Returns:
        An array.

    Example:
        >>> backend.squeeze([[1.0], [2.0]], axis=1)
        array([1., 2.], dtype=float32)
    """
    return np.squeeze(as_array(x), axis)


@traceable("reshape")
def reshape(x, shape):
    """The same elements in another shape.

    Args:
        x (array): Numbers; Python's floats become float32.
        shape (tuple of int): Sizes, of which one may be -1.

    Returns:
        An array.

    Example:
        >>> backend.reshape([1.0, 2.0, 3.0, 4.0], (2, -1)).shape
        (2, 2)
    """
    return np.reshape(as_array(x), shape)


@traceable("transpose")
def transpose(x):
    """Axes in reverse order.

    Args:
        x (array): Numbers; Python's floats become float32.

    Returns:
        An array.

    Example:
        >>> backend.transpose(np.zeros((2, 3, 4))).shape
        (4, 3, 2)
    """
    return np.transpose(as_array(x))


@traceable("transpose")
def permute_dimensions(x, pattern):
    """Axes in another order.

    Args:
        x (array): Numbers; Python's floats become float32.
        pattern (tuple of int): The axes, batch included, in their new order.

    Returns:
        An array.

    Example:
        >>> backend.permute_dimensions(np.zeros((2, 3, 4)), (0, 2, 1)).shape
        (2, 4, 3)
    """
    return np.transpose(as_array(x), pattern)


def zeros(shape, dtype=None, name=None):
    """Zeros of a shape.

    Args:
        shape (tuple of int): Sizes.
        dtype (str, default None): None is float32.
        name (str, default None): For code that passes one; an array has none.

    Returns:
        An array.

    Example:
        >>> backend.zeros((2,))
        array([0., 0.], dtype=float32)
    """
    return np.zeros(shape, standardize_dtype(dtype))


def ones(shape, dtype=None, name=None):
    """Ones of a shape.

    Args:
        shape (tuple of int): Sizes.
        dtype (str, default None): None is float32.
        name (str, default None): For code that passes one; an array has none.

    Returns:
        An array.

    Example:
        >>> backend.ones((2,))
        array([1., 1.], dtype=float32)
    """
    return np.ones(shape, standardize_dtype(dtype))

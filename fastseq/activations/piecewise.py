"""Activations that are made of straight lines and parabolas. https://keras.io/api/layers/activations/"""

import numpy as np

from fastseq.activations.on_arrays import activation_of


def linear(x):
    """``x`` itself, unchanged and not copied.

    Args:
        x (array): Real numbers of any shape; integers and lists are computed in float32.

    Returns:
        ``x``.

    Example:
        >>> activations.linear([-2.0, 0.5])
        [-2.0, 0.5]
    """
    return x


@activation_of
def relu(x, negative_slope=0.0, max_value=None, threshold=0.0):
    """``x`` above ``threshold`` (at most ``max_value``), ``negative_slope * (x - threshold)`` below it.

    Args:
        x (array): Real numbers of any shape; integers and lists are computed in float32.
        negative_slope (float, default 0.0): The slope below the threshold.
        max_value (float, default None): Largest value; None is no bound.
        threshold (float, default 0.0): Where the output begins to be x.

    Returns:
        An array of the shape of ``x``, in its floating dtype.

    Example:
        >>> activations.relu([-2.0, 0.5, 4.0]).round(4)
        array([0. , 0.5, 4. ], dtype=float32)
    """
    if negative_slope != 0.0 and max_value is None and threshold == 0:
        return leaky_relu(x, negative_slope)
    positive = np.where(x > threshold, x, 0.0) if threshold != 0 else np.maximum(x, 0.0)
    if max_value is not None:
        positive = np.clip(positive, 0.0, max_value)
    if negative_slope != 0.0:
        return positive - negative_slope * np.maximum(threshold - x, 0.0)
    return positive


@activation_of
def leaky_relu(x, negative_slope=0.2):
    """``x`` if ``x > 0``, else ``negative_slope * x``.

    Args:
        x (array): Real numbers of any shape; integers and lists are computed in float32.
        negative_slope (float, default 0.2): The slope below 0.

    Returns:
        An array of the shape of ``x``, in its floating dtype.

    Example:
        >>> activations.leaky_relu([-2.0, 0.5, 4.0]).round(4)
        array([-0.4,  0.5,  4. ], dtype=float32)
    """
    return np.where(x > 0, x, negative_slope * x)


@activation_of
def relu6(x):
    """``min(max(x, 0), 6)``.

    Args:
        x (array): Real numbers of any shape; integers and lists are computed in float32.

    Returns:
        An array of the shape of ``x``, in its floating dtype.

    Example:
        >>> activations.relu6([-2.0, 0.5, 4.0]).round(4)
        array([0. , 0.5, 4. ], dtype=float32)
    """
    return np.clip(x, 0.0, 6.0)


@activation_of
def soft_shrink(x, threshold=0.5):
    """``x`` moved towards zero by ``threshold``; zero if it would cross it.

    Args:
        x (array): Real numbers of any shape; integers and lists are computed in float32.
        threshold (float, default 0.5): How far.

    Returns:
        An array of the shape of ``x``, in its floating dtype.

    Example:
        >>> activations.soft_shrink([-2.0, 0.5, 4.0]).round(4)
        array([-1.5,  0. ,  3.5], dtype=float32)
    """
    return np.where(x > threshold, x - threshold, np.where(x < -threshold, x + threshold, 0.0))


@activation_of
def hard_shrink(x, threshold=0.5):
    """``x`` if ``|x| > threshold``, else zero.

    Args:
        x (array): Real numbers of any shape; integers and lists are computed in float32.
        threshold (float, default 0.5): Up to where it is zero.

    Returns:
        An array of the shape of ``x``, in its floating dtype.

    Example:
        >>> activations.hard_shrink([-2.0, 0.5, 4.0]).round(4)
        array([-2.,  0.,  4.], dtype=float32)
    """
    return np.where(np.abs(x) > threshold, x, 0.0)


@activation_of
def threshold(x, threshold, default_value):
    """``x`` if ``x > threshold``, else ``default_value``.

    Args:
        x (array): Real numbers of any shape; integers and lists are computed in float32.
        threshold (float): What x has to be above.
        default_value (float): The value up to there.

    Returns:
        An array of the shape of ``x``, in its floating dtype.

    Example:
        >>> activations.threshold([-2.0, 0.5, 4.0], 1.0, 0.5).round(4)
        array([0.5, 0.5, 4. ], dtype=float32)
    """
    return np.where(x > threshold, x, default_value)


@activation_of
def sparse_plus(x):
    """Zero up to -1, ``(x + 1)^2 / 4`` between -1 and 1, ``x`` from 1.

    Args:
        x (array): Real numbers of any shape; integers and lists are computed in float32.

    Returns:
        An array of the shape of ``x``, in its floating dtype.

    Example:
        >>> activations.sparse_plus([-2.0, 0.5, 4.0]).round(4)
        array([0.    , 0.5625, 4.    ], dtype=float32)
    """
    return np.where(x <= -1, 0.0, np.where(x < 1, 0.25 * np.square(x + 1), x))


@activation_of
def sparse_sigmoid(x):
    """Zero up to -1, ``(x + 1) / 2`` between -1 and 1, one from 1. Source: Blondel et al. 2019,
    https://arxiv.org/abs/1901.02324.

    Args:
        x (array): Real numbers of any shape; integers and lists are computed in float32.

    Returns:
        An array of the shape of ``x``, in its floating dtype.

    Example:
        >>> activations.sparse_sigmoid([-2.0, 0.5, 4.0]).round(4)
        array([0.  , 0.75, 1.  ], dtype=float32)
    """
    return np.where(x <= -1, 0.0, np.where(x >= 1, 1.0, 0.5 * (x + 1)))


@activation_of
def hard_sigmoid(x):
    """``x / 6 + 0.5`` between -3 and 3, zero below, one above. For Keras 2 see ``hard_sigmoid_keras2``.

    Args:
        x (array): Real numbers of any shape; integers and lists are computed in float32.

    Returns:
        An array of the shape of ``x``, in its floating dtype.

    Example:
        >>> activations.hard_sigmoid([-2.0, 0.5, 4.0]).round(4)
        array([0.1667, 0.5833, 1.    ], dtype=float32)
    """
    return np.clip(x + 3, 0.0, 6.0) / 6


@activation_of
def hard_sigmoid_keras2(x):
    """``0.2 x + 0.5`` clipped to [0, 1]: what ``hard_sigmoid`` meant up to Keras 2, and so in files of that time.

    Args:
        x (array): Real numbers of any shape; integers and lists are computed in float32.

    Returns:
        An array of the shape of ``x``, in its floating dtype.

    Example:
        >>> activations.hard_sigmoid_keras2([-2.0, 0.5, 4.0]).round(4)
        array([0.1, 0.6, 1. ], dtype=float32)
    """
    return np.clip(0.2 * x + 0.5, 0.0, 1.0)


@activation_of
def hard_silu(x):
    """``x * hard_sigmoid(x)``, also called hard swish. Source: Howard et al. 2019, https://arxiv.org/abs/1905.02244.

    Args:
        x (array): Real numbers of any shape; integers and lists are computed in float32.

    Returns:
        An array of the shape of ``x``, in its floating dtype.

    Example:
        >>> activations.hard_silu([-2.0, 0.5, 4.0]).round(4)
        array([-0.3333,  0.2917,  4.    ], dtype=float32)
    """
    return x * hard_sigmoid(x)


@activation_of
def hard_tanh(x):
    """``x`` clipped to [-1, 1].

    Args:
        x (array): Real numbers of any shape; integers and lists are computed in float32.

    Returns:
        An array of the shape of ``x``, in its floating dtype.

    Example:
        >>> activations.hard_tanh([-2.0, 0.5, 4.0]).round(4)
        array([-1. ,  0.5,  1. ], dtype=float32)
    """
    return np.clip(x, -1.0, 1.0)

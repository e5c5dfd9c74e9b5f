"""Activations of whole rows. https://keras.io/api/layers/activations/"""

import warnings

import numpy as np

from fastseq.activations.on_arrays import activation_of


@activation_of
def softmax(x, axis=-1):
    """``exp(x) / sum(exp(x))`` over an axis.

    Warns, as Keras does, when the axis has size 1, because every answer is then 1.

    Args:
        x (array): Real numbers of any shape; integers and lists are computed in float32.
        axis (int or tuple, default -1): The axis, several of them, or None for all axes together.

    Returns:
        An array of the shape of ``x``, in its floating dtype.

    Example:
        >>> activations.softmax([[0.0, 1.0]]).round(4)
        array([[0.2689, 0.7311]], dtype=float32)
    """
    if isinstance(axis, int) and -x.ndim <= axis < x.ndim and x.shape[axis] == 1:
        warnings.warn(
            f"softmax over axis {axis} of an array of shape {x.shape}: an axis of size 1 always gives 1. "
            "A single output usually wants a sigmoid.",
            stacklevel=3,
        )
    powers = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return powers / np.sum(powers, axis=axis, keepdims=True)


@activation_of
def log_softmax(x, axis=-1):
    """``log(softmax(x))`` over an axis, finite wherever ``x`` is.

    Args:
        x (array): Real numbers of any shape; integers and lists are computed in float32.
        axis (int, default -1): The axis, or None for all axes together.

    Returns:
        An array of the shape of ``x``, in its floating dtype.

    Example:
        >>> activations.log_softmax([[0.0, 1.0]]).round(4)
        array([[-1.3133, -0.3133]], dtype=float32)
    """
    shifted = x - np.max(x, axis=axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


@activation_of
def sparsemax(x, axis=-1):
    """``max(x - tau, 0)``, with the ``tau`` of Keras. Source: Martins et al. 2016, https://arxiv.org/abs/1602.02068.

    Keras 3.15 takes ``tau`` from the sum of all running sums over the support, where the paper takes the last one. The
    two agree only where one element is supported: Keras gives [0, 0, 0.167] for [0.1, 0.2, 0.9], the paper [0, 0.15,
    0.85]. A model trained in Keras has learned with Keras's numbers, so these are they.

    Args:
        x (array): Real numbers of any shape; integers and lists are computed in float32.
        axis (int, default -1): The axis.

    Returns:
        An array of the shape of ``x``, in its floating dtype.

    Example:
        >>> activations.sparsemax([0.1, 0.2, 0.9]).round(3)
        array([0.   , 0.   , 0.167], dtype=float32)
    """
    descending = -np.sort(-x, axis=axis)
    sums = np.cumsum(descending, axis=axis)
    ranks_shape = [1] * x.ndim
    ranks_shape[axis] = -1
    ranks = np.arange(1, x.shape[axis] + 1, dtype=x.dtype).reshape(ranks_shape)
    support = descending - (sums - 1) / ranks > 0
    count = np.sum(support, axis=axis, keepdims=True, dtype=x.dtype)
    tau = (np.sum(np.where(support, sums, 0), axis=axis, keepdims=True) - 1) / count
    return np.maximum(x - tau, 0.0)

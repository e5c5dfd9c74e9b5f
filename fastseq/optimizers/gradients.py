"""Gradients on their way into an optimizer: checked, and clipped by the twin of the kernels that do it."""

import warnings

import numpy as np


def checked(grads, variables):
    """Contiguous float32 gradients with their variables, without those that are None, of which it warns.

    Raises ValueError for other shapes, and where there is no gradient at all.
    """
    missing = [variable.path for gradient, variable in zip(grads, variables) if gradient is None]
    if len(missing) == len(grads):
        raise ValueError("No gradients provided for any variable.")
    if missing:
        warnings.warn(f"Gradients do not exist for variables {missing} when minimizing the loss.", stacklevel=3)
        variables = [variable for gradient, variable in zip(grads, variables) if gradient is not None]
        grads = [gradient for gradient in grads if gradient is not None]
    return [_gradient(gradient, variable) for gradient, variable in zip(grads, variables)], variables


def _gradient(gradient, variable):
    array = gradient
    # np.require takes 1.4 us, a seventh of a step of a small model's weights.
    if type(array) is not np.ndarray or array.dtype != np.float32 or not array.flags.carray:
        array = np.require(gradient, np.float32, ("C", "A"))
    if array.shape != tuple(variable.shape):
        raise ValueError(
            f"The gradient of variable '{variable.path}' has shape {array.shape}, the variable {tuple(variable.shape)}."
        )
    return array


def clipped(grads, optimizer):
    """`grads` as the optimizer's options clip them: the twin of the kernels sum_squares and clip_scale."""
    if optimizer.clipnorm and optimizer.clipnorm > 0:
        return [_scaled(gradient, _norm([gradient]), optimizer.clipnorm) for gradient in grads]
    if optimizer.global_clipnorm and optimizer.global_clipnorm > 0:
        norm = _norm(grads)
        # An infinite norm makes everything NaN here, as in Keras; above it only the infinite elements.
        with np.errstate(invalid="ignore"):
            norm = norm + (norm - norm)
        return [_scaled(gradient, norm, optimizer.global_clipnorm) for gradient in grads]
    if optimizer.clipvalue and optimizer.clipvalue > 0:
        return [np.clip(gradient, -optimizer.clipvalue, optimizer.clipvalue) for gradient in grads]
    return grads


def _norm(grads):
    return np.sqrt(sum(np.sum(np.square(gradient, dtype=np.float64)) for gradient in grads))


def _scaled(gradient, norm, limit):
    # np.maximum keeps a NaN norm, and an infinite one leaves NaN where the gradient is infinite.
    with np.errstate(invalid="ignore"):
        return gradient * np.float32(limit / np.maximum(norm, limit))

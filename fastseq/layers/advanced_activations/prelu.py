"""PReLU layer; see https://keras.io/api/layers/activation_layers/prelu/ and He et al. 2015, arXiv 1502.01852."""

import numpy as np

from fastseq import constraints, initializers, regularizers
from fastseq.layers import time_axis
from fastseq.layers.base import Layer
from fastseq.layers.input_spec import InputSpec


class PReLU(Layer):
    """x above 0, alpha * x below, with a learned alpha per position; float32 (B, ...) -> the same shape.

    Source: He et al. 2015, https://arxiv.org/abs/1502.01852.

    Args:
        alpha_initializer (str, dict or Initializer, default "Zeros"): What alpha begins as.
        alpha_regularizer (str, dict or Regularizer, default None): Penalty on alpha in training; None is none.
        alpha_constraint (str, dict or Constraint, default None): Applied to alpha after each step of training; None is
            none.
        shared_axes (list of int, default None): Axes, counted with the batch as 0, along which one alpha is shared: [1]
            for one per feature of (B, T, F), whatever T. None shares none.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: A size that is unknown along an axis that is not shared, and shared axes that are not there.

    Example:
        >>> layers.PReLU(alpha_initializer="ones")(np.array([[-1.0, 2.0]]))
        array([[-1.,  2.]], dtype=float32)
    """

    supports_masking = True

    def __init__(
        self, alpha_initializer="Zeros", alpha_regularizer=None, alpha_constraint=None, shared_axes=None, **kwargs
    ):
        super().__init__(**kwargs)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        if shared_axes is None or isinstance(shared_axes, (list, tuple)):
            self.shared_axes = None if shared_axes is None else list(shared_axes)
        else:
            self.shared_axes = [shared_axes]

    def keeps_time(self, timed, shapes, arguments):
        if timed[0] and 1 not in (self.shared_axes or ()):
            time_axis.refuse(self, "it has a weight for every timestep; shared_axes=[1] shares them")
        return timed[0]

    def build(self, input_shape):
        shape = list(input_shape[1:])
        for axis in self.shared_axes or ():
            if not isinstance(axis, int) or not 1 <= axis <= len(shape):
                raise ValueError(
                    f"Layer '{self.name}' (PReLU) shares axes of its input (..., from 1 on, without the batch), "
                    f"got shared_axes={self.shared_axes} for an input of shape {input_shape}."
                )
            shape[axis - 1] = 1
        if None in shape:
            raise ValueError(
                f"Layer '{self.name}' (PReLU) needs known sizes along the axes it does not share, got input shape "
                f"{input_shape} and shared_axes={self.shared_axes}."
            )
        self.alpha = self.add_weight(
            shape, self.alpha_initializer, name="alpha",
            regularizer=self.alpha_regularizer, constraint=self.alpha_constraint,
        )  # fmt: skip
        known = {i: size for i, size in enumerate(input_shape) if i and i not in (self.shared_axes or ())}
        self.input_spec = InputSpec(ndim=len(input_shape), axes=known)
        self.built = True

    def emit(self, p, inputs):
        return p.binary("prelu", p.float32(inputs), p.weight(self.alpha))

    def get_config(self):
        return {
            **super().get_config(),
            "alpha_initializer": initializers.serialize(self.alpha_initializer),
            "alpha_regularizer": regularizers.serialize(self.alpha_regularizer),
            "alpha_constraint": constraints.serialize(self.alpha_constraint),
            "shared_axes": self.shared_axes,
        }


def reference_prelu(x, alpha):
    """The naive twin: x (B, ...), alpha broadcastable to it."""
    return np.maximum(x, 0) - alpha * np.maximum(-x, 0)

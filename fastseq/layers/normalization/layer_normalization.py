"""LayerNormalization; see https://keras.io/api/layers/normalization_layers/layer_normalization/.

Source: Ba et al. 2016, https://arxiv.org/abs/1607.06450.
"""

import warnings

import numpy as np

from fastseq.layers.normalization.scaled import Scaled, checked_axis, last_axes, traced_weight
from fastseq.ops.normalization import layer_normalization
from fastseq.ops.values import Traced
from fastseq.program.normalization import layer_norm


class LayerNormalization(Scaled):
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, with each row's own mean and variance.

    Source: Ba et al. 2016, https://arxiv.org/abs/1607.06450.

    Args:
        axis (int or list, default -1): The axes that are normalized together, and along which gamma and beta have
            values.
        epsilon (float, default 0.001): What is added to the variance.
        center (bool, default True): Whether beta is added.
        scale (bool, default True): Whether gamma multiplies.
        beta_initializer (str, dict or Initializer, default "zeros"): What beta begins as.
        gamma_initializer (str, dict or Initializer, default "ones"): What gamma begins as.
        beta_regularizer (str, dict or Regularizer, default None): Penalty on beta in training; None is none.
        gamma_regularizer (str, dict or Regularizer, default None): Penalty on gamma in training; None is none.
        beta_constraint (str, dict or Constraint, default None): Applied to beta after each step of training; None is
            none.
        gamma_constraint (str, dict or Constraint, default None): Applied to gamma after each step of training; None is
            none.
        **kwargs: `rms_scaling` of Keras's older files (bool, default False: whether the mean is left in, and beta out,
            while it is still the variance that is divided by), `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        TypeError: An axis that is no int.
        ValueError: An axis that the input does not have, or whose size is not known.

    Example:
        >>> layers.LayerNormalization(epsilon=0.0)(np.array([[1.0, 3.0]]))
        array([[-1.,  1.]], dtype=float32)
    """

    def __init__(
        self, axis=-1, epsilon=1e-3, center=True, scale=True, beta_initializer="zeros", gamma_initializer="ones",
        beta_regularizer=None, gamma_regularizer=None, beta_constraint=None, gamma_constraint=None, **kwargs,
    ):  # fmt: skip
        rms_scaling = kwargs.pop("rms_scaling", False)
        if rms_scaling:
            warnings.warn(
                "LayerNormalization: rms_scaling=True divides by the standard deviation, and is kept for older files. "
                "RMSNormalization divides by the root of the mean square.",
                stacklevel=2,
            )
        super().__init__(
            center, scale, beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer, beta_constraint,
            gamma_constraint, **kwargs,
        )  # fmt: skip
        self.axis = checked_axis("LayerNormalization", axis)
        self.epsilon = epsilon
        self.rms_scaling = rms_scaling

    def build(self, input_shape):
        self.axis = sorted(self._axes())
        shape = self._sizes(input_shape)
        self._add_gamma_and_beta(shape, self.scale or self.rms_scaling, self.center and not self.rms_scaling)
        self.built = True

    def emit(self, p, inputs):
        x = p.float32(inputs).with_mask(None)
        if not self.rms_scaling and last_axes(self.axis, x.shape):
            weights = [None if weight is None else p.weight(weight) for weight in (self.gamma, self.beta)]
            return layer_norm(p, x, len(self.axis), *weights, self.epsilon)
        gamma, beta, x = traced_weight(p, self.gamma), traced_weight(p, self.beta), Traced(p, x)
        return layer_normalization(x, gamma, beta, self.axis, self.epsilon, rms_scaling=self.rms_scaling).slot

    def get_config(self):
        return {
            **super().get_config(),
            "axis": self.axis,
            "epsilon": self.epsilon,
            **self._config_of_weights({"rms_scaling": self.rms_scaling}),
        }


def reference_layer_normalization(x, gamma=1.0, beta=0.0, axis=-1, epsilon=1e-3):
    """The naive twin: x of any shape; gamma and beta broadcast to it."""
    mean = x.mean(axis, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis, keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon) * gamma + beta

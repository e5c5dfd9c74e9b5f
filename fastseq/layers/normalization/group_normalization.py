"""GroupNormalization; see https://keras.io/api/layers/normalization_layers/group_normalization/.

Source: Wu and He 2018, https://arxiv.org/abs/1803.08494.
"""

import numpy as np

from fastseq.layers import time_axis
from fastseq.layers.input_spec import InputSpec
from fastseq.layers.normalization.scaled import Scaled, traced_weight
from fastseq.ops import elementwise as e
from fastseq.ops.normalization import moments
from fastseq.ops.shapes import reshape
from fastseq.ops.values import Traced


class GroupNormalization(Scaled):
    """As LayerNormalization, but over groups of channels, and over all other axes but the batch.

    Source: Wu and He 2018, https://arxiv.org/abs/1803.08494.

    Args:
        groups (int, default 32): How many groups; -1 is one for each channel.
        axis (int, default -1): The axis of the channels.
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
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: Groups that are neither a positive int nor -1, or do not divide the channels; an axis that the input
            does not have, or whose size is not known.

    Example:
        >>> layers.GroupNormalization(2, epsilon=0.0)(np.array([[1.0, 3.0, 10.0, 30.0]]))
        array([[-1.,  1., -1.,  1.]], dtype=float32)
    """

    def __init__(
        self, groups=32, axis=-1, epsilon=1e-3, center=True, scale=True, beta_initializer="zeros",
        gamma_initializer="ones", beta_regularizer=None, gamma_regularizer=None, beta_constraint=None,
        gamma_constraint=None, **kwargs,
    ):  # fmt: skip
        if not isinstance(groups, int) or isinstance(groups, bool) or (groups <= 0 and groups != -1):
            raise ValueError(f"GroupNormalization: `groups` must be a positive integer or -1, got {groups!r}.")
        super().__init__(
            center, scale, beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer, beta_constraint,
            gamma_constraint, **kwargs,
        )  # fmt: skip
        self.groups = groups
        self.axis = axis
        self.epsilon = epsilon

    def keeps_time(self, timed, shapes, arguments):
        if timed[0]:
            time_axis.refuse(self, "it normalizes over the timesteps")
        return False

    def build(self, input_shape):
        (channels,) = self._sizes(input_shape)
        if self.groups == -1:
            self.groups = channels
        if channels % self.groups:
            raise ValueError(
                f"Layer '{self.name}' (GroupNormalization) has groups={self.groups}, which do not divide the "
                f"{channels} channels along axis {self.axis} of an input of shape {tuple(input_shape)}."
            )
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: channels})
        self._add_gamma_and_beta((channels,), self.scale, self.center)
        self.built = True

    def _in_groups(self, shape):
        """`shape` with the axis of the channels as two: the groups, and the channels of each."""
        shape = list(shape)
        channels = shape[self.axis]
        shape[self.axis] = channels // self.groups
        shape.insert(self.axis, self.groups)
        return shape

    def emit(self, p, inputs):
        x = Traced(p, p.float32(inputs).with_mask(None))
        apart = reshape(x, self._in_groups(x.shape))
        axes = list(range(1, apart.ndim))
        axes.pop(-2 if self.axis == -1 else self.axis - 1)
        mean, variance = moments(apart, axes, keepdims=True)
        channels = [1] * x.ndim
        channels[self.axis] = x.shape[self.axis]
        inverse = e.rsqrt(e.add(variance, float(self.epsilon)))
        if self.gamma is not None:
            inverse = e.multiply(inverse, reshape(traced_weight(p, self.gamma), self._in_groups(channels)))
        shift = e.multiply(e.negative(mean), inverse)
        if self.beta is not None:
            shift = e.add(shift, reshape(traced_weight(p, self.beta), self._in_groups(channels)))
        return reshape(e.add(e.multiply(apart, inverse), shift), x.shape).slot

    def get_config(self):
        return {
            **super().get_config(),
            "groups": self.groups,
            "axis": self.axis,
            "epsilon": self.epsilon,
            **self._config_of_weights(),
        }


def reference_group_normalization(x, gamma=1.0, beta=0.0, groups=1, epsilon=1e-3):
    """The naive twin: x (B, ..., channels), gamma and beta (channels,)."""
    apart = x.reshape(*x.shape[:-1], groups, -1)
    axes = (*range(1, x.ndim - 1), x.ndim)
    mean, variance = apart.mean(axes, keepdims=True), apart.var(axes, keepdims=True)
    return ((apart - mean) / np.sqrt(variance + epsilon)).reshape(x.shape) * gamma + beta

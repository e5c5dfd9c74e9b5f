"""BatchNormalization; see https://keras.io/api/layers/normalization_layers/batch_normalization/.

Source: Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167; renorm: Ioffe 2017, https://arxiv.org/abs/1702.03275.
"""

import numpy as np

from fastseq import initializers
from fastseq.layers import time_axis
from fastseq.layers.input_spec import InputSpec
from fastseq.layers.normalization import batch_renormalization, moving_statistics
from fastseq.layers.normalization.scaled import Scaled, traced_weight
from fastseq.ops.normalization import batch_normalization
from fastseq.ops.values import Traced
from fastseq.program.normalization import batch_moments, batch_norm
from fastseq.program.slots import product


class BatchNormalization(Scaled):
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, with a mean and a variance for each place along an axis.

    With training=True they are those of the batch, and the moving ones follow them by `momentum`; else, and where the
    layer's `trainable` is False, they are the moving ones. Source: Ioffe and Szegedy 2015,
    https://arxiv.org/abs/1502.03167.

    Args:
        axis (int, default -1): The axis, as a rule that of the features.
        momentum (float, default 0.99): How much of the moving mean and variance stays in a call with training=True.
        epsilon (float, default 0.001): What is added to the variance.
        center (bool, default True): Whether beta is added.
        scale (bool, default True): Whether gamma multiplies.
        beta_initializer (str, dict or Initializer, default "zeros"): What beta begins as.
        gamma_initializer (str, dict or Initializer, default "ones"): What gamma begins as.
        moving_mean_initializer (str, dict or Initializer, default "zeros"): What the moving mean begins as.
        moving_variance_initializer (str, dict or Initializer, default "ones"): What the moving variance begins as.
        beta_regularizer (str, dict or Regularizer, default None): Penalty on beta in training; None is none.
        gamma_regularizer (str, dict or Regularizer, default None): Penalty on gamma in training; None is none.
        beta_constraint (str, dict or Constraint, default None): Applied to beta after each step of training; None is
            none.
        gamma_constraint (str, dict or Constraint, default None): Applied to gamma after each step of training; None is
            none.
        renorm (bool, default False): Batch renormalization (Ioffe 2017, https://arxiv.org/abs/1702.03275): in training
            the batch's values are corrected towards moving ones.
        renorm_clipping (dict, default None): With renorm, limits of the correction: "rmax", "rmin" and "dmax"; None
            is none.
        renorm_momentum (float, default 0.99): With renorm, how much stays of what the correction goes by.
        synchronized (bool, default False): Over several devices; on one machine, where there is one, no difference.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`; `fused` of Keras 2 (which code runs; None,
            True or False), and its `virtual_batch_size` and `adjustment`, of which only None is taken.

    Raises:
        ValueError: An axis that the input does not have, or whose size is not known, and several of them; keys of
            renorm_clipping that are not known, or limits that contradict each other; a virtual batch size; in a call, a
            mask that has not one dimension less than the input.

    Example:
        >>> layer = layers.BatchNormalization(momentum=0.5, epsilon=0.0)
        >>> layer(np.array([[1.0], [3.0]]), training=True).tolist()
        [[-1.0], [1.0]]
        >>> layer.moving_mean.numpy(), layer(np.array([[1.0]]))
        (array([1.], dtype=float32), array([[0.]], dtype=float32))
    """

    # A timestep of TimeDistributed at a time where training=True.
    mixes_rows_in_training = True

    def __init__(
        self, axis=-1, momentum=0.99, epsilon=1e-3, center=True, scale=True, beta_initializer="zeros",
        gamma_initializer="ones", moving_mean_initializer="zeros", moving_variance_initializer="ones",
        beta_regularizer=None, gamma_regularizer=None, beta_constraint=None, gamma_constraint=None, renorm=False,
        renorm_clipping=None, renorm_momentum=0.99, synchronized=False, **kwargs,
    ):  # fmt: skip
        _check_keras2(kwargs)
        super().__init__(
            center, scale, beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer, beta_constraint,
            gamma_constraint, **kwargs,
        )  # fmt: skip
        self.autocast = True
        self.axis = _one_axis(axis)
        self.momentum = float(momentum)
        self.epsilon = float(epsilon)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.renorm = renorm
        self.renorm_clipping = batch_renormalization.checked_clipping(renorm_clipping) if renorm else renorm_clipping
        self.renorm_momentum = renorm_momentum
        self.synchronized = synchronized

    def keeps_time(self, timed, shapes, arguments):
        if timed[0] and self.axis % len(shapes[0]) == 1:
            time_axis.refuse(self, f"it has a mean and a variance for every timestep (axis={self.axis})")
        return timed[0]

    def build(self, input_shape):
        shape = self._sizes(input_shape)
        self._add_gamma_and_beta(shape, self.scale, self.center)
        self.moving_mean = self.add_weight(shape, self.moving_mean_initializer, trainable=False, name="moving_mean")
        self.moving_variance = self.add_weight(
            shape, self.moving_variance_initializer, trainable=False, name="moving_variance"
        )
        if self.renorm:
            batch_renormalization.add_weights(self, shape)
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: shape[0]})
        self.built = True

    def emit(self, p, inputs, training=None, mask=None):
        if mask is not None and len(mask.shape) != len(inputs.shape) - 1:
            raise ValueError(
                f"Layer '{self.name}' (BatchNormalization) takes a mask with one dimension less than its input of "
                f"shape {inputs.shape}, got one of shape {mask.shape}."
            )
        x = p.float32(inputs).with_mask(None)
        if not (training and self.trainable):
            read = (moving_statistics.read(p, v) for v in (self.moving_mean, self.moving_variance))
            return self._emit_fused(p, x, *read, of_batch=False)
        mean, variance = self._of_batch(p, x, mask)
        if not self.renorm:
            moving_statistics.follow(p, self.moving_mean, mean, self.momentum)
            moving_statistics.follow(p, self.moving_variance, variance, self.momentum)
            if mask is None:
                return self._emit_fused(p, x, mean, variance, of_batch=True)
        gamma, beta = traced_weight(p, self.gamma), traced_weight(p, self.beta)
        if self.renorm:
            gamma, beta = batch_renormalization.corrected(p, self, mean, variance, gamma, beta)
            batch_renormalization.follow(p, self, mean, variance)
        return batch_normalization(Traced(p, x), mean, variance, self.axis, beta, gamma, self.epsilon).slot

    def _of_batch(self, p, x, mask):
        """(mean, variance) of the batch, Traced."""
        if mask is None and not self.renorm and self.axis % len(x.shape) == len(x.shape) - 1:
            # Their gradient is in that of the step that reads them.
            return [Traced(p, slot) for slot in batch_moments(p, x.reshaped((product(x.shape[:-1]), x.shape[-1])))]
        return moving_statistics.of_batch(Traced(p, x), self.axis, None if mask is None else Traced(p, mask))

    def _emit_fused(self, p, x, mean, variance, of_batch):
        """One step, whose gradient is known as a whole; of_batch: whether mean and variance are those of all of `x`."""
        weights = [None if weight is None else p.weight(weight) for weight in (self.gamma, self.beta)]
        axis = self.axis % len(x.shape)
        return batch_norm(p, x, axis, (mean.slot, variance.slot), *weights, self.epsilon, of_batch)

    def get_config(self):
        moving = {
            "moving_mean_initializer": initializers.serialize(self.moving_mean_initializer),
            "moving_variance_initializer": initializers.serialize(self.moving_variance_initializer),
        }
        return {
            **super().get_config(),
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            **self._config_of_weights(behind_initializers=moving),
            "synchronized": self.synchronized,
            "renorm": self.renorm,
            "renorm_clipping": self.renorm_clipping,
            "renorm_momentum": self.renorm_momentum,
        }


def _one_axis(axis):
    """The axis as an int; Keras 2 writes a list of one. Raises ValueError for several."""
    if isinstance(axis, (list, tuple)):
        if len(axis) != 1:
            raise ValueError(f"BatchNormalization: `axis` must be one axis, got {axis}.")
        axis = axis[0]
    return int(axis)


def _check_keras2(kwargs):
    """Takes Keras 2's arguments out of `kwargs`. Raises ValueError for those that change what is computed."""
    kwargs.pop("fused", None)
    for name in ("virtual_batch_size", "adjustment"):
        value = kwargs.pop(name, None)
        if value is not None:
            raise ValueError(f"BatchNormalization: {name}={value!r} of Keras 2 is not supported.")


def reference_batch_normalization(x, gamma=1.0, beta=0.0, mean=0.0, variance=1.0, epsilon=1e-3):
    """The naive twin: x (..., features) by means and variances (features,)."""
    return (x - mean) / np.sqrt(variance + epsilon) * gamma + beta

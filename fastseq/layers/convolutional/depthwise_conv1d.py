"""DepthwiseConv1D; see https://keras.io/api/layers/convolution_layers/depthwise_convolution1d/."""

import numpy as np

from fastseq import activations
from fastseq.layers.convolutional.convolution import Convolution
from fastseq.program import convolutions


class DepthwiseConv1D(Convolution):
    """(B, T, C) float32 -> (B, T', C depth_multiplier): a convolution over time of each channel by itself.

    The weights are `kernel` (kernel_size, C, depth_multiplier) and, with use_bias, `bias` (C depth_multiplier,). The
    outputs of a channel stand side by side.

    Args:
        kernel_size (int): Timesteps in a window; a list of one integer will do.
        strides (int, default 1): Timesteps between two windows; a list of one integer will do.
        padding (str, default "valid"): "valid", windows inside the sequence alone, T' = ceil((T - (kernel_size - 1)
            dilation_rate) / strides), or "same", zeros on both sides, T' = ceil(T / strides).
        depth_multiplier (int, default 1): Outputs for each channel, at least 1.
        data_format (str, default None): "channels_last", or "channels_first", which takes (B, C, T) and gives (B, C
            depth_multiplier, T'); None is the image data format.
        dilation_rate (int, default 1): Timesteps from one of a window to its next; a list of one integer will do.
        activation (str, dict or function, default None): Applied to the sum; None is linear.
        use_bias (bool, default True): Whether a bias is added.
        depthwise_initializer (str, dict or Initializer, default "glorot_uniform"): What the kernel begins as.
        bias_initializer (str, dict or Initializer, default "zeros"): What the bias begins as.
        depthwise_regularizer (str, dict or Regularizer, default None): Penalty on the kernel in training; None is none.
        bias_regularizer (str, dict or Regularizer, default None): Penalty on the bias in training; None is none.
        activity_regularizer (str, dict or Regularizer, default None): Penalty on the output in training; None is none.
        depthwise_constraint (str, dict or Constraint, default None): Applied to the kernel after each step of training;
            None is none.
        bias_constraint (str, dict or Constraint, default None): Applied to the bias after each step of training; None
            is none.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: Other values of these, inputs whose C is unknown or has changed since the layer was built, and a T
            too short for one window.

    Example:
        >>> layers.DepthwiseConv1D(3, depth_multiplier=2)(np.zeros((2, 10, 8))).shape
        (2, 8, 16)
    """

    parts = ("depthwise", "bias")

    def __init__(
        self, kernel_size, strides=1, padding="valid", depth_multiplier=1, data_format=None, dilation_rate=1,
        activation=None, use_bias=True, depthwise_initializer="glorot_uniform", bias_initializer="zeros",
        depthwise_regularizer=None, bias_regularizer=None, activity_regularizer=None, depthwise_constraint=None,
        bias_constraint=None, **kwargs,
    ):  # fmt: skip
        options = dict(locals())
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.depth_multiplier = self._positive(depth_multiplier, "depth_multiplier")
        self._set_options(kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, options)

    def _channels(self, channels):
        return None if channels is None else channels * self.depth_multiplier

    def _add_weights(self, channels):
        self.kernel = self._add("kernel", (*self.kernel_size, channels, self.depth_multiplier), "depthwise")

    def _convolve(self, p, x, y):
        own = self._own_activation(p)
        w, bias = weights_apart(self, p, self.kernel)
        depthwise_steps(p, x, y, w, bias, self._window(x.shape[1], y.shape[1]), activation=own or ("linear", ()))
        return own is not None

    def _sizes_config(self):
        names = ("depth_multiplier", "kernel_size", "strides", "padding", "data_format", "dilation_rate")
        return {name: getattr(self, name) for name in names}


def weights_apart(layer, p, kernel):
    """Of a layer that convolves each channel by itself: (w, bias) of the step, Slots; kernel: its Variable, of any
    shape whose last axes together are the outputs' channels."""
    shape = (kernel.shape[0], int(np.prod(kernel.shape[1:])))
    if p.trains:
        return p.weight(kernel).reshaped(shape), None if layer.bias is None else p.weight(layer.bias)
    w = layer.packed("w", lambda: kernel._value.reshape(shape))
    bias = None if layer.bias is None else layer.packed("bias", lambda: layer.bias._value)
    return p.constant(w), None if bias is None else p.constant(bias)


def depthwise_steps(p, x, y, w, bias, window, outside=None, activation=("linear", ())):
    """y (B, T', C m) of x (B, T, C): m outputs for each channel by itself."""
    multiple = y.shape[2] // x.shape[2] if x.shape[2] else 1
    if multiple > 1:  # so many copies of a channel, side by side
        x = repeated(p, x, multiple)
        outside = outside and repeated(p, outside, multiple)
    convolutions.depthwise(p, x, y, w, bias, window, outside=outside, activation=activation)


def repeated(p, x, times):
    """x (B, T, C) with each value `times` times side by side."""
    batch, time, channels = x.shape
    shape, strides = (batch, time, channels, times), (time * channels, channels, 1, 0)
    return p.contiguous_copy(x, shape, strides).reshaped((batch, time, channels * times))


def reference_depthwise_conv1d(
    x, kernel, bias=None, strides=1, padding="valid", dilation_rate=1, data_format=None, activation=None
):  # fmt: skip
    """The naive twin, in the dtype of its arrays: x (B, T, C), kernel (k, C, m), bias (C m,)."""
    x = x.swapaxes(1, 2) if data_format == "channels_first" else x
    size, time = len(kernel), x.shape[1]
    span = (size - 1) * dilation_rate
    count = -(-(time - span if padding == "valid" else time) // strides)
    total = {"valid": 0, "causal": span, "same": max(0, (count - 1) * strides + span + 1 - time)}[padding]
    before = total // 2 if padding == "same" else total
    x = np.pad(x, ((0, 0), (before, total - before), (0, 0)))
    windows = [x[:, t * strides : t * strides + span + 1 : dilation_rate] for t in range(count)]
    y = np.stack([np.einsum("bkc,kcm->bcm", window, kernel).reshape(len(x), -1) for window in windows], axis=1)
    y = y if bias is None else y + bias
    return activations.get(activation)(y.swapaxes(1, 2) if data_format == "channels_first" else y)

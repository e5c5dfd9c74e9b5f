"""Conv1D: a convolution over time; see https://keras.io/api/layers/convolution_layers/convolution1d/."""

import numpy as np

from fastseq import activations
from fastseq.layers.convolutional.convolution import Convolution
from fastseq.layers.convolutional.depthwise_conv1d import depthwise_steps, weights_apart
from fastseq.program import convolutions


class Conv1D(Convolution):
    """(B, T, C) float32 -> (B, T', filters): a Dense over a window of `kernel_size` timesteps at each of T' positions.

    The weights are `kernel` (kernel_size, C / groups, filters) and, with use_bias, `bias` (filters,). In a stream a
    causal one keeps the (kernel_size - 1) dilation_rate timesteps that it got last. `Convolution1D` is it too.

    Args:
        filters (int): Size of the output's last axis, at least 1 and a multiple of `groups`.
        kernel_size (int): Timesteps in a window; a list of one integer will do.
        strides (int, default 1): Timesteps between two windows; a list of one integer will do.
        padding (str, default "valid"): "valid", windows inside the sequence alone, T' = ceil((T - (kernel_size - 1)
            dilation_rate) / strides); "same", zeros on both sides, or "causal", zeros before it, so that no output
            reads later timesteps: T' = ceil(T / strides).
        data_format (str, default None): "channels_last", or "channels_first", which takes (B, C, T) and gives (B,
            filters, T'); None is the image data format.
        dilation_rate (int, default 1): Timesteps from one of a window to its next; a list of one integer will do.
        groups (int, default 1): Groups of neighbouring channels, each with filters / groups filters of its own.
        activation (str, dict or function, default None): Applied to the sum; None is linear.
        use_bias (bool, default True): Whether a bias is added.
        kernel_initializer (str, dict or Initializer, default "glorot_uniform"): What the kernel begins as.
        bias_initializer (str, dict or Initializer, default "zeros"): What the bias begins as.
        kernel_regularizer (str, dict or Regularizer, default None): Penalty on the kernel in training; None is none.
        bias_regularizer (str, dict or Regularizer, default None): Penalty on the bias in training; None is none.
        activity_regularizer (str, dict or Regularizer, default None): Penalty on the output in training; None is none.
        kernel_constraint (str, dict or Constraint, default None): Applied to the kernel after each step of training;
            None is none.
        bias_constraint (str, dict or Constraint, default None): Applied to the bias after each step of training; None
            is none.
        lora_rank (int, default None): Others raise.
        lora_alpha (float, default None): Others raise.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: Other values of these, strides and dilation_rate both above 1, filters or C that are no multiple of
            `groups`, inputs whose C is unknown or has changed since the layer was built, and a T too short for one
            window.

    Example:
        >>> layers.Conv1D(4, kernel_size=3)(np.zeros((2, 10, 8))).shape
        (2, 8, 4)
    """

    paddings = ("valid", "same", "causal")
    strides_or_dilation = True

    def __init__(
        self, filters, kernel_size, strides=1, padding="valid", data_format=None, dilation_rate=1, groups=1,
        activation=None, use_bias=True, kernel_initializer="glorot_uniform", bias_initializer="zeros",
        kernel_regularizer=None, bias_regularizer=None, activity_regularizer=None, kernel_constraint=None,
        bias_constraint=None, lora_rank=None, lora_alpha=None, **kwargs,
    ):  # fmt: skip
        options = dict(locals())
        for name, value in (("lora_rank", lora_rank), ("lora_alpha", lora_alpha)):
            if value is not None:
                raise ValueError(f"Conv1D: {name}={value!r} is not supported, merge the model in Keras.")
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.filters = self._positive(filters, "filters")
        self.groups = self._positive(groups, "groups")
        if self.filters % self.groups:
            raise ValueError(f"{self._who}: filters={filters} is no multiple of groups={groups}.")
        self._set_options(
            kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, options
        )  # fmt: skip

    def _add_weights(self, channels):
        if channels % self.groups:
            raise ValueError(f"{self._who}: groups={self.groups} do not divide the {channels} channels of its input.")
        self.kernel = self._add("kernel", (*self.kernel_size, channels // self.groups, self.filters))

    def _convolve(self, p, x, y):
        window, outside, own = self._window(x.shape[1], y.shape[1]), self._earlier(p, x), self._own_activation(p)
        more = {"outside": outside, "activation": own or ("linear", ())}
        if 1 < self.groups == x.shape[2]:  # each channel by itself
            depthwise_steps(p, x, y, *weights_apart(self, p, self.kernel), window, **more)
        else:
            convolutions.conv1d(p, x, y, self._weights_for(p), window, self.groups, **more)
        return own is not None

    def _weights_for(self, p):
        if p.trains:
            bias = self.bias and p.weight(self.bias)
            return convolutions.weights_of(p, p.weight(self.kernel), bias, self.groups)
        return self.packed("conv1d", self._packed_weights)

    def _packed_weights(self):
        return convolutions.pack(self.kernel._value, None if self.bias is None else self.bias._value, self.groups)

    def _sizes_config(self):
        names = ("filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate", "groups")
        return {name: getattr(self, name) for name in names}


Convolution1D = Conv1D  # Keras's other name


def reference_conv1d(
    x, kernel, bias=None, strides=1, padding="valid", dilation_rate=1, groups=1, data_format=None, activation=None
):  # fmt: skip
    """The naive twin, in the dtype of its arrays: x (B, T, C), kernel (k, C / groups, N), bias (N,)."""
    x = x.swapaxes(1, 2) if data_format == "channels_first" else x
    size, time = len(kernel), x.shape[1]
    span = (size - 1) * dilation_rate
    count = -(-(time - span if padding == "valid" else time) // strides)
    total = {"valid": 0, "causal": span, "same": max(0, (count - 1) * strides + span + 1 - time)}[padding]
    before = total // 2 if padding == "same" else total
    x = np.pad(x, ((0, 0), (before, total - before), (0, 0)))
    windows = [x[:, t * strides : t * strides + span + 1 : dilation_rate] for t in range(count)]
    parts = [
        np.stack([np.einsum("bkc,kcn->bn", np.split(window, groups, 2)[g], part) for window in windows], axis=1)
        for g, part in enumerate(np.split(kernel, groups, 2))
    ]
    y = np.concatenate(parts, 2)
    y = y if bias is None else y + bias
    return activations.get(activation)(y.swapaxes(1, 2) if data_format == "channels_first" else y)

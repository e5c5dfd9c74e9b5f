"""Conv1DTranspose; see https://keras.io/api/layers/convolution_layers/convolution1d_transpose/."""

import numpy as np

from fastseq import activations
from fastseq.layers import time_axis
from fastseq.layers.convolutional.convolution import Convolution
from fastseq.program import convolutions
from fastseq.program.convolutions import Window


class Conv1DTranspose(Convolution):
    """(B, T, C) float32 -> (B, T', filters): each timestep is spread over a window of the result, and these are summed.

    The transposed map of a Conv1D with the same arguments. The weights are `kernel` (kernel_size, filters, C) and, with
    use_bias, `bias` (filters,). `Convolution1DTranspose` is it too.

    Args:
        filters (int): Size of the output's last axis, at least 1.
        kernel_size (int): Timesteps in a window; a list of one integer will do.
        strides (int, default 1): Timesteps between two windows of the result; a list of one integer will do.
        padding (str, default "valid"): "valid", whole windows, T' = (T - 1) strides + reach + output_padding with reach
            = (kernel_size - 1) dilation_rate + 1, or "same", T' = T strides, or with output_padding (T - 1) strides +
            reach mod 2 + output_padding: the windows begin (T strides - strides + reach - T') // 2 earlier.
        output_padding (int, default None): Timesteps at the end of the result, below `strides`; a list of one integer
            will do. None is as many as make up strides - reach for "valid".
        data_format (str, default None): "channels_last", or "channels_first", which takes (B, C, T) and gives (B,
            filters, T'); None is the image data format.
        dilation_rate (int, default 1): Timesteps from one of a window to its next; a list of one integer will do.
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
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: Other values of these, strides and dilation_rate both above 1, inputs whose C is unknown or has
            changed since the layer was built, and where no result would be left.

    Example:
        >>> layers.Conv1DTranspose(4, kernel_size=3, strides=2)(np.zeros((2, 10, 8))).shape
        (2, 21, 4)
    """

    strides_or_dilation = True

    def __init__(
        self, filters, kernel_size, strides=1, padding="valid", output_padding=None, data_format=None, dilation_rate=1,
        activation=None, use_bias=True, kernel_initializer="glorot_uniform", bias_initializer="zeros",
        kernel_regularizer=None, bias_regularizer=None, activity_regularizer=None, kernel_constraint=None,
        bias_constraint=None, **kwargs,
    ):  # fmt: skip
        options = dict(locals())
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.filters = self._positive(filters, "filters")
        self._set_options(kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, options)
        self.output_padding = output_padding
        if output_padding is not None:
            only = output_padding[0] if np.shape(output_padding) == (1,) else output_padding
            if not isinstance(only, (int, np.integer)) or isinstance(only, bool) or not 0 <= only < self.strides[0]:
                raise ValueError(
                    f"{self._who}: `output_padding` must be an integer from 0 on and below strides={self.strides}, got "
                    f"{output_padding!r}."
                )
            self.output_padding = (int(only),)

    # ---- shapes and time -----------------------------------------------------------------------------------------

    def keeps_time(self, timed, shapes, arguments):
        if timed[0] and self._first:
            return super().keeps_time(timed, shapes, arguments)
        if timed[0] and (self._span or self.strides[0] > 1):
            time_axis.refuse(self, "it spreads a timestep over several")
        return timed[0]

    def _positions(self, time):
        if time is None:
            return None
        between, reach = (time - 1) * self.strides[0], self._span + 1
        if self.padding == "valid":
            extra = max(0, self.strides[0] - reach) if self.output_padding is None else self.output_padding[0]
            found = between + reach + extra
        elif self.output_padding is None:
            found = time * self.strides[0]
        else:
            found = between + reach % 2 + self.output_padding[0]
        if found <= 0:
            raise ValueError(f"{self._who} has no result for {time} timesteps.")
        return found

    # ---- running -------------------------------------------------------------------------------------------------

    def _add_weights(self, channels):
        self.kernel = self._add("kernel", (*self.kernel_size, self.filters, channels))

    def _convolve(self, p, x, y):
        """A convolution for each of `strides` phases of the result, with the taps that meet it, the last one first."""
        stride, time, (_, positions, filters) = self.strides[0], x.shape[1], y.shape
        own = self._own_activation(p) if stride == 1 or not p.trains else None  # a gradient wants y in one piece
        missing = (time - 1) * stride + self._span + 1 - positions
        before = max(0, missing) // 2 if self.padding == "same" else 0
        window = Window(self.kernel_size[0], stride, self.dilation_rate[0], before)
        for phase in convolutions.transposed(window, positions, time):
            if phase.count:
                convolutions.conv1d(
                    p, x, y.at(phase.first * filters), self._weights_for(p, phase.taps), phase.window,
                    timesteps=phase.count, spread=(positions * filters, stride * filters),
                    activation=own or ("linear", ()),
                )  # fmt: skip
        return own is not None

    def _weights_for(self, p, taps):
        if p.trains:
            bias = self.bias and p.weight(self.bias)
            return convolutions.weights_of(p, convolutions.turned(p, p.weight(self.kernel), taps), bias)
        return self.packed(f"taps {taps}", lambda: self._packed_weights(taps))

    def _packed_weights(self, taps):
        kernel = self.kernel._value[list(taps)].swapaxes(1, 2)
        return convolutions.pack(kernel, None if self.bias is None else self.bias._value)

    def _sizes_config(self):
        names = ("filters", "kernel_size", "strides", "padding", "output_padding", "data_format", "dilation_rate")
        return {name: getattr(self, name) for name in names}


Convolution1DTranspose = Conv1DTranspose  # Keras's other name


def reference_conv1d_transpose(
    x, kernel, bias=None, strides=1, padding="valid", output_padding=None, dilation_rate=1, data_format=None,
    activation=None,
):  # fmt: skip
    """The naive twin, in the dtype of its arrays: x (B, T, C), kernel (k, N, C), bias (N,)."""
    x = x.swapaxes(1, 2) if data_format == "channels_first" else x
    time, between = x.shape[1], (x.shape[1] - 1) * strides
    reach = (len(kernel) - 1) * dilation_rate + 1
    if padding == "valid":
        length, before = between + reach + (max(0, strides - reach) if output_padding is None else output_padding), 0
    else:
        length = time * strides if output_padding is None else between + reach % 2 + output_padding
        before = max(0, between + reach - length) // 2
    whole = np.zeros((len(x), max(between + reach, before + length), kernel.shape[1]), x.dtype)
    for t in range(time):
        for tap, part in enumerate(kernel):
            whole[:, t * strides + tap * dilation_rate] += x[:, t] @ part.T
    y = whole[:, before : before + length]
    y = y if bias is None else y + bias
    return activations.get(activation)(y.swapaxes(1, 2) if data_format == "channels_first" else y)

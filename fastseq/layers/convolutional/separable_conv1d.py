"""SeparableConv1D; see https://keras.io/api/layers/convolution_layers/separable_convolution1d/."""

from fastseq import activations
from fastseq.layers.convolutional.convolution import Convolution
from fastseq.layers.convolutional.depthwise_conv1d import depthwise_steps, reference_depthwise_conv1d
from fastseq.layers.dense_steps import dense_steps
from fastseq.program import packing, packing_steps


class SeparableConv1D(Convolution):
    """(B, T, C) float32 -> (B, T', filters): a convolution of each channel by itself, then a Dense over its outputs.

    The weights are `depthwise_kernel` (kernel_size, C, depth_multiplier), `pointwise_kernel` (1, C depth_multiplier,
    filters) and, with use_bias, `bias` (filters,). `SeparableConvolution1D` is it too.

    Args:
        filters (int): Size of the output's last axis, at least 1.
        kernel_size (int): Timesteps in a window; a list of one integer will do.
        strides (int, default 1): Timesteps between two windows; a list of one integer will do.
        padding (str, default "valid"): "valid", windows inside the sequence alone, T' = ceil((T - (kernel_size - 1)
            dilation_rate) / strides); "same", zeros on both sides, or Keras 2's "causal", zeros before it: T' = ceil(T
            / strides).
        data_format (str, default None): "channels_last", or "channels_first", which takes (B, C, T) and gives (B,
            filters, T'); None is the image data format.
        dilation_rate (int, default 1): Timesteps from one of a window to its next; a list of one integer will do.
        depth_multiplier (int, default 1): Outputs of the first convolution for each channel, at least 1.
        activation (str, dict or function, default None): Applied to the sum; None is linear.
        use_bias (bool, default True): Whether a bias is added.
        depthwise_initializer (str, dict or Initializer, default "glorot_uniform"): What the first kernel begins as.
        pointwise_initializer (str, dict or Initializer, default "glorot_uniform"): What the second one begins as.
        bias_initializer (str, dict or Initializer, default "zeros"): What the bias begins as.
        depthwise_regularizer (str, dict or Regularizer, default None): Penalty on the first kernel in training; None is
            none.
        pointwise_regularizer (str, dict or Regularizer, default None): The same for the second one.
        bias_regularizer (str, dict or Regularizer, default None): Penalty on the bias in training; None is none.
        activity_regularizer (str, dict or Regularizer, default None): Penalty on the output in training; None is none.
        depthwise_constraint (str, dict or Constraint, default None): Applied to the first kernel after each step of
            training; None is none.
        pointwise_constraint (str, dict or Constraint, default None): The same for the second one.
        bias_constraint (str, dict or Constraint, default None): Applied to the bias after each step of training; None
            is none.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: Other values of these, inputs whose C is unknown or has changed since the layer was built, and a T
            too short for one window.

    Example:
        >>> layers.SeparableConv1D(4, kernel_size=3)(np.zeros((2, 10, 8))).shape
        (2, 8, 4)
    """

    paddings = ("valid", "same", "causal")
    parts = ("depthwise", "pointwise", "bias")

    def __init__(
        self, filters, kernel_size, strides=1, padding="valid", data_format=None, dilation_rate=1, depth_multiplier=1,
        activation=None, use_bias=True, depthwise_initializer="glorot_uniform", pointwise_initializer="glorot_uniform",
        bias_initializer="zeros", depthwise_regularizer=None, pointwise_regularizer=None, bias_regularizer=None,
        activity_regularizer=None, depthwise_constraint=None, pointwise_constraint=None, bias_constraint=None,
        **kwargs,
    ):  # fmt: skip
        options = dict(locals())
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.depth_multiplier = self._positive(depth_multiplier, "depth_multiplier")
        self.filters = self._positive(filters, "filters")
        self._set_options(kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, options)

    def _add_weights(self, channels):
        inner = channels * self.depth_multiplier
        self.depthwise_kernel = self._add(
            "depthwise_kernel", (*self.kernel_size, channels, self.depth_multiplier), "depthwise"
        )
        self.pointwise_kernel = self._add("pointwise_kernel", (1, inner, self.filters), "pointwise")

    def _convolve(self, p, x, y):
        batch, positions, filters = y.shape
        inner = x.shape[2] * self.depth_multiplier
        between = p.new((batch, positions, inner))
        w = self._depthwise_for(p, inner)
        depthwise_steps(p, x, between, w, None, self._window(x.shape[1], positions), outside=self._earlier(p, x))
        products = [(0, inner, self._pointwise_for(p))]
        last = self.data_format == "channels_last"
        return dense_steps(p, between, y, products, batch * positions, filters, self.activation, softmax=last)

    def _depthwise_for(self, p, inner):
        shape = (*self.kernel_size, inner)
        if p.trains:
            return p.weight(self.depthwise_kernel).reshaped(shape)
        return p.constant(self.packed("depthwise", lambda: self.depthwise_kernel._value.reshape(shape)))

    def _pointwise_for(self, p):
        if p.trains:
            kernel = p.weight(self.pointwise_kernel)
            return packing_steps.dense(p, kernel.reshaped(kernel.shape[1:]), self.bias and p.weight(self.bias))
        return self.packed("pointwise", self._packed_pointwise)

    def _packed_pointwise(self):
        return packing.pack_dense(self.pointwise_kernel._value[0], None if self.bias is None else self.bias._value)

    def _sizes_config(self):
        names = (
            "depth_multiplier", "filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names}


SeparableConvolution1D = SeparableConv1D  # Keras's other name


def reference_separable_conv1d(
    x, depthwise_kernel, pointwise_kernel, bias=None, data_format=None, activation=None, **options
):
    """The naive twin, in the dtype of its arrays: x (B, T, C), kernels (k, C, m) and (1, C m, N), bias (N,)."""
    x = x.swapaxes(1, 2) if data_format == "channels_first" else x
    y = reference_depthwise_conv1d(x, depthwise_kernel, **options) @ pointwise_kernel[0]
    y = y if bias is None else y + bias
    return activations.get(activation)(y.swapaxes(1, 2) if data_format == "channels_first" else y)

"""Convolutions over time; Keras 1's and 2's name for the module of these layers."""

from fastseq.configs.lazy_names import Names, face

_NAMES = Names("fastseq.layers", {
    "convolutional.conv1d": "Conv1D Convolution1D",
    "convolutional.conv1d_transpose": "Conv1DTranspose Convolution1DTranspose",
    "convolutional.depthwise_conv1d": "DepthwiseConv1D",
    "convolutional.separable_conv1d": "SeparableConv1D SeparableConvolution1D",
})  # fmt: skip

__all__ = list(_NAMES)
__getattr__, __dir__ = face(__name__, _NAMES)

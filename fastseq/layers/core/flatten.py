"""Flatten layer; see https://keras.io/api/layers/reshaping_layers/flatten/."""

import math

from fastseq.layers import time_axis
from fastseq.layers.base import Layer
from fastseq.layers.input_spec import InputSpec


class Flatten(Layer):
    """(B, ...) -> (B, product of the rest), of any dtype; (B,) -> (B, 1). The same memory, unless channels_first.

    Args:
        data_format (str, default None): "channels_last", which None means too, or "channels_first" for inputs (B,
            channels, ...), whose channels go last before they are flattened.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: Another data_format, and an input without dimensions.

    Example:
        >>> layers.Flatten()(np.zeros((2, 3, 4))).shape
        (2, 12)
    """

    keeps_time = time_axis.whole_sequence("it puts all timesteps into one row")

    def __init__(self, data_format=None, **kwargs):
        super().__init__(**kwargs)
        data_format = "channels_last" if data_format is None else str(data_format).lower()
        if data_format not in ("channels_first", "channels_last"):
            raise ValueError(f"Flatten: `data_format` must be 'channels_first' or 'channels_last', got {data_format}.")
        self.data_format = data_format
        self.input_spec = InputSpec(min_ndim=1)

    def compute_output_shape(self, input_shape):
        rest = input_shape[1:]
        return (input_shape[0], None if None in rest else math.prod(rest))

    def _output_dtype(self, arguments):
        return arguments["inputs"].dtype

    def emit(self, p, inputs):
        ndim = len(inputs.shape)
        if self.data_format == "channels_first" and ndim > 2:
            inputs = p.transpose(inputs, (0, *range(2, ndim), 1))
        return inputs.reshaped(self.compute_output_shape(inputs.shape))

    def get_config(self):
        return {**super().get_config(), "data_format": self.data_format}

"""Permute layer; see https://keras.io/api/layers/reshaping_layers/permute/."""

from fastseq.layers import time_axis
from fastseq.layers.base import Layer
from fastseq.layers.input_spec import InputSpec


class Permute(Layer):
    """Reorders the axes after the batch, of any dtype: dims (2, 1) makes (B, T, F) into (B, F, T).

    Args:
        dims (tuple of int): The axes in their new order, counted from 1.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: Dims that are not 1, 2, ... in some order, and inputs of another rank.

    Example:
        >>> layers.Permute((2, 1))(np.zeros((2, 5, 3))).shape
        (2, 3, 5)
    """

    keeps_time = time_axis.whole_sequence("it moves the time axis")

    def __init__(self, dims, **kwargs):
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(f"Permute: `dims` must be the integers from 1 on, in any order, got {dims}.")
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *(input_shape[axis] for axis in self.dims))

    def _output_dtype(self, arguments):
        return arguments["inputs"].dtype

    def emit(self, p, inputs):
        return p.transpose(inputs, (0, *self.dims))

    def get_config(self):
        return {**super().get_config(), "dims": self.dims}

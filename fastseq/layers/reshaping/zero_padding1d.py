"""ZeroPadding1D layer; see https://keras.io/api/layers/reshaping_layers/zero_padding1d/."""

from fastseq import ops
from fastseq.layers import time_axis
from fastseq.layers.base import Layer
from fastseq.layers.input_spec import InputSpec
from fastseq.layers.options import data_format_of, ends_of
from fastseq.ops.values import Traced


class ZeroPadding1D(Layer):
    """Zeros before the first timestep and behind the last one: (B, T, F) -> (B, before + T + after, F), of any dtype.

    Args:
        padding (int or pair of int, default 1): How many at each end, or (before, after).
        data_format (str, default None): "channels_last", or "channels_first" for (B, F, T); None is what
            `backend.image_data_format()` says.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: Other values of these, and inputs of another rank.

    Example:
        >>> layers.ZeroPadding1D((2, 1))(np.array([[[1.0], [2.0]]])).ravel()
        array([0., 0., 1., 2., 0.], dtype=float32)
    """

    def __init__(self, padding=1, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.data_format = data_format_of(data_format, "ZeroPadding1D")
        self.padding = ends_of(padding, "ZeroPadding1D", "padding")
        self.input_spec = InputSpec(ndim=3)
        self.built = True

    @property
    def _axis(self):
        return 1 if self.data_format == "channels_last" else 2

    def keeps_time(self, timed, shapes, arguments):
        if timed[0] and self._axis == 1 and any(self.padding):
            time_axis.refuse(self, "it adds timesteps")
        return timed[0]

    def compute_output_shape(self, input_shape):
        shape = list(super().compute_output_shape(input_shape))
        if shape[self._axis] is not None:
            shape[self._axis] += sum(self.padding)
        return tuple(shape)

    def _output_dtype(self, arguments):
        return arguments["inputs"].dtype

    def emit(self, p, inputs):
        widths = [(0, 0)] * 3
        widths[self._axis] = self.padding
        return ops.pad(Traced(p, inputs.with_mask(None)), widths).slot

    def get_config(self):
        return {**super().get_config(), "padding": self.padding, "data_format": self.data_format}

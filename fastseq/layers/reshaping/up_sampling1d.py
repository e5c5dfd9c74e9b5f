"""UpSampling1D layer; see https://keras.io/api/layers/reshaping_layers/up_sampling1d/."""

from fastseq.layers import time_axis
from fastseq.layers.base import Layer
from fastseq.layers.input_spec import InputSpec


class UpSampling1D(Layer):
    """Every timestep `size` times, one after the other: (B, T, F) -> (B, size T, F), of any dtype.

    Args:
        size (int, default 2): How often, at least 1.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        TypeError: A size that is no integer.
        ValueError: A size below 1, and inputs of another rank.

    Example:
        >>> layers.UpSampling1D(2)(np.array([[[1.0], [2.0]]])).ravel()
        array([1., 1., 2., 2.], dtype=float32)
    """

    def __init__(self, size=2, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(size, int) or isinstance(size, bool):
            raise TypeError(f"UpSampling1D: `size` must be an integer, got {size!r} of type {type(size).__name__}.")
        if size <= 0:
            raise ValueError(f"UpSampling1D: `size` must be a positive integer, got {size}.")
        self.size = size
        self.input_spec = InputSpec(ndim=3)
        self.built = True

    def keeps_time(self, timed, shapes, arguments):
        if timed[0] and self.size > 1:
            time_axis.refuse(self, "it makes several timesteps of each one")
        return timed[0]

    def compute_output_shape(self, input_shape):
        batch, time, features = super().compute_output_shape(input_shape)
        return (batch, None if time is None else self.size * time, features)

    def _output_dtype(self, arguments):
        return arguments["inputs"].dtype

    def emit(self, p, inputs):
        batch, time, features = inputs.shape
        found = p.contiguous_copy(inputs, (batch * time, self.size, features), (features, 0, 1))
        return found.reshaped((batch, self.size * time, features))

    def get_config(self):
        return {**super().get_config(), "size": self.size}

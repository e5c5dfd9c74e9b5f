"""Cropping1D layer; see https://keras.io/api/layers/reshaping_layers/cropping1d/."""

from fastseq.layers import time_axis
from fastseq.layers.base import Layer
from fastseq.layers.input_spec import InputSpec
from fastseq.layers.options import ends_of


class Cropping1D(Layer):
    """Leaves out timesteps at both ends: (B, T, F) -> (B, T - first - last, F), of any dtype.

    Args:
        cropping (int or pair of int, default (1, 1)): How many at each end, or (first, last).
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: Another cropping, inputs of another rank, and a T of which nothing is left.

    Example:
        >>> layers.Cropping1D((2, 1))(np.arange(5.0).reshape(1, 5, 1)).ravel()
        array([2., 3.], dtype=float32)
    """

    def __init__(self, cropping=(1, 1), **kwargs):
        super().__init__(**kwargs)
        self.cropping = ends_of(cropping, "Cropping1D", "cropping")
        self.input_spec = InputSpec(ndim=3)
        self.built = True

    def keeps_time(self, timed, shapes, arguments):
        if timed[0] and any(self.cropping):
            time_axis.refuse(self, "it leaves timesteps out")
        return timed[0]

    def compute_output_shape(self, input_shape):
        batch, time, features = super().compute_output_shape(input_shape)
        if time is not None and time <= sum(self.cropping):
            raise ValueError(
                f"Layer '{self.name}' (Cropping1D) with cropping={self.cropping} leaves nothing of an input of shape "
                f"{tuple(input_shape)}."
            )
        return (batch, None if time is None else time - sum(self.cropping), features)

    def _output_dtype(self, arguments):
        return arguments["inputs"].dtype

    def emit(self, p, inputs):
        self.compute_output_shape(inputs.shape)
        (batch, time, features), (first, last) = inputs.shape, self.cropping
        shape = (batch, time - first - last, features)
        return p.contiguous_copy(inputs.at(first * features), shape, (time * features, features, 1))

    def get_config(self):
        return {**super().get_config(), "cropping": self.cropping}

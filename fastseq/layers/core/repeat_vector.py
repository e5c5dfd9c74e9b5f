"""RepeatVector layer; see https://keras.io/api/layers/reshaping_layers/repeat_vector/."""

from fastseq.layers import time_axis
from fastseq.layers.base import Layer
from fastseq.layers.input_spec import InputSpec


class RepeatVector(Layer):
    """(B, F) -> (B, n, F), of any dtype.

    Args:
        n (int): How many timesteps, at least 1.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        TypeError: An n that is no integer.
        ValueError: An n below 1, and inputs of another rank.

    Example:
        >>> layers.RepeatVector(3)(np.array([[1.0, 2.0]])).tolist()
        [[[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]]]
    """

    def __init__(self, n, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(n, int) or isinstance(n, bool):
            raise TypeError(f"RepeatVector: `n` must be an integer, got {n!r} of type {type(n).__name__}.")
        if n <= 0:
            raise ValueError(f"RepeatVector: `n` must be a positive integer, got {n}.")
        self.n = n
        self.input_spec = InputSpec(ndim=2)

    def keeps_time(self, timed, shapes, arguments):
        time_axis.refuse(self, "it makes a new sequence out of each timestep")

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.n, input_shape[1])

    def _output_dtype(self, arguments):
        return arguments["inputs"].dtype

    def emit(self, p, inputs):
        batch, features = inputs.shape
        return p.contiguous_copy(inputs, (batch, self.n, features), (features, 0, 1))

    def get_config(self):
        return {**super().get_config(), "n": self.n}

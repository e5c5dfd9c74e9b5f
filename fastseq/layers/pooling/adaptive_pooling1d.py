"""AdaptiveAveragePooling1D and AdaptiveMaxPooling1D; see https://keras.io/api/layers/pooling_layers/."""

from fastseq import ops
from fastseq.layers import time_axis
from fastseq.layers.base import Layer
from fastseq.layers.options import data_format_of, length_of
from fastseq.ops.values import Traced


class AdaptivePooling1D(Layer):
    """What the pools into a given number of windows share."""

    def __init__(self, output_size, data_format=None, **kwargs):
        super().__init__(**kwargs)
        who = type(self).__name__
        if not isinstance(output_size, (int, tuple, list)) or isinstance(output_size, bool):
            raise TypeError(f"{who}: `output_size` must be an integer or a tuple of one, got {output_size!r}.")
        self.output_size = (length_of(output_size, who, "output_size"),)
        self.data_format = data_format_of(data_format, who)
        self.built = True

    @property
    def _axis(self):
        """The axis of the windows."""
        return 1 if self.data_format == "channels_last" else 2

    def keeps_time(self, timed, shapes, arguments):
        if timed[0] and self._axis == 1:
            time_axis.refuse(self, "its windows depend on how many timesteps there are")
        return timed[0]

    def compute_output_shape(self, input_shape):
        shape = list(super().compute_output_shape(input_shape))
        if len(shape) != 3:
            raise ValueError(
                f"Layer '{self.name}' ({type(self).__name__}) takes inputs of 3 dimensions, got shape "
                f"{tuple(input_shape)}."
            )
        shape[self._axis] = self.output_size[0]
        return tuple(shape)

    def emit(self, p, inputs):
        self.compute_output_shape(inputs.shape)
        if inputs.dtype != "float32":
            raise ValueError(
                f"Layer '{self.name}' ({type(self).__name__}) takes floating point numbers, got {inputs.dtype}."
            )
        return self._pooled(Traced(p, inputs), self.output_size[0], self.data_format).slot

    def _pooled(self, x, output_size, data_format):
        raise NotImplementedError

    def get_config(self):
        return {**super().get_config(), "output_size": self.output_size, "data_format": self.data_format}


class AdaptiveAveragePooling1D(AdaptivePooling1D):
    """The means of `output_size` windows over time: (B, T, F) float32 -> (B, output_size, F).

    Window i goes from timestep i T // output_size to ceil((i + 1) T / output_size), so that all T are in one at least.

    Args:
        output_size (int): How many windows; a tuple of one integer will do.
        data_format (str, default None): "channels_last", or "channels_first" for (B, F, T) -> (B, F, output_size);
            None is what `backend.image_data_format()` says.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        TypeError: An output_size that is no integer and no tuple.
        ValueError: Other values of these, inputs of another rank or of integers, and T = 0.

    Example:
        >>> layers.AdaptiveAveragePooling1D(2)(np.arange(5.0).reshape(1, 5, 1)).ravel()
        array([1., 3.], dtype=float32)
    """

    def _pooled(self, x, output_size, data_format):
        return ops.adaptive_average_pool(x, output_size, data_format)


class AdaptiveMaxPooling1D(AdaptivePooling1D):
    """The largest values of `output_size` windows over time: (B, T, F) float32 -> (B, output_size, F).

    Window i goes from timestep i T // output_size to ceil((i + 1) T / output_size), so that all T are in one at least.

    Args:
        output_size (int): How many windows; a tuple of one integer will do.
        data_format (str, default None): "channels_last", or "channels_first" for (B, F, T) -> (B, F, output_size);
            None is what `backend.image_data_format()` says.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        TypeError: An output_size that is no integer and no tuple.
        ValueError: Other values of these, inputs of another rank or of integers, and T = 0.

    Example:
        >>> layers.AdaptiveMaxPooling1D(2)(np.arange(5.0).reshape(1, 5, 1)).ravel()
        array([2., 4.], dtype=float32)
    """

    def _pooled(self, x, output_size, data_format):
        return ops.adaptive_max_pool(x, output_size, data_format)

"""MaxPooling1D and AveragePooling1D; see https://keras.io/api/layers/pooling_layers/."""

import numpy as np

from fastseq import ops
from fastseq.layers import time_axis
from fastseq.layers.base import Layer
from fastseq.layers.input_spec import InputSpec
from fastseq.layers.options import data_format_of, length_of
from fastseq.ops.values import Traced

_LOWEST = -(2**31)  # of int32, which stands where "same" reaches over an end


class Pooling1D(Layer):
    """What the pools over windows share: their windows, their shapes, and what streams take."""

    def __init__(self, pool_size, strides=None, padding="valid", data_format=None, name=None, **kwargs):
        super().__init__(name=name, **kwargs)
        who = type(self).__name__
        self.pool_size = (length_of(pool_size, who, "pool_size"),)
        self.strides = self.pool_size if strides is None else (length_of(strides, who, "strides"),)
        if padding not in ("valid", "same"):
            raise ValueError(f"{who}: `padding` must be 'valid' or 'same', got {padding!r}.")
        self.padding = padding
        self.data_format = data_format_of(data_format, who)
        self.input_spec = InputSpec(ndim=3)
        self.built = True

    @property
    def _axis(self):
        """The axis of the windows."""
        return 1 if self.data_format == "channels_last" else 2

    def keeps_time(self, timed, shapes, arguments):
        if timed[0] and self._axis == 1 and (self.pool_size[0] > 1 or self.strides[0] > 1):
            time_axis.refuse(self, "its windows reach into later timesteps, or leave some out")
        return timed[0]

    def compute_output_shape(self, input_shape):
        (size,), (stride,), shape = self.pool_size, self.strides, list(super().compute_output_shape(input_shape))
        length = shape[self._axis]
        if length is not None:
            reach = length - size if self.padding == "valid" else length - 1
            if reach < 0:
                raise ValueError(
                    f"Layer '{self.name}' ({type(self).__name__}) with pool_size={size} and padding={self.padding!r} "
                    f"has no window in an input of shape {tuple(input_shape)}."
                )
            shape[self._axis] = reach // stride + 1
        return tuple(shape)

    def emit(self, p, inputs):
        self.compute_output_shape(inputs.shape)
        return self._pooled(Traced(p, inputs)).slot

    def _pooled(self, x):
        raise NotImplementedError

    def _windows_of(self):
        """The arguments of ops.max_pool and ops.average_pool."""
        return self.pool_size[0], self.strides[0], self.padding, self.data_format

    def get_config(self):
        windows = {"pool_size": self.pool_size, "padding": self.padding, "strides": self.strides}
        return {**super().get_config(), **windows, "data_format": self.data_format}


class MaxPooling1D(Pooling1D):
    """The largest value of each window over time: (B, T, F) -> (B, T', F), float32 or int32.

    Windows begin `strides` timesteps apart. The gradient of a window goes to the first of its largest values. A stream
    takes pool_size=1 with strides=1 alone: any other window reads timesteps after its first one. `MaxPool1D` is another
    name.

    Args:
        pool_size (int, default 2): Timesteps of a window; a tuple of one integer will do.
        strides (int, default None): Timesteps from a window to the next; a tuple of one integer will do, and None is
            `pool_size`.
        padding (str, default "valid"): "valid", T' = (T - pool_size) // strides + 1, or "same", T' = ceil(T / strides),
            where windows reach as far over the start as over the end, or one timestep less, and find nothing there.
        data_format (str, default None): "channels_last", or "channels_first" for (B, F, T) -> (B, F, T'); None is what
            `backend.image_data_format()` says.
        name (str, default None): The layer's name; None makes one.
        **kwargs: `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: Other values of these, inputs of another rank or of bool, and a T without one window.

    Example:
        >>> layers.MaxPooling1D(2)(np.array([[[1.0], [3.0], [2.0], [0.0], [9.0]]])).ravel()
        array([3., 2.], dtype=float32)
    """

    def __init__(self, pool_size=2, strides=None, padding="valid", data_format=None, name=None, **kwargs):
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)

    def _output_dtype(self, arguments):
        return arguments["inputs"].dtype

    def _pooled(self, x):
        if x.dtype == "bool":
            raise ValueError(f"Layer '{self.name}' (MaxPooling1D) takes numbers, got bool.")
        return _largest_integers(x, *self._windows_of()) if x.dtype == "int32" else ops.max_pool(x, *self._windows_of())


class AveragePooling1D(Pooling1D):
    """The mean of each window over time: (B, T, F) float32 -> (B, T', F).

    Windows begin `strides` timesteps apart. With padding="same" a window that reaches over an end is the mean of the
    timesteps that are there. A stream takes pool_size=1 with strides=1 alone: any other window reads timesteps after
    its first one. `AvgPool1D` is another name.

    Args:
        pool_size (int): Timesteps of a window; a tuple of one integer will do.
        strides (int, default None): Timesteps from a window to the next; a tuple of one integer will do, and None is
            `pool_size`.
        padding (str, default "valid"): "valid", T' = (T - pool_size) // strides + 1, or "same", T' = ceil(T / strides),
            where windows reach as far over the start as over the end, or one timestep less.
        data_format (str, default None): "channels_last", or "channels_first" for (B, F, T) -> (B, F, T'); None is what
            `backend.image_data_format()` says.
        name (str, default None): The layer's name; None makes one.
        **kwargs: `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: Other values of these, inputs of another rank or of integers, and a T without one window.

    Example:
        >>> layers.AveragePooling1D(2)(np.array([[[1.0], [3.0], [2.0], [0.0], [9.0]]])).ravel()
        array([2., 1.], dtype=float32)
    """

    def _pooled(self, x):
        if x.dtype != "float32":
            raise ValueError(f"Layer '{self.name}' (AveragePooling1D) takes floating point numbers, got {x.dtype}.")
        return ops.average_pool(x, *self._windows_of())


MaxPool1D, AvgPool1D = MaxPooling1D, AveragePooling1D


def _largest_integers(x, size, stride, padding, data_format):
    """ops.max_pool for int32, which float32 would round."""
    axis = 1 if data_format == "channels_last" else 2
    if padding == "same":
        missing = max((-(-x.shape[axis] // stride) - 1) * stride + size - x.shape[axis], 0)
        widths = [(0, 0)] * 3
        widths[axis] = (missing // 2, missing - missing // 2)
        x = ops.pad(x, widths, constant_values=np.int32(_LOWEST))
    count = (x.shape[axis] - size) // stride + 1
    places = np.arange(count)[:, None] * stride + np.arange(size)
    return ops.max(ops.take(x, places, axis=axis), axis=axis + 1)


def reference_pooling(x, pool_size, strides=None, padding="valid", kind="max"):
    """The naive twin, in the dtype of its array: x (B, T, F), window by window; kind "max" or "mean"."""
    strides, length = strides or pool_size, x.shape[1]
    before, count = 0, (length - pool_size) // strides + 1
    if padding == "same":
        count = -(-length // strides)
        before = max((count - 1) * strides + pool_size - length, 0) // 2
    starts = np.arange(count) * strides - before
    windows = [x[:, max(start, 0) : start + pool_size] for start in starts]
    return np.stack([getattr(window, kind)(axis=1) for window in windows], axis=1)

"""GlobalMaxPooling1D and GlobalAveragePooling1D; see https://keras.io/api/layers/pooling_layers/."""

from fastseq import ops
from fastseq.layers import time_axis
from fastseq.layers.base import Layer
from fastseq.layers.input_spec import InputSpec
from fastseq.layers.options import data_format_of
from fastseq.ops.values import Traced
from fastseq.program.pooling import pool

_WIDE = 16  # features: from here on the kernel of pools, which takes them column by column, is faster than ops.max


class GlobalPooling1D(Layer):
    """What the pools over all timesteps share."""

    def __init__(self, data_format=None, keepdims=False, **kwargs):
        super().__init__(**kwargs)
        self.data_format = data_format_of(data_format, type(self).__name__)
        if not isinstance(keepdims, (bool, int)):
            raise ValueError(f"{type(self).__name__}: `keepdims` must be a bool, got {keepdims!r}.")
        self.keepdims = keepdims
        self.input_spec = InputSpec(ndim=3)
        self.built = True

    @property
    def _axis(self):
        """The axis of the timesteps."""
        return 1 if self.data_format == "channels_last" else 2

    def keeps_time(self, timed, shapes, arguments):
        if timed[0] and self._axis == 1:
            time_axis.refuse(self, "it takes all timesteps together")
        if timed[0] and arguments.get("mask") is not None:
            time_axis.refuse(self, "its mask would have to be of the channels, and in a stream it is of the timesteps")
        return timed[0]

    def compute_output_shape(self, input_shape):
        shape = list(super().compute_output_shape(input_shape))
        shape[self._axis : self._axis + 1] = [1] if self.keepdims else []
        return tuple(shape)

    def emit(self, p, inputs):
        return self._pooled(self._checked(inputs, p)).slot

    def _checked(self, inputs, p):
        if not inputs.shape[self._axis]:
            raise ValueError(
                f"Layer '{self.name}' ({type(self).__name__}) needs at least one timestep, got an input of shape "
                f"{inputs.shape}."
            )
        return Traced(p, inputs)

    def _by_columns(self, x, kind):
        """The kernel's result for an array with so many features that they are vectors, else None."""
        if x.dtype != "float32" or self._axis != 1 or x.shape[2] < _WIDE:
            return None
        y = pool(x.p, x.slot, kind, 1, x.shape[1])
        return Traced(x.p, y.reshaped(self.compute_output_shape(x.shape)))

    def _pooled(self, x):
        raise NotImplementedError

    def get_config(self):
        return {**super().get_config(), "data_format": self.data_format, "keepdims": self.keepdims}


class GlobalMaxPooling1D(GlobalPooling1D):
    """The largest value over all timesteps: (B, T, F) -> (B, F), of any dtype.

    A mask is not looked at, as in Keras: masked timesteps count. The gradient is shared among equal largest values. A
    stream takes data_format="channels_first" alone. `GlobalMaxPool1D` is another name.

    Args:
        data_format (str, default None): "channels_last", or "channels_first" for (B, F, T) -> (B, F); None is what
            `backend.image_data_format()` says.
        keepdims (bool, default False): Whether the axis of time stays, of size 1.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: Other values of these, inputs of another rank, and T = 0.

    Example:
        >>> layers.GlobalMaxPooling1D()(np.array([[[1.0, 5.0], [3.0, 2.0]]]))
        array([[3., 5.]], dtype=float32)
    """

    def _output_dtype(self, arguments):
        return arguments["inputs"].dtype

    def _pooled(self, x):
        found = self._by_columns(x, "max_shared")
        return ops.max(x, axis=self._axis, keepdims=self.keepdims) if found is None else found


class GlobalAveragePooling1D(GlobalPooling1D):
    """The mean over all timesteps, or over those that a mask keeps: (B, T, F) -> (B, F) float32.

    A masked timestep does not count, whatever its values; files of Keras 2 multiply it by 0, and a NaN there stays one.
    A row whose timesteps are all masked gives NaN, as in Keras. No mask comes out. A stream takes
    data_format="channels_first" without a mask alone. `GlobalAvgPool1D` is another name.

    Args:
        data_format (str, default None): "channels_last", or "channels_first" for (B, F, T) -> (B, F); None is what
            `backend.image_data_format()` says.
        keepdims (bool, default False): Whether the axis of time stays, of size 1.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: Other values of these, inputs of another rank, T = 0, and a mask that is not (B, T).

    Example:
        >>> layer, x = layers.GlobalAveragePooling1D(), np.array([[[1.0], [3.0], [8.0]]])
        >>> layer(x).tolist(), layer(x, mask=np.array([[True, True, False]])).tolist()
        ([[4.0]], [[2.0]])
    """

    supports_masking = True

    def symbolic_mask(self, inputs, masks, ops, rules):
        return []

    def compute_mask(self, inputs, mask=None):
        return None

    def emit_mask(self, p, inputs, mask):
        return None

    def emit(self, p, inputs, mask=None):
        x = self._checked(inputs, p)
        if mask is None:
            found = self._by_columns(x, "mean")
            return (ops.mean(x, axis=self._axis, keepdims=self.keepdims) if found is None else found).slot
        wanted = (inputs.shape[0], inputs.shape[self._axis])
        if tuple(mask.shape) != wanted:
            raise ValueError(
                f"Layer '{self.name}' (GlobalAveragePooling1D) takes a mask (batch, timesteps) = {wanted}, got "
                f"{mask.shape}."
            )
        x, kept = ops.cast(x, "float32"), ops.expand_dims(ops.cast(Traced(p, mask), "bool"), 3 - self._axis)
        counted = ops.cast(kept, "float32")
        x = ops.where(kept, x, 0.0) if p.mask_rules.pools_leave_out else ops.multiply(x, counted)
        total, count = (ops.sum(one, axis=self._axis, keepdims=self.keepdims) for one in (x, counted))
        return ops.divide(total, count).slot


GlobalMaxPool1D, GlobalAvgPool1D = GlobalMaxPooling1D, GlobalAveragePooling1D


def reference_global_average(x, mask=None):
    """The naive twin, in the dtype of its array: x (B, T, F), mask (B, T) or None."""
    if mask is None:
        return x.mean(axis=1)
    return (x * mask[..., None]).sum(axis=1) / mask.sum(axis=1, dtype=x.dtype)[:, None]

"""Normalization; see https://keras.io/api/layers/preprocessing_layers/numerical/normalization/."""

import math

import numpy as np

from fastseq.layers import time_axis
from fastseq.layers.base import Layer
from fastseq.ops import elementwise as e
from fastseq.ops.values import Traced
from fastseq.tensors.settings import epsilon


class Normalization(Layer):
    """(x - mean) / sqrt(variance), by a mean and a variance that are given, or those of data (`adapt`).

    Args:
        axis (int, tuple or None, default -1): The axes along which there is a mean and a variance for each place; None
            is one for all.
        mean (float or array, default None): The mean, which broadcasts along these axes; None is that of `adapt`.
        variance (float or array, default None): The variance, of the shape of the mean.
        invert (bool, default False): Whether it is x * sqrt(variance) + mean.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: A mean without a variance, and the other way round; shapes that do not fit; an axis that the input
            does not have, or whose size is not known.

    Example:
        >>> layer = layers.Normalization()
        >>> layer.adapt(np.array([[0.0], [2.0]]))
        >>> layer(np.array([[3.0]]))
        array([[2.]], dtype=float32)
    """

    supports_masking = True

    def __init__(self, axis=-1, mean=None, variance=None, invert=False, **kwargs):
        super().__init__(**kwargs)
        self.axis = () if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        self.input_mean = mean
        self.input_variance = variance
        self.invert = invert
        if (mean is None) != (variance is None):
            raise ValueError(f"Normalization takes `mean` and `variance` together, got {mean} and {variance}.")
        if mean is None:
            return
        if np.shape(mean) != np.shape(variance) or np.ndim(mean) > len(self.axis):
            raise ValueError(
                "Normalization takes a `mean` and a `variance` of one shape, of at most as many dimensions as it has "
                f"axes; got the shapes {np.shape(mean)} and {np.shape(variance)} for axis {self.axis}."
            )

    # ---- building ----------------------------------------------------------------------------------------------------

    def build(self, input_shape):
        kept, shape = self._kept_axes(input_shape), self._kept_shape(input_shape)
        if self.input_mean is None:
            self.adapt_mean = self.add_weight(shape, "zeros", trainable=False, name="mean")
            self.adapt_variance = self.add_weight(shape, "ones", trainable=False, name="variance")
            self.count = self.add_weight((), "zeros", trainable=False, name="count")  # of older files
        for name in ("mean", "variance") if self.input_mean is not None else ():
            try:
                np.broadcast_to(getattr(self, f"input_{name}"), shape)
            except ValueError:
                raise ValueError(
                    f"Layer '{self.name}' (Normalization) has a {name} of shape {np.shape(self.input_mean)}, which "
                    f"does not broadcast to the sizes {shape} along axis {kept} of an input of {tuple(input_shape)}."
                ) from None
        self.built = True

    def _kept_axes(self, input_shape):
        """The axes, counted from 0. Raises ValueError for one that the input does not have, or of unknown size."""
        ndim = len(input_shape)
        if any(not -ndim <= axis < ndim for axis in self.axis):
            raise ValueError(
                f"Layer '{self.name}' (Normalization) has axis={self.axis}, out of bounds for an input of shape "
                f"{tuple(input_shape)}."
            )
        kept = sorted(axis % ndim for axis in self.axis)
        if any(input_shape[axis] is None for axis in kept):
            raise ValueError(
                f"Layer '{self.name}' (Normalization) has a mean for each place along axis={self.axis}, whose size is "
                f"not known in an input of shape {tuple(input_shape)}."
            )
        return kept

    def _kept_shape(self, input_shape):
        return tuple(input_shape[axis] for axis in self._kept_axes(input_shape))

    @property
    def mean(self):
        """The mean that it goes by, float32; None before the layer is built."""
        return self._statistic(self.input_mean, "adapt_mean")

    @property
    def variance(self):
        """The variance that it goes by, float32; None before the layer is built."""
        return self._statistic(self.input_variance, "adapt_variance")

    def _statistic(self, given, name):
        """As an array that broadcasts to the input."""
        if not self.built or self._build_shape is None:
            return None
        shape = self._build_shape
        kept = self._kept_axes(shape)
        value = getattr(self, name).numpy() if given is None else np.asarray(given, np.float32)
        value = np.broadcast_to(value, [shape[axis] for axis in kept])
        return value.reshape([shape[axis] if axis in kept else 1 for axis in range(len(shape))])

    # ---- data --------------------------------------------------------------------------------------------------------

    def adapt(self, data):
        """Takes the mean and the variance of data.

        Args:
            data (array or iterable): An array, whose first axis is the batch; or batches, arrays or tuples (x, y ...)
                whose x counts, as a list, a generator, a `PyDataset` or a tf.data.Dataset gives them.

        Raises:
            ValueError: No batch at all, sizes that are not those the layer was built with, and a layer that was given
                its mean.
            TypeError: Data of another kind.

        Example:
            >>> layer = layers.Normalization(axis=None)
            >>> layer.adapt([np.array([1.0, 2.0]), np.array([3.0])])
            >>> layer.mean, layer.variance
            (array([2.], dtype=float32), array([0.6666667], dtype=float32))
        """
        if self.input_mean is not None:
            raise ValueError(f"Layer '{self.name}' (Normalization) was given its mean and variance: it cannot adapt.")
        mean, square, total = 0.0, 0.0, 0
        for batch in self._batches(data):
            self._check_batch(batch)
            axes = tuple(set(range(batch.ndim)) - set(self._kept_axes(batch.shape)))
            count = math.prod(batch.shape[axis] for axis in axes)
            if not count:
                continue
            own = batch.mean(axes)
            apart = np.square(batch - np.expand_dims(own, axes)).sum(axes)
            # Chan et al. 1979: sums of squares around two means, taken together.
            square = square + apart + np.square(own - mean) * (total * count / (total + count))
            mean, total = mean + (own - mean) * (count / (total + count)), total + count
        if not total:
            raise ValueError(f"Layer '{self.name}' (Normalization): adapt() got no data.")
        self.adapt_mean.assign(mean)
        self.adapt_variance.assign(square / total)

    def finalize_state(self):
        """Keras's function for taking over weights that were set; here every call goes by the weights there are."""

    def _batches(self, data):
        """Arrays of float64."""
        if hasattr(data, "shape"):
            yield np.asarray(data, np.float64)
            return
        if isinstance(data, (str, bytes, dict)) or not (hasattr(data, "__iter__") or hasattr(data, "__getitem__")):
            raise TypeError(
                f"Layer '{self.name}' (Normalization) adapts to an array or to batches, got {type(data).__name__}."
            )
        several = data if hasattr(data, "__iter__") else (data[number] for number in range(len(data)))
        for batch in several:
            batch = batch[0] if isinstance(batch, tuple) else batch
            if not hasattr(batch, "shape"):
                raise TypeError(
                    f"Layer '{self.name}' (Normalization) adapts to batches that are arrays, got one of type "
                    f"{type(batch).__name__}. np.array(batch) makes one."
                )
            yield np.asarray(batch, np.float64)

    def _check_batch(self, batch):
        """Builds the layer for it, or raises ValueError where it does not fit what the layer was built for."""
        if not self.built:
            self._build_once({"inputs": batch.shape})
        built = self._build_shape
        if batch.ndim != len(built) or self._kept_shape(batch.shape) != self._kept_shape(built):
            raise ValueError(
                f"Layer '{self.name}' (Normalization) was built for inputs of shape {tuple(built)}, adapt() got data "
                f"of shape {batch.shape}."
            )

    # ---- calling -----------------------------------------------------------------------------------------------------

    def keeps_time(self, timed, shapes, arguments):
        if timed[0] and 1 in {axis % len(shapes[0]) for axis in self.axis}:
            time_axis.refuse(self, f"it has a mean for every timestep (axis={self.axis})")
        return timed[0]

    def emit(self, p, inputs):
        x = Traced(p, p.float32(inputs).with_mask(None))
        mean, variance = (self._traced(p, x, name) for name in ("mean", "variance"))
        deviation = e.maximum(e.sqrt(variance), epsilon())
        if self.invert:
            return e.add(mean, e.multiply(x, deviation)).slot
        return e.divide(e.subtract(x, mean), deviation).slot

    def _traced(self, p, x, name):
        """The mean or the variance as an array that broadcasts to `x`."""
        kept, given = self._kept_axes(x.shape), getattr(self, f"input_{name}")
        sizes = [x.shape[axis] if axis in kept else 1 for axis in range(x.ndim)]
        if given is None:
            return Traced(p, p.weight(getattr(self, f"adapt_{name}")).reshaped(sizes))
        value = np.broadcast_to(np.asarray(given, np.float32), [x.shape[axis] for axis in kept])
        return Traced(p, p.constant(np.ascontiguousarray(value)).reshaped(sizes))

    def get_config(self):
        return {
            **super().get_config(),
            "axis": self.axis,
            "invert": self.invert,
            "mean": np.array(self.input_mean).tolist(),
            "variance": np.array(self.input_variance).tolist(),
        }


def reference_normalization(x, mean=0.0, variance=1.0):
    """The naive twin: mean and variance broadcast to x."""
    return (x - mean) / np.maximum(np.sqrt(variance), 1e-7)

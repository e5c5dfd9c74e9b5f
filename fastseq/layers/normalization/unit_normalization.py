"""UnitNormalization; see https://keras.io/api/layers/normalization_layers/unit_normalization/."""

import numpy as np

from fastseq.layers.normalization.scaled import Normalizes, checked_axis
from fastseq.ops.normalization import normalize
from fastseq.ops.values import Traced


class UnitNormalization(Normalizes):
    """Vectors along some axes divided by their length; those shorter than 1e-12 by 1e-12.

    Args:
        axis (int or list, default -1): The axes of the vectors.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        TypeError: An axis that is no int.
        ValueError: An axis that the input does not have.

    Example:
        >>> layers.UnitNormalization()(np.array([[3.0, 4.0]]))
        array([[0.6, 0.8]], dtype=float32)
    """

    def __init__(self, axis=-1, **kwargs):
        super().__init__(**kwargs)
        self.axis = checked_axis("UnitNormalization", axis)
        self.built = True

    def emit(self, p, inputs):
        self._check_axes(inputs.shape)
        x = Traced(p, p.float32(inputs).with_mask(None))
        return normalize(x, axis=self.axis, order=2, epsilon=1e-12).slot

    def get_config(self):
        return {**super().get_config(), "axis": self.axis}


def reference_unit_normalization(x, axis=-1):
    """The naive twin: x of any shape."""
    return x / np.maximum(np.sqrt((x**2).sum(axis, keepdims=True)), 1e-12)

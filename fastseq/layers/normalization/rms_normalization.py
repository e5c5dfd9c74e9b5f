"""RMSNormalization; see https://keras.io/api/layers/normalization_layers/rms_normalization/.

Source: Zhang and Sennrich 2019, https://arxiv.org/abs/1910.07467.
"""

import numpy as np

from fastseq.layers.normalization.scaled import Normalizes, last_axes, traced_weight
from fastseq.ops.normalization import rms_normalization
from fastseq.ops.values import Traced
from fastseq.program.normalization import layer_norm


class RMSNormalization(Normalizes):
    """x / sqrt(mean(x^2) + epsilon) * scale, with each row's own mean.

    As in Keras a mask ends here. Source: Zhang and Sennrich 2019, https://arxiv.org/abs/1910.07467.

    Args:
        axis (int or list, default -1): The axes that are normalized together; `scale` has their sizes, and multiplies
            along the input's last axes.
        epsilon (float, default 1e-6): What is added to the mean of the squares.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        TypeError: An axis that is no int.
        ValueError: An axis that the input does not have, or whose size is not known.

    Example:
        >>> layers.RMSNormalization(epsilon=0.0)(np.array([[1.0, 7.0]]))
        array([[0.2, 1.4]], dtype=float32)
    """

    supports_masking = False

    def __init__(self, axis=-1, epsilon=1e-6, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis
        self.epsilon = epsilon

    def build(self, input_shape):
        self.axis = sorted(self._axes())
        self.scale = self.add_weight(self._sizes(input_shape), "ones", name="scale")
        self.built = True

    def emit(self, p, inputs):
        x = p.float32(inputs).with_mask(None)
        if last_axes(self.axis, x.shape):
            return layer_norm(p, x, len(self.axis), p.weight(self.scale), None, self.epsilon, rms=True)
        x = Traced(p, x)
        return rms_normalization(x, traced_weight(p, self.scale), self.axis, self.epsilon).slot

    def get_config(self):
        return {**super().get_config(), "axis": self.axis, "epsilon": self.epsilon}


def reference_rms_normalization(x, scale=1.0, axis=-1, epsilon=1e-6):
    """The naive twin: x of any shape, scale broadcasts to it."""
    return x / np.sqrt((x**2).mean(axis, keepdims=True) + epsilon) * scale

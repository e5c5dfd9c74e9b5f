"""ReLU layer; see https://keras.io/api/layers/activation_layers/relu/."""

import functools

from fastseq import activations
from fastseq.layers import time_axis
from fastseq.layers.base import Layer


class ReLU(Layer):
    """x between threshold and max_value, max_value above, negative_slope * (x - threshold) below; float32, any shape.

    Integers are computed as float32. Raises ValueError for a negative argument.
    """

    supports_masking = True
    keeps_time = time_axis.by_value

    def __init__(self, max_value=None, negative_slope=0.0, threshold=0.0, **kwargs):
        super().__init__(**kwargs)
        if max_value is not None and max_value < 0.0:
            raise ValueError(f"ReLU: `max_value` cannot be negative, got {max_value}.")
        for name, value in (("negative_slope", negative_slope), ("threshold", threshold)):
            if value is None or value < 0.0:
                raise ValueError(f"ReLU: `{name}` cannot be None or negative, got {value}.")
        self.max_value = max_value
        self.negative_slope = negative_slope
        self.threshold = threshold
        self.built = True

    def emit(self, p, inputs):
        relu = functools.partial(
            activations.relu, negative_slope=self.negative_slope, max_value=self.max_value, threshold=self.threshold
        )
        return p.activation(activations.native_spec(relu), p.float32(inputs))

    def get_config(self):
        return {
            **super().get_config(),
            "max_value": self.max_value,
            "negative_slope": self.negative_slope,
            "threshold": self.threshold,
        }

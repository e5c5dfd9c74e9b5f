"""ReLU layer; see https://keras.io/api/layers/activation_layers/relu/."""

import functools

from fastseq import activations
from fastseq.layers import time_axis
from fastseq.layers.base import Layer


class ReLU(Layer):
    """x between threshold and max_value, max_value above, negative_slope * (x - threshold) below; float32, any shape.

    Integers are computed as float32.

    Args:
        max_value (float, default None): Largest output, not negative; None is no bound.
        negative_slope (float, default 0.0): The slope below the threshold, not negative.
        threshold (float, default 0.0): Where the output begins to be x, not negative.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: A negative argument.

    Example:
        >>> layers.ReLU(max_value=1.0)(np.array([-1.0, 0.5, 2.0]))
        array([0. , 0.5, 1. ], dtype=float32)
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

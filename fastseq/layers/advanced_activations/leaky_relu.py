"""LeakyReLU layer; see https://keras.io/api/layers/activation_layers/leaky_relu/."""

import warnings

from fastseq.layers import time_axis
from fastseq.layers.base import Layer


class LeakyReLU(Layer):
    """x above 0, negative_slope * x below; float32, any shape.

    Args:
        negative_slope (float, default 0.3): The slope below 0, not negative.
        **kwargs: Those of `Layer`, and `alpha`, Keras 2's name for negative_slope.

    Raises:
        ValueError: A slope that is None or negative.

    Example:
        >>> layers.LeakyReLU(0.1)(np.array([-1.0, 2.0]))
        array([-0.1,  2. ], dtype=float32)
    """

    supports_masking = True
    keeps_time = time_axis.by_value

    def __init__(self, negative_slope=0.3, **kwargs):
        if "alpha" in kwargs:
            negative_slope = kwargs.pop("alpha")
            warnings.warn("Argument `alpha` of LeakyReLU is now called `negative_slope`.", stacklevel=2)
        super().__init__(**kwargs)
        if negative_slope is None or negative_slope < 0:
            raise ValueError(f"LeakyReLU: `negative_slope` cannot be None or negative, got {negative_slope}.")
        self.negative_slope = negative_slope
        self.built = True

    def emit(self, p, inputs):
        return p.activation(("leaky_relu", (self.negative_slope,)), p.float32(inputs))

    def get_config(self):
        return {**super().get_config(), "negative_slope": self.negative_slope}

"""ELU layer; see https://keras.io/api/layers/activation_layers/elu/ and Clevert et al. 2015, arXiv 1511.07289."""

from fastseq.layers import time_axis
from fastseq.layers.base import Layer


class ELU(Layer):
    """x above 0, alpha * (exp(x) - 1) below; float32, any shape. Source: Clevert et al. 2016,
    https://arxiv.org/abs/1511.07289.

    Args:
        alpha (float, default 1.0): The negative of what it tends to.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Example:
        >>> layers.ELU()(np.array([-1.0, 2.0])).round(4)
        array([-0.6321,  2.    ], dtype=float32)
    """

    supports_masking = True
    keeps_time = time_axis.by_value

    def __init__(self, alpha=1.0, **kwargs):
        super().__init__(**kwargs)
        self.alpha = alpha
        self.built = True

    def emit(self, p, inputs):
        return p.activation(("elu", (self.alpha,)), p.float32(inputs))

    def get_config(self):
        return {**super().get_config(), "alpha": self.alpha}

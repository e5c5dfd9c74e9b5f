"""AlphaDropout; see https://keras.io/api/layers/regularization_layers/alpha_dropout/.

Source: Klambauer et al. 2017, https://arxiv.org/abs/1706.02515.
"""

import numpy as np

from fastseq.layers.noise.dropout import Noise, checked_noise_shape

_DROPPED = -1.6732632423543772848170429916717 * 1.0507009873554804934193349852946  # what selu tends to for x -> -inf


class AlphaDropout(Noise):
    """With training=True, dropout that keeps mean and variance of inputs that come from selu.

    An input becomes -1.7581 with probability `rate`; then all are scaled and shifted back to mean 0, variance 1.
    Without training=True it returns its input. Source: Klambauer et al. 2017, https://arxiv.org/abs/1706.02515.

    Args:
        rate (float): Share of the inputs that are dropped, from 0 to 1.
        noise_shape (tuple, default None): Shape of the decisions, which broadcasts to the input; None in it stands for
            the input's size, and None alone for its shape.
        seed (int or None, default None): Seed of the random numbers. Two layers of one seed draw the same numbers, call
            after call; they are not those of Keras. None draws a seed.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: A rate outside [0, 1] and a noise_shape that does not fit; with training=True, a rate of 1, which
            leaves no variance to keep, and inputs that are not floats.

    Example:
        >>> layers.AlphaDropout(0.2)(np.ones((1, 2)))
        array([[1., 1.]], dtype=float32)
    """

    def __init__(self, rate, noise_shape=None, seed=None, **kwargs):
        super().__init__(seed=seed, **kwargs)
        self.rate = self._check_rate("rate", rate)
        self.noise_shape = checked_noise_shape("AlphaDropout", noise_shape)

    def _emit_noise(self, p, inputs):
        if self.rate == 1:
            raise ValueError(f"Layer '{self.name}' (AlphaDropout) has rate=1, which leaves nothing of its input.")
        scale = ((1 - self.rate) * (1 + self.rate * _DROPPED**2)) ** -0.5
        shift = -scale * _DROPPED * self.rate
        kept = self._draw(p, self._noise_shape(self.noise_shape, inputs.shape), "keep", self.rate, 1.0)
        # x * kept + dropped * (1 - kept), where 0 * inf is NaN as in Keras.
        dropped = p.binary("multiply", p.affine(kept, -1.0, 1.0), p.constant(np.full(1, _DROPPED, np.float32)))
        return p.affine(p.binary("add", p.binary("multiply", inputs, kept), dropped), scale, shift)

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed, "noise_shape": self.noise_shape}

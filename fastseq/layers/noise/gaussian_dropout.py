"""GaussianDropout; see https://keras.io/api/layers/regularization_layers/gaussian_dropout/.

Source: Srivastava et al. 2014, section 10, https://jmlr.org/papers/v15/srivastava14a.html.
"""

import math

from fastseq.layers.noise.dropout import Noise


class GaussianDropout(Noise):
    """With training=True, multiplies by normal noise of mean 1 and standard deviation sqrt(rate / (1 - rate)).

    Without training=True it returns its input. Source: Srivastava et al. 2014, section 10,
    https://jmlr.org/papers/v15/srivastava14a.html.

    Args:
        rate (float): From 0 to 1; the rate of a Dropout with as much noise.
        seed (int or None, default None): Seed of the random numbers. Two layers of one seed draw the same numbers, call
            after call; they are not those of Keras. None draws a seed.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: A rate outside [0, 1]; with training=True, a rate of 1, whose deviation is infinite, and inputs that
            are not floats.

    Example:
        >>> layers.GaussianDropout(0.2)(np.ones((1, 2)))
        array([[1., 1.]], dtype=float32)
    """

    def __init__(self, rate, seed=None, **kwargs):
        super().__init__(seed=seed, **kwargs)
        self.rate = self._check_rate("rate", rate)

    def _emit_noise(self, p, inputs):
        if self.rate == 1:
            raise ValueError(f"Layer '{self.name}' (GaussianDropout) has rate=1, noise of infinite deviation.")
        deviation = math.sqrt(self.rate / (1.0 - self.rate))
        return p.binary("multiply", inputs, self._draw(p, inputs.shape, "normal", 1.0, deviation))

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}

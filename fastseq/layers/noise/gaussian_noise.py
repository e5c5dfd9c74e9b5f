"""GaussianNoise; see https://keras.io/api/layers/regularization_layers/gaussian_noise/."""

from fastseq.layers.noise.dropout import Noise


class GaussianNoise(Noise):
    """With training=True, adds normal noise of mean 0 and standard deviation `stddev`; any shape.

    Raises ValueError for a stddev outside [0, 1], and with training=True for inputs that are not floats.
    """

    def __init__(self, stddev, seed=None, **kwargs):
        super().__init__(seed=seed, **kwargs)
        self.stddev = self._check_rate("stddev", stddev)

    def _amount(self):
        return self.stddev

    def _emit_noise(self, p, inputs):
        return p.binary("add", inputs, self._draw(p, inputs.shape, "normal", 0.0, self.stddev))

    def get_config(self):
        return {**super().get_config(), "stddev": self.stddev, "seed": self.seed}

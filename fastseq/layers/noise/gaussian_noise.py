"""GaussianNoise; see https://keras.io/api/layers/regularization_layers/gaussian_noise/."""

from fastseq.layers.noise.dropout import Noise


class GaussianNoise(Noise):
    """With training=True, adds normal noise of mean 0 and standard deviation `stddev`; any shape.

    Without training=True it returns its input.

    Args:
        stddev (float): Standard deviation, from 0 to 1.
        seed (int or None, default None): Seed of the random numbers. Two layers of one seed draw the same numbers, call
            after call; they are not those of Keras. None draws a seed.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: A stddev outside [0, 1]; with training=True, inputs that are not floats.

    Example:
        >>> layers.GaussianNoise(0.2)(np.ones((1, 2)))
        array([[1., 1.]], dtype=float32)
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

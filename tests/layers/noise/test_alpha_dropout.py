"""AlphaDropout: the identity at inference, and the mean and variance it keeps."""

import numpy as np
import pytest
from noise_tests import NoiseTests

DROPPED = -1.7580993408473766


class TestAlphaDropout(NoiseTests):
    @staticmethod
    def make(layers, amount, **kwargs):
        return layers.AlphaDropout(amount, **kwargs)

    @pytest.mark.parametrize("rate", [0.05, 0.3, 0.7])
    def test_keeps_mean_and_variance(self, rate):
        x = self.x((20, 100, 100))
        x = (x - x.mean()) / x.std()
        found = self.layer(rate, seed=1)(x, training=True).astype("f8")
        # Fourth moments are below 20 here, so the sample variance is good to 5 sqrt(20 / n).
        assert abs(found.mean()) < 5 / np.sqrt(x.size)
        assert abs(found.var() - 1) < 5 * np.sqrt(20 / x.size)

    @pytest.mark.parametrize("rate", [0.05, 0.3, 0.7])
    def test_values(self, rate):
        """Each value is scale * x + shift or scale * -1.7581 + shift, the first in 1 - rate of all cases."""
        x = np.abs(self.x()) + 1
        scale = ((1 - rate) * (1 + rate * DROPPED**2)) ** -0.5
        shift = -scale * DROPPED * rate
        found = self.layer(rate, seed=1)(x, training=True)
        kept = found > shift
        np.testing.assert_allclose(found[kept], (scale * x + shift)[kept], rtol=1e-6)
        np.testing.assert_allclose(found[~kept], scale * DROPPED + shift, rtol=1e-5)
        assert abs(kept.mean() - (1 - rate)) < 5 * np.sqrt(rate * (1 - rate) / x.size)

    def test_noise_shape(self):
        found = self.layer(0.5, noise_shape=(None, 1, None), seed=1)(np.ones((8, 50, 100)), training=True)
        np.testing.assert_array_equal(found, np.repeat(found[:, :1], 50, axis=1))
        assert len(np.unique(found)) == 2
        with pytest.raises(ValueError, match="noise_shape"):
            self.layer(noise_shape=(2, 1))(np.ones((3, 4)), training=True)

    def test_rate_of_one(self):
        layer = self.layer(1.0)
        np.testing.assert_array_equal(layer(np.ones((2, 3))), np.ones((2, 3)))
        with pytest.raises(ValueError, match="rate=1"):
            layer(np.ones((2, 3)), training=True)

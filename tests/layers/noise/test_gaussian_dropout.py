"""GaussianDropout: the identity at inference, and the statistics of its factors."""

import numpy as np
import pytest
from noise_tests import NoiseTests, assert_normal


class TestGaussianDropout(NoiseTests):
    @staticmethod
    def make(layers, amount, **kwargs):
        return layers.GaussianDropout(amount, **kwargs)

    @pytest.mark.parametrize("rate", [0.01, 0.3, 0.8])
    def test_statistics(self, rate):
        found = self.layer(rate, seed=1)(np.ones((20, 100, 100), "f"), training=True)
        assert_normal(found, 1.0, np.sqrt(rate / (1 - rate)))

    def test_noise_is_multiplied(self):
        x = self.x()
        found = self.layer(0.3, seed=1)(x, training=True)
        noise = self.layer(0.3, seed=1)(np.ones_like(x), training=True)
        np.testing.assert_array_equal(found, x * noise)

    def test_rate_of_one(self):
        layer = self.layer(1.0)
        np.testing.assert_array_equal(layer(np.ones((2, 3))), np.ones((2, 3)))
        with pytest.raises(ValueError, match="rate=1"):
            layer(np.ones((2, 3)), training=True)

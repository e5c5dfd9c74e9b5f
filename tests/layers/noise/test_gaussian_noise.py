"""GaussianNoise: the identity at inference, and the statistics of its noise."""

import numpy as np
import pytest
from noise_tests import NoiseTests, assert_normal, correlation


class TestGaussianNoise(NoiseTests):
    argument = "stddev"

    @staticmethod
    def make(layers, amount, **kwargs):
        return layers.GaussianNoise(amount, **kwargs)

    @pytest.mark.parametrize("stddev", [0.01, 0.3, 1.0])
    def test_statistics(self, stddev):
        layer = self.layer(stddev, seed=1)
        x = np.zeros((20, 100, 100), "f")
        first, second = (layer(x, training=True) for _ in range(2))
        assert_normal(first, 0.0, stddev)
        assert_normal(second, 0.0, stddev)
        assert abs(correlation(first, second)) < 5 / np.sqrt(x.size)

    def test_noise_is_added(self):
        x = self.x()
        found = self.layer(0.3, seed=1)(x, training=True)
        noise = self.layer(0.3, seed=1)(np.zeros_like(x), training=True)
        np.testing.assert_array_equal(found, x + noise)

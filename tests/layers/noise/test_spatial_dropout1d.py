"""SpatialDropout1D: dropout of whole features."""

import numpy as np
import pytest
from noise_tests import NoiseTests

import fastseq


class TestSpatialDropout1D(NoiseTests):
    @staticmethod
    def make(layers, amount, **kwargs):
        return layers.SpatialDropout1D(amount, **kwargs)

    def test_whole_features(self):
        rate = 0.3
        x = np.ones((100, 20, 300), "f")
        found = self.layer(rate, seed=1)(x, training=True)
        np.testing.assert_array_equal(found, np.repeat(found[:, :1], 20, axis=1))
        kept = found[:, 0] != 0
        np.testing.assert_array_equal(found[:, 0][kept], np.float32(1 / (1 - rate)))
        assert abs(kept.mean() - (1 - rate)) < 5 * np.sqrt(rate * (1 - rate) / kept.size)

    def test_rank(self):
        with pytest.raises(ValueError, match=r"spatial_dropout1d.*ndim=3"):
            self.layer()(np.ones((2, 3)))

    def test_training_takes_floats_only(self):
        with pytest.raises(ValueError, match="floating point"):
            self.layer()(np.ones((2, 3, 4), int), training=True)

    def test_noise_shape_is_its_own(self):
        with pytest.raises(ValueError, match="noise_shape"):
            fastseq.layers.SpatialDropout1D(0.5, noise_shape=(None, 1, None))

    def test_config_of_keras_2(self):
        config = {"name": "s", "trainable": True, "dtype": "float32", "rate": 0.2, "noise_shape": None, "seed": None}
        assert fastseq.layers.SpatialDropout1D.from_config(config).rate == 0.2

"""Dropout: the identity at inference, and the statistics of what it drops."""

import numpy as np
import pytest
from noise_tests import NoiseTests, correlation

import fastseq


class TestDropout(NoiseTests):
    @staticmethod
    def make(layers, amount, **kwargs):
        return layers.Dropout(amount, **kwargs)

    @pytest.mark.parametrize("rate", [0.05, 0.5, 0.9])
    def test_statistics(self, rate):
        x = np.abs(self.x((20, 100, 100))) + 0.5
        layer = self.layer(rate, seed=1)
        first, second = (layer(x, training=True) for _ in range(2))
        n = x.size
        for found in (first, second):
            kept = found != 0
            # What is kept is scaled, exactly: x times the float32 nearest to 1 / (1 - rate).
            np.testing.assert_array_equal(found[kept], (x * np.float32(1 / (1 - rate)))[kept])
            spread = np.sqrt(rate * (1 - rate) / n)
            assert abs(kept.mean() - (1 - rate)) < 5 * spread
            assert np.max(np.abs(kept.mean(axis=(0, 1)) - (1 - rate))) < 5.5 * spread * 10
            flat = kept.ravel()
            for lag in (1, 2, 100, 10_000):
                assert abs(correlation(flat[:-lag], flat[lag:])) < 5 / np.sqrt(n)
        assert abs(correlation(first != 0, second != 0)) < 5 / np.sqrt(n)
        other = self.layer(rate, seed=2)(x, training=True)
        assert abs(correlation(first != 0, other != 0)) < 5 / np.sqrt(n)

    @pytest.mark.parametrize(
        "noise_shape, constant",
        [((None, 1, None), (1,)), ((1, 50, 1), (0, 2)), ([None, None, 1], (2,)), ((1, 100), (0, 1))],
    )
    def test_noise_shape(self, noise_shape, constant):
        """Along the axes of size 1 (and those left out), everything is dropped together."""
        x = np.ones((8, 50, 100), "f")
        kept = self.layer(0.5, noise_shape=noise_shape, seed=1)(x, training=True) != 0
        for axis in constant:
            assert np.all(kept == kept.take([0], axis))
        assert 0.3 < kept.mean() < 0.7

    def test_noise_shape_in_the_config(self):
        assert self.layer(noise_shape=[None, 1]).get_config()["noise_shape"] == (None, 1)

    @pytest.mark.parametrize("noise_shape", [(3, 1, None), (None, 1), (1, 1, 1, 1)])
    def test_noise_shape_that_does_not_broadcast(self, noise_shape):
        with pytest.raises(ValueError, match=r"dropout.*noise_shape"):
            self.layer(noise_shape=noise_shape)(np.ones((2, 3, 4)), training=True)

    @pytest.mark.parametrize("noise_shape", ["1", 3, (0, 1), (1.0,), (-1,)])
    def test_noise_shape_must_be_sizes(self, noise_shape):
        with pytest.raises(ValueError, match="noise_shape"):
            self.layer(noise_shape=noise_shape)

    def test_everything_dropped(self):
        found = self.layer(1.0)(np.array([[1.0, np.inf, np.nan]]), training=True)
        np.testing.assert_array_equal(found, [[0, 0, 0]])

    def test_dropped_infinities_are_zero(self):
        found = self.layer(0.5, seed=1)(np.full((10, 100), np.inf), training=True)
        assert set(np.unique(found)) == {0.0, np.inf}

    def test_many_threads_share_one_stream(self):
        """Calls from several threads draw different numbers: the count of draws is shared and atomic."""
        from concurrent.futures import ThreadPoolExecutor

        layer = self.layer(0.5, seed=1)
        x = np.ones((4, 64), "f")
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: layer(x, training=True).tobytes(), range(200)))
        assert len(set(found)) == 200


def test_rate_is_required():
    with pytest.raises(TypeError):
        fastseq.layers.Dropout()

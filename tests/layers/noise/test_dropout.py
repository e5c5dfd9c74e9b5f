"""Dropout: the identity at inference, and the statistics of what it drops."""

import random

import numpy as np
import pytest
from noise_tests import NoiseTests, correlation

import fastseq
from fastseq.tensors.seeds import first_number


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


class Look(fastseq.losses.Loss):
    """Sees the predictions; `fails` where it is to raise."""

    def __init__(self):
        super().__init__()
        self.seen, self.fails = [], False

    def call_with_pullback(self, y_true, y_pred):
        if self.fails:
            raise RuntimeError("no loss today")
        self.seen.append(y_pred.copy())
        return np.zeros(len(y_pred), "f"), lambda upstream: np.zeros_like(y_pred)


@pytest.mark.parametrize("kind", ["dropout", "in a cell"])
def test_a_training_step_draws_what_calls_draw_and_nothing_where_it_fails(kind):
    """A layer that stands twice in a model draws twice in a step; a step that fails is as none."""

    def make():
        if kind == "dropout":
            return fastseq.layers.Dropout(0.5, seed=3)
        options = {"kernel_initializer": "ones", "recurrent_initializer": "ones", "use_bias": False}
        return fastseq.layers.SimpleRNN(6, dropout=0.5, recurrent_dropout=0.5, seed=3, **options)

    layer, twin, loss = make(), make(), Look()
    inputs = fastseq.Input((4, 6))
    dense = fastseq.layers.Dense(6, kernel_initializer="identity")(inputs)
    model = fastseq.Model(inputs, [layer(dense), layer(dense)])
    model.compile(fastseq.optimizers.SGD(0.0), [loss, loss])
    x = np.random.default_rng(0).standard_normal((2, 4, 6)).astype("f")
    y = [np.zeros(2, "f")] * 2
    for step in range(1, 4):
        loss.fails = True
        before = layer._random_state.copy()
        with pytest.raises(RuntimeError, match="no loss"):
            model.train_on_batch(x, y)
        np.testing.assert_array_equal(layer._random_state, before)
        loss.fails = False
        model.train_on_batch(x, y)
        assert len(loss.seen) == 2 * step
        drawn = {twin(x, training=True).tobytes() for _ in range(2)}
        assert {found.tobytes() for found in loss.seen[-2:]} == drawn and len(drawn) == 2
        np.testing.assert_array_equal(layer._random_state, twin._random_state)


def test_where_random_numbers_start():
    """Where NumPy's default_rng begins, without numpy.random: layers of one seed go on as they did."""
    rng = random.Random(0)
    seeds = [0, 1, 2**32 - 1, 2**32, 2**63, 2**64 - 1, *(rng.randrange(2 ** rng.randrange(1, 65)) for _ in range(2000))]
    for seed in [*seeds, np.int64(7), 2**64, 2**200]:
        assert first_number(seed) == np.random.default_rng(seed).integers(2**32, dtype=np.uint32), seed
    for seed in (-1, 0.5):
        with pytest.raises((TypeError, ValueError)):
            first_number(seed)

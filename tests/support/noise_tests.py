"""What every layer of random noise must do; test_dropout.py and the other noise layers' tests fill in the layer."""

import json

import numpy as np
import pytest
from layer_check import normal
from mask_check import check_masked

import fastseq


class NoiseTests:
    """Subclasses set `make`, a function of (layers, amount, **kwargs), `argument` and `amount`."""

    argument = "rate"
    amount = 0.3

    @staticmethod
    def make(layers, amount, **kwargs):
        raise NotImplementedError

    def layer(self, amount=None, **kwargs):
        return type(self).make(fastseq.layers, self.amount if amount is None else amount, **kwargs)

    def x(self, shape=(8, 50, 100)):
        return np.random.default_rng(1).standard_normal(shape).astype("f")

    @pytest.mark.tensorflow
    def test_inference_and_config_as_keras(self):
        keras = pytest.importorskip("keras")
        x = self.x((2, 3, 4))
        theirs, ours = (type(self).make(layers, self.amount, seed=3) for layers in (keras.layers, fastseq.layers))
        np.testing.assert_array_equal(ours(x), np.asarray(theirs(x)))
        assert normal(ours.get_config()) == normal(theirs.get_config())
        assert ours.get_config()["seed"] == theirs.get_config()["seed"] == 3
        assert tuple(ours.compute_output_shape((None, 3, 4))) == tuple(theirs.compute_output_shape((None, 3, 4)))
        type(theirs).from_config(json.loads(json.dumps(ours.get_config())))

    @pytest.mark.tensorflow
    def test_mask_passes(self):
        make = type(self).make
        check_masked(lambda layers: make(layers, self.amount), self.x((2, 3, 4)), np.array([[1, 0, 1], [0, 0, 1]]) > 0)

    def test_mask_passes_in_training(self):
        mask = np.array([[True, False, True]] * 2)
        masking = fastseq.layers.Masking()
        x = np.where(mask[..., None], self.x((2, 3, 4)), 0)
        found = self.layer()(masking(x), training=True)
        np.testing.assert_array_equal(found._keras_mask, mask)

    @pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "bool"])
    def test_inference_is_the_identity(self, dtype):
        x = (10 * self.x((3, 4, 5))).astype(dtype)
        for kwargs in ({}, {"training": False}, {"training": None}):
            found = self.layer()(x, **kwargs)
            assert found.dtype == np.result_type(np.float32 if x.dtype.kind == "f" else x.dtype)
            np.testing.assert_array_equal(found, x.astype(found.dtype))

    def test_no_noise(self):
        x = self.x((2, 3, 4))
        np.testing.assert_array_equal(self.layer(0.0)(x, training=True), x)

    def test_seed(self):
        """One seed, one stream: alike in two layers, call after call; other calls and seeds draw others."""
        x = self.x()
        one, two, other = self.layer(seed=7), self.layer(seed=7), self.layer(seed=8)
        first, second = one(x, training=True), one(x, training=True)
        np.testing.assert_array_equal(first, two(x, training=True))
        np.testing.assert_array_equal(second, two(x, training=True))
        assert not np.array_equal(first, second)
        assert not np.array_equal(first, other(x, training=True))
        assert not np.array_equal(self.layer()(x, training=True), self.layer()(x, training=True))
        assert one.get_config()["seed"] == 7

    def test_from_config_repeats(self):
        layer = self.layer(seed=11)
        again = type(layer).from_config(json.loads(json.dumps(layer.get_config())))
        np.testing.assert_array_equal(again(self.x(), training=True), layer(self.x(), training=True))

    def test_in_a_model(self):
        x = self.x((4, 5, 6))
        layer = self.layer(seed=5)
        model = fastseq.Sequential([fastseq.Input((5, 6)), layer])
        np.testing.assert_array_equal(model(x), x)
        np.testing.assert_array_equal(model.predict(x, verbose=0), x)
        np.testing.assert_array_equal(model(x, training=True), self.layer(seed=5)(x, training=True))

    def test_inside_a_python_layer(self):
        """The outer call's training reaches a layer that call() uses, now and when it changes."""

        class Outer(fastseq.layers.Layer):
            def __init__(self, inner):
                super().__init__()
                self.inner = inner

            def call(self, inputs, training=False):
                return self.inner(inputs)

        x = self.x((4, 5, 6))
        outer = Outer(self.layer(seed=5))
        for _ in range(2):
            np.testing.assert_array_equal(outer(x), x)
            assert not np.array_equal(outer(x, training=True), x)

    def test_training_takes_floats_only(self):
        with pytest.raises(ValueError, match="floating point"):
            self.layer()(np.ones((2, 3), int), training=True)

    @pytest.mark.parametrize("amount", [-0.1, 1.1])
    def test_amount_out_of_range(self, amount):
        with pytest.raises(ValueError, match=self.argument):
            self.layer(amount)

    @pytest.mark.parametrize("seed", ["7", 1.5, True])
    def test_seed_must_be_an_integer(self, seed):
        with pytest.raises(ValueError, match="seed"):
            self.layer(seed=seed)

    def test_symbolic_dtype(self):
        found = self.layer()(fastseq.Input((3, 4), dtype="int32"))
        assert (found.shape, found.dtype) == ((None, 3, 4), "int32")

    def test_empty_batch(self):
        assert self.layer()(np.zeros((0, 3, 4)), training=True).shape == (0, 3, 4)


def correlation(a, b):
    return np.corrcoef(np.ravel(a), np.ravel(b))[0, 1]


def assert_normal(sample, mean, deviation):
    """`sample` looks like independent draws of a normal distribution: moments, tails, neighbours. 5 sigma each."""
    n = sample.size
    z = (np.asarray(sample, np.float64) - mean) / deviation
    assert abs(z.mean()) < 5 / np.sqrt(n)
    assert abs(z.var() - 1) < 5 * np.sqrt(2 / n)
    assert abs((z**3).mean()) < 5 * np.sqrt(15 / n)
    assert abs((z**4).mean() - 3) < 5 * np.sqrt(96 / n)
    for edge, share in ((1, 0.317311), (2, 0.045500), (3, 0.0026998)):
        assert abs((abs(z) > edge).mean() - share) < 5 * np.sqrt(share / n)
    flat = z.ravel()
    for lag in (1, 2, sample.shape[-1]):
        assert abs(correlation(flat[:-lag], flat[lag:])) < 5 / np.sqrt(n)

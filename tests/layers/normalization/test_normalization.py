"""Normalization: `adapt` beside Keras and NumPy, files, and what the row of the layer cannot say."""

import numpy as np
import pytest

import fastseq
from fastseq import layers

X = 3 * np.random.default_rng(0).standard_normal((7, 5, 4)).astype("f") + 2


@pytest.mark.tensorflow
@pytest.mark.parametrize("axis", [-1, None, 1, (1, 2), (-1, 1), [2]], ids=str)
@pytest.mark.parametrize("invert", [False, True])
def test_adapted_as_in_keras(axis, invert, tmp_path):
    keras = pytest.importorskip("keras")
    ours, theirs = (library.layers.Normalization(axis, invert=invert) for library in (fastseq, keras))
    for layer in (ours, theirs):
        layer.adapt(X)
    np.testing.assert_allclose(ours(X), np.asarray(theirs(X)), rtol=1e-5, atol=2e-6)
    np.testing.assert_allclose(ours.mean, np.asarray(theirs.mean), rtol=1e-5)
    np.testing.assert_allclose(ours.variance, np.asarray(theirs.variance), rtol=1e-5)
    assert ours.get_config() | {"dtype": 0, "name": 0} == theirs.get_config() | {"dtype": 0, "name": 0}
    model = keras.Sequential([keras.Input(X.shape[1:]), theirs])
    for ending in ("keras", "h5"):
        model.save(tmp_path / f"theirs.{ending}")
        loaded = fastseq.load_model(tmp_path / f"theirs.{ending}")
        np.testing.assert_allclose(loaded(X), np.asarray(model(X)), rtol=1e-5, atol=2e-6)
        loaded.save(tmp_path / f"ours.{ending}")
        again = keras.models.load_model(tmp_path / f"ours.{ending}")
        again.layers[-1].finalize_state()
        np.testing.assert_allclose(np.asarray(again(X)), np.asarray(model(X)), rtol=1e-5, atol=2e-6)


@pytest.mark.tensorflow
def test_given_values_broadcast_as_in_keras():
    keras = pytest.importorskip("keras")
    for axis, mean in (((1, 2), np.arange(4.0)), ((1, 2), np.arange(20.0).reshape(5, 4)), (1, 2.0), ((1, 2), [[1.0]])):
        variance = np.square(np.asarray(mean)) + 1
        ours, theirs = (k.layers.Normalization(axis, mean=mean, variance=variance) for k in (fastseq, keras))
        np.testing.assert_allclose(ours(X), np.asarray(theirs(X)), rtol=1e-5, atol=1e-6)


def test_batches_give_what_the_whole_gives():
    whole, parts, pairs = layers.Normalization(), layers.Normalization(), layers.Normalization()
    whole.adapt(X)
    parts.adapt(X[start : start + 3] for start in range(0, 9, 3))
    pairs.adapt([(X[:2], None), (X[2:], None)])
    for layer in (parts, pairs):
        np.testing.assert_allclose(layer.mean, whole.mean, rtol=1e-6)
        np.testing.assert_allclose(layer.variance, whole.variance, rtol=1e-6)
    np.testing.assert_allclose(whole.mean[0, 0], X.mean((0, 1), dtype="f8"), rtol=1e-6)


def test_a_large_mean_leaves_the_variance():
    """Sums of squares in float32 would leave nothing of it."""
    layer = layers.Normalization()
    layer.adapt([1e6 + X[..., :1].astype("f8"), 1e6 + X[..., 1:2].astype("f8")])
    wanted = X[..., :2].astype("f8").var()
    np.testing.assert_allclose(layer.variance.ravel(), wanted, rtol=1e-6)


def test_adapting_anew_takes_the_place_of_what_was():
    layer = layers.Normalization()
    model = fastseq.Sequential([fastseq.Input((5, 4)), layer])
    before = model(X)
    layer.adapt(X)
    first = model(X)
    layer.adapt(2 * X)
    assert not np.array_equal(before, first) and not np.array_equal(model(X), first)
    np.testing.assert_allclose(model(2 * X), first, rtol=1e-5, atol=1e-6)


def test_weights_that_are_set_count_at_once():
    layer = layers.Normalization()
    layer.build((None, 2))
    layer.set_weights([[1.0, 2.0], [4.0, 9.0], 0.0])
    layer.finalize_state()
    np.testing.assert_array_equal(layer(np.array([[3.0, 5.0]])), [[1.0, 1.0]])


def test_data_that_does_not_fit():
    layer = layers.Normalization()
    layer.adapt(X)
    with pytest.raises(ValueError, match="was built for inputs of shape"):
        layer.adapt(X[..., :3])
    with pytest.raises(TypeError, match="batches that are arrays, got one of type list"):
        layer.adapt([[1.0, 2.0]])
    with pytest.raises(TypeError, match="adapts to an array or to batches, got str"):
        layer.adapt("abc")
    np.testing.assert_allclose(layer.mean[0, 0], X.mean((0, 1)), rtol=1e-5)

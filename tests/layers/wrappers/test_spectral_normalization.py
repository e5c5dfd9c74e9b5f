"""SpectralNormalization beside Keras: calls in training, `fit`, files; and what a failed call leaves."""

import numpy as np
import pytest
from layer_check import weights_for

import fastseq
from fastseq import layers

X = np.random.default_rng(0).standard_normal((4, 5, 6)).astype("f")


def of_dense(library, **options):
    return library.layers.SpectralNormalization(library.layers.Dense(3), **options)


@pytest.mark.tensorflow
@pytest.mark.parametrize("options", [{}, {"power_iterations": 3}], ids=str)
def test_calls_as_in_keras(options):
    keras = pytest.importorskip("keras")
    ours, theirs = of_dense(fastseq, **options), of_dense(keras, **options)
    for layer in (ours, theirs):
        layer.build(X.shape)
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    assert [w.name for w in ours.trainable_weights] == [w.name for w in theirs.trainable_weights]
    ours.set_weights(weights_for(ours.weights))
    theirs.set_weights(ours.get_weights())
    np.testing.assert_allclose(ours(X), np.asarray(theirs(X)), rtol=1e-5, atol=1e-6)
    for _ in range(3):
        np.testing.assert_allclose(ours(X, training=True), np.asarray(theirs(X, training=True)), rtol=1e-5, atol=1e-6)
        for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ours(X), np.asarray(theirs(X)), rtol=1e-5, atol=1e-6)


@pytest.mark.tensorflow
def test_fit_as_in_keras(keras_runs_eagerly):
    keras, results = pytest.importorskip("keras"), []
    y = np.random.default_rng(1).standard_normal((4, 5, 2)).astype("f")
    for library in (fastseq, keras):
        start = library.Input(X.shape[1:])
        model = library.Model(start, library.layers.Dense(2)(of_dense(library)(start)))
        model.set_weights(weights_for(model.weights))
        model.compile(library.optimizers.SGD(0.05), "mse")
        history = model.fit(X, y, batch_size=2, epochs=2, shuffle=False, verbose=0).history["loss"]
        results.append([*model.get_weights(), history, model.predict(X, verbose=0)])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-5)


@pytest.mark.tensorflow
@pytest.mark.parametrize("ending", ["keras", "h5", "weights.h5"])
def test_files_both_ways(ending, tmp_path):
    keras = pytest.importorskip("keras")

    def model_of(library):
        return library.Sequential([library.Input(X.shape[1:]), of_dense(library)])

    ours, theirs = model_of(fastseq), model_of(keras)
    theirs.set_weights(weights_for(theirs.weights))
    whole = ending != "weights.h5"
    (theirs.save if whole else theirs.save_weights)(str(tmp_path / f"theirs.{ending}"))
    if whole:
        ours = fastseq.load_model(tmp_path / f"theirs.{ending}")
        ours.save(tmp_path / f"ours.{ending}")
        again = keras.models.load_model(tmp_path / f"ours.{ending}")
    else:
        ours.load_weights(tmp_path / f"theirs.{ending}")
        ours.save_weights(tmp_path / f"ours.{ending}")
        again = model_of(keras)
        again.load_weights(tmp_path / f"ours.{ending}")
    for one, two, three in zip(theirs.get_weights(), ours.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(one, three)


# ---- without Keras ---------------------------------------------------------------------------------------------------


def test_the_singular_value_becomes_one():
    layer = of_dense(fastseq, power_iterations=50)
    layer(X, training=True)
    assert abs(np.linalg.norm(layer.layer.kernel.numpy(), 2) - 1) < 1e-5


def test_a_kernel_of_zeros_stays():
    layer = layers.SpectralNormalization(layers.Dense(3, kernel_initializer="zeros"))
    layer.build(X.shape)
    before = layer.get_weights()
    assert not layer(X, training=True).any()
    for one, other in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_embedding():
    layer = layers.SpectralNormalization(layers.Embedding(9, 4))
    ids = np.array([[1, 8, 3]])
    y = layer(ids, training=True)
    np.testing.assert_array_equal(y, layer.layer.embeddings.numpy()[ids])
    np.testing.assert_array_equal(layer(ids), y)


def test_a_call_that_fails_leaves_the_weights():
    class Fails(layers.Layer):
        traced = False

        def call(self, x):
            if self.now and x.any():
                raise RuntimeError("no")
            return x

    fails = Fails()
    fails.now = False
    model = fastseq.Sequential([fastseq.Input(X.shape[1:]), of_dense(fastseq), fails])
    model(X, training=True)
    fails.now, before = True, model.get_weights()
    with pytest.raises(RuntimeError, match="no"):
        model(X, training=True)
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)

"""BatchNormalization: the batch's statistics and the moving ones, beside Keras; when they change and when not."""

import copy
import pickle

import numpy as np
import pytest
from layer_check import assert_as_close_as, weights_for

import fastseq
from fastseq import layers
from fastseq.layers.normalization.batch_normalization import reference_batch_normalization
from fastseq.native import runtime
from fastseq.tensors import arrays

X = 2 * np.random.default_rng(0).standard_normal((4, 5, 6)).astype("f") + 1
MASK = np.array([[1, 1, 0, 0, 1], [0, 1, 1, 0, 0], [1] * 5, [0] * 5], bool)
OPTIONS = {
    "plain": {}, "momentum": {"momentum": 0.3, "epsilon": 1e-5}, "axis": {"axis": 1, "momentum": 0.5},
    "bare": {"center": False, "scale": False}, "renorm": {"renorm": True, "renorm_momentum": 0.8, "momentum": 0.6},
    "clipped": {"renorm": True, "renorm_clipping": {"rmax": 1.5, "rmin": 0.7, "dmax": 0.5}, "scale": False},
    "limits apart": {"renorm": True, "renorm_clipping": {"dmax": 0.1}, "center": False},
}  # fmt: skip


def built(library, options, weights):
    layer = library.layers.BatchNormalization(**options)
    layer.build((None, *X.shape[1:]))
    layer.set_weights(weights)
    return layer


def weights_of(options):
    layer = layers.BatchNormalization(**options)
    layer.build((None, *X.shape[1:]))
    return weights_for(layer.weights)


@pytest.mark.tensorflow
@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "masked"])
@pytest.mark.parametrize("name", OPTIONS)
def test_calls_in_training(name, mask):
    """Three calls: what they give, and the moving statistics behind them."""
    keras = pytest.importorskip("keras")
    options, weights = OPTIONS[name], weights_of(OPTIONS[name])
    found, expected, truth = [], [], []
    ours, theirs = (built(library, options, weights) for library in (fastseq, keras))
    double = built(keras, {**options, "dtype": "float64"}, weights)
    for factor in (1, 2, -1):
        found.append(ours(factor * X, training=True, mask=mask))
        expected.append(np.asarray(theirs(factor * X, training=True, mask=mask)))
        truth.append(np.asarray(double(factor * X.astype("f8"), training=True, mask=mask)))
    for results in zip(found, expected, truth):
        assert_as_close_as(*results)
    # All of them as one array: of six numbers alone Keras is exact by luck now and then.
    assert_as_close_as(*(np.concatenate(layer.get_weights()) for layer in (ours, theirs, double)))
    np.testing.assert_array_equal([v.name for v in ours.weights], [v.name for v in theirs.weights])
    assert_as_close_as(ours(X), np.asarray(theirs(X)), np.asarray(double(X.astype("f8"))))


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["plain", "axis", "renorm", "clipped"])
def test_fit(name, keras_runs_eagerly):
    """Three steps of SGD leave Keras's weights and statistics."""
    keras = pytest.importorskip("keras")
    results = []
    y = np.random.default_rng(1).standard_normal((4, 5, 2)).astype("f")
    for library in (fastseq, keras):
        layer = library.layers.BatchNormalization(**OPTIONS[name])
        model = library.Sequential(
            [library.Input(X.shape[1:]), library.layers.Dense(6), layer, library.layers.Dense(2)]
        )
        model.set_weights(weights_for(fastseq_model(name).weights))
        model.compile(library.optimizers.SGD(0.002), "mse")
        history = model.fit(X, y, batch_size=2, epochs=2, shuffle=False, verbose=0).history["loss"]
        results.append([*model.get_weights(), history, model.predict(X, verbose=0)])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-5)


def fastseq_model(name):
    dense = [layers.Dense(6), layers.BatchNormalization(**OPTIONS[name]), layers.Dense(2)]
    return fastseq.Sequential([fastseq.Input(X.shape[1:]), *dense])


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["renorm", "clipped", "limits apart"])
def test_renorm_gradients(name):
    """As those of GradientTape: none goes through the correction."""
    keras = pytest.importorskip("keras")
    import tensorflow as tf

    from fastseq.training.program import gradients_of

    y, found = np.ones((4, 5, 2), "f"), []
    ours = fastseq_model(name)
    ours.set_weights(weights_for(ours.weights))
    for dtype in ("float32", "float64"):
        inner = [keras.layers.Dense(6, dtype=dtype), keras.layers.BatchNormalization(dtype=dtype, **OPTIONS[name])]
        model = keras.Sequential([keras.Input(X.shape[1:], dtype=dtype), *inner, keras.layers.Dense(2, dtype=dtype)])
        model.set_weights(ours.get_weights())
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(X.astype(dtype), training=True) - y.astype(dtype)))
        found.append([np.asarray(part) for part in tape.gradient(loss, model.trainable_weights)])
    for gradients in zip(gradients_of(ours, X, y, "mse")[1], *found, strict=True):
        assert_as_close_as(*gradients)


@pytest.mark.tensorflow
def test_a_timestep_at_a_time_as_in_keras():
    """TimeDistributed calls it for each timestep, with that timestep's statistics."""
    keras = pytest.importorskip("keras")
    results = []
    for library in (fastseq, keras):
        layer = library.layers.TimeDistributed(library.layers.BatchNormalization(momentum=0.5))
        calls = [np.asarray(layer(X, training=True)), np.asarray(layer(X))]
        results.append([*calls, *(np.asarray(weight) for weight in layer.get_weights())])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


# ---- without Keras ---------------------------------------------------------------------------------------------------


def test_training_by_the_twin():
    layer = layers.BatchNormalization(momentum=0.5)
    found = layer(X, training=True)
    mean, variance = X.mean((0, 1), dtype="f8"), X.var((0, 1), dtype="f8")
    np.testing.assert_allclose(found, reference_batch_normalization(X, mean=mean, variance=variance), atol=3e-6)
    np.testing.assert_allclose(layer.moving_mean.numpy(), 0.5 * mean, rtol=1e-6)
    np.testing.assert_allclose(layer.moving_variance.numpy(), 0.5 + 0.5 * variance, rtol=1e-6)


@pytest.mark.parametrize("shape", [(1, 3), (31, 5), (32, 64), (33, 70), (7, 100, 130)], ids=str)
def test_a_large_mean_leaves_the_variance(shape):
    x = np.random.default_rng(1).standard_normal(shape).astype("f") + 3000
    layer = layers.BatchNormalization(momentum=0.0)
    layer(x, training=True)
    axes = tuple(range(x.ndim - 1))
    np.testing.assert_allclose(layer.moving_mean.numpy(), x.mean(axes, dtype="f8"), rtol=1e-7)
    np.testing.assert_allclose(layer.moving_variance.numpy(), x.var(axes, dtype="f8"), rtol=2e-6, atol=1e-9)


def test_programs_that_were_made_before_see_the_statistics_move():
    model = fastseq_model("momentum")
    layer, stream = model.layers[1], model.stream(4)
    before, first = model(X), stream.step(X[:, 0])
    np.testing.assert_array_equal(first, before[:, 0])
    model(3 * X, training=True)
    after = model(X)
    assert not np.array_equal(before, after)
    stream.reset()
    np.testing.assert_array_equal(stream.step(X[:, 0]), after[:, 0])
    layer.moving_mean.assign(np.zeros(6))
    layer.moving_variance.assign(np.ones(6))
    np.testing.assert_array_equal(model(X), before)
    model(3 * X, training=True)
    np.testing.assert_array_equal(model(X), after)


def test_a_frozen_layer_goes_by_its_moving_statistics_and_keeps_them():
    model = fastseq_model("plain")
    model.compile("sgd", "mse")
    model.layers[1].trainable = False
    before = model.get_weights()
    np.testing.assert_array_equal(model(X, training=True), model(X))
    model.fit(X, np.ones((4, 5, 2)), epochs=2, verbose=0)
    after = model.get_weights()
    for number in range(2, 6):  # gamma, beta and the moving statistics
        np.testing.assert_array_equal(after[number], before[number])
    model.layers[1].trainable = True
    model.compile("sgd", "mse")
    model.fit(X, np.ones((4, 5, 2)), verbose=0)
    assert not np.array_equal(model.get_weights()[4], before[4])


def test_evaluate_and_predict_leave_them():
    model = fastseq_model("plain")
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.evaluate(X, np.ones((4, 5, 2)), verbose=0)
    model.predict(X, verbose=0)
    model(X, training=False)
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_call_that_fails_leaves_them():
    class Fails(layers.Layer):
        traced = False

        def call(self, x):
            if x.shape[0] == 4 and self.now:
                raise RuntimeError("no")
            return x

    fails = Fails()
    fails.now = False
    model = fastseq.Sequential([fastseq.Input(X.shape[1:]), layers.BatchNormalization(momentum=0.5), fails])
    model(X, training=True)
    fails.now, before = True, model.get_weights()
    with pytest.raises(RuntimeError, match="no"):
        model(X, training=True)
    with pytest.raises(RuntimeError, match="no"):
        model.predict_on_batch(X)
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)
    fails.now = False
    model(X, training=True)
    assert not np.array_equal(model.get_weights()[2], before[2])


@pytest.mark.parametrize("make", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_move_apart(make):
    model = fastseq_model("momentum")
    model(X, training=True)
    other = make(model)
    before, moved = other.get_weights(), model(X)
    np.testing.assert_array_equal(other(X), moved)
    other(5 * X, training=True)
    np.testing.assert_array_equal(model(X), moved)
    assert not np.array_equal(other.get_weights()[4], before[4])


def test_the_array_that_was_given_stays():
    given = np.zeros(6, np.float32)
    layer = layers.BatchNormalization()
    layer.build((None, 5, 6))
    layer.moving_mean.assign(given, copy=False)
    layer(X, training=True)
    assert not given.any() and layer.moving_mean.numpy().all()


def test_called_twice_in_one_program_it_moves_twice():
    layer, start = layers.BatchNormalization(momentum=0.5), fastseq.Input(X.shape[1:])
    model = fastseq.Model(start, layer(layer(start)))
    model(X, training=True)
    once = layers.BatchNormalization(momentum=0.5)
    once(once(X, training=True), training=True)
    for one, other in zip(layer.get_weights(), once.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_training_has_the_same_bits_on_any_threads_and_instruction_set():
    x = np.random.default_rng(3).standard_normal((64, 100, 37)).astype("f")
    results = []
    for threads in (1, 2, 3):
        for isa in (name for name in runtime.available_isas() if name != "scalar"):
            runtime.force_isa(isa)
            try:
                with runtime.num_threads(threads):
                    layer = layers.BatchNormalization()
                    results.append([layer(x, training=True), *layer.get_weights()])
            finally:
                runtime.force_isa("")
    for result in results[1:]:
        for one, other in zip(results[0], result, strict=True):
            np.testing.assert_array_equal(one, other)


def test_an_attached_mask_counts():
    layer, other = layers.BatchNormalization(), layers.BatchNormalization()
    y = layer(arrays.with_mask(X, MASK), training=True)
    np.testing.assert_array_equal(other(X, training=True, mask=MASK), y)
    np.testing.assert_array_equal(arrays.mask_of(y), MASK)
    np.testing.assert_allclose(layer.moving_mean.numpy(), 0.01 * X[MASK].mean(0), rtol=1e-5)


def test_the_axis_of_keras_2():
    assert layers.BatchNormalization(axis=[2], fused=True).get_config()["axis"] == 2

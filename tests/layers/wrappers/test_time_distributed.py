"""TimeDistributed against Keras, and the bits of the layer it wraps."""

import numpy as np
import pytest
from layer_check import check_layer, random_weights

import fastseq


@pytest.mark.tensorflow
@pytest.mark.parametrize("shape", [(2, 4, 3), (5, 1, 7), (2, 3, 4, 5)], ids=str)
def test_dense(shape, rng):
    x = rng.standard_normal(shape).astype("f")
    check_layer(lambda layers: layers.TimeDistributed(layers.Dense(6, activation="gelu")), x)


@pytest.mark.tensorflow
@pytest.mark.parametrize("inner", ["LSTM", "GRU", "SimpleRNN"])
def test_recurrent_layer_inside(inner, rng):
    x = rng.standard_normal((2, 3, 4, 5)).astype("f")
    check_layer(lambda layers: layers.TimeDistributed(getattr(layers, inner)(6, return_sequences=True)), x)


@pytest.mark.tensorflow
def test_nested(rng):
    x = rng.standard_normal((2, 3, 4, 5)).astype("f")
    check_layer(lambda layers: layers.TimeDistributed(layers.TimeDistributed(layers.Dense(3))), x)


@pytest.mark.tensorflow
def test_mask_reaches_a_layer_that_takes_one(rng):
    """A mask (B, T, T2) is taken apart as the inputs are; the recurrent layer inside gets (B, T2) for each timestep."""
    x = rng.standard_normal((2, 3, 4, 5)).astype("f")
    mask = rng.random((2, 3, 4)) < 0.6
    check_layer(lambda layers: layers.TimeDistributed(layers.GRU(6)), x, {"mask": mask}, masks=False)


@pytest.mark.tensorflow
@pytest.mark.parametrize("functional", [False, True])
def test_model_inside(functional, rng):
    keras = pytest.importorskip("keras")
    x = rng.standard_normal((2, 3, 4, 5)).astype("f")
    found = []
    for lib in (keras, fastseq):
        inner = [lib.layers.LSTM(6), lib.layers.Dense(3, activation="softmax")]
        if functional:
            inputs = lib.Input((None, 5))
            model = lib.Model(inputs, inner[1](inner[0](inputs)))
        else:
            model = lib.Sequential([lib.Input((None, 5)), *inner])
        outer = lib.Input((None, 4, 5))
        whole = lib.Model(outer, lib.layers.TimeDistributed(model)(outer))
        if found:
            whole.set_weights(found[0][0].get_weights())
        found.append((whole, np.asarray(whole(x))))
    np.testing.assert_allclose(found[1][1], found[0][1], atol=1e-6)
    assert found[1][0].output_shape == (None, None, 3)
    assert found[1][0](x[:, :1]).shape == (2, 1, 3)


@pytest.mark.tensorflow
def test_mask_passes_through(rng):
    keras = pytest.importorskip("keras")
    x = rng.standard_normal((2, 4, 3)).astype("f")
    x[1, 2:] = 0
    found = []
    for lib in (keras, fastseq):
        layer = lib.layers.TimeDistributed(lib.layers.Dense(2))
        found.append(layer(lib.layers.Masking()(x)))
    np.testing.assert_array_equal(found[1]._keras_mask, np.asarray(found[0]._keras_mask))


@pytest.mark.tensorflow
def test_stateful_layer_inside_goes_step_by_step(rng):
    keras = pytest.importorskip("keras")
    x = rng.standard_normal((2, 3, 4, 5)).astype("f")
    pair = [lib.layers.TimeDistributed(lib.layers.LSTM(6, stateful=True)) for lib in (keras, fastseq)]
    for layer in pair:
        layer(x)
    pair[1].set_weights(pair[0].get_weights())
    for layer in pair:
        layer.layer.reset_state()
    for _ in range(2):
        np.testing.assert_allclose(pair[1](x), pair[0](x), atol=1e-6)


@pytest.mark.parametrize("units", [1, 6, 16, 70])
@pytest.mark.parametrize("shape", [(2, 4, 3), (64, 15, 16), (1, 1, 40)], ids=str)
def test_has_the_bits_and_parameters_of_dense(shape, units, rng):
    x = rng.standard_normal(shape).astype("f")
    dense, wrapped = fastseq.layers.Dense(units), fastseq.layers.TimeDistributed(fastseq.layers.Dense(units))
    dense(x), wrapped(x)
    weights = random_weights([v.shape for v in dense.weights])
    dense.set_weights(weights)
    wrapped.set_weights(weights)
    assert wrapped.count_params() == dense.count_params() == (shape[-1] + 1) * units
    np.testing.assert_array_equal(wrapped(x), dense(x))


def test_unknown_timesteps(rng):
    layer = fastseq.layers.TimeDistributed(fastseq.layers.Dense(3))
    assert layer.compute_output_shape((None, None, 5)) == (None, None, 3)
    for time in (1, 2, 9):
        assert layer(rng.standard_normal((2, time, 5))).shape == (2, time, 3)


def test_user_layer(rng):
    class Twice(fastseq.layers.Layer):
        def call(self, inputs):
            return 2 * inputs

    x = rng.standard_normal((2, 3, 4)).astype("f")
    np.testing.assert_array_equal(fastseq.layers.TimeDistributed(Twice())(x), 2 * x)


def test_bad_input(rng):
    layer = fastseq.layers.TimeDistributed(fastseq.layers.Dense(3))
    with pytest.raises(ValueError, match=rf"{layer.name}.*at least 3 dimensions.*\(2, 3\)"):
        layer(np.zeros((2, 3), "f"))
    with pytest.raises(ValueError, match=rf"{layer.name}.*at least one timestep"):
        layer(np.zeros((2, 0, 4), "f"))
    with pytest.raises(ValueError, match=rf"{layer.name}.*mask.*\(2, 4\)"):
        layer(np.zeros((2, 3, 4), "f"), mask=np.ones((2, 4), bool))
    with pytest.raises(ValueError, match="takes a layer"):
        fastseq.layers.TimeDistributed(np.tanh)
    assert layer(np.zeros((0, 3, 4), "f")).shape == (0, 3, 3)

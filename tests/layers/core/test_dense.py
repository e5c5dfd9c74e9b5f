"""Dense against Keras, its twin, and itself."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layer_check import check_layer, isa, random_weights
from recurrent_tests import ACTIVATIONS

import fastseq
from fastseq.layers.core.dense import reference_dense
from fastseq.native import runtime


@pytest.mark.tensorflow
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (7, 40), (5, 2, 9), (2, 3, 4, 5), (129, 33)], ids=str)
@pytest.mark.parametrize("units", [1, 8, 16, 65, 130])
def test_ranks_and_sizes(shape, units, rng):
    check_layer(lambda layers: layers.Dense(units), rng.standard_normal(shape).astype("f"))


@pytest.mark.tensorflow
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(activation, rng):
    x = rng.standard_normal((64, 3, 20)).astype("f")

    def truth(x, weights, call):
        return reference_dense(x.astype("f8"), *(w.astype("f8") for w in weights), activation=activation)

    check_layer(lambda layers: layers.Dense(19, activation=activation), x, truth=truth)


@pytest.mark.tensorflow
def test_glu(rng):
    keras = pytest.importorskip("keras")
    x = rng.standard_normal((4, 5)).astype("f")
    theirs, ours = keras.layers.Dense(6, activation="glu"), fastseq.layers.Dense(6, activation="glu")
    theirs(x), ours(x)
    ours.set_weights(theirs.get_weights())
    np.testing.assert_allclose(ours(x), theirs(x), atol=1e-6)
    assert ours(x).shape == (4, 3)


@pytest.mark.tensorflow
def test_arguments(rng):
    x = rng.standard_normal((3, 4)).astype("f")
    check_layer(lambda layers: layers.Dense(5, use_bias=False), x)
    check_layer(
        lambda layers: layers.Dense(
            5, kernel_initializer="he_uniform", bias_initializer="ones", kernel_regularizer="l2", bias_regularizer="l2",
            activity_regularizer="l2", kernel_constraint="unit_norm", bias_constraint="non_neg",
        ),
        x,
    )  # fmt: skip


def test_edges_of_the_kernels(rng):
    """Row blocks of 6 and 3, groups of 4 panels of 16 units, blocks of 48 rows."""
    for rows, units in itertools.product((1, 2, 3, 5, 6, 7, 47, 48, 49, 97), (1, 15, 16, 17, 32, 48, 63, 64, 65, 128)):
        x = rng.standard_normal((rows, 11)).astype("f")
        layer = fastseq.layers.Dense(units, activation="tanh")
        layer.build(x.shape)
        layer.set_weights(random_weights([v.shape for v in layer.weights]))
        expected = reference_dense(x.astype("f8"), *layer.get_weights(), activation="tanh")
        bits = None
        for name in runtime.available_isas():
            with isa(name):
                found = layer(x)
            np.testing.assert_allclose(found, expected, atol=2e-6)
            if name != "scalar":
                bits = found if bits is None else bits
                np.testing.assert_array_equal(found, bits)


@given(st.integers(0, 70), st.integers(1, 40), st.integers(1, 140), st.integers(0, 2**32 - 1))
def test_same_bits_alone_in_a_batch_and_on_threads(rows, inputs, units, seed):
    x = np.random.default_rng(seed).standard_normal((rows, inputs)).astype("f")
    layer = fastseq.layers.Dense(units)
    y = layer(x)
    assert y.shape == (rows, units)
    with runtime.num_threads(1):
        np.testing.assert_array_equal(layer(x), y)
    for row in range(min(rows, 3)):
        np.testing.assert_array_equal(layer(x[row : row + 1]), y[row : row + 1])


def test_threads_really_share(rng):
    for rows, inputs, units in ((1, 700, 900), (3, 500, 515), (500, 64, 100)):
        x = rng.standard_normal((rows, inputs)).astype("f")
        layer = fastseq.layers.Dense(units)
        with runtime.num_threads(1):
            alone = layer(x)
        for threads in (2, 3, 7):
            with runtime.num_threads(threads):
                np.testing.assert_array_equal(layer(x), alone)


def test_stored_numbers():
    weights = [np.array([[1.0, -1.0], [2.0, 3.0]]), np.array([0.5, -9.0])]
    layer = fastseq.layers.Dense(2, activation="relu", weights=weights)
    np.testing.assert_array_equal(layer(np.array([[1.0, 2.0], [-1.0, 4.0]])), [[5.5, 0.0], [7.5, 4.0]])


def test_python_activation(rng):
    x = rng.standard_normal((4, 3)).astype("f")
    layer = fastseq.layers.Dense(5, activation=lambda v: np.sin(v))
    kernel, bias = (layer.build(x.shape), layer.get_weights())[1]
    np.testing.assert_allclose(layer(x), np.sin(x @ kernel + bias), atol=1e-6)


def test_new_weights_are_used_at_once(rng):
    x = rng.standard_normal((4, 3)).astype("f")
    layer = fastseq.layers.Dense(5)
    layer(x)
    layer.kernel.assign(np.zeros((3, 5)))
    np.testing.assert_array_equal(layer(x), np.zeros((4, 5)))


@pytest.mark.parametrize("dtype", ["f2", "f8", ">f4", ">f8", "i1", "u2", "i8", "?"])
def test_dtypes(dtype, rng):
    x = (4 * rng.standard_normal((4, 3))).astype(dtype)
    layer = fastseq.layers.Dense(5)
    np.testing.assert_array_equal(layer(x), layer(x.astype("f4")))


def test_bad_input():
    layer = fastseq.layers.Dense(3)
    layer(np.zeros((2, 4), "f"))
    for bad, message in (
        (np.zeros(4, "f"), rf"{layer.name}.*min_ndim=2, found ndim=1"),
        (np.zeros((2, 5), "f"), rf"{layer.name}.*axis -1.*value 4.*\(2, 5\)"),
    ):
        with pytest.raises(ValueError, match=message):
            layer(bad)
    for bad in (np.zeros((2, 4), object), np.full((2, 4), "x"), np.zeros((2, 4), "c8")):
        with pytest.raises(TypeError, match=layer.name):
            layer(bad)
    with pytest.raises(ValueError, match="units"):
        fastseq.layers.Dense(0)
    with pytest.raises(ValueError, match="lora_rank"):
        fastseq.layers.Dense(3, lora_rank=2)
    with pytest.raises(ValueError, match="set_weights got a list of 1"):
        layer.set_weights([np.zeros((4, 3))])
    with pytest.raises(ValueError, match=rf"{layer.name}.*kernel.*\(4, 3\), got \(4, 4\)"):
        layer.set_weights([np.zeros((4, 4)), np.zeros(3)])

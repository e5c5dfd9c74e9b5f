"""Every layer of the table and every built-in activation lets a model train: none is left without a gradient."""

import numpy as np
import pytest
from layer_cases import CASES, RATES, B, N, T, draw, flat

import fastseq
from fastseq import layers
from fastseq.native.kinds import ACTIVATION_KINDS
from fastseq.training.program import gradients_of


def check_trains(function, width=2):
    """All weights of a model around `function` get gradients, and they are finite."""
    start = layers.Input((T, N))
    y = function(layers.Dense(N, activation="tanh")(start))
    model = fastseq.Model(start, layers.Dense(width)(flat(y) if len(y.shape) > 2 else y))
    _, found = gradients_of(model, draw(B, T, N), draw(B, width, seed=1), "mse")
    assert len(found) == len(model.trainable_weights) >= 4
    for variable, gradient in zip(model.trainable_weights, found):
        assert gradient is not None and np.isfinite(gradient).all(), variable.path


def test_there_is_a_case_for_every_layer():
    assert set(CASES) == set(layers.REGISTRY) - {"Embedding"}  # it has a test of its own


@pytest.mark.parametrize("name", sorted(CASES))
def test_layer(name):
    check_trains(CASES[name])


def test_embedding():
    ids = layers.Input((T,), dtype="int32")
    model = fastseq.Model(ids, layers.Dense(2)(layers.GRU(3, **RATES)(layers.Embedding(9, 4, mask_zero=True)(ids))))
    _, found = gradients_of(model, np.arange(B * T, dtype="i4").reshape(B, T) % 9, draw(B, 2), "mse")
    assert len(found) == 6 and all(np.isfinite(gradient).all() for gradient in found)


# exponential: an LSTM's states overflow, in Keras as here. glu halves a row; gelu_tanh and threshold have no name that
# stands for them alone (test_backward_ops.py has all kinds).
NAMES = sorted(set(ACTIVATION_KINDS) - {"exponential", "glu", "threshold", "gelu_tanh"})


@pytest.mark.parametrize("name", [*NAMES, "exponential"])
def test_activation(name):
    check_trains(lambda x: layers.Activation(name)(x))
    check_trains(lambda x: layers.TimeDistributed(layers.Dense(4, activation=name))(x))
    check_trains(lambda x: layers.EinsumDense("abc,cd->abd", (T, 4), activation=name)(x))
    check_trains(lambda x: layers.LocallyConnected1D(4, 2, activation=name)(x))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("layer", ["LSTM", "GRU", "SimpleRNN"])
def test_activation_of_cells(layer, name):
    check_trains(lambda x: getattr(layers, layer)(4, activation=name)(x))
    if layer != "SimpleRNN":
        check_trains(lambda x: getattr(layers, layer)(4, recurrent_activation=name)(x))


@pytest.mark.tensorflow
@pytest.mark.parametrize("equation, shape", [
    ("abc,cd->ad", (5,)), ("abc,de->abde", (T, 2, 3)), ("abc,bb->abc", (T, N)), ("abc,cdd->abd", (T, 5)),
], ids=str)  # fmt: skip
def test_einsum_that_is_no_product_as_the_tape(equation, shape):
    pytest.importorskip("keras")
    from gradient_check import check_gradients

    def make(library, model):
        x = library.Input((T, N))
        size = shape if len(shape) > 1 else shape[0]
        return model(x, library.EinsumDense(equation, size, activation="tanh")(library.Dense(N, use_bias=False)(x)))

    y = make(layers, fastseq.Model)(draw(B, T, N))
    check_gradients(make, draw(B, T, N), draw(*y.shape, seed=1))

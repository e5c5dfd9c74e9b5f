"""Every layer of the table and every built-in activation lets a model train: none is left without a gradient."""

import numpy as np
import pytest
from layer_cases import case_of, inputs_of, rows_of, start_of
from layer_rows import B, N, T, draw

import fastseq
from fastseq import layers
from fastseq.native.kinds import ACTIVATION_KINDS
from fastseq.training.program import gradients_of


def check_trains(function, width=2, ids=False):
    """All weights of a model around `function` get gradients, and they are finite."""
    start, x = start_of(layers, ids)
    y = function(x)
    model = fastseq.Model(start, layers.Dense(width)(layers.Flatten()(y) if len(y.shape) > 2 else y))
    _, found = gradients_of(model, inputs_of(ids), draw(B, width, seed=1), "mse")
    assert len(found) == len(model.trainable_weights) >= 4
    for variable, gradient in zip(model.trainable_weights, found):
        assert gradient is not None and np.isfinite(gradient).all(), variable.path


@pytest.mark.parametrize("name", sorted(layers.REGISTRY))
def test_layer(name):
    case = case_of(name)
    check_trains(lambda x: case.make(layers, x), ids=case.ids)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name, option", rows_of("options"))
def test_options_as_the_tape(name, option):
    pytest.importorskip("keras")
    from gradient_check import check_gradients

    def make(library, model):
        x = library.Input((T, N))
        return model(x, option(library)(library.Dense(N, use_bias=False)(x)))

    y = make(layers, fastseq.Model)(draw(B, T, N))
    check_gradients(make, draw(B, T, N), draw(*y.shape, seed=1))


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

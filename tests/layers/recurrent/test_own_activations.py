"""Recurrent layers and others with activations that are a user's functions: native steps where they can be traced."""

import functools

import numpy as np
import pytest

import fastseq
from fastseq import activations, layers, ops
from fastseq.errors import UnsupportedError

B, T, N = 3, 5, 4

FUNCTIONS = {
    "ops": lambda x: ops.tanh(x) * 1.0,
    "numpy": np.tanh,
    "fastseq.activations": lambda x: activations.tanh(x) * 1.0,
}
LAYERS = {
    "LSTM": layers.LSTM,
    "GRU": layers.GRU,
    "GRU reset before": functools.partial(layers.GRU, reset_after=False),
    "SimpleRNN": layers.SimpleRNN,
    "backwards": functools.partial(layers.LSTM, go_backwards=True),
    "zeros": functools.partial(layers.GRU, zero_output_for_mask=True),
    "Dense": lambda units, return_sequences=None, **kwargs: layers.Dense(units, **kwargs),
}


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("f")


def model_of(layer, activation, masked=True, name=None):
    model = fastseq.Sequential([
        fastseq.Input((T, N)), *([layers.Masking()] if masked else []),
        LAYERS[layer](6, activation=activation, return_sequences=True, name=name), layers.GRU(2),
    ])  # fmt: skip
    model.set_weights([draw(*w.shape, seed=i) * 0.5 for i, w in enumerate(model.get_weights())])
    return model


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("layer", LAYERS)
def test_as_the_built_in_one(layer, function):
    x, y, found = draw(B, T, N), draw(B, 2, seed=1), []
    x[1, 3:] = 0
    for activation in ("tanh", FUNCTIONS[function]):
        model = model_of(layer, activation)
        before = model(x)
        assert not model._programs.program(model, {"inputs": x}).has_python
        np.testing.assert_array_equal(model(x[1:2])[0], before[1])
        model.compile("sgd", "mse")
        found.append((before, model.fit(x, y, epochs=3, verbose=0).history["loss"], model.predict(x, verbose=0)))
    for mine, theirs in zip(*found):
        np.testing.assert_allclose(mine, theirs, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("layer", ["LSTM", "GRU", "SimpleRNN", "Dense"])
def test_streams(layer):
    model, x = model_of(layer, FUNCTIONS["ops"], masked=False), draw(1, T, N)
    stream = model.stream()
    for t in range(T):
        last = stream.step(x[:, t])
    np.testing.assert_array_equal(last, model(x))


@pytest.mark.parametrize("layer", ["LSTM", "Dense"])
def test_one_that_asks_for_values_says_so(layer):
    model, x = model_of(layer, lambda x: np.tanh(np.asarray(x)), name="own"), draw(B, T, N)
    twin = model_of(layer, "tanh")
    np.testing.assert_allclose(model(x), twin(x), rtol=1e-5, atol=1e-6)
    (note,) = [
        note for _, kernel, note in model._programs.program(model, {"inputs": x}).describe() if kernel == "python"
    ]
    assert "test_own_activations.py:" in note and "asarray" in note
    model.compile("sgd", "mse")
    with pytest.raises(UnsupportedError, match=r"test_own_activations.py:\d+: numpy.asarray"):
        model.fit(x, draw(B, 2), verbose=0)


@pytest.mark.parametrize("name", sorted(set(activations.ALL_OBJECTS_DICT) - {"threshold", "hard_sigmoid_keras2"}))
def test_every_built_in_activation_in_a_layer_of_ones_own(name):
    class Own(layers.Layer):
        def call(self, x):
            return activations.get(name)(x)

    x, own = draw(B, T, 6), Own()
    np.testing.assert_array_equal(own(x), layers.Activation(name)(x))
    assert not own._programs.program(own, {"x": x}).has_python

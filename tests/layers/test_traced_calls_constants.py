"""Layers that a traced call calls on arrays of its own: their weights are read in every call, and trained."""

import numpy as np
import pytest

import fastseq
from fastseq import layers, ops

B, T, N = 4, 5, 3


class Positions(layers.Layer):
    """Adds learned positions, as Keras's examples do, and what a Dense makes of ones."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.embedding, self.dense = layers.Embedding(T, N), layers.Dense(N)

    def call(self, x):
        return x + self.embedding(ops.arange(T)) + self.dense(np.ones((1, T, 2), "float64"))

    def compute_output_shape(self, input_shape):
        return input_shape


class Known(Positions):
    """The same, where both have been called before: by the short way."""

    def build(self, input_shape):
        for _ in range(3):
            self.embedding(np.arange(T, dtype="int32")), self.dense(np.ones((1, T, 2), "f"))


def expected(layer, x):
    positions, kernel, bias = (variable.numpy() for variable in layer.weights)
    return x + positions + kernel.sum(0) + bias


@pytest.mark.parametrize("made", [Positions, Known])
def test_weights_are_read_in_every_call(made, rng):
    layer, x = made(), rng.standard_normal((B, T, N)).astype("f")
    layer(x)
    assert layer._traces.last is None
    assert not layer._programs.program(layer, {"x": x}).has_python
    for _ in range(3):
        for variable in layer.weights:
            variable.assign(rng.standard_normal(variable.shape))
        np.testing.assert_allclose(layer(x), expected(layer, x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("made", [Positions, Known])
def test_weights_are_trained(made, rng):
    layer, x = made(), rng.standard_normal((B, T, N)).astype("f")
    model = fastseq.Sequential([layer])
    model(x)
    before = layer.get_weights()
    model.compile(fastseq.optimizers.SGD(1.0), "mse")
    model.train_on_batch(x, np.zeros_like(x))
    slope = 2 * expected_of(before, x) / x.size
    positions, kernel, bias = layer.get_weights()
    np.testing.assert_allclose(before[0] - positions, slope.sum(0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(before[1] - kernel, np.tile(slope.sum((0, 1)), (2, 1)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(before[2] - bias, slope.sum((0, 1)), rtol=1e-4, atol=1e-6)


def expected_of(weights, x):
    return x + weights[0] + weights[1].sum(0) + weights[2]


def test_value_and_grad_of_a_model_on_an_array_from_outside(rng):
    model, x = fastseq.Sequential([layers.Dense(2)]), rng.standard_normal((B, N)).astype("f")
    for _ in range(3):
        model(x)
    value, gradient = fastseq.value_and_grad(lambda kernel: ops.sum(model(x)))(model.layers[0].kernel)
    np.testing.assert_allclose(value, model(x).sum(), rtol=1e-5)
    np.testing.assert_allclose(gradient, np.tile(x.sum(0)[:, None], (1, 2)), rtol=1e-5)


def test_a_call_that_asks_for_the_values_of_such_a_layer_runs_in_python(rng):
    class Asks(layers.Layer):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1, use_bias=False)

        def call(self, x):
            return x * float(self.dense(np.ones((1, 2), "f"))[0, 0])

    layer, x = Asks(), rng.standard_normal((B, N)).astype("f")
    layer(x)
    assert layer._traces.last is not None
    layer.dense.set_weights([np.array([[1.0], [2.0]])])
    np.testing.assert_allclose(layer(x), 3 * x, rtol=1e-6)


def test_a_mask_that_rides_on_a_constant_reaches_the_layer():
    class Masked(layers.Layer):
        def __init__(self):
            super().__init__()
            self.embedding, self.lstm = layers.Embedding(4, 2, mask_zero=True), layers.LSTM(N)

        def call(self, x):
            return x + self.lstm(self.embedding(np.array([[1, 2, 0, 0]])))

    layer, x = Masked(), np.zeros((B, N), "f")
    layer(x)
    assert layer._traces.last is None
    short = layer.lstm(layer.embedding(np.array([[1, 2]])))
    np.testing.assert_array_equal(layer(x)[0], short[0])

"""Losses that calls add while they are traced: native values and gradients, in models, loops and loops of one's own."""

import numpy as np
import pytest
from adding_layers import B, N, T, draw

import fastseq
from fastseq import layers, ops
from fastseq.training.program import gradients_of


class Adds(layers.Layer):
    """tanh(x w); adds 0.3 of the mean of its squares, a value for each row, and a constant."""

    def __init__(self, only_in_training=False, **kwargs):
        super().__init__(**kwargs)
        self.only_in_training = only_in_training

    def build(self, input_shape):
        self.w = self.add_weight((input_shape[-1],), "ones", name="w")

    def call(self, x, training=False):
        y = np.tanh(x * self.w)
        if training or not self.only_in_training:
            self.add_loss(0.3 * ops.mean(ops.square(y)))
            self.add_loss({"rows": [ops.sum(y, axis=tuple(range(1, len(y.shape))))]})
            self.add_loss(np.float32(2))
        return y

    def compute_output_shape(self, input_shape):
        return input_shape


def values_of(y):
    y = np.asarray(y, np.float64)
    return [0.3 * np.mean(y * y), y.reshape(len(y), -1).sum(1), 2]


def assert_losses(found, expected):
    assert len(found) == len(expected)
    for mine, theirs in zip(found, expected):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


def numeric(loss, variable, step=1e-2):
    """Central differences of loss() by a weight."""
    value, found = variable.numpy(), np.zeros(variable.shape)
    for index in np.ndindex(*variable.shape):
        ends = []
        for sign in (1, -1):
            moved = value.copy()
            moved[index] += sign * step
            variable.assign(moved)
            ends.append(float(loss()))
        found[index] = (ends[0] - ends[1]) / (2 * step)
    variable.assign(value)
    return found


def total(model, x):
    model(x)
    return sum(np.sum(value, dtype=np.float64) for value in model.losses)


def test_values_are_those_of_the_call():
    layer, x = Adds(), draw(B, T, N)
    for _ in range(3):
        y = layer(x)
        assert_losses(layer.losses, values_of(y))
    assert layer._traces.last is None
    assert not layer._programs.program(layer, {"x": x}).has_python
    assert [type(value) for value in layer.losses] == [np.float32, np.ndarray, np.float32]


def test_training_is_native_and_its_gradients_are_right():
    model, x = fastseq.Sequential([layers.Dense(N, activation="tanh"), Adds(), layers.Dense(1)]), draw(B, T, N)
    y = np.zeros((B, T, 1), "f")
    model.compile("sgd", "mse")
    model(x)
    found = gradients_of(model, x, y, "mse")
    expected = np.mean(np.square(model(x), dtype=np.float64)) + total(model, x)
    np.testing.assert_allclose(found[0], expected, rtol=1e-5)

    def loss():
        return np.mean(np.square(model(x), dtype=np.float64)) + total(model, x)

    for gradient, variable in zip(found[1], model.trainable_variables):
        np.testing.assert_allclose(gradient, numeric(loss, variable), rtol=2e-2, atol=2e-3)


def test_a_model_that_has_no_other_loss():
    model, x = fastseq.Sequential([layers.Dense(N), Adds()]), draw(B, N)
    model.compile(fastseq.optimizers.SGD(0.05))
    history = model.fit(x, epochs=5, verbose=0).history["loss"]
    assert history == sorted(history, reverse=True)
    np.testing.assert_allclose(model.evaluate(x, verbose=0), total(model, x), rtol=1e-5)


def test_what_the_last_call_did_not_add_is_gone():
    """Also where calls in between take a program that adds nothing, again and again."""
    inner = Adds(only_in_training=True)
    model, x = fastseq.Sequential([layers.Dense(N), inner]), draw(B, N)
    for _ in range(3):
        for _ in range(3):
            model(x)
            assert model.losses == inner.losses == []
        model(x, training=True)
        assert len(model.losses) == 3
        y = inner(x, training=True)
        assert_losses(model.losses, values_of(y))
    inner.only_in_training = False
    assert_losses((inner(x), inner.losses)[1], values_of(inner(x)))


def test_a_loss_for_each_timestep_of_time_distributed():
    inner = Adds()
    model, x = fastseq.Sequential([layers.TimeDistributed(inner)]), draw(B, T, N)
    y = model(x)
    expected = [value for t in range(T) for value in values_of(y[:, t])]
    assert_losses(model.losses, expected)
    model.compile("sgd", "mse")
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), total(model, x), rtol=1e-5)


class Cell(layers.Layer):
    state_size = N

    def call(self, x, states):
        y = ops.tanh(x + states[0])
        self.add_loss(ops.mean(y))
        return y, [y]


@pytest.mark.parametrize("trains", [False, True])
def test_a_loss_for_each_timestep_of_a_cell(trains):
    model, x = fastseq.Sequential([layers.Dense(N), layers.RNN(Cell(), return_sequences=True)]), draw(B, 5, N)
    y = model(x)
    assert_losses(model.losses, y.mean((0, 2)))
    if trains:
        model.compile("sgd", "mse")
        np.testing.assert_allclose(model.train_on_batch(x, y), y.mean((0, 2)).sum(), rtol=1e-5)


class Scans(layers.Layer):
    """A layer that adds a loss in every time of a loop."""

    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner

    def call(self, x):
        def body(carry, entry):
            carry = self.inner(carry + entry)
            self.add_loss(ops.sum(carry))
            return carry, carry

        _, found = ops.scan(body, ops.zeros_like(x[:, 0]), ops.swapaxes(x, 0, 1))
        return ops.swapaxes(found, 0, 1)


@pytest.mark.parametrize("inner", [layers.Dense(N, activation="tanh"), layers.ReLU(activity_regularizer="l1"), Adds()])
def test_a_loss_for_each_time_of_a_scan(inner):
    layer, x = Scans(inner), draw(B, 6, N)
    y = layer(x)
    assert layer._traces.last is None
    own = layer.losses[:6]
    assert_losses(own, y.sum((0, 2)))
    rest = layer.losses[6:]
    if isinstance(inner, layers.ReLU):
        assert_losses(rest, 0.01 * np.abs(y).sum((0, 2)) / B)
    elif isinstance(inner, Adds):
        assert_losses(rest, [value for t in range(6) for value in values_of(y[:, t])])
    else:
        assert not rest


def test_a_loop_of_open_length_adds_none():
    class Whiles(layers.Layer):
        def call(self, x):
            def body(i, value):
                self.add_loss(ops.sum(value))
                return i + 1, value * 2

            return ops.while_loop(lambda i, value: ops.sum(value) < 100.0, body, (0, x))[1]

    layer = Whiles()
    layer(np.ones((B, N), "f"))
    assert "adds losses, and the number of times is open" in layer._traces.last
    assert len(layer.losses) == 4  # as Python: 8, 16, 32, 64


def test_losses_in_value_and_grad():
    """`model.losses` inside of what is differentiated: traced values, penalties of weights and of outputs too."""
    dense = layers.Dense(N, kernel_regularizer="l2", activity_regularizer="l1")
    model, x = fastseq.Sequential([dense, Adds()]), draw(B, N)
    model(x)

    def own_loss(x):
        model(x)
        return sum(ops.sum(value) for value in model.losses)

    value, _ = fastseq.value_and_grad(own_loss)(x)
    np.testing.assert_allclose(value, total(model, x), rtol=1e-5)
    _, gradient = fastseq.value_and_grad(lambda kernel: own_loss(x))(dense.kernel)
    np.testing.assert_allclose(gradient, numeric(lambda: total(model, x), dense.kernel), rtol=2e-2, atol=2e-3)


def test_streams_do_not_add():
    model, x = (
        fastseq.Sequential([fastseq.Input((None, N)), PerStep(), layers.GRU(N, return_sequences=True)]),
        draw(1, T, N),
    )
    stream = model.stream()
    found = np.stack([stream.step(x[:, t]) for t in range(T)], axis=1)
    np.testing.assert_array_equal(found, model(x))


class PerStep(layers.Layer):
    def call(self, x):
        self.add_loss(ops.sum(ops.square(x), axis=-1))
        return x * 2


@pytest.mark.parametrize("value", [1.0, None, "loss"])
def test_what_is_no_array_is_refused(value):
    class Wrong(layers.Layer):
        def call(self, x):
            self.add_loss(value)
            return x * 2

    with pytest.raises(ValueError, match="Received invalid value"):
        Wrong()(draw(B, N))

"""Models for the tests of streams, and what those tests share."""

import numpy as np
from layer_check import random_weights

from fastseq import layers, models
from fastseq.layers import time_axis

STEPS = 9


def filled(model, seed=0):
    model.set_weights(random_weights([w.shape for w in model.weights], seed))
    return model


def sequential(*stack, shape=(None, 5), dtype=None):
    return filled(models.Sequential([layers.Input(shape, dtype=dtype), *stack]))


def residual():
    x = layers.Input((None, 5))
    h = layers.LSTM(5, return_sequences=True)(x)
    h = layers.Add()([x, h])
    h = layers.Concatenate()([h, layers.GRU(4, return_sequences=True)(h), layers.ReLU()(x)])
    return filled(models.Model(x, layers.Dense(3)(h)))


def shared():
    x = layers.Input((None, 5))
    layer = layers.GRU(5, return_sequences=True)
    return filled(models.Model(x, layer(layer(x))))


def nested():
    inner = sequential(layers.LSTM(4, return_sequences=True), layers.Dense(3), shape=(None, 5))
    return filled(models.Sequential([layers.Input((None, 5)), inner, layers.GRU(2, return_sequences=True)]))


def embedded(mask_zero=False, **options):
    embedding = layers.Embedding(7, 5, mask_zero=mask_zero)
    return sequential(embedding, layers.LSTM(4, return_sequences=True, **options), shape=(None,), dtype="int32")


class Leaky(layers.Layer):
    """A cell of a user's own: two states of different sizes, neither of them its output, and a first one of ones."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.output_size = units
        self.state_size = [units, 1]

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], self.units), name="kernel")
        self.built = True

    def get_initial_state(self, batch_size):
        return [np.ones((batch_size, self.units), "f"), np.zeros((batch_size, 1), "f")]

    def call(self, inputs, states):
        mean, level = states
        mean, level = 0.5 * mean + inputs @ self.kernel.numpy(), level + inputs.sum(-1, keepdims=True)
        return mean + level, [mean, level]


class Lagged(layers.Layer):
    """x minus the x of `lag` timesteps before: a layer that keeps inputs, of native steps and without weights."""

    memory, keeps_time = "inputs", time_axis.by_value

    def __init__(self, lag, masks=True, **kwargs):
        super().__init__(**kwargs)
        self.lag, self.supports_masking = lag, masks

    def emit(self, p, inputs):
        x = p.float32(inputs)
        whole = p.with_earlier(x, self.lag)
        width, row = x.shape[2], whole.shape[1] * whole.shape[2]
        return p.binary("subtract", x, p.contiguous_copy(whole, x.shape, (row, width, 1)))


def lagged(*behind):
    return sequential(Lagged(3), layers.Dense(5), Lagged(1), *behind)


def over_cells(cells, *more, masked=False, **options):
    stack = [layers.Masking()] if masked else []
    return sequential(*stack, layers.RNN(cells, return_sequences=True, **options), *more)


def stacked_cells():
    inner = layers.StackedRNNCells([layers.LSTMCell(2), layers.GRUCell(4)])
    return [layers.GRUCell(3), inner, layers.SimpleRNNCell(5)]


def einsum():
    """Equations that leave the time axis alone: with and without "...", over two axes, and one that NumPy computes."""
    return sequential(
        layers.EinsumDense("abc,cde->abde", (None, 3, 4), bias_axes="de", activation="relu"),
        layers.EinsumDense("...d,de->...e", 6, bias_axes="e"), layers.EinsumDense("abde,f->abf", (None, 5)),
        layers.GRU(4, return_sequences=True), layers.EinsumDense("abc,c->abc", (None, 4)),
    )  # fmt: skip


def timewise():
    return sequential(
        layers.Dense(6, "relu"), layers.TimeDistributed(layers.Dense(4)), layers.Dropout(0.5),
        layers.SpatialDropout1D(0.5), layers.SimpleRNN(6, return_sequences=True), layers.PReLU(shared_axes=[1]),
        layers.LeakyReLU(), layers.Activation("softmax"), layers.Softmax(), layers.ELU(),
    )  # fmt: skip


MAKERS = {
    "lstm": lambda: sequential(layers.LSTM(33, return_sequences=True)),
    "gru": lambda: sequential(layers.GRU(16, return_sequences=True), layers.Dense(8), layers.Softmax()),
    "gru reset before": lambda: sequential(layers.GRU(6, reset_after=False, return_sequences=True)),
    "fixed length": lambda: sequential(layers.GRU(6, return_sequences=True), shape=(STEPS, 5)),
    "dense": lambda: sequential(layers.Dense(3)),
    "timewise": timewise,
    "residual": residual,
    "shared": shared,
    "nested": nested,
    "embedded": embedded,
    "masked ids": lambda: embedded(mask_zero=True),
    "zeros for masked ids": lambda: embedded(mask_zero=True, zero_output_for_mask=True),
    "masked": lambda: sequential(
        layers.Masking(), layers.GRU(4, return_sequences=True), layers.LSTM(3, return_sequences=True)
    ),
    "general kernel": lambda: sequential(layers.LSTM(4, activation="softmax", return_sequences=True)),
    "python activation": lambda: sequential(layers.GRU(4, activation=lambda x: np.tanh(x), return_sequences=True)),
    "cell": lambda: over_cells(layers.LSTMCell(6), layers.Dense(3)),
    "stack": lambda: over_cells([layers.LSTMCell(6), layers.GRUCell(5, reset_after=False), layers.SimpleRNNCell(4)]),
    "stack in a stack": lambda: over_cells(stacked_cells(), layers.GRU(2, return_sequences=True)),
    "masked stack": lambda: over_cells(stacked_cells(), masked=True),
    "zeros for masked stack": lambda: over_cells(stacked_cells(), masked=True, zero_output_for_mask=True),
    "own cell": lambda: over_cells(Leaky(6), layers.Dense(3)),
    "own cell in a stack": lambda: over_cells([layers.GRUCell(4), Leaky(3), layers.LSTMCell(5)], masked=True),
    "zeros for masked own cell": lambda: over_cells(Leaky(6), masked=True, zero_output_for_mask=True),
    "einsum": einsum,
    "earlier inputs": lagged,
    "earlier inputs and states": lambda: lagged(layers.GRU(4, return_sequences=True), Lagged(2)),
    "masks before earlier inputs": lambda: sequential(
        layers.Masking(), layers.GRU(4, return_sequences=True), Lagged(2), layers.LSTM(3, return_sequences=True)
    ),
}
LAST = {
    "last": lambda: sequential(layers.LSTM(6, return_sequences=True), layers.GRU(4), layers.Dense(3, "softmax")),
    "last of masked": lambda: sequential(layers.Masking(), layers.LSTM(4), layers.Dense(2)),
    "last of a stack": lambda: sequential(layers.RNN(stacked_cells()), layers.Dense(2)),
    "last of a masked stack": lambda: sequential(layers.Masking(), layers.RNN(stacked_cells())),
    "last of earlier inputs": lambda: lagged(layers.LSTM(4), layers.Dense(2)),
    "earlier inputs of what has no time axis": lambda: sequential(
        layers.GRU(6), layers.Reshape((3, 2)), Lagged(1), layers.Flatten()
    ),
    "flattened": lambda: sequential(layers.GRU(4), layers.Flatten(), layers.PReLU()),
}


def inputs_of(model, batch, seed=0):
    rng = np.random.default_rng(seed)
    if len(model.input_shape) == 2:
        return rng.integers(0, 7, (batch, STEPS)).astype("i4")
    x = rng.standard_normal((batch, STEPS, model.input_shape[-1])).astype("f")
    x[rng.random((batch, STEPS)) < 0.4] = 0
    x[0, :2] = 0
    return x


def plain(y):
    return np.asarray(y).view(np.ndarray)


def stepped(stream, x):
    return np.stack([stream.step(x[:, t]) for t in range(x.shape[1])], axis=1)

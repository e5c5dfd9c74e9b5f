"""Models of one step with random weights, for the tests of decoding."""

import numpy as np

import fastseq
from fastseq import layers
from fastseq.decoding import Decoder

TOKENS, UNITS, END = 23, 20, 4


def weighted(model, seed=0):
    """The model with weights that make tokens differ: large ones before the softmax."""
    rng = np.random.default_rng(seed)
    shapes = [w.shape for w in model.get_weights()]
    model.set_weights([rng.normal(0, 4 if shape[-1:] == (TOKENS,) else 0.4, shape) for shape in shapes])
    return model


def embedded(last):
    return layers.Embedding(TOKENS, 7)(last)


def one_step(kind):
    """(model of one step, shapes of its states without the batch)."""
    states = [layers.Input((UNITS,), name="h"), layers.Input((UNITS,), name="c")]
    if kind == "LSTM over one-hot rows":
        last = layers.Input((None, TOKENS))
        y, *new = layers.LSTM(UNITS, return_sequences=True, return_state=True)(last, initial_state=states)
    elif kind == "GRU over one-hot rows without time":
        last, states = layers.Input((TOKENS,)), states[:1]
        y, *new = layers.GRU(UNITS, return_state=True)(layers.Reshape((1, TOKENS))(last), initial_state=states)
    elif kind == "Dense, then SimpleRNN over ids":
        last, states = layers.Input((1,), dtype="int32"), states[:1]
        x = layers.TimeDistributed(layers.Dense(9, activation="tanh"))(embedded(last))
        y, *new = layers.SimpleRNN(UNITS, return_state=True)(x, initial_state=states)
    elif kind == "Dense over one-hot rows, cells":
        last = layers.Input((1, TOKENS))
        x = layers.Dense(9, activation="relu")(last)
        cells = [layers.GRUCell(UNITS), layers.LSTMCell(UNITS)]
        states = [layers.Input((UNITS,), name=name) for name in "abc"]
        y, *new = layers.RNN(cells, return_sequences=True, return_state=True)(x, initial_state=[states[0], states[1:]])
        new = [new[0], *new[1]]
    elif kind == "ids without time, merged":
        last = layers.Input((), dtype="int32")
        x = layers.Reshape((1, 7))(embedded(last))
        y, *new = layers.LSTM(UNITS, return_state=True)(x, initial_state=states)
        y = layers.Concatenate()([y, layers.Multiply()([new[0], states[1]]), states[0]])
    elif kind == "a state that is an output twice":
        last, states = layers.Input((1,), dtype="int32"), states[:1]
        y = layers.GRU(UNITS)(embedded(last), initial_state=states)
        new = [y]
    else:
        assert kind == "mask"
        last = layers.Input((1,), dtype="int32")
        x = layers.Embedding(TOKENS, 7, mask_zero=True)(last)
        y, *new = layers.LSTM(UNITS, return_state=True)(x, initial_state=states)
    output = layers.Dense(TOKENS, activation="softmax")(y)
    return weighted(fastseq.Model([last, *states], [output, *new])), len(states)


KINDS = [
    "LSTM over one-hot rows", "GRU over one-hot rows without time", "Dense, then SimpleRNN over ids",
    "Dense over one-hot rows, cells", "ids without time, merged", "a state that is an output twice", "mask",
]  # fmt: skip


def step_of(model):
    """The model as the twin wants it."""
    shape = model.inputs[0].shape
    hot = shape[-1] == TOKENS

    def step(tokens, states):
        x = np.eye(TOKENS, dtype="f")[tokens] if hot else tokens
        if len(shape) == (3 if hot else 2):
            x = x[:, np.newaxis]
        values, *new = model([x, *states])
        return values.reshape(len(tokens), -1), new

    return step


def ending(model, count, steps=11):
    """A token that rows of the model write at different steps, and some never."""
    ids = Decoder(model, start_id=2, max_length=steps).greedy(states_of(count, 130)).ids
    first = [np.where((ids == token).any(1), (ids == token).argmax(1), steps) for token in range(TOKENS)]
    return max(range(TOKENS), key=lambda token: len(set(first[token])))


def states_of(count, batch, seed=1):
    return [np.random.default_rng((seed, i)).normal(0, 1, (batch, UNITS)).astype("f") for i in range(count)]


def same(a, b):
    for x, y in zip(a, b):
        np.testing.assert_array_equal(x, y)


class Halved(layers.Layer):
    """A user's layer in Python."""

    traced = False

    def call(self, inputs):
        return inputs * 0.5

    def compute_output_shape(self, input_shape):
        return input_shape

"""Models with layers that keep states, and what they keep: for tests that end calls in their middle."""

import numpy as np
from raising import raise_everywhere

import fastseq
from fastseq import layers
from fastseq.native.kept_states import stateful_layers


class Inside(layers.Layer):
    """Calls a stateful layer of its own, twice, in Python; a model that contains it does not know of its states."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.held = (lambda layer: lambda: layer)(layers.GRU(units, stateful=True, return_sequences=True))

    def call(self, inputs):
        rows = np.asarray(inputs, np.float32)
        first = self.held()(rows.reshape(rows.shape[0], -1, rows.shape[-1]))
        return np.asarray(self.held()(first)).reshape(rows.shape)

    def compute_output_shape(self, input_shape):
        return input_shape


class Two(fastseq.Model):
    def __init__(self):
        super().__init__()
        self.one = layers.LSTM(3, stateful=True, return_sequences=True)
        self.two = layers.GRU(3, stateful=True)

    def call(self, inputs, training=None):
        return self.two(self.one(inputs))


class Halves:
    """A cell of the user's own."""

    state_size = 3

    def call(self, inputs, states):
        new = states[0] / 2 + inputs
        return new, [new]


def functional():
    x = fastseq.Input(batch_shape=(2, 4, 3))
    y = layers.LSTM(3, stateful=True, return_sequences=True)(layers.Masking(0.0)(x))
    return fastseq.Model(x, layers.Bidirectional(layers.GRU(3, stateful=True))(y))


def with_python():
    x = fastseq.Input(batch_shape=(2, 4, 3))
    y = Inside(3, name="inside")(layers.LSTM(3, stateful=True, return_sequences=True)(x))
    return fastseq.Model(x, layers.SimpleRNN(3, stateful=True)(y))


MODELS = {
    "layer": lambda: layers.LSTM(3, stateful=True),
    "cells": lambda: layers.RNN([layers.GRUCell(2), layers.LSTMCell(3)], stateful=True),
    "own cell": lambda: layers.RNN(Halves(), stateful=True),
    "activation": lambda: layers.SimpleRNN(3, stateful=True, activation=lambda x: x / 2),
    "functional": functional,
    "python": with_python,
    "subclass": Two,
}


def kept_arrays(model):
    found = stateful_layers(model)
    for layer in [model, *getattr(model, "layers", [])]:
        if isinstance(layer, Inside):
            found.append(layer.held())
    return [state for layer in found for state in fastseq.tensors.nest.flatten(layer.states or ())]


def restorer(states):
    def restore(values):
        for array, value in zip(states(), values):
            array[...] = value

    return restore


def events(model, call, every=1):
    def states():
        return kept_arrays(model)

    return raise_everywhere(call, states, restorer(states), every=every)


def window_model():
    x = fastseq.Input((4,), dtype="int32")
    y = Inside(3, name="inside")(layers.Embedding(7, 3)(x))
    return fastseq.Model(x, layers.Dense(7, activation="softmax")(layers.LSTM(3)(y)))

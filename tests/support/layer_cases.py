"""A small case of every layer, for tests that none may be missing from: what it makes of a Dense layer's output."""

import numpy as np

from fastseq import layers

B, T, N = 3, 4, 6


def flat(x):
    return layers.Flatten()(x)


def states(x, units, count):
    return [layers.Dense(units)(flat(x)) for _ in range(count)]


def two(layer):
    return lambda x: layer([x, layers.Dense(N)(x)])


RATES = {"dropout": 0.2, "recurrent_dropout": 0.2}
# What each layer makes of a Dense layer's output (B, T, N).
CASES = {
    "Activation": lambda x: layers.Activation("mish")(x),
    "ActivityRegularization": lambda x: layers.ActivityRegularization(0.1, 0.1)(x),
    "AlphaDropout": lambda x: layers.AlphaDropout(0.3)(x),
    "Bidirectional": lambda x: layers.Bidirectional(layers.LSTM(4, return_sequences=True, **RATES))(x),
    "Concatenate": two(layers.Concatenate()),
    "Dense": lambda x: layers.Dense(4, activation="gelu")(x),
    "Dot": two(layers.Dot(axes=1)),
    "Dropout": lambda x: layers.Dropout(0.3)(x),
    "ELU": lambda x: layers.ELU()(x),
    "EinsumDense": lambda x: layers.EinsumDense("abc,de->abde", (T, 2, 3))(x),
    "Flatten": flat,
    "GRU": lambda x: layers.GRU(4, **RATES)(x),
    "GRUCell": lambda x: layers.GRUCell(4, **RATES)(flat(x), states(x, 4, 1))[0],
    "GaussianDropout": lambda x: layers.GaussianDropout(0.3)(x),
    "GaussianNoise": lambda x: layers.GaussianNoise(0.3)(x),
    "Identity": lambda x: layers.Identity()(x),
    "InputLayer": lambda x: x,
    "LSTM": lambda x: layers.LSTM(4, implementation=1, **RATES)(x),
    "LSTMCell": lambda x: layers.LSTMCell(4, **RATES)(flat(x), states(x, 4, 2))[0],
    "LeakyReLU": lambda x: layers.LeakyReLU()(x),
    "LocallyConnected1D": lambda x: layers.LocallyConnected1D(4, 2)(x),
    "Masking": lambda x: layers.GRU(4, **RATES)(layers.Masking()(x)),
    "PReLU": lambda x: layers.PReLU()(x),
    "Permute": lambda x: layers.Permute((2, 1))(x),
    "RNN": lambda x: layers.RNN([layers.LSTMCell(3, **RATES), layers.SimpleRNNCell(4, **RATES)])(x),
    "ReLU": lambda x: layers.ReLU(6.0, 0.1, 0.2)(x),
    "RepeatVector": lambda x: layers.RepeatVector(3)(flat(x)),
    "Reshape": lambda x: layers.Reshape((N, T))(x),
    "SimpleRNN": lambda x: layers.SimpleRNN(4, **RATES)(x),
    "SimpleRNNCell": lambda x: layers.SimpleRNNCell(4, **RATES)(flat(x), states(x, 4, 1))[0],
    "Softmax": lambda x: layers.Softmax(axis=1)(x),
    "SpatialDropout1D": lambda x: layers.SpatialDropout1D(0.3)(x),
    "StackedRNNCells": lambda x: layers.StackedRNNCells([layers.GRUCell(4), layers.LSTMCell(3, **RATES)])(
        flat(x), [states(x, 4, 1), states(x, 3, 2)]
    )[0],
    "TimeDistributed": lambda x: layers.TimeDistributed(layers.GRU(3, **RATES))(layers.Reshape((2, 2, N))(x)),
    **{name: two(getattr(layers, name)()) for name in ("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract")},
}  # fmt: skip


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("f")

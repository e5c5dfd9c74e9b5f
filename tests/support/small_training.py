"""A small compiled LSTM and data for it, which tests of fit and of its backups share."""

import numpy as np

import fastseq
from fastseq import layers


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("f")


def model(*more, optimizer="adam", loss="mse", seed=0, **compiled):
    made = fastseq.Sequential([layers.Input((4, 3)), layers.LSTM(5), *more, layers.Dense(2)])
    rng = np.random.default_rng(seed)
    made.set_weights([rng.standard_normal(weight.shape) / 2 for weight in made.get_weights()])
    made.compile(optimizer=optimizer, loss=loss, **compiled)
    return made


X, Y = draw(50, 4, 3), draw(50, 2, seed=1)

"""The whole call with one plain array: what stands around a kernel that takes less than a microsecond."""

import numpy as np

import fastseq
from fastseq import layers, models


def _dense_stack(count):
    return models.Sequential([layers.Input((1, 8)), *(layers.Dense(8) for _ in range(count))])


def _functional():
    inputs = layers.Input((1, 64))
    return models.Model(inputs, layers.Dense(32)(inputs))


MAKERS = {
    "Dense (1,1,64,32)": (lambda: layers.Dense(32), 64),
    "LSTM (1,1,40,64)": (lambda: layers.LSTM(64, return_sequences=True), 40),
    "LSTM (1,1,40,64) with states": (lambda: layers.LSTM(64, return_state=True), 40),
    "GRU (1,1,40,64)": (lambda: layers.GRU(64, return_sequences=True), 40),
    "Functional of Dense (1,1,64,32)": (_functional, 64),
    "Sequential of 1 Dense(8)": (lambda: _dense_stack(1), 8),
    "Sequential of 5 Dense(8)": (lambda: _dense_stack(5), 8),
}


class Calls:
    """`new`: the call with a new result; `given`: the program run into an array that is there."""

    params = [list(MAKERS)]
    param_names = ["model"]

    def setup(self, name):
        make, inputs = MAKERS[name]
        self.model = make()
        self.x = np.random.default_rng(0).standard_normal((1, 1, inputs)).astype("f")
        self.model(self.x)
        argument = next(iter(self.model._signature.parameters))
        self.run = self.model._programs.program(self.model, {argument: self.x}).run
        self.given = ((self.x,), tuple(self.run((self.x,))))

    def time_new(self, name):
        self.model(self.x)

    def time_given(self, name):
        self.run(*self.given)


class ManyShapes:
    """One row of each length from 1 to 60 in turn: the program is found among as many."""

    def setup(self):
        self.model = fastseq.layers.Dense(4)
        self.inputs = [np.ones((1, length, 4), "f") for length in range(1, 61)]
        self.time_60_calls()

    def time_60_calls(self):
        for x in self.inputs:
            self.model(x)

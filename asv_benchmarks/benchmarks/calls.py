"""The whole call of a row, and predict: what stands around a kernel that takes less than a microsecond."""

import sys
import warnings

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


class _Identity(layers.Layer):
    def call(self, inputs):
        return inputs


ROWS = {
    "Dense(4)": (lambda: models.Sequential([layers.Input((8,)), layers.Dense(4)]), (1, 8)),
    "LSTM(8)": (lambda: models.Sequential([layers.Input((5, 8)), layers.LSTM(8)]), (1, 5, 8)),
    "Dense(4), a Python layer": (
        lambda: models.Sequential([layers.Input((8,)), layers.Dense(4), _Identity()]),
        (1, 8),
    ),
    "40 of Dense(8)": (lambda: models.Sequential([layers.Input((8,)), *(layers.Dense(8) for _ in range(40))]), (1, 8)),
}
CALLS = {
    "model(x)": lambda model, x, mask: lambda: model(x),
    "training=False": lambda model, x, mask: lambda: model(x, training=False),
    "training=True": lambda model, x, mask: lambda: model(x, training=True),
    "mask=": lambda model, x, mask: lambda: model(x, mask=mask),
    "inputs=": lambda model, x, mask: lambda: model(inputs=x),
    "predict": lambda model, x, mask: lambda: model.predict(x, verbose=0),
    "predict_on_batch": lambda model, x, mask: lambda: model.predict_on_batch(x),
}


class OneRow:
    """The ways of calling a model for a row. `python_calls`: how many Python functions that runs."""

    params = [list(ROWS), list(CALLS)]
    param_names = ["model", "call"]

    def setup(self, name, way):
        make, shape = ROWS[name]
        model, x = make(), np.random.default_rng(0).standard_normal(shape).astype("f")
        self.call = CALLS[way](model, x, np.ones(shape[:-1], bool))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of masks that end at a layer
            self.call()

    def time_call(self, name, way):
        self.call()

    def track_python_calls(self, name, way):
        count = -2  # the lambda, and the end of the profile

        def note(frame, event, _):
            nonlocal count
            count += event in ("call", "c_call")

        sys.setprofile(note)
        self.call()
        sys.setprofile(None)
        return count

"""RNN over two stacked LSTM cells, which run on the native kernel, and over a cell in Python; returning sequences."""

import numpy as np

import fastseq

from .common import LayerBenchmark, TrackedBenchmark, random


class RNN(TrackedBenchmark):
    def make(self, batch, time, inputs, units):
        cells = [fastseq.layers.LSTMCell(units), fastseq.layers.LSTMCell(units)]
        return fastseq.layers.RNN(cells, return_sequences=True)

    def products(self, inputs, units):
        return 4 * units * (inputs + units) + 4 * units * 2 * units


class LeakySum:
    """A user's cell with next to no work of its own, so that the loop over time is measured."""

    def __init__(self, units):
        self.state_size = units

    def call(self, inputs, states):
        total = np.float32(0.9) * states[0] + inputs
        return total, [total]


class PythonCell(LayerBenchmark):
    def make(self, batch, time, units):
        return fastseq.layers.RNN(LeakySum(units), return_sequences=True)

    def inputs(self, batch, time, units):
        return random(batch, time, units)

"""Bidirectional LSTM, returning sequences."""

import fastseq

from .common import LayerBenchmark


class Bidirectional(LayerBenchmark):
    params = [[(1, 63, 24, 32), (1, 100, 256, 256), (32, 100, 128, 128)], [1, 2]]

    def make(self, units):
        return fastseq.layers.Bidirectional(fastseq.layers.LSTM(units, return_sequences=True))

    def time_call(self, shape, threads):
        self.layer(self.x)

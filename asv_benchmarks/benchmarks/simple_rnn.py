"""SimpleRNN, returning sequences."""

import fastseq

from .common import RECURRENT_SHAPES, LayerBenchmark


class SimpleRNN(LayerBenchmark):
    params = [RECURRENT_SHAPES, [1, 2]]

    def make(self, units):
        return fastseq.layers.SimpleRNN(units, return_sequences=True)

    def time_call(self, shape, threads):
        self.layer(self.x)

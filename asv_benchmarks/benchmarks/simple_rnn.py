"""SimpleRNN, returning sequences: without a mask and with one."""

import fastseq

from .common import MaskedBenchmark, TrackedBenchmark


class SimpleRNN(TrackedBenchmark):
    def make(self, batch, time, inputs, units):
        return fastseq.layers.SimpleRNN(units, return_sequences=True)

    def products(self, inputs, units):
        return units * (inputs + units)


class MaskedSimpleRNN(MaskedBenchmark):
    def make(self, units):
        return fastseq.layers.SimpleRNN(units, return_sequences=True)

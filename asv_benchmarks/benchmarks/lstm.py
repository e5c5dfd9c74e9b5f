"""LSTM, returning sequences: without a mask and with one."""

import fastseq

from .common import MaskedBenchmark, TrackedBenchmark


class LSTM(TrackedBenchmark):
    def make(self, batch, time, inputs, units):
        return fastseq.layers.LSTM(units, return_sequences=True)

    def products(self, inputs, units):
        return 4 * units * (inputs + units)


class MaskedLSTM(MaskedBenchmark):
    def make(self, units):
        return fastseq.layers.LSTM(units, return_sequences=True)

"""Bidirectional LSTM, returning sequences: without a mask and with one."""

import fastseq

from .common import THREADS, MaskedBenchmark, TrackedBenchmark


class Bidirectional(TrackedBenchmark):
    params = [[(1, 63, 24, 32), (1, 100, 256, 256), (32, 100, 128, 128)], THREADS]

    def make(self, batch, time, inputs, units):
        return fastseq.layers.Bidirectional(fastseq.layers.LSTM(units, return_sequences=True))

    def products(self, inputs, units):
        return 2 * 4 * units * (inputs + units)


class MaskedBidirectional(MaskedBenchmark):
    def make(self, units):
        return fastseq.layers.Bidirectional(fastseq.layers.LSTM(units, return_sequences=True))

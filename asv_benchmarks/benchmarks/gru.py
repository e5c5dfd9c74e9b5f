"""GRU, returning sequences: without a mask and with one."""

import fastseq

from .common import THREADS, MaskedBenchmark, TrackedBenchmark


class GRU(TrackedBenchmark):
    def make(self, batch, time, inputs, units):
        return fastseq.layers.GRU(units, return_sequences=True)

    def products(self, inputs, units):
        return 3 * units * (inputs + units)


class GRUResetBefore(GRU):
    params = [[(1, 100, 256, 256), (64, 100, 256, 256)], THREADS]

    def make(self, batch, time, inputs, units):
        return fastseq.layers.GRU(units, return_sequences=True, reset_after=False)


class MaskedGRU(MaskedBenchmark):
    def make(self, units):
        return fastseq.layers.GRU(units, return_sequences=True)

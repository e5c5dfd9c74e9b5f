"""Conv1DTranspose: each timestep is spread over four of twice as many."""

import fastseq

from .common import THREADS, TrackedBenchmark


class Conv1DTranspose(TrackedBenchmark):
    params = [[(1, 100, 64, 64), (32, 100, 64, 64), (32, 100, 256, 256)], THREADS]

    def make(self, batch, time, inputs, units):
        return fastseq.layers.Conv1DTranspose(units, 4, 2, "same")

    def products(self, inputs, units):
        return 4 * inputs * units

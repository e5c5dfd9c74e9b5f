"""Dense on every timestep, alone and with softmax."""

import fastseq

from .common import THREADS, TrackedBenchmark


class Dense(TrackedBenchmark):
    params = [[(1, 1, 64, 32), (32, 100, 256, 256), (1000, 64, 16, 8)], THREADS]

    def make(self, batch, time, inputs, units):
        return fastseq.layers.Dense(units)

    def products(self, inputs, units):
        return inputs * units


class DenseSoftmax(Dense):
    params = [[(64, 200, 128, 1000)], THREADS]

    def make(self, batch, time, inputs, units):
        return fastseq.layers.Dense(units, activation="softmax")

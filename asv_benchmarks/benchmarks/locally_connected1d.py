"""LocallyConnected1D: a Dense of its own for every timestep, and for every window of three."""

import fastseq

from .common import THREADS, TrackedBenchmark


class LocallyConnected1D(TrackedBenchmark):
    params = [[(1, 10, 64, 32), (32, 100, 64, 64), (1000, 64, 16, 8)], THREADS]

    def make(self, batch, time, inputs, units):
        return fastseq.layers.LocallyConnected1D(units, 1)

    def products(self, inputs, units):
        return inputs * units


class LocallyConnected1DOfThree(LocallyConnected1D):
    """Two positions fewer than timesteps; the GFLOP/s count them."""

    params = [[(32, 102, 64, 64)], THREADS]

    def make(self, batch, time, inputs, units):
        return fastseq.layers.LocallyConnected1D(units, 3)

    def products(self, inputs, units):
        return 3 * inputs * units * 100 / 102

"""Conv1D, causal, over three timesteps, and over three that lie four apart."""

import fastseq

from .common import THREADS, TrackedBenchmark


class Conv1D(TrackedBenchmark):
    params = [[(1, 1, 64, 64), (1, 100, 64, 64), (32, 100, 64, 64), (32, 100, 256, 256)], THREADS]
    dilation_rate = 1

    def make(self, batch, time, inputs, units):
        return fastseq.layers.Conv1D(units, 3, padding="causal", dilation_rate=self.dilation_rate)

    def products(self, inputs, units):
        return 3 * inputs * units


class Conv1DDilated(Conv1D):
    params = [[(32, 100, 64, 64)], THREADS]
    dilation_rate = 4

"""Dense on every timestep."""

import fastseq

from .common import LayerBenchmark


class Dense(LayerBenchmark):
    params = [[(1, 1, 64, 32), (32, 100, 256, 256), (1000, 64, 16, 8)], [1, 2]]

    def make(self, units):
        return fastseq.layers.Dense(units)

    def time_call(self, shape, threads):
        self.layer(self.x)


class DenseSoftmax(LayerBenchmark):
    params = [[(64, 200, 128, 1000)], [1, 2]]

    def make(self, units):
        return fastseq.layers.Dense(units, activation="softmax")

    def time_call(self, shape, threads):
        self.layer(self.x)

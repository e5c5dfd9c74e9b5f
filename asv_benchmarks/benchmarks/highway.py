"""Highway and MaxoutDense of Keras 1."""

import fastseq

from .common import THREADS, LayerBenchmark


class Highway(LayerBenchmark):
    params = [[(1, 64), (256, 256)], THREADS]

    def make(self, *shape):
        return fastseq.layers.Highway(activation="relu")


class MaxoutDense(LayerBenchmark):
    params = [[(1, 64), (256, 256)], THREADS]

    def make(self, *shape):
        return fastseq.layers.MaxoutDense(64)

"""Pools over time, which read their input once; 160 MB in the last shape, which no cache holds."""

import fastseq

from .common import THREADS, LayerBenchmark

SHAPES = [(1, 128, 64), (32, 1000, 64), (32, 5000, 256)]


class MaxPooling1D(LayerBenchmark):
    params = [SHAPES, THREADS]

    def make(self, *shape):
        return fastseq.layers.MaxPooling1D(2)


class AveragePooling1D(LayerBenchmark):
    params = [SHAPES, THREADS]

    def make(self, *shape):
        return fastseq.layers.AveragePooling1D(3, 1, "same")


class GlobalMaxPooling1D(LayerBenchmark):
    params = [SHAPES, THREADS]

    def make(self, *shape):
        return fastseq.layers.GlobalMaxPooling1D()


class GlobalAveragePooling1D(LayerBenchmark):
    params = [SHAPES, THREADS]

    def make(self, *shape):
        return fastseq.layers.GlobalAveragePooling1D()


class AdaptiveMaxPooling1D(LayerBenchmark):
    def make(self, *shape):
        return fastseq.layers.AdaptiveMaxPooling1D(7)


class AdaptiveAveragePooling1D(LayerBenchmark):
    def make(self, *shape):
        return fastseq.layers.AdaptiveAveragePooling1D(7)

"""Softmax over the features, and over the timesteps, which lie apart."""

import fastseq

from .common import LayerBenchmark


class Softmax(LayerBenchmark):
    def make(self, *shape):
        return fastseq.layers.Softmax()


class SoftmaxOverTime(LayerBenchmark):
    def make(self, *shape):
        return fastseq.layers.Softmax(axis=1)

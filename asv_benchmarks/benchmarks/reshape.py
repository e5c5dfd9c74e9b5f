"""Reshape."""

import fastseq

from .common import LayerBenchmark


class Reshape(LayerBenchmark):
    def make(self, *shape):
        return fastseq.layers.Reshape((-1,))

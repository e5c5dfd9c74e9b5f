"""Flatten."""

import fastseq

from .common import LayerBenchmark


class Flatten(LayerBenchmark):
    def make(self, *shape):
        return fastseq.layers.Flatten()

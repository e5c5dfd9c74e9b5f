"""Normalization: a mean for each feature."""

import fastseq

from .common import LayerBenchmark


class Normalization(LayerBenchmark):
    def make(self, *shape):
        return fastseq.layers.Normalization()

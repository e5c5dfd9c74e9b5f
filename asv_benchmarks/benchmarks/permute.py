"""Permute: a transposed copy."""

import fastseq

from .common import LayerBenchmark


class Permute(LayerBenchmark):
    def make(self, *shape):
        return fastseq.layers.Permute((2, 1))

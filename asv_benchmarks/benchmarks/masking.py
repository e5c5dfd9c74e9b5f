"""Masking: every timestep compared with the mask value."""

import fastseq

from .common import LayerBenchmark


class Masking(LayerBenchmark):
    def make(self, *shape):
        return fastseq.layers.Masking()

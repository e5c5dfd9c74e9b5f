"""ELU."""

import fastseq

from .common import LayerBenchmark


class ELU(LayerBenchmark):
    def make(self, *shape):
        return fastseq.layers.ELU()

"""LeakyReLU."""

import fastseq

from .common import LayerBenchmark


class LeakyReLU(LayerBenchmark):
    def make(self, *shape):
        return fastseq.layers.LeakyReLU()

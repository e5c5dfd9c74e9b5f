"""PReLU, one slope per timestep and feature."""

import fastseq

from .common import LayerBenchmark


class PReLU(LayerBenchmark):
    def make(self, *shape):
        return fastseq.layers.PReLU()

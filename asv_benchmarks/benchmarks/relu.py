"""ReLU with all of its arguments."""

import fastseq

from .common import LayerBenchmark


class ReLU(LayerBenchmark):
    def make(self, *shape):
        return fastseq.layers.ReLU(max_value=6.0, negative_slope=0.1, threshold=0.5)

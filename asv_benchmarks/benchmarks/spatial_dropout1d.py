"""SpatialDropout1D while training."""

import fastseq

from .common import LayerBenchmark


class SpatialDropout1D(LayerBenchmark):
    arguments = {"training": True}

    def make(self, *shape):
        return fastseq.layers.SpatialDropout1D(0.5, seed=0)

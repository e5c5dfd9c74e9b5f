"""DepthwiseConv1D over three timesteps."""

import fastseq

from .common import LayerBenchmark


class DepthwiseConv1D(LayerBenchmark):
    def make(self, *shape):
        return fastseq.layers.DepthwiseConv1D(3, padding="same")

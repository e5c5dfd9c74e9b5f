"""GaussianNoise while training."""

import fastseq

from .common import LayerBenchmark


class GaussianNoise(LayerBenchmark):
    arguments = {"training": True}

    def make(self, *shape):
        return fastseq.layers.GaussianNoise(0.1, seed=0)

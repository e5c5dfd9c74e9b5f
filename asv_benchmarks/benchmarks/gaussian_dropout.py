"""GaussianDropout while training."""

import fastseq

from .common import LayerBenchmark


class GaussianDropout(LayerBenchmark):
    arguments = {"training": True}

    def make(self, *shape):
        return fastseq.layers.GaussianDropout(0.5, seed=0)

"""AlphaDropout while training."""

import fastseq

from .common import LayerBenchmark


class AlphaDropout(LayerBenchmark):
    arguments = {"training": True}

    def make(self, *shape):
        return fastseq.layers.AlphaDropout(0.5, seed=0)

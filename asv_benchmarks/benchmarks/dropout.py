"""Dropout while training."""

import fastseq

from .common import LayerBenchmark


class Dropout(LayerBenchmark):
    arguments = {"training": True}

    def make(self, *shape):
        return fastseq.layers.Dropout(0.5, seed=0)

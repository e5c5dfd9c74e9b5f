"""Dot over the features, every timestep with every other, as attention does."""

import fastseq

from .common import MergingBenchmark


class Dot(MergingBenchmark):
    def make(self, *shape):
        return fastseq.layers.Dot(axes=2)


class CosineSimilarity(MergingBenchmark):
    def make(self, *shape):
        return fastseq.layers.Dot(axes=2, normalize=True)

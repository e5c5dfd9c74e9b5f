"""Concatenate: two copies side by side."""

import fastseq

from .common import MergingBenchmark


class Concatenate(MergingBenchmark):
    def make(self, *shape):
        return fastseq.layers.Concatenate()

"""Layers that merge two arrays element by element."""

import fastseq

from .common import MergingBenchmark


class Add(MergingBenchmark):
    def make(self, *shape):
        return fastseq.layers.Add()


class Subtract(MergingBenchmark):
    def make(self, *shape):
        return fastseq.layers.Subtract()


class Multiply(MergingBenchmark):
    def make(self, *shape):
        return fastseq.layers.Multiply()


class Average(MergingBenchmark):
    def make(self, *shape):
        return fastseq.layers.Average()


class Maximum(MergingBenchmark):
    def make(self, *shape):
        return fastseq.layers.Maximum()


class Minimum(MergingBenchmark):
    def make(self, *shape):
        return fastseq.layers.Minimum()

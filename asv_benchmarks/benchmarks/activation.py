"""Activation: tanh, element by element."""

import fastseq

from .common import LayerBenchmark


class Activation(LayerBenchmark):
    def make(self, *shape):
        return fastseq.layers.Activation("tanh")

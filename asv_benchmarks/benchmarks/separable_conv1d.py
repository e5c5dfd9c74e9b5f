"""SeparableConv1D over three timesteps."""

import fastseq

from .common import LayerBenchmark


class SeparableConv1D(LayerBenchmark):
    def make(self, batch, time, units):
        return fastseq.layers.SeparableConv1D(units, 3, padding="same")

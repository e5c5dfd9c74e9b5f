"""Layers that add timesteps, leave some out or repeat them, and Rescaling."""

import fastseq

from .common import LayerBenchmark


class UpSampling1D(LayerBenchmark):
    def make(self, *shape):
        return fastseq.layers.UpSampling1D(2)


class ZeroPadding1D(LayerBenchmark):
    def make(self, *shape):
        return fastseq.layers.ZeroPadding1D((2, 1))


class Cropping1D(LayerBenchmark):
    params = [[(1, 2, 64), (32, 100, 256)], LayerBenchmark.params[1]]

    def make(self, *shape):
        return fastseq.layers.Cropping1D((0, 1))


class Rescaling(LayerBenchmark):
    def make(self, *shape):
        return fastseq.layers.Rescaling(1 / 255, -0.5)

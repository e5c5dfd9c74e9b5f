"""Layers that add timesteps, leave some out or repeat them, Rescaling, and dropout of channels."""

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


class SpatialDropout2D(LayerBenchmark):
    params = [[(1, 1, 4, 64), (32, 25, 4, 256)], LayerBenchmark.params[1]]
    arguments = {"training": True}

    def make(self, *shape):
        return fastseq.layers.SpatialDropout2D(0.3)


class SpatialDropout3D(LayerBenchmark):
    params = [[(1, 1, 2, 2, 64), (32, 25, 2, 2, 256)], LayerBenchmark.params[1]]
    arguments = {"training": True}

    def make(self, *shape):
        return fastseq.layers.SpatialDropout3D(0.3)

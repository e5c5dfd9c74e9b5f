"""EinsumDense: a Dense by another name, projections to heads and back, and a kernel for each timestep."""

import fastseq

from .common import THREADS, TrackedBenchmark


class EinsumDense(TrackedBenchmark):
    params = [[(1, 1, 64, 32), (32, 100, 256, 256), (1000, 64, 16, 8)], THREADS]

    def make(self, batch, time, inputs, units):
        return fastseq.layers.EinsumDense("abc,cd->abd", (None, units), bias_axes="d")

    def products(self, inputs, units):
        return inputs * units


class EinsumDenseHeads(EinsumDense):
    params = [[(1, 1, 64, 64), (32, 100, 256, 256)], THREADS]

    def make(self, batch, time, inputs, units):
        return fastseq.layers.EinsumDense("abc,cde->abde", (None, 8, units // 8), bias_axes="de")


class EinsumDensePerTimestep(EinsumDense):
    params = [[(32, 100, 256, 256)], THREADS]

    def make(self, batch, time, inputs, units):
        return fastseq.layers.EinsumDense("abc,bcd->abd", (time, units), bias_axes="bd")

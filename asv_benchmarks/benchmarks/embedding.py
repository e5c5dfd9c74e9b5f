"""Embedding: ids (B, T) into a table of 10,000 rows of 128."""

import numpy as np

import fastseq

from .common import THREADS, LayerBenchmark


class Embedding(LayerBenchmark):
    params = [[(1, 1), (1, 100), (64, 100)], THREADS]

    def make(self, *shape):
        return fastseq.layers.Embedding(10_000, 128)

    def inputs(self, *shape):
        return np.random.default_rng(0).integers(0, 10_000, shape).astype("i4")

"""Embedding: a table of 10,000 rows of 128."""

import numpy as np

import fastseq


class Embedding:
    params = [[(1, 1), (1, 100), (64, 100)]]
    param_names = ["ids"]

    def setup(self, ids):
        self.layer = fastseq.layers.Embedding(10_000, 128)
        self.ids = np.random.default_rng(0).integers(0, 10_000, ids).astype("i4")
        self.layer(self.ids)

    def time_call(self, ids):
        self.layer(self.ids)

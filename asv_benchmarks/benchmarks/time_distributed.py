"""TimeDistributed: a Dense, and a model of two, on every timestep."""

import fastseq

from .common import THREADS, LayerBenchmark


class TimeDistributed(LayerBenchmark):
    def make(self, *shape):
        return fastseq.layers.TimeDistributed(fastseq.layers.Dense(64))


class TimeDistributedModel(LayerBenchmark):
    params = [[(32, 100, 256)], THREADS]

    def make(self, *shape):
        layers = [fastseq.layers.Dense(64, activation="relu"), fastseq.layers.Dense(8)]
        return fastseq.layers.TimeDistributed(fastseq.Sequential([fastseq.Input(shape[2:]), *layers]))

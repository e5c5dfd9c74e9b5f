"""RepeatVector: each row of (B, F) written 100 times."""

import fastseq

from .common import THREADS, LayerBenchmark


class RepeatVector(LayerBenchmark):
    params = [[(1, 64), (32, 256)], THREADS]

    def make(self, *shape):
        return fastseq.layers.RepeatVector(100)

"""BatchNormalization: moving statistics."""

import fastseq

from .common import LayerBenchmark


class BatchNormalization(LayerBenchmark):
    def make(self, *shape):
        return fastseq.layers.BatchNormalization()

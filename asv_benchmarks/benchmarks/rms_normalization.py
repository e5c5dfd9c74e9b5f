"""RMSNormalization over the features."""

import fastseq

from .common import LayerBenchmark


class RMSNormalization(LayerBenchmark):
    def make(self, *shape):
        return fastseq.layers.RMSNormalization()

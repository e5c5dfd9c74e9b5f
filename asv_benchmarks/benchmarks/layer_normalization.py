"""LayerNormalization over the features."""

import fastseq

from .common import LayerBenchmark


class LayerNormalization(LayerBenchmark):
    def make(self, *shape):
        return fastseq.layers.LayerNormalization()

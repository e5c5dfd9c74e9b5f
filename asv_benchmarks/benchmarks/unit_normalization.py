"""UnitNormalization over the features."""

import fastseq

from .common import LayerBenchmark


class UnitNormalization(LayerBenchmark):
    def make(self, *shape):
        return fastseq.layers.UnitNormalization()

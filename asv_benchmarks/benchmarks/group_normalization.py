"""GroupNormalization: eight groups."""

import fastseq

from .common import LayerBenchmark


class GroupNormalization(LayerBenchmark):
    def make(self, *shape):
        return fastseq.layers.GroupNormalization(8)

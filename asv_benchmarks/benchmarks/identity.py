"""Identity: what a call costs by itself."""

import fastseq

from .common import LayerBenchmark


class Identity(LayerBenchmark):
    def make(self, *shape):
        return fastseq.layers.Identity()

"""ActivityRegularization, which at inference only passes on."""

import fastseq

from .common import LayerBenchmark


class ActivityRegularization(LayerBenchmark):
    def make(self, *shape):
        return fastseq.layers.ActivityRegularization(l2=0.01)

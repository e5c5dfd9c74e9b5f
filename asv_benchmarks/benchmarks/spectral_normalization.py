"""SpectralNormalization of a Dense, at inference."""

import fastseq

from .common import LayerBenchmark


class SpectralNormalization(LayerBenchmark):
    def make(self, *shape):
        return fastseq.layers.SpectralNormalization(fastseq.layers.Dense(64))

"""MelSpectrogram and STFTSpectrogram of a second, and of 8 times 4 seconds, at 16 kHz."""

import fastseq

from .common import THREADS, LayerBenchmark


class MelSpectrogram(LayerBenchmark):
    params = [[(1, 16000), (8, 64000)], THREADS]

    def make(self, *shape):
        return fastseq.layers.MelSpectrogram(1024, 256)


class STFTSpectrogram(LayerBenchmark):
    params = [[(1, 16000, 1), (8, 64000, 1)], THREADS]

    def make(self, *shape):
        return fastseq.layers.STFTSpectrogram(frame_length=512)

"""What the layer benchmarks share: a built layer, an input, and one thread or two."""

import numpy as np

import fastseq


class LayerBenchmark:
    """A layer and an input of shape (B, T, I, H); subclasses give `make(units)`, `params` and `time_call`."""

    param_names = ["shape", "threads"]
    timeout = 120

    def setup(self, shape, threads):
        batch, time, inputs, units = shape
        fastseq.set_num_threads(threads)
        self.layer = self.make(units)
        self.x = np.random.default_rng(0).standard_normal((batch, time, inputs)).astype("f")
        self.layer(self.x)


RECURRENT_SHAPES = [
    (1, 1, 40, 64),
    (1, 100, 64, 64),
    (1, 100, 256, 256),
    (8, 100, 256, 256),
    (64, 100, 256, 256),
    (128, 50, 512, 512),
    (1000, 64, 15, 16),
]

"""LSTM over sequences of 10 to 100 steps, padded to 100: what skipping masked steps saves."""

import numpy as np

import fastseq


class MaskedLSTM:
    params = [["right", "left", "none"], [1, 2]]
    param_names = ["padding", "threads"]

    def setup(self, padding, threads):
        fastseq.set_num_threads(threads)
        rng = np.random.default_rng(0)
        self.layer = fastseq.layers.LSTM(128, return_sequences=True)
        self.x = rng.standard_normal((32, 100, 128)).astype("f")
        lengths = rng.integers(10, 101, 32)[:, None]
        steps = np.arange(100)
        masks = {"right": steps < lengths, "left": steps >= 100 - lengths, "none": None}
        self.mask = masks[padding]
        self.layer(self.x, mask=self.mask)

    def time_call(self, padding, threads):
        self.layer(self.x, mask=self.mask)

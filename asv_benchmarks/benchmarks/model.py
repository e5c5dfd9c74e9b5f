"""Whole models: building, calling, predicting; and what importing costs."""

import numpy as np

import fastseq


class Tagger:
    """GRU(16)-Dense(8)-softmax over (1000, 64, 15)."""

    params = [1, 2]
    param_names = ["threads"]

    def setup(self, threads):
        fastseq.set_num_threads(threads)
        self.model = fastseq.Sequential(
            [
                fastseq.Input((64, 15)),
                fastseq.layers.GRU(16, return_sequences=True),
                fastseq.layers.Dense(8, activation="softmax"),
            ]
        )
        self.x = np.random.default_rng(0).standard_normal((1000, 64, 15)).astype("f")
        self.model(self.x)

    def time_call(self, threads):
        self.model(self.x)

    def time_predict(self, threads):
        self.model.predict(self.x, verbose=0)

    def time_one_row(self, threads):
        self.model(self.x[:1])

    def peakmem_predict(self, threads):
        self.model.predict(self.x, verbose=0)


def timeraw_import():
    return "import fastseq"

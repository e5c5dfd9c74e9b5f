"""Whole models: a call, a prediction, the memory it takes, its GFLOP/s; and what importing costs."""

from abc import ABC, abstractmethod

import fastseq

from .common import THREADS, gflops_per_second, random, use_threads


class ModelBenchmark(ABC):
    """A subclass gives `shape` (B, T, I), `layers()`, and `products`, the multiply-adds of one row's timestep."""

    params = [THREADS]
    param_names = ["threads"]
    timeout = 120

    @abstractmethod
    def layers(self):
        """The model's layers after the input."""

    def setup(self, threads):
        use_threads(threads)
        self.model = fastseq.Sequential([fastseq.Input(self.shape[1:]), *self.layers()])
        self.x = random(*self.shape)
        self.model(self.x)

    def time_call(self, threads):
        self.model(self.x)

    def time_one_row(self, threads):
        self.model(self.x[:1])

    def time_predict(self, threads):
        self.model.predict(self.x, verbose=0)

    def peakmem_predict(self, threads):
        self.model.predict(self.x, verbose=0)

    def track_gflops(self, threads):
        batch, steps, _ = self.shape
        return gflops_per_second(lambda: self.model(self.x), 2 * batch * steps * self.products)

    track_gflops.unit = "GFLOP/s"


class Tagger(ModelBenchmark):
    shape = (1000, 64, 15)
    products = 3 * 16 * (15 + 16) + 16 * 8

    def layers(self):
        return [
            fastseq.layers.GRU(16, return_sequences=True),
            fastseq.layers.Dense(8, activation="softmax"),
        ]


class Autoencoder(ModelBenchmark):
    shape = (32, 50, 8)
    products = 4 * 64 * (8 + 64) + 4 * 64 * (64 + 64) + 64 * 8

    def layers(self):
        return [
            fastseq.layers.LSTM(64),
            fastseq.layers.RepeatVector(50),
            fastseq.layers.LSTM(64, return_sequences=True),
            fastseq.layers.TimeDistributed(fastseq.layers.Dense(8)),
        ]


class LongSequence(ModelBenchmark):
    """Its peak memory tells of any buffer over (B, T): one of the gates alone would be 131 MB."""

    shape = (8, 4000, 32)
    products = 4 * 256 * (32 + 256)

    def layers(self):
        return [fastseq.layers.LSTM(256)]


def timeraw_import():
    return "import fastseq"

"""One timestep of a stream into the caller's array, and one tick of a pool beside a plain batch of as many rows."""

import numpy as np

from fastseq import layers, models

from .common import THREADS, random, use_threads


def _lstm():
    return models.Sequential([layers.Input((None, 40)), layers.LSTM(64, return_sequences=True)])


def _gru():
    stack = [layers.GRU(16, return_sequences=True), layers.Dense(8), layers.Softmax()]
    return models.Sequential([layers.Input((None, 15)), *stack])


def _stack():
    cells = [layers.LSTMCell(64), layers.GRUCell(64)]
    return models.Sequential([layers.Input((None, 40)), layers.RNN(cells, return_sequences=True)])


MAKERS = {"LSTM(64) over 40": _lstm, "GRU(16)-Dense(8)-softmax over 15": _gru, "RNN of two cells over 40": _stack}


class Steps:
    params = [list(MAKERS)]
    param_names = ["model"]

    def setup(self, name):
        use_threads(1)
        model = MAKERS[name]()
        self.stream, self.x = model.stream(), random(1, model.input_shape[-1])
        self.y = self.stream.step(self.x)
        self.chunk = random(1, 100, model.input_shape[-1])

    def time_step_into_given(self, name):
        self.stream.step(self.x, out=self.y)

    def time_step(self, name):
        self.stream.step(self.x)

    def time_chunk_of_100(self, name):
        self.stream.steps(self.chunk)


class Pool:
    """GRU(128) over 128, all streams at every tick; `batch` is one stream of as many rows."""

    params = [[1, 100, 1000], THREADS]
    param_names = ["streams", "threads"]

    def setup(self, streams, threads):
        use_threads(threads)
        self.model = models.Sequential([layers.Input((None, 128)), layers.GRU(128, return_sequences=True)])
        self.pool, rows = self.model.stream_pool(streams), random(streams, 128)
        self.inputs = {self.pool.open(): row for row in rows}
        self.stream, self.rows = self.model.stream(streams), rows
        self.y = np.empty_like(self.stream.step(rows))
        self.pool.step(self.inputs)

    def time_pool(self, streams, threads):
        self.pool.step(self.inputs)

    def time_batch(self, streams, threads):
        self.stream.step(self.rows, out=self.y)

"""Training: a step, an epoch of `fit`, `evaluate`, and the peak memory of steps."""

import numpy as np

import fastseq

from .common import THREADS, random, use_threads


def _compiled(shape, layers, loss="mse", metrics=None):
    model = fastseq.Sequential([fastseq.Input(shape), *layers])
    model.compile(optimizer="rmsprop", loss=loss, metrics=metrics)
    return model


class Step:
    """`train_on_batch` of one recurrent layer, (B, T, I, H): forward, backward, RMSprop; squared error of sequences."""

    params = [
        ["LSTM", "GRU", "SimpleRNN"],
        [(1, 100, 64, 64), (128, 64, 15, 16), (64, 100, 128, 128), (64, 100, 256, 256)],
        THREADS,
    ]
    param_names = ["layer", "shape", "threads"]
    timeout = 120

    def setup(self, layer, shape, threads):
        use_threads(threads)
        batch, time, inputs, units = shape
        self.x, self.y = random(batch, time, inputs), random(batch, time, units)
        self.model = _compiled((time, inputs), [getattr(fastseq.layers, layer)(units, return_sequences=True)])
        self.time_step(layer, shape, threads)

    def time_step(self, layer, shape, threads):
        self.model.train_on_batch(self.x, self.y)


class Tutorial:
    """GRU(16) and Dense(8) over 1,000 sequences of 64 timesteps and 15 inputs, in batches of 128."""

    params = [["wrapped", "dense", "last"], THREADS]
    param_names = ["model", "threads"]
    timeout = 120

    def setup(self, model, threads):
        use_threads(threads)
        make = fastseq.layers
        after = [make.Dense(8, activation="softmax")]
        if model == "wrapped":
            after = [make.TimeDistributed(make.Dense(8)), make.Activation("softmax")]
        self.x = random(1000, 64, 15)
        shape = (1000,) if model == "last" else (1000, 64)
        self.y = np.eye(8, dtype="f")[np.random.default_rng(1).integers(0, 8, shape)]
        stack = [make.GRU(16, return_sequences=model != "last"), *after]
        self.model = _compiled((64, 15), stack, "categorical_crossentropy", ["accuracy"])
        self.time_epoch(model, threads)
        self.time_evaluate(model, threads)

    def time_epoch(self, model, threads):
        self.model.fit(self.x, self.y, batch_size=128, verbose=0)

    def time_evaluate(self, model, threads):
        self.model.evaluate(self.x, self.y, batch_size=128, verbose=0)


class Reviews:
    """Embedding(10000, 64), LSTM(64), Dense(1): 32 texts of 100 ids."""

    params = [THREADS]
    param_names = ["threads"]

    def setup(self, threads):
        use_threads(threads)
        make, rng = fastseq.layers, np.random.default_rng(0)
        stack = [make.Embedding(10000, 64), make.LSTM(64), make.Dense(1, activation="sigmoid")]
        self.model = fastseq.Sequential([fastseq.Input((100,), dtype="int32"), *stack])
        self.model.compile(optimizer="rmsprop", loss="binary_crossentropy")
        self.x = rng.integers(0, 10000, (32, 100)).astype("i4")
        self.y = rng.integers(0, 2, (32, 1)).astype("f")
        self.time_step(threads)

    def time_step(self, threads):
        self.model.train_on_batch(self.x, self.y)


class Memory:
    """What a step of (64, 100, 256, 256) takes: traces of the forward pass are most of it."""

    params = [["LSTM", "GRU"], THREADS]
    param_names = ["layer", "threads"]

    def setup(self, layer, threads):
        use_threads(threads)
        self.x, self.y = random(64, 100, 256), random(64, 100, 256)
        self.model = _compiled((100, 256), [getattr(fastseq.layers, layer)(256, return_sequences=True)])

    def peakmem_step(self, layer, threads):
        self.model.train_on_batch(self.x, self.y)
        self.model.train_on_batch(self.x, self.y)


def timeraw_first_epoch():
    """From a new process, Python's own start left out, to the end of the first epoch."""
    return """
import numpy as np
import fastseq

model = fastseq.Sequential([
    fastseq.Input((64, 15)), fastseq.layers.GRU(16, return_sequences=True),
    fastseq.layers.Dense(8, activation="softmax"),
])
model.compile(optimizer="rmsprop", loss="categorical_crossentropy", metrics=["accuracy"])
labels = np.eye(8, dtype="f")[np.zeros((1000, 64), int)]
model.fit(np.ones((1000, 64, 15), "f"), labels, batch_size=128, verbose=0)
"""

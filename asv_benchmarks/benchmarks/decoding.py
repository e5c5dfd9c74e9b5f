"""Whole decoding loops: an LSTM(256) decoder over 90 characters for 30 steps, and a text model that reads 40 ids."""

import numpy as np

from fastseq import layers, models
from fastseq.decoding import Decoder, generate

from .common import THREADS, use_threads

VOCABULARY, UNITS, STEPS, WINDOW = 90, 256, 30, 40


def _one_step():
    """One step as Keras's tutorials build it, over one-hot rows."""
    last, states = layers.Input((None, VOCABULARY)), [layers.Input((UNITS,)) for _ in range(2)]
    lstm = layers.LSTM(UNITS, return_sequences=True, return_state=True)
    decoded, *after = lstm(last, initial_state=states)
    return models.Model([last, *states], [layers.Dense(VOCABULARY, activation="softmax")(decoded), *after])


def _text_model():
    stack = [layers.Embedding(VOCABULARY, 100), layers.LSTM(128, return_sequences=True), layers.LSTM(128)]
    stack = [layers.Input((WINDOW,), dtype="int32"), *stack, layers.Dense(VOCABULARY, activation="softmax")]
    return models.Sequential(stack)


class Decoding:
    """30 tokens for each row, none of which ends earlier."""

    params = [[1, 64], THREADS]
    param_names = ["rows", "threads"]
    timeout = 120

    def setup(self, rows, threads):
        use_threads(threads)
        self.decoder = Decoder(_one_step(), start_id=0, max_length=STEPS)
        rng = np.random.default_rng(0)
        self.states = [rng.uniform(-1, 1, (rows, UNITS)).astype("f") for _ in range(2)]
        self.time_greedy(rows, threads)

    def time_greedy(self, rows, threads):
        self.decoder.greedy(self.states, scores=False)

    def time_greedy_scores(self, rows, threads):
        self.decoder.greedy(self.states)

    def time_sample(self, rows, threads):
        self.decoder.sample(self.states, temperature=0.8, seed=1)

    def time_sample_top_k_top_p(self, rows, threads):
        self.decoder.sample(self.states, top_k=20, top_p=0.9, seed=1)

    def time_beam_of_4(self, rows, threads):
        self.decoder.beam(self.states, width=4)


def _counting_step():
    """LSTM(256) over ids; beside it a count falls by 1 a step, and below 0 the end, token 1, is the likelier one."""
    count, last = layers.Input((1,)), layers.Input((1,), dtype="int32")
    states = [layers.Input((UNITS,)) for _ in range(2)]
    y, *after = layers.LSTM(UNITS, return_state=True)(layers.Embedding(2, 32)(last), initial_state=states)
    fewer = layers.Dense(1, weights=[np.ones((1, 1), "f"), np.array([-1], "f")])(count)
    kernel = np.zeros((UNITS + 1, 2), "f")
    kernel[UNITS, 0] = 1
    dense = layers.Dense(2, activation="softmax", weights=[kernel, np.zeros(2, "f")])
    return models.Model([last, count, *states], [dense(layers.Concatenate()([y, fewer])), fewer, *after])


class Ending:
    """64 rows that end after 1 to 29 steps, 15 in the mean: rows that have ended leave the batch."""

    params = [THREADS]
    param_names = ["threads"]

    def setup(self, threads):
        use_threads(threads)
        self.decoder = Decoder(_counting_step(), start_id=0, end_id=1, max_length=STEPS)
        counts = np.linspace(0.5, STEPS - 1.5, 64, dtype="f")[:, None]
        self.states = [counts, np.zeros((64, UNITS), "f"), np.zeros((64, UNITS), "f")]
        self.time_greedy(threads)

    def time_greedy(self, threads):
        return self.decoder.greedy(self.states, scores=False)


class Generate:
    """40 more characters behind a text."""

    params = [[1, 64], THREADS]
    param_names = ["rows", "threads"]
    timeout = 120

    def setup(self, rows, threads):
        use_threads(threads)
        self.model = _text_model()
        self.ids = np.random.default_rng(0).integers(0, VOCABULARY, (rows, WINDOW)).astype("i4")
        self.time_greedy(rows, threads)

    def time_greedy(self, rows, threads):
        generate(self.model, self.ids, 40)

    def time_sample(self, rows, threads):
        generate(self.model, self.ids, 40, temperature=0.8, seed=1)

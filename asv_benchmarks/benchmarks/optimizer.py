"""Optimizers: one step over the weights of a model."""

import numpy as np

import fastseq

from .common import THREADS, random, use_threads

# An LSTM with a Dense on it: small, of 64 units, of 256.
MODELS = {
    "GRU(16)": [(15, 48), (16, 48), (2, 48), (16, 8), (8,)],
    "LSTM(64)": [(64, 256), (64, 256), (256,), (64, 10), (10,)],
    "LSTM(256)": [(256, 1024), (256, 1024), (1024,), (256, 10), (10,)],
}


class Optimizer:
    params = [list(MODELS), ["SGD", "RMSprop", "Adam"], ["", "global_clipnorm"], THREADS]
    param_names = ["model", "optimizer", "clip", "threads"]

    def setup(self, model, optimizer, clip, threads):
        use_threads(threads)
        self.variables = [fastseq.Variable(random(*shape), "weight") for shape in MODELS[model]]
        self.gradients = [0.01 * random(*shape) for shape in MODELS[model]]
        self.gradients = [np.ascontiguousarray(gradient, np.float32) for gradient in self.gradients]
        self.optimizer = getattr(fastseq.optimizers, optimizer)(**({clip: 1.0} if clip else {}))
        self.optimizer.apply(self.gradients, self.variables)

    def time_step(self, model, optimizer, clip, threads):
        self.optimizer.apply(self.gradients, self.variables)

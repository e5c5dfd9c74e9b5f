"""Functions of fastseq.ops: chains of elementwise ones, sums over axes, and compositions of both."""

import fastseq
from fastseq import ops

from .common import LayerBenchmark


def model_of(function, shape):
    """A model that computes it of one array."""
    x = fastseq.Input(shape[1:])
    return fastseq.Model(x, function(x))


class ChainOfFour(LayerBenchmark):
    """Four functions in one pass over memory."""

    def make(self, *shape):
        return model_of(lambda x: ops.maximum(ops.multiply(ops.exp(-x), 0.5) + x, 0.0), shape)


class Power(LayerBenchmark):
    """A function that is computed in double."""

    def make(self, *shape):
        return model_of(lambda x: ops.power(ops.absolute(x), 1.7), shape)


class SumOverLastAxis(LayerBenchmark):
    def make(self, *shape):
        return model_of(lambda x: ops.sum(x, axis=-1), shape)


class SumOverMiddleAxis(LayerBenchmark):
    def make(self, *shape):
        return model_of(lambda x: ops.sum(x, axis=1), shape)


class LayerNormalization(LayerBenchmark):
    """The composition: two means, and a chain."""

    def make(self, *shape):
        def call(x):
            centred = x - ops.mean(x, axis=-1, keepdims=True)
            return centred * ops.rsqrt(ops.mean(ops.square(centred), axis=-1, keepdims=True) + 1e-3)

        return model_of(call, shape)


class Softmax(LayerBenchmark):
    """The composition: a maximum, a chain and a sum, and a quotient."""

    def make(self, *shape):
        def call(x):
            e = ops.exp(x - ops.max(x, axis=-1, keepdims=True))
            return e / ops.sum(e, axis=-1, keepdims=True)

        return model_of(call, shape)

"""Functions of fastseq.ops: chains of elementwise ones, sums over axes, and compositions of both."""

import fastseq
from fastseq import ops

from .common import LayerBenchmark


class _Traced(fastseq.layers.Layer):
    """A layer of the user's own, whose call is traced."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, x):
        return self.function(x)


class ChainOfFour(LayerBenchmark):
    """Four functions in one pass over memory."""

    def make(self, *shape):
        return _Traced(lambda x: ops.maximum(ops.multiply(ops.exp(-x), 0.5) + x, 0.0))


class Power(LayerBenchmark):
    """A function that is computed in double."""

    def make(self, *shape):
        return _Traced(lambda x: ops.power(ops.absolute(x), 1.7))


class SumOverLastAxis(LayerBenchmark):
    def make(self, *shape):
        return _Traced(lambda x: ops.sum(x, axis=-1))


class SumOverMiddleAxis(LayerBenchmark):
    def make(self, *shape):
        return _Traced(lambda x: ops.sum(x, axis=1))


class LayerNormalization(LayerBenchmark):
    """The composition: two means, and a chain."""

    def make(self, *shape):
        def call(x):
            centred = x - ops.mean(x, axis=-1, keepdims=True)
            return centred * ops.rsqrt(ops.mean(ops.square(centred), axis=-1, keepdims=True) + 1e-3)

        return _Traced(call)


class Softmax(LayerBenchmark):
    """The composition: a maximum, a chain and a sum, and a quotient."""

    def make(self, *shape):
        def call(x):
            e = ops.exp(x - ops.max(x, axis=-1, keepdims=True))
            return e / ops.sum(e, axis=-1, keepdims=True)

        return _Traced(call)

"""Layers of the cells as steps of fastseq's programs, written by hand: what a user's code is held against."""

from cells import EPSILON

from fastseq import layers
from fastseq.layers import time_axis
from fastseq.layers.dense_steps import dense_steps
from fastseq.program.packing import pack_dense
from fastseq.program.products import plain_matmul


class Attention(layers.Layer):
    """Two products and a softmax, which adds no 1e-7 to a sum of 1 at least: a share's last bit at most."""

    def build(self, input_shape):
        self.W = self.add_weight(shape=(input_shape[-1], 1), name="W")

    def emit(self, p, x):
        batch, time, width = x.shape
        logits, y = p.new((batch * time, 1)), p.new((batch, width))
        packed = self.packed("dense", lambda: pack_dense(self.W.numpy(), None))
        dense_steps(p, x, logits, [(0, width, packed)], batch * time, 1, None)
        shares = p.activation(("softmax", ()), logits.reshaped((batch, time)))
        plain_matmul(p, shares, x, y, batch, 1, time, width)
        return y

    def compute_output_shape(self, input_shape):
        return input_shape[0], input_shape[-1]


class InstantNorm(layers.Layer):
    """Two sums over the bins and what is made of them, in three passes over a timestep."""

    keeps_time = time_axis.by_row

    def build(self, input_shape):
        self.gamma = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=(input_shape[-1],), initializer="zeros", name="beta")

    def emit(self, p, x):
        last = len(x.shape) - 1

        def mean(values):
            return p.reduce("mean", values, [last]).reshaped((*x.shape[:-1], 1))

        middle = mean(x)
        # The difference twice, so that each becomes part of a pass and no array of it is written.
        variance = mean(p.elementwise("square", p.elementwise("subtract", x, middle)))
        scale = p.elementwise("rsqrt", p.elementwise("add", variance, EPSILON))
        y = p.elementwise("multiply", p.elementwise("subtract", x, middle), scale)
        return p.elementwise("add", p.elementwise("multiply", y, p.weight(self.gamma)), p.weight(self.beta))

    def compute_output_shape(self, input_shape):
        return input_shape

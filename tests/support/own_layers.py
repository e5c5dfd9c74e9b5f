"""A user's own layer that is traced, and whether a program has steps in Python."""

import numpy as np

from fastseq import layers
from fastseq.layers import binding

B, T, N = 3, 5, 4


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("f")


class Gain(layers.Layer):
    """tanh(x * gain): with NumPy's function and an operator."""

    factor = 1.0

    def build(self, input_shape):
        self.gain = self.add_weight((input_shape[-1],), "ones", name="gain")

    def call(self, x):
        return np.tanh(x * self.gain) * self.factor


def has_python(layer, x, **kwargs):
    """Whether the program of a call of `layer` has a step in Python."""
    arguments = binding.convert(layer, binding.bind(layer, (x,), kwargs))
    return layer._programs.program(layer, arguments).has_python

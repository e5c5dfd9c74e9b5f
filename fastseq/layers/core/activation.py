"""Activation layer, and how any layer applies an activation; see https://keras.io/api/layers/core_layers/activation/."""

import numpy as np

from fastseq import activations
from fastseq.layers import time_axis
from fastseq.layers.base import Layer


def apply_activation(p, layer, activation, x):
    """Adds the steps of `activation`, built in (native) or the user's function on NumPy arrays, to the program."""
    spec = activations.native_spec(activation)
    if spec is not None:
        return p.activation(spec, x)

    def call(array):
        return np.ascontiguousarray(activation(array), np.float32)

    example = call(np.zeros(x.shape, np.float32))
    return p.python(f"{layer.name} activation", call, [x], [example])[0]


class Activation(Layer):
    """Applies an activation function to each element, or to each row: float32 of any shape -> the same shape.

    Args:
        activation (str, dict or function): A Keras name, a function of `fastseq.activations`, or your own on NumPy
            arrays, which runs as a step in Python.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: A name that is no activation.

    Example:
        >>> layers.Activation("relu")(np.array([-1.0, 2.0]))
        array([0., 2.], dtype=float32)
    """

    supports_masking = True
    keeps_time = time_axis.by_row

    def __init__(self, activation, **kwargs):
        super().__init__(**kwargs)
        self.activation = activations.get(activation)
        self.built = True

    def emit(self, p, inputs):
        return apply_activation(p, self, self.activation, p.float32(inputs))

    def get_config(self):
        return {**super().get_config(), "activation": activations.serialize(self.activation)}

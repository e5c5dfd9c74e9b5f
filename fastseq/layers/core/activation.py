"""Activation layer, and how any layer applies an activation; see https://keras.io/api/layers/core_layers/activation/."""

import numpy as np

from fastseq import activations
from fastseq.layers import time_axis
from fastseq.layers.base import Layer
from fastseq.ops import functions
from fastseq.ops.tracing import CannotTrace
from fastseq.program.slots import Slot


def apply_activation(p, layer, activation, x):
    """Adds the steps of `activation`, built in or the user's function, to the program.

    A user's function is traced; one that cannot be is a step in Python on NumPy arrays.
    """
    spec = activations.native_spec(activation)
    if spec is not None:
        return p.activation(spec, x)

    def call(array):
        return np.ascontiguousarray(activation(array), np.float32)

    try:
        found = functions.emit(p, lambda given: activation(*given), [x], owner=activation, python=lambda g: call(*g))
        if isinstance(found, Slot) and found.dtype == "float32":
            return found
        why = "it gives no array of float32"
    except CannotTrace as error:
        why = str(error)
    example = call(np.zeros(x.shape, np.float32))
    (found,) = p.python(f"{layer.name} activation", call, [x], [example])
    p.steps[-1]["why"] = why
    return found


class Activation(Layer):
    """Applies an activation function to each element, or to each row: float32 of any shape -> the same shape.

    Args:
        activation (str, dict or function): A Keras name, a function of `fastseq.activations`, or your own on NumPy
            arrays. It runs as native steps where it computes with `fastseq.ops`, NumPy's functions and operators
            alone, else as a step in Python.
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

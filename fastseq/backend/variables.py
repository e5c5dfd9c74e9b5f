"""Weights of the backend's own, and what changes them.

A call that is traced changes no weights: it runs in Python, as one that sets attributes.
"""

import numpy as np

from fastseq import ops
from fastseq.backend.documented import documented
from fastseq.ops.numpy_protocol import NeedsValues
from fastseq.tensors.settings import is_float_dtype, standardize_dtype
from fastseq.tensors.variable import Variable

_X = "(Variable): The weight."
_RETURNS = "The variable."
_SHAPES = {"ValueError": "Another shape."}


def refuse_while_traced(name, what):
    """Raises what sends a traced call back to Python."""
    if Variable.read_as.found is not None:
        raise NeedsValues(f"backend.{name}() {what}")


@documented(
    "A weight of no layer.",
    {"value": "(array): What it begins as.", "dtype": "(str, default None): A floating one; values are float32.",
     "name": "(str, default None): Its name; None is \"variable\".",
     "constraint": "(Constraint, default None): Applied after each step of training."},
    "Variable.",
    "backend.variable([1.0, 2.0])\n"
    '<Variable path=variable, shape=(2,), dtype=float32, value=[1. 2.]>',
    {"ValueError": "A dtype of integers or booleans: weights are float32."},
)  # fmt: skip
def variable(value, dtype=None, name=None, constraint=None):
    if dtype is not None and not is_float_dtype(standardize_dtype(dtype)):
        raise ValueError(f"backend.variable: weights are float32, got dtype={dtype!r}.")
    return Variable(value, name or "variable", constraint=constraint)


@documented("A weight's values, or an array.", {"x": "(array or Variable): What has values."}, "An array.",
            'backend.get_value(backend.variable([1.0]))\n'
    'array([1.], dtype=float32)')  # fmt: skip
def get_value(x):
    return np.asarray(x)


@documented("The values of several weights.", {"tensors": "(list of Variable): The weights."}, "A list of arrays.",
            "backend.batch_get_value([backend.variable([1.0])])\n"
    '[array([1.], dtype=float32)]')  # fmt: skip
def batch_get_value(tensors):
    return [get_value(tensor) for tensor in tensors]


@documented("Gives a weight other values.", {"x": _X, "value": "(array): The values, of its shape."}, "None.",
            "backend.set_value(backend.variable([1.0]), [2.0])", _SHAPES)  # fmt: skip
def set_value(x, value):
    update(x, value)


@documented("Gives several weights other values.", {"tuples": "(list): Pairs of a weight and its values."}, "None.",
            "backend.batch_set_value([(backend.variable([1.0]), [2.0])])", _SHAPES)  # fmt: skip
def batch_set_value(tuples):
    for x, value in tuples:
        update(x, value)


@documented("Gives a weight other values.", {"x": _X, "new_x": "(array): The values, of its shape."}, _RETURNS,
            "backend.update(backend.variable([1.0]), [2.0])\n"
    '<Variable path=variable, shape=(1,), dtype=float32, value=[2.]>', _SHAPES)  # fmt: skip
def update(x, new_x):
    refuse_while_traced("update", "changes a weight")
    return x.assign(new_x)


@documented("Adds to a weight.", {"x": _X, "increment": "(array): What is added."}, _RETURNS,
            "backend.update_add(backend.variable([1.0]), [2.0])\n"
    '<Variable path=variable, shape=(1,), dtype=float32, value=[3.]>', _SHAPES)  # fmt: skip
def update_add(x, increment):
    return update(x, ops.add(x, increment))


@documented("Takes from a weight.", {"x": _X, "decrement": "(array): What is taken away."}, _RETURNS,
            "backend.update_sub(backend.variable([1.0]), [2.0])\n"
    '<Variable path=variable, shape=(1,), dtype=float32, value=[-1.]>', _SHAPES)  # fmt: skip
def update_sub(x, decrement):
    return update(x, ops.subtract(x, decrement))


@documented(
    "Moves a weight towards a value: `x - (x - value) * (1 - momentum)`.",
    {"x": _X, "value": "(array): The value, of its shape.", "momentum": "(float): How much of it stays."},
    _RETURNS,
    "backend.moving_average_update(backend.variable([1.0]), [2.0], 0.9)\n"
    "<Variable path=variable, shape=(1,), dtype=float32, value=[1.1]>",
    _SHAPES,
)
def moving_average_update(x, value, momentum):
    return update_sub(x, ops.multiply(ops.subtract(x, value), 1.0 - momentum))

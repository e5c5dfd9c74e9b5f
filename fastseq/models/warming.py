"""What calls of a model for inputs of one shape run on, made ahead: see `Model.warm`."""

import numpy as np

from fastseq.errors import UnsupportedError
from fastseq.layers import binding


def warm(model, input_shape):
    """See `Model.warm`."""
    if model._is_python:
        raise UnsupportedError(
            f"Model '{model.name}' ({type(model).__name__}) defines call() in Python, so there is no program to make "
            "ahead: call it once on zeros."
        )
    if not model.built:
        # Of which dtype its inputs are is known when it is built, which a first program does.
        _make_program(model, _zeros(model, input_shape), {})
    for arguments in ({}, {"training": False}):
        _make_program(model, _zeros(model, input_shape), arguments)


def _make_program(model, x, arguments):
    graph = model.call_graph
    x = x if graph is None else graph.arrange(x, model.name)
    model._programs.program(model, binding.convert(model, binding.bind(model, (x,), arguments)))


def _zeros(model, shape):
    """Zeros of a shape, or of each in a list or dict of shapes: memory that nobody touches is not taken."""
    if isinstance(shape, dict):
        return {name: _zeros(model, part) for name, part in shape.items()}
    if isinstance(shape, (list, tuple)) and shape and all(isinstance(part, (list, tuple, dict)) for part in shape):
        return [_zeros(model, part) for part in shape]
    sizes = shape if isinstance(shape, (list, tuple)) and shape else [None]
    if any(isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 0 for size in sizes):
        raise ValueError(
            f"Model '{model.name}': warm takes the shape of the inputs, batch size first, with every size known, got "
            f"{shape!r}."
        )
    return np.zeros(sizes, np.float32)

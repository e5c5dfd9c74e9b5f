"""Functions of the backend in what is traced of a user's own loss or layer: those of fastseq.ops."""

import functools
import inspect

from fastseq.ops.numpy_protocol import ops_function
from fastseq.ops.tracing import is_tracing
from fastseq.ops.values import Traced
from fastseq.tensors import nest


def traceable(name):
    """A decorator of a function of arrays: where one of them is traced, fastseq.ops's function `name` takes its place.

    Its arguments have the order of those of fastseq.ops.
    """

    def decorate(function):
        signature = inspect.signature(function)

        @functools.wraps(function)
        def call(*args, **kwargs):
            # Flattening would walk through a long list of numbers.
            if is_tracing() and any(isinstance(leaf, Traced) for leaf in nest.flatten([args, kwargs])):
                bound = signature.bind(*args, **kwargs)
                bound.apply_defaults()
                return ops_function(name)(*bound.args, **bound.kwargs)
            return function(*args, **kwargs)

        return call

    return decorate

"""What loops and choices over functions must be given, and what their functions must give."""

import operator

import numpy as np

from fastseq.ops.values import Traced
from fastseq.tensors import nest
from fastseq.tensors.symbolic import KerasTensor


def no_symbols(name, *structures):
    if any(isinstance(leaf, KerasTensor) for structure in structures for leaf in nest.flatten(structure)):
        raise TypeError(
            f"ops.{name} of symbolic tensors is not recorded, as its functions could not be saved: call it inside of a "
            "layer of your own."
        )


def functions(name, **given):
    """Raises TypeError where one of the arguments is no function."""
    for argument, value in given.items():
        if not callable(value):
            raise TypeError(f"ops.{name}: `{argument}` must be callable, got {value!r} of type {type(value).__name__}.")


def count_of(name, argument, value):
    """An argument that is an integer, as an int; raises TypeError for another value."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(
            f"ops.{name}: `{argument}` must be an integer, got {value!r} of type {type(value).__name__}."
        ) from None


def entries(xs, length):
    """How many entries `scan` goes over."""
    shapes = [x.shape for x in nest.flatten(xs) if x is not None]
    if not shapes and length is None:
        raise ValueError("ops.scan: Got no `xs` to scan over and `length` not provided.")
    if not all(shapes):
        raise ValueError(f"ops.scan: `xs` have a first axis to go over, got shapes {shapes}.")
    sizes = {shape[0] for shape in shapes}
    count = sizes.pop() if length is None else count_of("scan", "length", length)
    if count < 0:
        raise ValueError(f"ops.scan: `length` is not negative, got {count}.")
    if sizes - {count}:
        raise ValueError(f"ops.scan: `xs` have first axes of sizes {sorted({count, *sizes})}.")
    return count


def plain_array(value):
    return value if isinstance(value, Traced) or hasattr(value, "shape") else np.asarray(value)


def shapes_stay(name, values, before):
    """Raises ValueError where a body gives other shapes than it got."""
    got, gave = ([np.shape(plain_array(value)) for value in nest.flatten(each)] for each in (before, values))
    if got != gave:
        raise ValueError(f"ops.{name}: the body got arrays of shapes {got}, and gave such of {gave}.")


def pair(found):
    """The carry and the value that `f` of `ops.scan` gives. Raises TypeError where it gives anything else."""
    if not isinstance(found, (tuple, list)) or len(found) != 2:
        got = f"{len(found)} values" if isinstance(found, (tuple, list)) else f"a {type(found).__name__}"
        raise TypeError(f"ops.scan: `f` must return two values, the carry and what is stacked, got {got}.")
    return found

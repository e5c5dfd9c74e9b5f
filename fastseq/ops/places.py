"""Native steps that take or put elements by their places along an axis (src_c/abi/ops_places.h), on Traced arrays."""

import math

import numpy as np

from fastseq.native.kinds import CUMULATIONS, PUT_KINDS
from fastseq.ops.values import MixesTimesteps, Traced, cast, elementwise, lift
from fastseq.program import gradient_rules

gradient_rules.register("gather", "gradients.places:gather_rule")
gradient_rules.register("scatter", "gradients.places:scatter_rule")
gradient_rules.register("cumulate", "gradients.places:cumulate_rule")


def around(shape, axis):
    """(elements before the axis, its size, elements behind it)."""
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])


def checked(p, places, size, name, wraps=True):
    """int32 Traced of places within [0, size): those from the end counted from 0 where it `wraps`.

    places: a Traced, or an array that is known now. Raises IndexError, or the program does when it runs.
    """
    if isinstance(places, np.ndarray):
        found = np.where(places < 0, places + size, places) if wraps else places
        if found.size and not (0 <= found.min() and found.max() < size) and size not in getattr(p, "unknown", ()):
            raise IndexError(f"ops.{name}: an index is out of bounds for an axis of size {size}.")
        return lift(p, found.astype(np.int32))
    if places.dtype == "float32":
        raise TypeError(f"ops.{name}: indices are integers, got {places.dtype}.")
    places = cast(places, "int32")
    if wraps:
        below = elementwise("less_int32", places, 0, dtype="bool")
        wrapped = elementwise("add_int32", places, size, dtype="int32")
        places = elementwise("select", below, wrapped, places, dtype="int32")

    def failure(position, value):
        at = tuple(int(i) for i in np.unravel_index(position, places.shape))
        value = value - size if wraps and value < 0 else value
        return IndexError(f"ops.{name}: index {value} at {at} is out of bounds for an axis of size {size}.")

    p.step("check_ids", ids=places.slot, floats=None, count=places.size, limit=size, failure=failure)
    return places


def gather(x, places, axis, shape, own=False, each=False, time=None):
    """Elements of `x` at checked places along an axis, as an array of `shape`.

    places: Traced of shape (outer or 1, count, inner or 1) or with as many elements; own, each: whether it has others
    for each element before the axis, and behind it.
    """
    outer, n, inner = around(x.shape, axis)
    y = x.p.new(shape, x.dtype)
    count = y.size // (outer * inner) if outer * inner else 0
    x.p.step("gather", x=x.slot, places=places.slot, y=y, outer=outer, n=n, inner=inner, count=count, own=int(own),
             each=int(each), size=x.slot.itemsize)  # fmt: skip
    return Traced(x.p, y, time)


def scatter(x, places, values, shape, axis_sizes, kind, own=False, each=False):
    """`x`, or zeros of `shape` where it is None, with `values` put to checked places. kind: a name of PUT_KINDS.

    axis_sizes: (outer, n, inner) of the result.
    """
    p, dtype = values.p, values.dtype
    if dtype == "bool":
        x, values = x if x is None else cast(x, "int32"), cast(values, "int32")
    y = p.new(shape, values.dtype)
    outer, n, inner = axis_sizes
    count = values.size // (outer * inner) if outer * inner else 0
    p.step("scatter", x=None if x is None else x.slot, places=places.slot, v=values.slot, y=y, outer=outer, n=n,
           inner=inner, count=count, own=int(own), each=int(each), kind=PUT_KINDS[kind],
           whole=int(y.dtype == "int32"))  # fmt: skip
    return cast(Traced(p, y), dtype)


def argsorted(x, axis, best=None, descending=False):
    """int32 places of the `best` first elements along an axis, in their order; None is all."""
    outer, n, inner = around(x.shape, axis)
    if x.time == axis:
        raise MixesTimesteps("it puts timesteps in another order")
    x = cast(x, "int32") if x.dtype == "bool" else x
    best = n if best is None else best
    y = x.p.new((*x.shape[:axis], best, *x.shape[axis + 1 :]), "int32")
    x.p.step("argsort", x=x.slot, y=y, scratch=x.p.new((outer, 4 * n)), outer=outer, n=n, inner=inner, best=best,
             descending=int(descending), whole=int(x.dtype == "int32"))  # fmt: skip
    return Traced(x.p, y, x.time)


def searched(sequence, x, right):
    """int32: how many elements of a sorted sequence are below each of `x`, an array of its dtype."""
    y = x.p.new(x.shape, "int32")
    x.p.step("search", sequence=sequence.slot, x=x.slot, y=y, n=sequence.size, count=x.size, right=int(right),
             whole=int(x.dtype == "int32"))  # fmt: skip
    return Traced(x.p, y, x.time)


def cumulated(x, axis, kind, backwards=False):
    """Sums or products so far along an axis. kind: "sum" or "prod"."""
    if x.time == axis:
        raise MixesTimesteps("it takes all timesteps together")
    outer, n, inner = around(x.shape, axis)
    y = x.p.new(x.shape, x.dtype)
    x.p.step("cumulate", x=x.slot, y=y, outer=outer, n=n, inner=inner, kind=CUMULATIONS[kind],
             backwards=int(backwards), whole=int(x.dtype == "int32"))  # fmt: skip
    return Traced(x.p, y, x.time)

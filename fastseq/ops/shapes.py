"""Other shapes and orders of the same elements. https://keras.io/api/ops/numpy/"""

import math
import operator

import numpy as np

from fastseq.errors import UnsupportedError
from fastseq.ops.documented import ARRAY, documented
from fastseq.ops.operation import operation
from fastseq.ops.values import MixesTimesteps, broadcast, lift, reordered, reshaped

_SAME = "An array of the dtype of `x`."
_NO_AXIS = {"ValueError": "An axis that is not there."}


def axis_of(x, axis, name, extra=0):
    """An axis counted from 0; `extra`: how many more axes the result has. Raises ValueError for a wrong one."""
    count, axis = x.ndim + extra, whole_axis(axis, name)
    if not -count <= axis < count:
        raise ValueError(f"ops.{name}: axis {axis} is out of bounds for an array of shape {x.shape}.")
    return axis % count


def whole_axis(axis, name, what="an axis"):
    """An axis, or another option, as an int. Raises TypeError for what is no integer."""
    try:
        return operator.index(axis)
    except TypeError as error:
        if type(error) is not TypeError:  # of what is traced, which ends the trace
            raise
        raise TypeError(f"ops.{name}: {what} is an integer, got {axis!r} of type {type(axis).__name__}.") from None


def time_in(x, shape):
    """The axis of time of `x` in a shape of the same elements in the same order. Raises MixesTimesteps where it is
    taken apart or joined with others."""
    if x.time is None:
        return None
    before, size = math.prod(x.shape[: x.time]), x.shape[x.time]
    for axis in range(len(shape)):
        if math.prod(shape[:axis]) == before and shape[axis] == size:
            return axis
    raise MixesTimesteps("it joins the axis of the timesteps with others")


@operation("Reshape", options=("newshape",))
@documented(
    "The elements in another shape.",
    {"x": ARRAY, "newshape": "(tuple of int): The sizes; one may be -1, which is what is left."},
    _SAME,
    "ops.reshape([1, 2, 3, 4], (2, -1))\narray([[1, 2],\n       [3, 4]], dtype=int32)",
    {"ValueError": "Another number of elements."},
)
def reshape(x, newshape):
    sizes = [int(size) for size in (newshape if isinstance(newshape, (list, tuple)) else (newshape,))]
    known = math.prod(size for size in sizes if size != -1)
    symbolic = getattr(x.p, "unknown", ())
    if sizes.count(-1) == 1 and known and (x.size % known == 0 or symbolic):
        sizes[sizes.index(-1)] = x.size // known
    elif math.prod(sizes) != x.size or -1 in sizes:
        if not (symbolic and -1 not in sizes and any(size in symbolic for size in x.shape)):
            raise ValueError(f"ops.reshape: an array of shape {x.shape} cannot have the shape {tuple(newshape)}.")
    return reshaped(x, sizes, time_in(x, sizes))


@operation("Ravel")
@documented(
    "All elements in one row.", {"x": ARRAY}, _SAME, "ops.ravel([[1, 2], [3, 4]])\narray([1, 2, 3, 4], dtype=int32)"
)
def ravel(x):
    return reshape(x, (-1,)) if x.size else reshaped(x, (0,), time_in(x, (0,)))


@operation("ExpandDims", options=("axis",))
@documented(
    "A new axis of size 1.",
    {"x": ARRAY, "axis": "(int or tuple): Where it stands in the result."},
    _SAME,
    "ops.expand_dims([1, 2], 0)\narray([[1, 2]], dtype=int32)",
    {"ValueError": "An axis that is not there."},
)
def expand_dims(x, axis):
    given = axis if isinstance(axis, (list, tuple)) else (axis,)
    new = {axis_of(x, one, "expand_dims", len(given)) for one in given}
    if len(new) != len(given):
        raise ValueError(f"ops.expand_dims: axis={axis!r} names an axis twice.")
    old = iter(range(x.ndim))
    order = [None if at in new else next(old) for at in range(x.ndim + len(given))]
    time = None if x.time is None else order.index(x.time)
    return reshaped(x, [1 if at is None else x.shape[at] for at in order], time)


@operation("Squeeze", options=("axis",))
@documented(
    "Without axes of size 1.",
    {"x": ARRAY, "axis": "(int or tuple, default None): Which; None is all of size 1."},
    _SAME,
    "ops.squeeze([[1, 2]], 0)\narray([1, 2], dtype=int32)",
    {"ValueError": "An axis that is not there, or of another size."},
)
def squeeze(x, axis=None):
    if axis is None:
        gone = {at for at, size in enumerate(x.shape) if size == 1 and at != x.time}
    else:
        gone = {axis_of(x, one, "squeeze") for one in (axis if isinstance(axis, (list, tuple)) else (axis,))}
    for at in gone:
        if x.shape[at] != 1:
            raise ValueError(f"ops.squeeze: axis {at} of an array of shape {x.shape} is not of size 1.")
    if x.time in gone:
        raise MixesTimesteps("it takes the axis of the timesteps away")
    kept = [at for at in range(x.ndim) if at not in gone]
    return reshaped(x, [x.shape[at] for at in kept], None if x.time is None else kept.index(x.time))


@operation("Transpose", options=("axes",))
@documented(
    "The axes in another order.",
    {"x": ARRAY, "axes": "(tuple of int, default None): The order; None turns it round."},
    _SAME,
    "ops.transpose([[1, 2], [3, 4]])\narray([[1, 3],\n       [2, 4]], dtype=int32)",
    {"ValueError": "No order of the axes."},
)
def transpose(x, axes=None):
    order = list(range(x.ndim))[::-1] if axes is None else [axis_of(x, axis, "transpose") for axis in axes]
    if sorted(order) != list(range(x.ndim)):
        raise ValueError(f"ops.transpose: axes={axes!r} is no order of the axes of an array of shape {x.shape}.")
    return reordered(x, order)


@operation("Swapaxes", options=("axis1", "axis2"))
@documented(
    "The array with two axes exchanged.",
    {"x": ARRAY, "axis1": "(int): One.", "axis2": "(int): The other."},
    _SAME,
    "ops.swapaxes([[1, 2], [3, 4]], 0, 1)\narray([[1, 3],\n       [2, 4]], dtype=int32)",
    _NO_AXIS,
)
def swapaxes(x, axis1, axis2):
    order = list(range(x.ndim))
    one, other = axis_of(x, axis1, "swapaxes"), axis_of(x, axis2, "swapaxes")
    order[one], order[other] = other, one
    return reordered(x, order)


@operation("Moveaxis", options=("source", "destination"))
@documented(
    "The array with axes moved to other places, the rest in their order.",
    {"x": ARRAY, "source": "(int or tuple): The axes.", "destination": "(int or tuple): Their places in the result."},
    _SAME,
    "ops.moveaxis([[1, 2], [3, 4]], 0, 1)\narray([[1, 3],\n       [2, 4]], dtype=int32)",
    {"ValueError": "An axis that is not there, or twice, or as many places as there are no axes."},
)
def moveaxis(x, source, destination):
    found = [
        [axis_of(x, axis, "moveaxis") for axis in (given if isinstance(given, (list, tuple)) else (given,))]
        for given in (source, destination)
    ]
    if len({len(axes) for axes in found} | {len(set(axes)) for axes in found}) != 1:
        raise ValueError(f"ops.moveaxis: source={source!r} and destination={destination!r} do not belong together.")
    order = [axis for axis in range(x.ndim) if axis not in found[0]]
    for to, axis in sorted(zip(found[1], found[0])):
        order.insert(to, axis)
    return reordered(x, order)


@operation("BroadcastTo", options=("shape",))
@documented(
    "The array in a larger shape, by NumPy's broadcasting.",
    {"x": ARRAY, "shape": "(tuple of int): The shape."},
    _SAME,
    "ops.broadcast_to([1, 2], (3, 2))\narray([[1, 2],\n       [1, 2],\n       [1, 2]], dtype=int32)",
    {"ValueError": "The shape is not one that `x` broadcasts to."},
)
def broadcast_to(x, shape):
    shape = tuple(int(size) for size in (shape if isinstance(shape, (list, tuple)) else (shape,)))
    return broadcast(x, shape, "ops.broadcast_to")


# ---- sizes -----------------------------------------------------------------------------------------------------------


@documented("The sizes of all axes.", {"x": ARRAY}, "A tuple of ints, with None where a symbolic tensor does not know.",
            "ops.shape([[1, 2]])\n(1, 2)")  # fmt: skip
def shape(x):
    return tuple(x.shape) if hasattr(x, "shape") else np.shape(x)


@documented("The number of axes.", {"x": ARRAY}, "An int.", "ops.ndim([[1, 2]])\n2")
def ndim(x):
    return len(shape(x))


@operation("Size")
@documented(
    "The number of elements.",
    {"x": ARRAY},
    "int32 array of no axes.",
    "ops.size([[1, 2]])\narray(2, dtype=int32)",
    {"UnsupportedError": "It is not known before the program runs: in a stream, and in a search for sequences."},
)
def size(x):
    if x.p.fewer_rows or x.time is not None:
        raise UnsupportedError("ops.size: the number of elements is not known before the program runs.")
    return lift(x.p, np.array(x.size, np.int32))

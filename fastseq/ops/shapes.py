"""Other shapes and orders of the same elements. https://keras.io/api/ops/numpy/"""

import math

from fastseq.ops.documented import ARRAY, documented
from fastseq.ops.operation import operation
from fastseq.ops.values import MixesTimesteps, Traced, reordered, reshaped, together

_SAME = "An array of the dtype of `x`."


def axis_of(x, axis, name, extra=0):
    """An axis counted from 0; `extra`: how many more axes the result has. Raises ValueError for one that is not there."""
    count = x.ndim + extra
    if not -count <= axis < count:
        raise ValueError(f"ops.{name}: axis {axis} is out of bounds for an array of shape {x.shape}.")
    return axis % count


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
    "ops.reshape([1, 2, 3, 4], (2, -1))",
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


@operation("ExpandDims", options=("axis",))
@documented(
    "A new axis of size 1.",
    {"x": ARRAY, "axis": "(int or tuple): Where it stands in the result."},
    _SAME,
    "ops.expand_dims([1, 2], 0)",
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
    "ops.squeeze([[1, 2]], 0)",
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
    "ops.transpose([[1, 2], [3, 4]])",
    {"ValueError": "No order of the axes."},
)
def transpose(x, axes=None):
    order = list(range(x.ndim))[::-1] if axes is None else [axis_of(x, axis, "transpose") for axis in axes]
    if sorted(order) != list(range(x.ndim)):
        raise ValueError(f"ops.transpose: axes={axes!r} is no order of the axes of an array of shape {x.shape}.")
    return reordered(x, order)


@operation("Concatenate", options=("axis",), several=("xs",))
@documented(
    "Arrays one behind the other along an axis.",
    {"xs": "(list of arrays): Alike in all other sizes.", "axis": "(int, default 0): The axis."},
    "An array of the dtype that they have together.",
    "ops.concatenate([[1, 2], [3]])",
    {"ValueError": "Other sizes, or none."},
)
def concatenate(xs, axis=0):
    if not xs:
        raise ValueError("ops.concatenate needs at least one array.")
    xs, _ = together(*xs)
    axis = axis_of(xs[0], axis, "concatenate")
    unknown = getattr(xs[0].p, "unknown", ())
    shapes = [[size for at, size in enumerate(x.shape) if at != axis] for x in xs]
    if any(len(s) != len(shapes[0]) or any(a != b and not {a, b} & set(unknown) for a, b in zip(s, shapes[0]))
           for s in shapes):  # fmt: skip
        raise ValueError(
            f"ops.concatenate: arrays of shapes {', '.join(str(x.shape) for x in xs)} are not alike beside axis {axis}."
        )
    times = {x.time for x in xs}
    if len(times) > 1 or axis in times:
        raise MixesTimesteps("it puts timesteps beside what are none, or behind each other")
    return Traced(xs[0].p, xs[0].p.concatenate([x.slot for x in xs], axis), times.pop())


@operation("Stack", options=("axis",), several=("x",))
@documented(
    "Arrays of one shape along a new axis.",
    {"x": "(list of arrays): Of one shape.", "axis": "(int, default 0): Where the new axis stands."},
    "An array of the dtype that they have together.",
    "ops.stack([[1, 2], [3, 4]], axis=1)",
    {"ValueError": "Other shapes, or none."},
)
def stack(x, axis=0):
    return concatenate([expand_dims(part, axis) for part in x], axis)

"""Arrays put together, and taken apart again. https://keras.io/api/ops/numpy/"""

import numpy as np

from fastseq.ops.documented import ARRAY, documented
from fastseq.ops.operation import operation
from fastseq.ops.shapes import axis_of, expand_dims, ravel, reshape
from fastseq.ops.values import MixesTimesteps, Traced, broadcast, lift, reshaped, together, view
from fastseq.program.slots import strides_of

_PARTS = "A list of arrays."
_TOGETHER = "An array of the dtype that they have together."


@operation("Concatenate", options=("axis",), several=("xs",))
@documented(
    "Arrays one behind the other along an axis.",
    {"xs": "(list of arrays): Alike in all other sizes.", "axis": "(int, default 0): The axis."},
    "An array of the dtype that they have together.",
    "ops.concatenate([[1, 2], [3]])\narray([1, 2, 3], dtype=int32)",
    {"ValueError": "Other sizes, or none."},
)
def concatenate(xs, axis=0):
    return _joined("concatenate", xs, axis)


def _joined(name, xs, axis, shapes=None):
    """Arrays one behind the other, for the function ops.<name>. shapes: those that it was given, for its errors."""
    if not xs:
        raise ValueError(f"ops.{name}() needs at least one array.")
    told = ", ".join(str(shape) for shape in shapes or [x.shape for x in xs])
    xs, _ = together(*xs)
    axis = axis_of(xs[0], axis, name)
    if not _alike([[size for at, size in enumerate(x.shape) if at != axis] for x in xs], xs[0].p):
        raise ValueError(f"ops.{name}: arrays of shapes {told} are not alike beside axis {axis}.")
    times = {x.time for x in xs}
    if len(times) > 1 or axis in times:
        raise MixesTimesteps("it puts timesteps beside what are none, or behind each other")
    return Traced(xs[0].p, xs[0].p.concatenate([x.slot for x in xs], axis), times.pop())


def _alike(shapes, p):
    """Whether shapes are the same, but for sizes that are unknown."""
    unknown = set(getattr(p, "unknown", ()))
    return all(
        len(s) == len(shapes[0]) and all(a == b or {a, b} & unknown for a, b in zip(s, shapes[0])) for s in shapes
    )


@operation("Stack", options=("axis",), several=("x",))
@documented(
    "Arrays of one shape along a new axis.",
    {"x": "(list of arrays): Of one shape.", "axis": "(int, default 0): Where the new axis stands."},
    "An array of the dtype that they have together.",
    "ops.stack([[1, 2], [3, 4]], axis=1)\narray([[1, 3],\n       [2, 4]], dtype=int32)",
    {"ValueError": "Other shapes, or none."},
)
def stack(x, axis=0):
    if not x:
        raise ValueError("ops.stack() needs at least one array.")
    x, _ = together(*x)
    axis = axis_of(x[0], axis, "stack", extra=1)
    shapes = [part.shape for part in x]
    if not _alike(shapes, x[0].p):
        raise ValueError(f"ops.stack: arrays of shapes {', '.join(map(str, shapes))} are not of one shape.")
    return _joined("stack", [expand_dims(part, axis) for part in x], axis)


def _at_least(x, ndim):
    """With axes of size 1 in front, as many as are missing."""
    return x if x.ndim >= ndim else reshape(x, (1,) * (ndim - x.ndim) + x.shape)


def _stacked(class_name, summary, example):
    def decorate(body):
        made = documented(summary, {"xs": "(list of arrays): Alike in all other sizes."}, _TOGETHER, example,
                          {"ValueError": "Other sizes, or none."})(body)  # fmt: skip
        return operation(class_name, several=("xs",))(made)

    return decorate


@_stacked(
    "Hstack",
    "Arrays side by side: along axis 1, or axis 0 of arrays of one axis.",
    "ops.hstack([[1, 2], [3]])\narray([1, 2, 3], dtype=int32)",
)
def hstack(xs):
    shapes, xs = [x.shape for x in xs], [_at_least(x, 1) for x in xs]
    return _joined("hstack", xs, 0 if xs and xs[0].ndim == 1 else 1, shapes)


@_stacked(
    "Vstack",
    "Arrays one behind the other along axis 0, of one axis too.",
    "ops.vstack([[[1, 2]], [[3, 4]]])\narray([[1, 2],\n       [3, 4]], dtype=int32)",
)
def vstack(xs):
    return _joined("vstack", [_at_least(x, 1) for x in xs], 0, [x.shape for x in xs])


@_stacked(
    "Dstack",
    "Arrays behind each other: along axis 2, of three axes at least.",
    "ops.dstack([[1, 2], [3, 4]])\narray([[[1, 3],\n        [2, 4]]], dtype=int32)",
)
def dstack(xs):
    def deep(x):
        x = _at_least(x, 2)
        return x if x.ndim > 2 else expand_dims(x, 2)

    return _joined("dstack", [deep(x) for x in xs], 2, [x.shape for x in xs])


@operation("Append", options=("axis",))
@documented(
    "One array behind the other.",
    {"x1": ARRAY, "x2": ARRAY, "axis": "(int, default None): The axis; None makes one row of each."},
    _TOGETHER,
    "ops.append([1, 2], [3])\narray([1, 2, 3], dtype=int32)",
    {"ValueError": "Other sizes."},
)
def append(x1, x2, axis=None):
    p = next(x.p for x in (x1, x2) if isinstance(x, Traced))
    x1, x2 = lift(p, x1), lift(p, x2)
    return _joined("append", [ravel(x1), ravel(x2)] if axis is None else [x1, x2], 0 if axis is None else axis)


# ---- apart -----------------------------------------------------------------------------------------------------------


def part(x, axis, start, count):
    """`count` elements of `x` along an axis."""
    shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
    if start == 0 and count == x.shape[axis]:
        return x
    if axis == x.time:
        raise MixesTimesteps("it takes some of the timesteps")
    strides = strides_of(x.shape)
    return view(x, shape, strides, start * strides[axis] if count else 0, x.time)


def _is_unknown(x, axis):
    return x.shape[axis] in getattr(x.p, "unknown", ())


def _parts(x, sizes, axis):
    if axis == x.time:
        raise MixesTimesteps("it takes some of the timesteps")
    starts = np.cumsum([0, *sizes])
    return [part(x, axis, int(start), int(size)) for start, size in zip(starts, sizes)]


def _split(x, indices_or_sections, axis, name):
    size = x.shape[axis]
    if isinstance(indices_or_sections, (int, np.integer)):
        if indices_or_sections < 1 or (size % indices_or_sections and not _is_unknown(x, axis)):
            raise ValueError(
                f"ops.{name}: axis {axis} of an array of shape {x.shape} cannot be cut into {indices_or_sections} "
                "equal parts."
            )
        return _parts(x, [size // indices_or_sections] * int(indices_or_sections), axis)
    ends = np.array([0, *np.asarray(indices_or_sections), size], np.int64)
    if _is_unknown(x, axis):
        return _parts(x, [*np.diff(ends[:-1]), size], axis)  # of the last one nobody knows
    if (np.diff(ends) < 0).any():
        raise ValueError(f"ops.{name}: {indices_or_sections} are no ascending places in axis {axis} of {x.shape}.")
    return _parts(x, np.diff(ends), axis)


_CUT = "(int, or list of int): How many equal parts, or where they begin, but for the first."
_UNEQUAL = {"ValueError": "The parts are not equal, or their places not in order."}


@operation("Split", options=("indices_or_sections", "axis"))
@documented(
    "The array cut along an axis.",
    {"x": ARRAY, "indices_or_sections": _CUT, "axis": "(int, default 0): The axis."},
    _PARTS,
    "ops.split([1, 2, 3, 4], 2)\n[array([1, 2], dtype=int32), array([3, 4], dtype=int32)]",
    _UNEQUAL,
)
def split(x, indices_or_sections, axis=0):
    return _split(x, indices_or_sections, axis_of(x, axis, "split"), "split")


@operation("ArraySplit", options=("indices_or_sections", "axis"))
@documented(
    "The array cut along an axis into parts as equal as can be, the larger ones first.",
    {"x": ARRAY, "indices_or_sections": "(int): How many.", "axis": "(int, default 0): The axis."},
    _PARTS,
    "ops.array_split([1, 2, 3], 2)\n[array([1, 2], dtype=int32), array([3], dtype=int32)]",
    {"ValueError": "No number of parts."},
)
def array_split(x, indices_or_sections, axis=0):
    axis = axis_of(x, axis, "array_split")
    if not isinstance(indices_or_sections, (int, np.integer)) or indices_or_sections < 1:
        raise ValueError(f"ops.array_split: indices_or_sections={indices_or_sections!r} is no number of parts.")
    if _is_unknown(x, axis):
        return _parts(x, [x.shape[axis]] * indices_or_sections, axis)
    least, more = divmod(x.shape[axis], indices_or_sections)
    return _parts(x, [least + (i < more) for i in range(indices_or_sections)], axis)


def _cut_along(class_name, axis_for, summary, example):
    def decorate(body):
        def function(x, indices_or_sections):
            axis = axis_for(x)
            if axis >= x.ndim:
                raise ValueError(f"ops.{body.__name__}: an array of shape {x.shape} has no axis {axis}.")
            return _split(x, indices_or_sections, axis, body.__name__)

        function.__name__ = function.__qualname__ = body.__name__
        function.__module__ = body.__module__
        made = documented(summary, {"x": ARRAY, "indices_or_sections": _CUT}, _PARTS, example, _UNEQUAL)(function)
        return operation(class_name, options=("indices_or_sections",))(made)

    return decorate


@_cut_along("Hsplit", lambda x: 0 if x.ndim == 1 else 1, "Cut along axis 1, or axis 0 where that is the only one.",
            "ops.hsplit([[1, 2], [3, 4]], 2)\n"
            "[array([[1],\n"
            "       [3]], dtype=int32), array([[2],\n"
            "       [4]], dtype=int32)]")  # fmt: skip
def hsplit(x, indices_or_sections): ...


@_cut_along(
    "Vsplit",
    lambda x: 0,
    "Cut along axis 0.",
    "ops.vsplit([[1, 2], [3, 4]], 2)\n[array([[1, 2]], dtype=int32), array([[3, 4]], dtype=int32)]",
)
def vsplit(x, indices_or_sections): ...


@_cut_along(
    "Dsplit",
    lambda x: 2,
    "Cut along axis 2.",
    "ops.dsplit([[[1, 2]]], 2)\n[array([[[1]]], dtype=int32), array([[[2]]], dtype=int32)]",
)
def dsplit(x, indices_or_sections): ...


@operation("Unstack", "core", options=("num", "axis"))
@documented(
    "The array's elements along an axis, each an array of its own.",
    {"x": ARRAY, "num": "(int, default None): How many there are, where a symbolic tensor does not say.",
     "axis": "(int, default 0): The axis."},
    _PARTS,
    "ops.unstack([[1, 2], [3, 4]])\n"
    "[array([1, 2], dtype=int32), array([3, 4], dtype=int32)]",
    {"ValueError": "Another number than `num`, or an unknown one."},
)  # fmt: skip
def unstack(x, num=None, axis=0):
    axis = axis_of(x, axis, "unstack")
    unknown = _is_unknown(x, axis)
    if num is None and unknown:
        raise ValueError(f"Cannot infer argument `num` from shape {x.shape}: axis {axis} is unknown. Give num=.")
    if num is not None and num != x.shape[axis] and not unknown:
        raise ValueError(f"ops.unstack: num={num} for axis {axis} of an array of shape {x.shape}.")
    if axis == x.time:
        raise MixesTimesteps("it takes timesteps by their numbers")
    rest = [*x.shape[:axis], *x.shape[axis + 1 :]]
    time = x.time if x.time is None or x.time < axis else x.time - 1
    return [reshaped(part(x, axis, i, 1), rest, time) for i in range(num or x.shape[axis])]


@operation("Meshgrid", options=("indexing",), several=("x",))
def meshgrid(*x, indexing="xy"):
    """Coordinates of all points of a grid.

    Args:
        *x (array): The coordinates along each axis.
        indexing (str, default "xy"): "ij": the axes of the result in the order of the arguments; "xy": the first two
            exchanged.

    Returns:
        A list of arrays, one for each argument, all of one shape.

    Raises:
        ValueError: An unknown indexing.

    Example:
        >>> ops.meshgrid([1, 2], [3, 4])
        [array([[1, 2],
               [1, 2]], dtype=int32), array([[3, 3],
               [4, 4]], dtype=int32)]
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"Valid values for `indexing` are 'xy' and 'ij', but received {indexing}.")
    rows = [ravel(one) for one in x]
    sizes = [row.shape[0] for row in rows]
    places = list(range(len(rows)))
    if indexing == "xy" and len(rows) > 1:
        places[:2] = 1, 0
    shape = [0] * len(rows)
    for at, size in zip(places, sizes):
        shape[at] = size
    return [
        broadcast(reshaped(row, [size if axis == at else 1 for axis in range(len(rows))]), shape)
        for at, size, row in zip(places, sizes, rows)
    ]

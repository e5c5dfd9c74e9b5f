"""Diagonals of matrices and what lies on either side of them. https://keras.io/api/ops/numpy/"""

import numpy as np

from fastseq.ops import places as steps
from fastseq.ops.documented import ARRAY, documented
from fastseq.ops.operation import operation
from fastseq.ops.reductions import sum as sum_of
from fastseq.ops.shapes import axis_of, ravel, whole_axis
from fastseq.ops.values import MixesTimesteps, Traced, elementwise, view
from fastseq.program.slots import strides_of

_SAME = "An array of the dtype of `x`."
_K = "(int, default 0): Which diagonal: above 0 those above the main one, below 0 those below it."
_AXES = {"x": ARRAY, "offset": _K, "axis1": "(int, default 0): The rows.", "axis2": "(int, default 1): The columns."}


@operation("Diagonal", options=("offset", "axis1", "axis2"))
@documented(
    "A diagonal of each matrix.",
    _AXES,
    "An array of the other axes, with the diagonal as the last one.",
    "ops.diagonal([[1, 2], [3, 4]])\narray([1, 4], dtype=int32)",
    {"ValueError": "Less than two axes, or no two axes."},
)
def diagonal(x, offset=0, axis1=0, axis2=1):
    if x.ndim < 2:
        raise ValueError(f"ops.diagonal: an array of shape {x.shape} has no two axes.")
    rows, columns = axis_of(x, axis1, "diagonal"), axis_of(x, axis2, "diagonal")
    if rows == columns:
        raise ValueError(f"ops.diagonal: axis1={axis1} and axis2={axis2} are the same axis.")
    if x.time in (rows, columns):
        raise MixesTimesteps("it takes timesteps by their numbers")
    strides, kept = strides_of(x.shape), [axis for axis in range(x.ndim) if axis not in (rows, columns)]
    count = max(0, min(x.shape[rows] + min(offset, 0), x.shape[columns] - max(offset, 0)))
    start = max(-offset, 0) * strides[rows] + max(offset, 0) * strides[columns]
    time = None if x.time is None else kept.index(x.time)
    return view(x, [*(x.shape[axis] for axis in kept), count],
                [*(strides[axis] for axis in kept), strides[rows] + strides[columns]],
                start if count and x.size else 0, time)  # fmt: skip


@operation("Diag", options=("k",))
@documented(
    "A diagonal of a matrix, or the matrix that has a diagonal and zeros else.",
    {"x": ARRAY, "k": _K},
    "An array of one axis for a matrix, a matrix for an array of one axis.",
    "ops.diag([1, 2])\narray([[1, 0],\n       [0, 2]], dtype=int32)",
    {"ValueError": "More axes, or none."},
)
def diag(x, k=0):
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ValueError(f"`x` must be 1d or 2d. Received: x.shape={x.shape}")
    if x.time is not None:
        raise MixesTimesteps("it puts timesteps beside each other")
    k = whole_axis(k, "diag", "k")
    size = x.shape[0] + abs(k)

    def numbers():
        return np.arange(x.shape[0]) * (size + 1) + max(-k, 0) * size + max(k, 0)

    places = steps.known(x.p, x.shape, numbers)
    return steps.scatter(None, places, x, (size, size), (1, size * size, 1), "set")


@operation("Diagflat", options=("k",))
@documented(
    "The matrix that has all elements of an array on a diagonal, and zeros else.",
    {"x": ARRAY, "k": _K},
    "A matrix of the dtype of `x`.",
    "ops.diagflat([[1, 2], [3, 4]])\n"
    "array([[1, 0, 0, 0],\n"
    "       [0, 2, 0, 0],\n"
    "       [0, 0, 3, 0],\n"
    "       [0, 0, 0, 4]], dtype=int32)",
)
def diagflat(x, k=0):
    return diag(ravel(x), k)


@operation("Trace", options=("offset", "axis1", "axis2"))
@documented(
    "The sum of a diagonal of each matrix.",
    _AXES,
    "An array of the other axes: float32, or int32.",
    "ops.trace([[1, 2], [3, 4]])\narray(5, dtype=int32)",
    {"ValueError": "Less than two axes, or no two axes."},
)
def trace(x, offset=0, axis1=0, axis2=1):
    return sum_of(diagonal(x, offset, axis1, axis2), -1)


def _one_side(x, k, lower, name):
    if x.ndim < 2:
        raise ValueError(f"ops.{name}: an array of shape {x.shape} has no two axes.")
    if x.time is not None and x.time >= x.ndim - 2:
        raise MixesTimesteps("what it keeps depends on the number of the timestep")
    k = whole_axis(k, name, "k")

    def distance():
        rows, columns = (np.arange(size) for size in x.shape[-2:])
        return columns[None, :] - rows[:, None]

    kept = steps.known(x.p, x.shape[-2:], lambda: distance() <= k if lower else distance() >= k, "bool")
    zero = {"float32": 0.0, "int32": 0, "bool": 0}[x.dtype]
    found = elementwise("select", kept, Traced(x.p, x.slot), zero, dtype=x.dtype)
    return Traced(x.p, found.slot, x.time)


_MATRIX = {"ValueError": "Less than two axes."}


@operation("Tril", options=("k",))
@documented("The array with zeros above a diagonal of each matrix.", {"x": ARRAY, "k": _K}, _SAME,
            "ops.tril([[1, 2], [3, 4]])\n"
            "array([[1, 0],\n"
            "       [3, 4]], dtype=int32)", _MATRIX)  # fmt: skip
def tril(x, k=0):
    return _one_side(x, k, True, "tril")


@operation("Triu", options=("k",))
@documented("The array with zeros below a diagonal of each matrix.", {"x": ARRAY, "k": _K}, _SAME,
            "ops.triu([[1, 2], [3, 4]])\n"
            "array([[1, 2],\n"
            "       [0, 4]], dtype=int32)", _MATRIX)  # fmt: skip
def triu(x, k=0):
    return _one_side(x, k, False, "triu")

"""Elements in their order, and the largest and smallest of them. https://keras.io/api/ops/numpy/"""

import numpy as np

from fastseq.errors import UnsupportedError
from fastseq.ops import elementwise as e
from fastseq.ops import places as steps
from fastseq.ops.documented import ARRAY, AXIS, KEEPDIMS, documented
from fastseq.ops.indexing import along
from fastseq.ops.operation import operation
from fastseq.ops.reductions import axes_of, reduced
from fastseq.ops.shapes import axis_of, expand_dims, moveaxis, ravel, reshape, whole_axis
from fastseq.ops.values import MixesTimesteps, Traced, cast, elementwise, lift, together

_AXIS = "(int, default -1): The axis; None makes one row of all elements first."
_NO_AXIS = {"ValueError": "An axis that is not there."}
_ONE_AXIS = {"x": ARRAY, "axis": "(int, default None): The axis; None is all of them.", "keepdims": KEEPDIMS}


def _row(x, axis, name):
    return (ravel(x), 0) if axis is None else (x, axis_of(x, axis, name))


@operation("Sort", options=("axis",))
@documented(
    "The elements in ascending order, NaN last.",
    {"x": ARRAY, "axis": _AXIS},
    "An array of the dtype of `x`.",
    "ops.sort([3, 1, 2])\narray([1, 2, 3], dtype=int32)",
    _NO_AXIS,
)
def sort(x, axis=-1):
    x, axis = _row(x, axis, "sort")
    return along(x, steps.argsorted(x, axis), axis, "sort", inside=True)


@operation("Argsort", options=("axis",))
@documented(
    "Where the elements in ascending order stand; equal ones as they come, NaN last.",
    {"x": ARRAY, "axis": _AXIS},
    "int32 array.",
    "ops.argsort([3, 1, 2])\narray([1, 2, 0], dtype=int32)",
    _NO_AXIS,
)
def argsort(x, axis=-1):
    if x.ndim == 0:
        return lift(x.p, np.zeros(1, np.int32))
    return steps.argsorted(*_row(x, axis, "argsort"))


@operation("TopK", "math", options=("k", "sorted"))
@documented(
    "The largest elements of each row, largest first, and where they stand; equal ones as they come, NaN first.",
    {"x": ARRAY, "k": "(int): How many.", "sorted": "(bool, default True): False allows any order; it is the same."},
    "(array (..., k) of the dtype of `x`, int32 array (..., k) of places along the last axis).",
    "ops.top_k([3, 1, 2], 2)\n(array([3, 2], dtype=int32), array([0, 2], dtype=int32))",
    {"ValueError": "No axis, or a row of less than k elements."},
)
def top_k(x, k, sorted=True):
    if x.ndim == 0 or not 0 <= k <= x.shape[-1]:
        raise ValueError(f"ops.top_k: input must have at least k columns: k={k}, an array of shape {x.shape}.")
    places = steps.argsorted(x, x.ndim - 1, k, descending=True)
    return along(x, places, x.ndim - 1, "top_k", inside=True), places


@operation("InTopK", "math", options=("k",))
@documented(
    "Whether less than k predictions are larger than that of the target; False where one is not finite.",
    {"targets": "(int32 array (rows,)): A class each; one that is not there gives False.",
     "predictions": "(float32 array (rows, classes)): Numbers of all classes.", "k": "(int): How many."},
    "bool array (rows,).",
    "ops.in_top_k([1, 0], [[0.1, 0.9], [0.3, 0.7]], 1)\n"
    "array([ True, False])",
    {"ValueError": "Other shapes."},
)  # fmt: skip
def in_top_k(targets, predictions, k):
    if targets.ndim != 1 or predictions.ndim != 2:
        raise ValueError(
            f"ops.in_top_k: targets (rows,) and predictions (rows, classes) are wanted, got {targets.shape} and "
            f"{predictions.shape}."
        )
    targets, predictions = cast(targets, "int32"), cast(predictions, "float32")
    k = whole_axis(k, "in_top_k", "k")
    classes = predictions.shape[1]
    known = e.logical_and(e.greater_equal(targets, 0), e.less(targets, classes))
    places = expand_dims(elementwise("select", known, targets, 0, dtype="int32"), 1)
    own = along(predictions, places, 1, "in_top_k", inside=True)
    finite = reduced("min_int32", e.less(e.absolute(predictions), float("inf")), 1, False, "in_top_k", "bool")
    larger = reduced("sum_int32", e.greater(predictions, own), 1, False, "in_top_k", "int32")
    return e.logical_and(e.logical_and(known, finite), e.less(larger, k))


# ---- the largest and the smallest ------------------------------------------------------------------------------------


def _place(kind, x, axis, keepdims):
    name = kind
    if x.dtype == "float32":
        # As Keras: -0.0 counts as smaller than 0.0.
        zero = e.logical_and(e.equal(x, 0.0), e.less(e.reciprocal(x), 0.0))
        x = e.where(zero, -float(np.finfo(np.float32).tiny), x)
    else:
        x, kind = cast(x, "int32"), f"{kind}_int32"
    if axis is None:
        found = reduced(kind, x, None, False, name, "int32")
        return reshape(found, (1,) * x.ndim) if keepdims else found
    return reduced(kind, x, axis_of(x, axis, name), keepdims, name, "int32")


@operation("Argmax", options=("axis", "keepdims"))
@documented("Where the largest element stands; the first of equal ones, or the first NaN.", _ONE_AXIS, "int32 array.",
            "ops.argmax([3, 1, 2])\n"
            "array(0, dtype=int32)", _NO_AXIS)  # fmt: skip
def argmax(x, axis=None, keepdims=False):
    return _place("argmax", x, axis, keepdims)


@operation("Argmin", options=("axis", "keepdims"))
@documented("Where the smallest element stands; the first of equal ones, or the first NaN.", _ONE_AXIS, "int32 array.",
            "ops.argmin([3, 1, 2])\n"
            "array(1, dtype=int32)", _NO_AXIS)  # fmt: skip
def argmin(x, axis=None, keepdims=False):
    return _place("argmin", x, axis, keepdims)


# ---- places between elements -----------------------------------------------------------------------------------------


@operation("SearchSorted", options=("side",))
@documented(
    "Where values would stand in a sorted sequence.",
    {"sorted_sequence": "(array (n,)): Ascending.", "values": "(array): The values.",
     "side": '(str, default "left"): "left" of equal elements, or "right" of them.'},
    "int32 array of the shape of `values`.",
    "ops.searchsorted([1, 3, 5], [2, 3])\n"
    "array([1, 1], dtype=int32)",
    {"ValueError": "Another number of axes, or an unknown side."},
)  # fmt: skip
def searchsorted(sorted_sequence, values, side="left"):
    if side not in ("left", "right"):
        raise ValueError(f"ops.searchsorted: side={side!r} is neither 'left' nor 'right'.")
    (sequence, values), _ = together(sorted_sequence, values, at_least="int32")
    p = next(one.p for one in (sequence, values) if isinstance(one, Traced))
    sequence, values = lift(p, sequence), lift(p, values)
    if sequence.ndim != 1:
        raise ValueError(f"`searchsorted` only supports 1-D sorted sequences. Received: {sequence.shape}")
    if sequence.time is not None:
        raise MixesTimesteps("it searches among timesteps")
    return steps.searched(sequence, values, side == "right")


@operation("Digitize", plain=("bins",))
@documented(
    "How many of some bounds each element has reached.",
    {"x": ARRAY, "bins": "(list or array of numbers): The bounds, ascending."},
    "int32 array of the shape of `x`.",
    "ops.digitize([0.2, 6.4, 3.0], [0.0, 1.0, 2.5, 4.0])\narray([1, 4, 3], dtype=int32)",
    {"UnsupportedError": "Bounds that are computed."},
)
def digitize(x, bins):
    if isinstance(bins, Traced):
        raise UnsupportedError("ops.digitize: bins are numbers that are known before, not computed ones.")
    bounds = lift(x.p, np.asarray(bins, np.float32).reshape(-1))
    return steps.searched(bounds, cast(x, "float32"), True)


def shares_of(q):
    """Shares as Keras has them: of plain numbers the nearest float32, which may ask for the element above."""
    return np.asarray(q if isinstance(q, (np.ndarray, np.generic)) else np.asarray(q, np.float32), np.float64)


class Ranks:
    """The elements along some axes of an array as rows, of which shares are asked for.

    x, rows: Traced; q: float64 array; rows has the axes that stay, and one of all elements along `axis`.
    """

    def __init__(self, x, q, axis, name):
        self.q = shares_of(q)
        if self.q.ndim > 1 or not ((self.q >= 0) & (self.q <= 1)).all():
            raise ValueError(f"ops.{name}: numbers within [0, 1], or a list of them, are wanted, got {self.q}.")
        self.x, self.axes = cast(x, "float32"), sorted(axes_of(x, axis, name))
        x, axes = self.x, self.axes
        if x.time in axes:
            raise MixesTimesteps("it takes all timesteps together")
        self.kept = [size for at, size in enumerate(x.shape) if at not in axes]
        rows = moveaxis(x, axes, list(range(x.ndim - len(axes), x.ndim))) if axes else x
        self.time = rows.time
        count = int(np.prod([x.shape[at] for at in axes], dtype=np.int64))
        self.rows = reshape(Traced(x.p, rows.slot), [*self.kept, count])
        if count == 0:
            raise ValueError(f"ops.{name}: no elements along axis {axis} of an array of shape {x.shape}.")

    def ordered(self, name):
        """The rows in ascending order, NaN last."""
        last = len(self.kept)
        return along(self.rows, steps.argsorted(self.rows, last), last, name, inside=True)

    def laid_out(self, y, keepdims):
        """y, (kept axes, shares), as the result: the shares first, where q is a list."""
        x, q = self.x, self.q
        y = moveaxis(Traced(x.p, y.slot, self.time), -1, 0)
        shape = [1 if i in self.axes else size for i, size in enumerate(x.shape)] if keepdims else self.kept
        shape = [*q.shape, *shape]
        if self.time is not None:
            return Traced(x.p, y.slot.reshaped(shape), q.ndim + (x.time if keepdims else self.time))
        return reshape(y, shape)


def between(at, count, method):
    """Where the elements at `at` of `count` stand, and how much of the second counts: (places, places, shares)."""
    if method == "linear":
        below = np.maximum(np.ceil(at) - 1, 0)
        above = np.minimum(below + 1, np.maximum(count - 1, 0))
        return above, below, above - at
    if method == "midpoint":
        return np.floor(at), np.ceil(at), np.full(at.shape, 0.5)
    only = {"lower": np.floor, "higher": np.ceil, "nearest": np.round}[method](at)
    return only, only, np.zeros(at.shape)


def _quantile(x, q, axis, keepdims, method, name):
    r = Ranks(x, q, axis, name)
    n, last, ordered, p = r.rows.shape[-1], len(r.kept), r.ordered(name), x.p
    first, second, part = between((n - 1) * r.q.reshape(-1), n, method)

    def taken(numbers):
        places = steps.checked(p, np.clip(numbers.astype(np.int64), 0, n - 1), n, name)
        return steps.gather(ordered, places, last, (*r.kept, numbers.size))

    if method == "linear":
        part = part.astype(np.float32)
        y = e.add(e.multiply(taken(first), lift(p, 1 - part)), e.multiply(taken(second), lift(p, part)))
    elif method == "midpoint":
        y = e.multiply(e.add(taken(first), taken(second)), 0.5)
    else:
        y = taken(first)
    nan = reduced("max_int32", e.isnan(r.rows), -1, True, name, "bool")
    return r.laid_out(e.where(nan, float("nan"), y), keepdims)


METHODS = ("linear", "lower", "higher", "nearest", "midpoint")
QUANTILE = {
    "x": ARRAY,
    "q": "(float or list of float): Which shares of the elements are smaller, within [0, 1].",
    "axis": AXIS,
    "method": '(str, default "linear"): What lies between two elements: "linear", "lower", "higher", "nearest" or '
    '"midpoint".',
    "keepdims": KEEPDIMS,
}


@operation("Quantile", options=("axis", "method", "keepdims"), plain=("q",))
@documented("Values that given shares of the elements are smaller than; NaN where one is.", QUANTILE,
            "float32 array; a list of q makes a first axis.", "ops.quantile([1.0, 2.0, 4.0], 0.5)\n"
    "array(2., dtype=float32)",
            {"ValueError": "An axis that is not there, an unknown method, or q outside of [0, 1]."})  # fmt: skip
def quantile(x, q, axis=None, method="linear", keepdims=False):
    if method not in METHODS:
        raise ValueError(f"ops.quantile: method={method!r} is none of {', '.join(METHODS)}.")
    if isinstance(q, Traced):
        raise UnsupportedError("ops.quantile: q is a number that is known before, not a computed one.")
    return _quantile(x, q, axis, keepdims, method, "quantile")


@operation("Percentile", options=("axis", "method", "keepdims"), plain=("q",))
@documented("Values that given percentages of the elements are smaller than; NaN where one is.",
            {**QUANTILE, "q": "(float or list of float): Percentages, within [0, 100]."},
            "float32 array; a list of q makes a first axis.", "ops.percentile([1.0, 2.0, 4.0], 50)\n"
    "array(2., dtype=float32)",
            {"ValueError": "An axis that is not there, an unknown method, or q outside of [0, 100]."})  # fmt: skip
def percentile(x, q, axis=None, method="linear", keepdims=False):
    if method not in METHODS:
        raise ValueError(f"ops.percentile: method={method!r} is none of {', '.join(METHODS)}.")
    if isinstance(q, Traced):
        raise UnsupportedError("ops.percentile: q is a number that is known before, not a computed one.")
    return _quantile(x, np.asarray(q, np.float32) / np.float32(100), axis, keepdims, method, "percentile")


@operation("Median", options=("axis", "keepdims"))
@documented("The value in the middle of the elements; NaN where one is.",
            {"x": ARRAY, "axis": AXIS, "keepdims": KEEPDIMS}, "float32 array.", "ops.median([1.0, 2.0, 4.0])\n"
    "array(2., dtype=float32)",
            _NO_AXIS)  # fmt: skip
def median(x, axis=None, keepdims=False):
    return _quantile(x, 0.5, axis, keepdims, "linear", "median")

"""Elements along axes taken together. https://keras.io/api/ops/numpy/"""

from builtins import any as any_of

from fastseq.ops import elementwise as e
from fastseq.ops.documented import ARRAY, AXIS, KEEPDIMS, documented
from fastseq.ops.operation import operation
from fastseq.ops.shapes import whole_axis
from fastseq.ops.values import cast, is_number, reduce, reshaped, together, working_dtype

_ARGUMENTS = {"x": ARRAY, "axis": AXIS, "keepdims": KEEPDIMS}


def axes_of(x, axis, name):
    """A set of axes counted from 0; None is all. Raises ValueError for axes that are not there."""
    if axis is None:
        return set(range(x.ndim))
    given = [whole_axis(one, name) for one in (axis if isinstance(axis, (list, tuple)) else (axis,))]
    for one in given:
        if not -x.ndim <= one < x.ndim:
            raise ValueError(f"ops.{name}: axis {one} is out of bounds for an array of shape {x.shape}.")
    found = {one % x.ndim for one in given}
    if len(found) != len(given):
        raise ValueError(f"ops.{name}: axis={axis!r} names an axis twice.")
    return found


def reduced(kind, x, axis, keepdims, name, dtype="float32"):
    axes = axes_of(x, axis, name)
    y = reduce(kind, x, axes, dtype=dtype)
    if not keepdims:
        return y
    time = x.time
    return reshaped(y, [1 if axis in axes else size for axis, size in enumerate(x.shape)], time)


def _reduction(class_name, summary, example, returns):
    def decorate(body):
        made = documented(summary, _ARGUMENTS, returns, example, {"ValueError": "An axis that is not there."})(body)
        return operation(class_name, options=("axis", "keepdims"))(made)

    return decorate


def _of_kind(kind, x, axis, keepdims, at_least="int32"):
    (x,), dtype = together(x, at_least=at_least)
    return reduced(kind if dtype == "float32" else f"{kind}_int32", x, axis, keepdims, kind, dtype)


@_reduction(
    "Sum",
    "The sum over axes.",
    "ops.sum([[1.0, 2.0], [3.0, 4.0]], axis=1)\narray([3., 7.], dtype=float32)",
    "float32 or int32 array.",
)
def sum(x, axis=None, keepdims=False):
    return _of_kind("sum", x, axis, keepdims)


@_reduction(
    "Mean",
    "The mean over axes.",
    "ops.mean([[1.0, 2.0], [3.0, 4.0]], axis=1)\narray([1.5, 3.5], dtype=float32)",
    "float32 array.",
)
def mean(x, axis=None, keepdims=False):
    return _of_kind("mean", x, axis, keepdims, at_least="float32")


def _extreme(kind, x, axis, keepdims, name):
    axes = axes_of(x, axis, name)
    if any_of(x.shape[axis] == 0 for axis in axes):
        raise ValueError(f"ops.{name}: an array of shape {x.shape} has no {name} over axis={axis}.")
    return reduced(kind if x.dtype == "float32" else f"{kind}_int32", x, axis, keepdims, name, x.dtype)


_INITIAL = {**_ARGUMENTS, "initial": "(float, default None): What counts as one element more."}
_SAME = "An array of the dtype of `x`."
_EMPTY = {"ValueError": "An axis that is not there, or one of size 0 without `initial`."}


def _with_initial(kind, pairwise, x, axis, keepdims, initial):
    if initial is None:
        return _extreme(kind, x, axis, keepdims, kind)
    found = reduced(kind if x.dtype == "float32" else f"{kind}_int32", x, axis, keepdims, kind, x.dtype)
    return cast(pairwise(found, initial), x.dtype)


@operation("Max", options=("axis", "keepdims", "initial"))
@documented(
    "The largest element over axes; NaN where one is.",
    _INITIAL,
    _SAME,
    "ops.max([[1.0, 2.0]], axis=1)\narray([2.], dtype=float32)",
    _EMPTY,
)
def max(x, axis=None, keepdims=False, initial=None):
    return _with_initial("max", e.maximum, x, axis, keepdims, initial)


@operation("Min", options=("axis", "keepdims", "initial"))
@documented(
    "The smallest element over axes; NaN where one is.",
    _INITIAL,
    _SAME,
    "ops.min([[1.0, 2.0]], axis=1)\narray([1.], dtype=float32)",
    _EMPTY,
)
def min(x, axis=None, keepdims=False, initial=None):
    return _with_initial("min", e.minimum, x, axis, keepdims, initial)


@_reduction(
    "Amax",
    "The largest element over axes; NaN where one is.",
    "ops.amax([[1.0, 2.0]], axis=1)\narray([2.], dtype=float32)",
    _SAME,
)
def amax(x, axis=None, keepdims=False):
    return _extreme("max", x, axis, keepdims, "amax")


@_reduction(
    "Amin",
    "The smallest element over axes; NaN where one is.",
    "ops.amin([[1.0, 2.0]], axis=1)\narray([1.], dtype=float32)",
    _SAME,
)
def amin(x, axis=None, keepdims=False):
    return _extreme("min", x, axis, keepdims, "amin")


@_reduction(
    "Ptp",
    "The largest element less the smallest one.",
    "ops.ptp([[1.0, 4.0]], axis=1)\narray([3.], dtype=float32)",
    _SAME,
)
def ptp(x, axis=None, keepdims=False):
    (x,), _ = together(x, at_least="int32")
    return e.subtract(_extreme("max", x, axis, keepdims, "ptp"), _extreme("min", x, axis, keepdims, "ptp"))


@operation("Prod", options=("axis", "keepdims", "dtype"))
@documented(
    "The product over axes.",
    {**_ARGUMENTS, "dtype": "(str, default None): That of the product; None is that of `x`, and int32 for bools."},
    "float32 or int32 array.",
    "ops.prod([[1.0, 2.0], [3.0, 4.0]], axis=1)\narray([ 2., 12.], dtype=float32)",
    {"ValueError": "An axis that is not there."},
)
def prod(x, axis=None, keepdims=False, dtype=None):
    return _of_kind("prod", x if dtype is None else cast(x, working_dtype(dtype)), axis, keepdims)


@operation("CountNonzero", options=("axis",))
@documented("How many elements are not 0.", {"x": ARRAY, "axis": AXIS}, "int32 array.",
            "ops.count_nonzero([[0.0, 2.0], [3.0, 4.0]], axis=1)\n"
            "array([1, 2], dtype=int32)",
            {"ValueError": "An axis that is not there."})  # fmt: skip
def count_nonzero(x, axis=None):
    return reduced("sum_int32", cast(cast(x, "bool"), "int32"), axis, False, "count_nonzero", "int32")


@operation("Average", options=("axis",))
@documented(
    "The mean over axes, elements counted by weights.",
    {
        "x": ARRAY,
        "axis": AXIS,
        "weights": "(array, default None): Of as many axes as `x`, or of one for an `axis` that is a number; None is 1 "
        "everywhere.",
    },
    "float32 array.",
    "ops.average([[1.0, 2.0], [3.0, 4.0]], axis=1, weights=[3.0, 1.0])\narray([1.25, 3.25], dtype=float32)",
    {"ValueError": "An axis that is not there, or weights of another shape."},
)
def average(x, axis=None, weights=None):
    if weights is None:
        return mean(x, axis)
    if is_number(weights):
        raise ValueError(f"ops.average: `weights` must be an array of x's shape {x.shape}, not the number {weights}.")
    x, weights = cast(x, "float32"), cast(weights, "float32")
    if axis is None or weights.ndim == x.ndim:
        return e.divide(sum(e.multiply(x, weights), axis), sum(weights, axis))
    (own,) = axes_of(x, axis, "average") if isinstance(axis, int) else (None,)
    if own is None or weights.shape != (x.shape[own],):
        raise ValueError(
            f"ops.average: weights of shape {weights.shape} do not fit an array of shape {x.shape} over axis={axis}."
        )
    along = reshaped(weights, [size if i == own else 1 for i, size in enumerate(x.shape)])
    return e.divide(sum(e.multiply(x, along), axis), sum(weights))


@_reduction(
    "Any", "Whether one of the elements is true.", "ops.any([[True, False]], axis=1)\narray([ True])", "bool array."
)
def any(x, axis=None, keepdims=False):
    return reduced("max_int32", cast(x, "bool"), axis, keepdims, "any", "bool")


@_reduction("All", "Whether all elements are true.", "ops.all([[True, False]], axis=1)\narray([False])", "bool array.")
def all(x, axis=None, keepdims=False):
    return reduced("min_int32", cast(x, "bool"), axis, keepdims, "all", "bool")


@_reduction(
    "Var", "The mean square distance from the mean.", "ops.var([1.0, 3.0])\narray(1., dtype=float32)", "float32 array."
)
def var(x, axis=None, keepdims=False):
    x = cast(x, "float32")
    return mean(e.square(e.subtract(x, mean(x, axis, True))), axis, keepdims)


@_reduction(
    "Std", "The square root of the variance.", "ops.std([1.0, 3.0])\narray(1., dtype=float32)", "float32 array."
)
def std(x, axis=None, keepdims=False):
    return e.sqrt(var(x, axis, keepdims))

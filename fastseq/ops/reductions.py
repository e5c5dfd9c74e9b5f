"""Elements along axes taken together. https://keras.io/api/ops/numpy/"""

from fastseq.ops import elementwise as e
from fastseq.ops.documented import ARRAY, AXIS, KEEPDIMS, documented
from fastseq.ops.operation import operation
from fastseq.ops.values import cast, reduce, reshaped, together

_ARGUMENTS = {"x": ARRAY, "axis": AXIS, "keepdims": KEEPDIMS}


def axes_of(x, axis, name):
    """A set of axes counted from 0; None is all. Raises ValueError for axes that are not there."""
    if axis is None:
        return set(range(x.ndim))
    given = axis if isinstance(axis, (list, tuple)) else (axis,)
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


@_reduction("Sum", "The sum over axes.", "ops.sum([[1.0, 2.0], [3.0, 4.0]], axis=1)", "float32 or int32 array.")
def sum(x, axis=None, keepdims=False):
    return _of_kind("sum", x, axis, keepdims)


@_reduction("Mean", "The mean over axes.", "ops.mean([[1.0, 2.0], [3.0, 4.0]], axis=1)", "float32 array.")
def mean(x, axis=None, keepdims=False):
    return _of_kind("mean", x, axis, keepdims, at_least="float32")


@_reduction("Any", "Whether one of the elements is true.", "ops.any([[True, False]], axis=1)", "bool array.")
def any(x, axis=None, keepdims=False):
    return reduced("max_int32", cast(x, "bool"), axis, keepdims, "any", "bool")


@_reduction("All", "Whether all elements are true.", "ops.all([[True, False]], axis=1)", "bool array.")
def all(x, axis=None, keepdims=False):
    return reduced("min_int32", cast(x, "bool"), axis, keepdims, "all", "bool")


@_reduction("Var", "The mean square distance from the mean.", "ops.var([1.0, 3.0])", "float32 array.")
def var(x, axis=None, keepdims=False):
    x = cast(x, "float32")
    return mean(e.square(e.subtract(x, mean(x, axis, True))), axis, keepdims)


@_reduction("Std", "The square root of the variance.", "ops.std([1.0, 3.0])", "float32 array.")
def std(x, axis=None, keepdims=False):
    return e.sqrt(var(x, axis, keepdims))

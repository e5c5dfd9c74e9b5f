"""Reductions that leave NaN out. https://keras.io/api/ops/numpy/"""

from fastseq.ops import elementwise as e
from fastseq.ops import reductions as r
from fastseq.ops.documented import ARRAY, AXIS, KEEPDIMS, documented
from fastseq.ops.operation import operation
from fastseq.ops.special_values import signbit
from fastseq.ops.values import cast

_INF, _NAN = float("inf"), float("nan")
_SMALLEST = 2.0**-126
_RAISES = {"ValueError": "An axis that is not there."}


def _leaving_out(class_name, summary, example, returns, axis=AXIS):
    def decorate(body):
        made = documented(summary, {"x": ARRAY, "axis": axis, "keepdims": KEEPDIMS}, returns, example, _RAISES)(body)
        return operation(class_name, options=("axis", "keepdims"))(made)

    return decorate


def _filled(x, value):
    return e.where(e.isnan(x), value, x)


@_leaving_out(
    "Nansum",
    "The sum of what is not NaN.",
    "ops.nansum([1.0, float('nan')])\narray(1., dtype=float32)",
    "float32 or int32 array.",
)
def nansum(x, axis=None, keepdims=False):
    return r.sum(_filled(x, 0.0) if x.dtype == "float32" else x, axis, keepdims)


@_leaving_out(
    "Nanprod",
    "The product of what is not NaN.",
    "ops.nanprod([2.0, float('nan')])\narray(2., dtype=float32)",
    "float32 or int32 array.",
)
def nanprod(x, axis=None, keepdims=False):
    return r.prod(_filled(x, 1.0) if x.dtype == "float32" else x, axis, keepdims)


def _count(x, axis, keepdims):
    return r.sum(cast(e.logical_not(e.isnan(x)), "float32"), axis, keepdims)


@_leaving_out(
    "Nanmean",
    "The mean of what is not NaN.",
    "ops.nanmean([1.0, float('nan')])\narray(1., dtype=float32)",
    "float32 array.",
)
def nanmean(x, axis=None, keepdims=False):
    if x.dtype != "float32":
        return r.mean(x, axis, keepdims)
    return e.divide(nansum(x, axis, keepdims), _count(x, axis, keepdims))


@_leaving_out(
    "Nanvar",
    "The variance of what is not NaN.",
    "ops.nanvar([1.0, 3.0, float('nan')])\narray(1., dtype=float32)",
    "float32 array.",
)
def nanvar(x, axis=None, keepdims=False):
    x = cast(x, "float32")
    from_mean = e.where(e.isnan(x), 0.0, e.subtract(x, nanmean(x, axis, True)))
    return e.divide(r.sum(e.square(from_mean), axis, keepdims), _count(x, axis, keepdims))


@_leaving_out(
    "Nanstd",
    "The standard deviation of what is not NaN.",
    "ops.nanstd([1.0, 3.0, float('nan')])\narray(1., dtype=float32)",
    "float32 array.",
)
def nanstd(x, axis=None, keepdims=False):
    return e.sqrt(nanvar(x, axis, keepdims))


def _nan_where_all_are(x, found, axis, keepdims, value):
    return e.where(r.all(e.isnan(x), axis, keepdims), value, found)


@_leaving_out(
    "Nanmax",
    "The largest of what is not NaN; NaN of none.",
    "ops.nanmax([1.0, float('nan')])\narray(1., dtype=float32)",
    "Of the dtype of `x`.",
)
def nanmax(x, axis=None, keepdims=False):
    if x.dtype != "float32":
        return r.max(x, axis, keepdims)
    return _nan_where_all_are(x, r.max(_filled(x, -_INF), axis, keepdims), axis, keepdims, _NAN)


@_leaving_out(
    "Nanmin",
    "The smallest of what is not NaN; NaN of none.",
    "ops.nanmin([1.0, float('nan')])\narray(1., dtype=float32)",
    "Of the dtype of `x`.",
)
def nanmin(x, axis=None, keepdims=False):
    if x.dtype != "float32":
        return r.min(x, axis, keepdims)
    return _nan_where_all_are(x, r.min(_filled(x, _INF), axis, keepdims), axis, keepdims, _NAN)


_ONE_AXIS = "(int, default None): The axis; None counts through all elements."


def _place(kind, x, axis, keepdims, filling, name):
    if x.dtype != "float32":
        return r.reduced(f"{kind}_int32", cast(x, "int32"), axis, keepdims, name, "int32")
    filled = _filled(x, filling)
    # As in Keras, -0 is smaller than 0.
    filled = e.where(e.logical_and(e.equal(filled, 0.0), signbit(filled)), -_SMALLEST, filled)
    return _nan_where_all_are(x, r.reduced(kind, filled, axis, keepdims, name, "int32"), axis, keepdims, -1)


@_leaving_out(
    "Nanargmax", "Where the largest of what is not NaN stands, the first of them; -1 where all are NaN.",
    "ops.nanargmax([1.0, 3.0, float('nan')])\n"
    "array(1, dtype=int32)", "int32 array.", _ONE_AXIS,
)  # fmt: skip
def nanargmax(x, axis=None, keepdims=False):
    return _place("argmax", x, axis, keepdims, -_INF, "nanargmax")


@_leaving_out(
    "Nanargmin", "Where the smallest of what is not NaN stands, the first of them; -1 where all are NaN.",
    "ops.nanargmin([1.0, 3.0, float('nan')])\n"
    "array(0, dtype=int32)", "int32 array.", _ONE_AXIS,
)  # fmt: skip
def nanargmin(x, axis=None, keepdims=False):
    return _place("argmin", x, axis, keepdims, _INF, "nanargmin")

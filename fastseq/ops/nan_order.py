"""Quantiles that leave NaN out. https://keras.io/api/ops/numpy/"""

import numpy as np

from fastseq.errors import UnsupportedError
from fastseq.ops import elementwise as e
from fastseq.ops import places as steps
from fastseq.ops.documented import ARRAY, AXIS, KEEPDIMS, documented
from fastseq.ops.indexing import along
from fastseq.ops.operation import operation
from fastseq.ops.reductions import reduced
from fastseq.ops.sorting import METHODS, QUANTILE, Ranks, between
from fastseq.ops.values import Traced, cast, lift

_RAISES = {"ValueError": "An axis that is not there, no elements, an unknown method, or q outside of its range.",
           "UnsupportedError": "A computed q."}  # fmt: skip


def _quantile(x, q, axis, method, keepdims, name):
    if method not in METHODS:
        raise ValueError(f"ops.{name}: method={method!r} is none of {', '.join(METHODS)}.")
    if isinstance(q, Traced):
        raise UnsupportedError(f"ops.{name}: q is a number that is known before, not a computed one.")
    shares = np.asarray(q, np.float32) / np.float32(100 if name == "nanpercentile" else 1)
    r = Ranks(x, shares, axis, name)
    p, n, last, shares = x.p, r.rows.shape[-1], len(r.kept), r.q.reshape(-1)
    ordered = r.ordered(name)  # NaN last
    # How many are not NaN says where to look: for each number of them places and shares are known before.
    counts = np.arange(n + 1)
    at = np.maximum(counts - 1, 0)[:, None] * shares
    first, second, part = between(at, counts[:, None], method)
    found = reduced("sum_int32", e.logical_not(e.isnan(r.rows)), -1, False, name, "int32")

    def of_each(table, dtype):
        table = lift(p, np.ascontiguousarray(np.broadcast_to(table, at.shape), dtype))
        return Traced(p, steps.gather(table, found, 0, (*found.shape, shares.size)).slot)

    def taken(places):
        return along(ordered, of_each(np.clip(places, 0, n - 1), np.int32), last, name, inside=True)

    if method in ("linear", "midpoint"):
        y = e.add(e.multiply(taken(first), of_each(1 - part, np.float32)),
                  e.multiply(taken(second), of_each(part, np.float32)))  # fmt: skip
    else:
        y = taken(first)
    none = Traced(p, e.equal(found, 0).slot.reshaped((*found.shape, 1)))
    return r.laid_out(e.where(none, float("nan"), y), keepdims)


@operation("Nanquantile", options=("axis", "method", "keepdims"), plain=("q",))
@documented("Values that given shares of the elements are smaller than, NaN left out; NaN of none.", QUANTILE,
            "float32 array; a list of q makes a first axis.", "ops.nanquantile([1.0, float('nan'), 2.0, 4.0], 0.5)\n"
            "array(2., dtype=float32)", _RAISES)  # fmt: skip
def nanquantile(x, q, axis=None, method="linear", keepdims=False):
    return _quantile(x, q, axis, method, keepdims, "nanquantile")


@operation("Nanpercentile", options=("axis", "method", "keepdims"), plain=("q",))
@documented("Values that given percentages of the elements are smaller than, NaN left out; NaN of none.",
            {**QUANTILE, "q": "(float or list of float): Percentages, within [0, 100]."},
            "float32 array; a list of q makes a first axis.", "ops.nanpercentile([1.0, float('nan'), 2.0, 4.0], 50)\n"
            "array(2., dtype=float32)", _RAISES)  # fmt: skip
def nanpercentile(x, q, axis=None, method="linear", keepdims=False):
    return _quantile(x, q, axis, method, keepdims, "nanpercentile")


@operation("Nanmedian", options=("axis", "keepdims"))
@documented("The value in the middle of the elements, NaN left out; NaN of none.",
            {"x": ARRAY, "axis": AXIS, "keepdims": KEEPDIMS}, "float32 array.",
            "ops.nanmedian([1.0, float('nan'), 2.0, 4.0])\narray(2., dtype=float32)",
            {"ValueError": "An axis that is not there, or no elements."})  # fmt: skip
def nanmedian(x, axis=None, keepdims=False):
    if axis in ((), []):
        return cast(x, "float32")
    return _quantile(x, 0.5, axis, "linear", keepdims, "nanmedian")

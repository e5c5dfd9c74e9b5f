"""The backend's functions of elements along axes."""

from fastseq import ops
from fastseq.backend.documented import ARRAY, AXIS, KEEPDIMS, documented, same

all = same("all", "backend.all([[True, False]], axis=1)\narray([False])")
any = same("any", "backend.any([[True, False]], axis=1)\narray([ True])")
logsumexp = same(
    "logsumexp", "backend.logsumexp([[1.0, 2.0], [3.0, 5.0]], axis=1)\narray([2.3132617, 5.126928 ], dtype=float32)"
)
mean = same("mean", "backend.mean([[1.0, 2.0], [3.0, 5.0]], axis=1)\narray([1.5, 4. ], dtype=float32)")
std = same("std", "backend.std([[1.0, 2.0], [3.0, 5.0]], axis=1)\narray([0.5, 1. ], dtype=float32)")
sum = same("sum", "backend.sum([[1.0, 2.0], [3.0, 5.0]], axis=1)\narray([3., 8.], dtype=float32)")
var = same("var", "backend.var([[1.0, 2.0], [3.0, 5.0]], axis=1)\narray([0.25, 1.  ], dtype=float32)")

_AXIS = "(int, default -1): The axis."
_ALONG = "(int, default 0): The axis."
_SAME = "An array of the dtype of `x`; booleans become int32."


_ARGUMENTS = {"x": ARRAY, "axis": AXIS, "keepdims": KEEPDIMS}
_NO_AXIS = {"ValueError": "An axis that is not there, or no elements."}


@documented("The largest element along axes.", _ARGUMENTS, _SAME, "backend.max([[1.0, 2.0], [4.0, 3.0]], axis=1)\n"
    'array([2., 4.], dtype=float32)',
            _NO_AXIS)  # fmt: skip
def max(x, axis=None, keepdims=False):
    return ops.max(x, axis, keepdims)


@documented("The smallest element along axes.", _ARGUMENTS, _SAME, "backend.min([[1.0, 2.0], [4.0, 3.0]], axis=1)\n"
    'array([1., 3.], dtype=float32)',
            _NO_AXIS)  # fmt: skip
def min(x, axis=None, keepdims=False):
    return ops.min(x, axis, keepdims)


@documented("The product along axes.", _ARGUMENTS, _SAME, "backend.prod([[1.0, 2.0], [4.0, 3.0]], axis=1)\n"
    'array([ 2., 12.], dtype=float32)',
            {"ValueError": "An axis that is not there."})  # fmt: skip
def prod(x, axis=None, keepdims=False):
    return ops.prod(x, axis, keepdims)


@documented("Index of the largest value of an axis.", {"x": ARRAY, "axis": _AXIS}, "int32 array.",
            "backend.argmax([[1.0, 2.0], [4.0, 3.0]])\n"
    'array([1, 0], dtype=int32)', {"ValueError": "An axis that is not there."})  # fmt: skip
def argmax(x, axis=-1):
    return ops.argmax(x, axis)


@documented("Index of the smallest value of an axis.", {"x": ARRAY, "axis": _AXIS}, "int32 array.",
            "backend.argmin([[1.0, 2.0], [4.0, 3.0]])\n"
    'array([0, 1], dtype=int32)', {"ValueError": "An axis that is not there."})  # fmt: skip
def argmin(x, axis=-1):
    return ops.argmin(x, axis)


@documented("Sums of all elements up to each one of an axis.", {"x": ARRAY, "axis": _ALONG}, _SAME,
            "backend.cumsum([1.0, 2.0, 3.0])\n"
    'array([1., 3., 6.], dtype=float32)', {"ValueError": "An axis that is not there."})  # fmt: skip
def cumsum(x, axis=0):
    return ops.cumsum(x, axis)


@documented("Products of all elements up to each one of an axis.", {"x": ARRAY, "axis": _ALONG}, _SAME,
            "backend.cumprod([1.0, 2.0, 3.0])\n"
    'array([1., 2., 6.], dtype=float32)', {"ValueError": "An axis that is not there."})  # fmt: skip
def cumprod(x, axis=0):
    return ops.cumprod(x, axis)

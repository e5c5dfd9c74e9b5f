"""Sums, products and differences along an axis. https://keras.io/api/ops/numpy/"""

from fastseq.ops import elementwise as e
from fastseq.ops import places as steps
from fastseq.ops.documented import ARRAY, documented
from fastseq.ops.joining import part
from fastseq.ops.operation import operation
from fastseq.ops.shapes import axis_of, ravel
from fastseq.ops.special_values import nan_to_num
from fastseq.ops.values import MixesTimesteps, cast, working_dtype

_ARGUMENTS = {
    "x": ARRAY,
    "axis": "(int, default None): The axis; None makes one row of all elements first.",
    "dtype": "(str, default None): None is that of `x`, int32 for booleans.",
}
_NO_AXIS = {"ValueError": "An axis that is not there."}


def _cumulated(kind, x, axis, dtype):
    x = x if dtype is None else cast(x, working_dtype(dtype))
    x = cast(x, "int32") if x.dtype == "bool" else x
    x, axis = (ravel(x), 0) if axis is None else (x, axis_of(x, axis, f"cum{kind}"))
    return steps.cumulated(x, axis, kind)


@operation("Cumsum", options=("axis", "dtype"))
@documented("The sums of all elements up to each.", _ARGUMENTS, "float32 or int32 array.", "ops.cumsum([1, 2, 3])\n"
    "array([1, 3, 6], dtype=int32)",
            _NO_AXIS)  # fmt: skip
def cumsum(x, axis=None, dtype=None):
    return _cumulated("sum", x, axis, dtype)


@operation("Cumprod", options=("axis", "dtype"))
@documented("The products of all elements up to each.", _ARGUMENTS, "float32 or int32 array.",
            "ops.cumprod([1, 2, 3])\n"
            "array([1, 2, 6], dtype=int32)", _NO_AXIS)  # fmt: skip
def cumprod(x, axis=None, dtype=None):
    return _cumulated("prod", x, axis, dtype)


@operation("Nancumsum", options=("axis", "dtype"))
@documented("The sums of all elements up to each; NaN counts 0, and as in Keras infinities the largest numbers.",
            _ARGUMENTS, "float32 or int32 array.", "ops.nancumsum([1.0, float('nan'), 2.0])\n"
            "array([1., 1., 3.], dtype=float32)", _NO_AXIS)  # fmt: skip
def nancumsum(x, axis=None, dtype=None):
    return _cumulated("sum", nan_to_num(x), axis, dtype)


@operation("Nancumprod", options=("axis", "dtype"))
@documented("The products of all elements up to each; NaN counts 1, and as in Keras infinities the largest numbers.",
            _ARGUMENTS, "float32 or int32 array.", "ops.nancumprod([1.0, float('nan'), 2.0])\n"
            "array([1., 1., 2.], dtype=float32)", _NO_AXIS)  # fmt: skip
def nancumprod(x, axis=None, dtype=None):
    return _cumulated("prod", nan_to_num(x, 1.0), axis, dtype)


@operation("Diff", options=("n", "axis"))
@documented(
    "Each element less the one before it along an axis; of booleans, whether they differ.",
    {"a": ARRAY, "n": "(int, default 1): How often.", "axis": "(int, default -1): The axis."},
    "An array of the dtype of `a`, `n` shorter along the axis.",
    "ops.diff([1, 2, 4])\narray([1, 2], dtype=int32)",
    {"ValueError": "n below 0, or an axis that is not there."},
)
def diff(a, n=1, axis=-1):
    if n < 0:
        raise ValueError(f"Order `n` must be non-negative. Received n={n}")
    if n == 0:
        return a
    axis = axis_of(a, axis, "diff")
    if axis == a.time:
        raise MixesTimesteps("it takes a timestep and the one before it together")
    for _ in range(n):
        count = max(a.shape[axis] - 1, 0)
        later, earlier = part(a, axis, a.shape[axis] - count, count), part(a, axis, 0, count)
        a = e.not_equal(later, earlier) if a.dtype == "bool" else e.subtract(later, earlier)
    return a

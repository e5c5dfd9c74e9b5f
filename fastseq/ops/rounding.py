"""Rounding, signs, quotients and remainders. https://keras.io/api/ops/numpy/"""

from fastseq.ops import elementwise as e
from fastseq.ops.documented import ARRAY, NO_BROADCAST, documented
from fastseq.ops.elementwise import FLOAT, SAME, arithmetic, binary, unary
from fastseq.ops.operation import operation
from fastseq.ops.values import cast, elementwise, together

_MOST_DECIMALS = 38  # 10 ** 38 is a float32


@unary(
    "Floor",
    "floor",
    "The largest integer that is not above it.",
    "ops.floor([-1.5, 1.5])\narray([-2.,  1.], dtype=float32)",
)
def floor(x): ...


@unary(
    "Ceil",
    "ceil",
    "The smallest integer that is not below it.",
    "ops.ceil([-1.5, 1.5])\narray([-1.,  2.], dtype=float32)",
)
def ceil(x): ...


@operation("Trunc")
@documented("The integer next to it on the way to 0.", {"x": ARRAY}, "An array of the dtype of `x`.",
            "ops.trunc([-1.5, 1.5])\n"
            "array([-1.,  1.], dtype=float32)")  # fmt: skip
def trunc(x):
    return elementwise("trunc", x) if x.dtype == "float32" else elementwise("copy", x, dtype=x.dtype)


@operation("Round", options=("decimals",))
@documented(
    "The nearest number of so many decimals; halves go to the even one.",
    {"x": ARRAY, "decimals": "(int, default 0): Digits behind the point; negative ones round to tens, hundreds ..."},
    SAME,
    "ops.round([0.5, 1.26], decimals=1)\narray([0.5, 1.3], dtype=float32)",
    {"ValueError": "More than 38 decimals."},
)
def round(x, decimals=0):
    (x,), dtype = together(x, at_least="int32")
    if dtype == "int32" and decimals >= 0:
        return elementwise("copy", x, dtype="int32")
    if decimals == 0:
        return elementwise("round", x)
    if not -_MOST_DECIMALS <= decimals <= _MOST_DECIMALS:
        raise ValueError(f"ops.round: decimals={decimals} is more than float32 has; it goes to {_MOST_DECIMALS}.")
    factor = 10.0**decimals
    rounded = elementwise("round", elementwise("multiply", cast(x, "float32"), factor))
    return cast(elementwise("divide", rounded, factor), dtype)


@operation("Sign")
@documented("-1, 0 or 1.", {"x": ARRAY}, SAME, "ops.sign([-2.0, 0.0, 3.0])\narray([-1.,  0.,  1.], dtype=float32)")
def sign(x):
    (x,), dtype = together(x, at_least="int32")
    return elementwise("sign" if dtype == "float32" else "sign_int32", x, dtype=dtype)


@operation("Heaviside")
@documented(
    "0 below 0, 1 above it, and `x2` at 0.",
    {"x1": ARRAY, "x2": "(array): What it is at 0, and for NaN."},
    FLOAT,
    "ops.heaviside([-2.0, 0.0, 3.0], 0.5)\narray([0. , 0.5, 1. ], dtype=float32)",
    NO_BROADCAST,
)
def heaviside(x1, x2):
    (x1, x2), _ = together(x1, x2, at_least="float32")
    return e.where(e.less(x1, 0.0), 0.0, e.where(e.greater(x1, 0.0), 1.0, x2))


_INTEGERS = " Integers by 0 are 0, as in NumPy."


@binary(
    "Mod",
    "What is left of `x1 / x2`, with the sign of `x2`, a zero too." + _INTEGERS,
    "ops.mod([-7.0], 3.0)\narray([2.], dtype=float32)",
)
def mod(x1, x2):
    return arithmetic("mod", x1, x2)


@binary(
    "Fmod",
    "What is left of `x1 / x2`, with the sign of `x1`." + _INTEGERS,
    "ops.fmod([-7.0], 3.0)\narray([-1.], dtype=float32)",
)
def fmod(x1, x2):
    return arithmetic("fmod", x1, x2)


@binary(
    "FloorDivide",
    "The integer below `x1 / x2`. Of floats it is the floor of the rounded quotient, as in TensorFlow." + _INTEGERS,
    "ops.floor_divide([-7.0], 3.0)\narray([-3.], dtype=float32)",
)
def floor_divide(x1, x2):
    (x1, x2), dtype = together(x1, x2, at_least="int32")
    if dtype == "float32":
        return elementwise("floor", elementwise("divide", x1, x2))
    return elementwise("floor_divide_int32", x1, x2, dtype="int32")


@binary(
    "DivideNoNan",
    "`x1 / x2`, and 0 where `x2` is 0.",
    "ops.divide_no_nan([1.0, 2.0], [0.0, 4.0])\narray([0. , 0.5], dtype=float32)",
    FLOAT,
)
def divide_no_nan(x1, x2):
    (x1, x2), _ = together(x1, x2, at_least="float32")
    zero = e.equal(x2, 0.0)
    return e.where(zero, 0.0, e.divide(x1, e.where(zero, 1.0, x2)))  # so the gradient is 0 there, too


@binary(
    "Nextafter",
    "The float after `x1` on the way to `x2`, as NumPy has it, but without denormals: the smallest normal number is "
    "next to 0. Keras on TensorFlow goes by doubles, which ends at `x1` again.",
    "ops.nextafter([1.0], 2.0)\narray([1.0000001], dtype=float32)",
    FLOAT,
)
def nextafter(x1, x2):
    return arithmetic("nextafter", x1, x2, at_least="float32")


def _without_nan(kind, x1, x2):
    (x1, x2), dtype = together(x1, x2)
    found = e.maximum(x1, x2) if kind == "maximum" else e.minimum(x1, x2)
    if dtype != "float32":
        return found
    return e.where(e.not_equal(x1, x1), x2, e.where(e.not_equal(x2, x2), x1, found))


@binary(
    "Fmax",
    "The larger of two elements; the other one where one is NaN.",
    "ops.fmax([1.0, 4.0], 3.0)\narray([3., 4.], dtype=float32)",
)
def fmax(x1, x2):
    return _without_nan("maximum", x1, x2)


@binary(
    "Fmin",
    "The smaller of two elements; the other one where one is NaN.",
    "ops.fmin([1.0, 4.0], 3.0)\narray([1., 3.], dtype=float32)",
)
def fmin(x1, x2):
    return _without_nan("minimum", x1, x2)

"""Functions of floats: trigonometric, hyperbolic, exponential, powers. https://keras.io/api/ops/numpy/"""

import numpy as np

from fastseq.ops.documented import ARRAY, documented
from fastseq.ops.elementwise import (
    BOTH,
    FLOAT,
    absolute,
    arithmetic,
    binary,
    equal,
    logical_or,
    multiply,
    reciprocal,
    sqrt,
    square,
    unary,
    where,
)  # fmt: skip
from fastseq.ops.operation import operation
from fastseq.ops.values import builder_of, cast, elementwise, is_number, lift, together


@unary("Sin", "sin", "The sine of radians.", "ops.sin([0.0, 1.0])\narray([0.        , 0.84147096], dtype=float32)")
def sin(x): ...


@unary("Cos", "cos", "The cosine of radians.", "ops.cos([0.0, 1.0])\narray([1.       , 0.5403023], dtype=float32)")
def cos(x): ...


@unary("Tan", "tan", "The tangent of radians.", "ops.tan([0.0, 1.0])\narray([0.       , 1.5574077], dtype=float32)")
def tan(x): ...


@unary(
    "Arcsin",
    "arcsin",
    "The angle in [-pi/2, pi/2] whose sine it is; NaN beyond 1.",
    "ops.arcsin([0.0, 1.0])\narray([0.       , 1.5707964], dtype=float32)",
)
def arcsin(x): ...


@unary(
    "Arccos",
    "arccos",
    "The angle in [0, pi] whose cosine it is; NaN beyond 1.",
    "ops.arccos([0.0, 1.0])\narray([1.5707964, 0.       ], dtype=float32)",
)
def arccos(x): ...


@unary(
    "Arctan",
    "arctan",
    "The angle in [-pi/2, pi/2] whose tangent it is.",
    "ops.arctan([0.0, 1.0])\narray([0.       , 0.7853982], dtype=float32)",
)
def arctan(x): ...


@unary("Sinh", "sinh", "The hyperbolic sine.", "ops.sinh([0.0, 1.0])\narray([0.       , 1.1752012], dtype=float32)")
def sinh(x): ...


@unary("Cosh", "cosh", "The hyperbolic cosine.", "ops.cosh([0.0, 1.0])\narray([1.       , 1.5430807], dtype=float32)")
def cosh(x): ...


@unary(
    "Arcsinh",
    "arcsinh",
    "The inverse of the hyperbolic sine.",
    "ops.arcsinh([0.0, 1.0])\narray([0.       , 0.8813736], dtype=float32)",
)
def arcsinh(x): ...


@unary(
    "Arccosh",
    "arccosh",
    "The inverse of the hyperbolic cosine; NaN below 1.",
    "ops.arccosh([1.0, 2.0])\narray([0.      , 1.316958], dtype=float32)",
)
def arccosh(x): ...


@unary(
    "Arctanh",
    "arctanh",
    "The inverse of the hyperbolic tangent; NaN beyond 1.",
    "ops.arctanh([0.0, 0.5])\narray([0.        , 0.54930615], dtype=float32)",
)
def arctanh(x): ...


@unary(
    "Sinc",
    "sinc",
    "`sin(pi x) / (pi x)`, 1 at 0, where its gradient is 0.",
    "ops.sinc([0.0, 0.5])\narray([1.        , 0.63661975], dtype=float32)",
)
def sinc(x): ...


@unary("Exp2", "exp2", "`2 ** x`.", "ops.exp2([0.0, 3.0])\narray([1., 8.], dtype=float32)")
def exp2(x): ...


@unary("Log2", "log2", "The logarithm to the base 2.", "ops.log2([1.0, 8.0])\narray([0., 3.], dtype=float32)")
def log2(x): ...


@unary("Log10", "log10", "The logarithm to the base 10.", "ops.log10([1.0, 100.0])\narray([0., 2.], dtype=float32)")
def log10(x): ...


@unary(
    "Cbrt",
    "cbrt",
    "The cube root, of negative numbers too.",
    "ops.cbrt([8.0, -27.0])\narray([ 2., -3.], dtype=float32)",
)
def cbrt(x): ...


@unary(
    "Erfc",
    "erfc",
    "`1 - erf(x)`, with all its digits where that is small.",
    "ops.erfc([0.0, 3.0])\narray([1.0000000e+00, 2.2090497e-05], dtype=float32)",
    module="math",
)
def erfc(x): ...


@unary(
    "Erfinv",
    "erfinv",
    "The inverse of erf; NaN beyond 1.",
    "ops.erfinv([0.0, 0.5])\narray([0.        , 0.47693628], dtype=float32)",
    module="math",
)
def erfinv(x): ...


@unary(
    "I0",
    "i0",
    "The modified Bessel function of the first kind, order 0.",
    "ops.i0([0.0, 1.0])\narray([1.       , 1.2660658], dtype=float32)",
)
def i0(x): ...


@unary("Fabs", "abs", "The absolute value as a float.", "ops.fabs([-1, 2])\narray([1., 2.], dtype=float32)")
def fabs(x): ...


def _scaled(class_name, summary, factor, example):
    def decorate(body):
        def function(x):
            return elementwise("multiply", cast(x, "float32"), factor)

        function.__name__ = function.__qualname__ = body.__name__
        function.__module__ = body.__module__
        return operation(class_name)(documented(summary, {"x": ARRAY}, FLOAT, example)(function))

    return decorate


@_scaled("Deg2rad", "Degrees as radians.", np.pi / 180, "ops.deg2rad([180.0])\narray([3.1415927], dtype=float32)")
def deg2rad(x): ...


@_scaled("Rad2deg", "Radians as degrees.", 180 / np.pi, "ops.rad2deg([3.14159])\narray([179.99986], dtype=float32)")
def rad2deg(x): ...


# ---- of two arrays ---------------------------------------------------------------------------------------------------


@binary(
    "Arctan2",
    "The angle of the point (x2, x1), in [-pi, pi].",
    "ops.arctan2([1.0], [-1.0])\narray([2.3561945], dtype=float32)",
    FLOAT,
)
def arctan2(x1, x2):
    return arithmetic("arctan2", x1, x2, at_least="float32")


@binary(
    "Hypot",
    "`sqrt(x1 * x1 + x2 * x2)` without overflow on the way. As in NumPy, it is infinite beside an infinity, where "
    "Keras on TensorFlow gives NaN for two of them.",
    "ops.hypot([3.0], [4.0])\narray([5.], dtype=float32)",
    FLOAT,
)
def hypot(x1, x2):
    return arithmetic("hypot", x1, x2, at_least="float32")


@binary(
    "Logaddexp",
    "`log(exp(x1) + exp(x2))` without overflow.",
    "ops.logaddexp([1.0], [2.0])\narray([2.3132617], dtype=float32)",
    FLOAT,
)
def logaddexp(x1, x2):
    return arithmetic("logaddexp", x1, x2, at_least="float32")


@binary(
    "Logaddexp2",
    "`log2(2 ** x1 + 2 ** x2)` without overflow.",
    "ops.logaddexp2([1.0], [2.0])\narray([2.5849626], dtype=float32)",
    FLOAT,
)
def logaddexp2(x1, x2):
    return arithmetic("logaddexp2", x1, x2, at_least="float32")


def _power_of(x, exponent):
    """x ** exponent for a plain number that takes a product or a root, else None. C99's pow, but for its rounding."""
    if exponent == 1:
        return elementwise("copy", x, dtype=x.dtype)
    if exponent == 2:
        return square(x)
    if exponent == 3:
        return multiply(square(x), x)
    if x.dtype == "float32" and exponent == -1:
        return reciprocal(x)
    if x.dtype == "float32" and exponent == 0.5:  # pow has 0 for -0, and infinity for -infinity
        infinity = float("inf")
        x = where(elementwise("equal", x, -infinity, dtype="bool"), infinity, x)
        return sqrt(elementwise("add", x, 0.0))
    return None


@operation("Power", keeps_numbers=True)
@documented(
    "`x1 ** x2`. The plain exponents 1, 2, 3, -1 and 0.5 are products, a quotient and a root, whose last bit may "
    "differ from that of an array of the same exponents. In an array, an integer to a negative power is 0, or 1 or -1 "
    "where the base is.",
    {"x1": ARRAY, "x2": ARRAY},
    BOTH.replace("bool.", "bool; of booleans int32."),
    "ops.power([2.0, 3.0], 2)\narray([4., 9.], dtype=float32)",
    {"ValueError": "Integers and a plain negative exponent."},
)
def power(x1, x2):
    (x1, x2), dtype = together(x1, x2, at_least="int32")
    if is_number(x2):
        if dtype == "int32" and x2 < 0:
            raise ValueError(f"ops.power: integers to the power {x2} are no integers; cast them to float32.")
        found = None if is_number(x1) else _power_of(x1, x2)
        if found is not None:
            return found
    return arithmetic("power", x1, x2)


@operation("Ldexp", integers=("x2",))
@documented(
    "`x1 * 2 ** x2`.",
    {"x1": ARRAY, "x2": "(array): int32."},
    FLOAT,
    "ops.ldexp([0.75], [3])\narray([6.], dtype=float32)",
    {"TypeError": "Exponents that are no integers."},
)
def ldexp(x1, x2):
    p = builder_of(x1, x2)
    x1, x2 = cast(lift(p, x1), "float32"), lift(p, x2)
    if x2.dtype == "float32":
        raise TypeError("ops.ldexp: the exponents `x2` must be integers, not float32.")
    # In two steps: 2 ** x2 alone leaves the floats where the product does not.
    half = elementwise("right_shift", cast(x2, "int32"), 1, dtype="int32")
    rest = elementwise("subtract_int32", x2, half, dtype="int32")
    scaled = multiply(multiply(x1, exp2(half)), exp2(rest))
    stays = equal(x1, 0.0), equal(absolute(x1), float("inf"))
    return where(logical_or(*stays), x1, scaled)

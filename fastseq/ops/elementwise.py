"""Functions of each element: arithmetic, comparisons, logic, mathematical functions. https://keras.io/api/ops/numpy/"""

from fastseq.errors import UnsupportedError
from fastseq.ops.documented import ARRAY, NO_BROADCAST, NO_DTYPE, documented
from fastseq.ops.operation import operation
from fastseq.ops.values import cast as to_dtype
from fastseq.ops.values import elementwise, together, working_dtype

FLOAT = "float32 array; integers and booleans are taken as float32."
SAME = "An array of the dtype of `x`; booleans become int32."
BOTH = "An array of the dtype that both have together: float32 before int32 before bool."
BOOL = "bool array."


def unary(class_name, kind, summary, example, returns=FLOAT, module="numpy"):
    """A function of floats that is one instruction."""

    def decorate(body):
        def function(x):
            return elementwise(kind, to_dtype(x, "float32"))

        function.__name__ = function.__qualname__ = body.__name__
        function.__module__ = body.__module__
        return operation(class_name, module)(documented(summary, {"x": ARRAY}, returns, example)(function))

    return decorate


def binary(class_name, summary, example, returns=BOTH, keeps_numbers=False):
    """Documents a body of two arrays, and makes an operation of it."""

    def decorate(body):
        arguments = dict.fromkeys(body.__code__.co_varnames[:2], ARRAY)
        return operation(class_name, keeps_numbers=keeps_numbers)(
            documented(summary, arguments, returns, example, NO_BROADCAST)(body)
        )

    return decorate


def arithmetic(kind, x1, x2, whole=None, at_least="int32"):
    (x1, x2), dtype = together(x1, x2, at_least=at_least)
    return elementwise(kind if dtype == "float32" else whole or f"{kind}_int32", x1, x2, dtype=dtype)


# ---- arithmetic ------------------------------------------------------------------------------------------------------


@binary("Add", "`x1 + x2`.", "ops.add([1.0, 2.0], 3.0)\narray([4., 5.], dtype=float32)")
def add(x1, x2):
    (x1, x2), dtype = together(x1, x2)
    if dtype == "bool":
        return elementwise("bitwise_or", x1, x2, dtype="bool")
    return arithmetic("add", x1, x2)


@binary("Subtract", "`x1 - x2`.", "ops.subtract([1.0, 2.0], 3.0)\narray([-2., -1.], dtype=float32)")
def subtract(x1, x2):
    return arithmetic("subtract", x1, x2)


@binary("Multiply", "`x1 * x2`.", "ops.multiply([1.0, 2.0], 3.0)\narray([3., 6.], dtype=float32)")
def multiply(x1, x2):
    (x1, x2), dtype = together(x1, x2)
    if dtype == "bool":
        return elementwise("bitwise_and", x1, x2, dtype="bool")
    return arithmetic("multiply", x1, x2)


@binary("Divide", "`x1 / x2`, of integers too.", "ops.divide([1, 3], 2)\narray([0.5, 1.5], dtype=float32)", FLOAT)
def divide(x1, x2):
    return arithmetic("divide", x1, x2, at_least="float32")


@binary(
    "TrueDivide", "`x1 / x2`, of integers too.", "ops.true_divide([1, 3], 2)\narray([0.5, 1.5], dtype=float32)", FLOAT
)
def true_divide(x1, x2):
    return arithmetic("divide", x1, x2, at_least="float32")


@binary(
    "Maximum",
    "The larger of two elements; a NaN where one is.",
    "ops.maximum([1.0, 4.0], 3.0)\narray([3., 4.], dtype=float32)",
)
def maximum(x1, x2):
    (x1, x2), dtype = together(x1, x2)
    if dtype == "bool":
        return elementwise("bitwise_or", x1, x2, dtype="bool")
    return arithmetic("maximum", x1, x2)


@binary(
    "Minimum",
    "The smaller of two elements; a NaN where one is.",
    "ops.minimum([1.0, 4.0], 3.0)\narray([1., 3.], dtype=float32)",
)
def minimum(x1, x2):
    (x1, x2), dtype = together(x1, x2)
    if dtype == "bool":
        return elementwise("bitwise_and", x1, x2, dtype="bool")
    return arithmetic("minimum", x1, x2)


@operation("Negative")
@documented("`-x`.", {"x": ARRAY}, SAME, "ops.negative([1.0, -2.0])\narray([-1.,  2.], dtype=float32)")
def negative(x):
    (x,), dtype = together(x, at_least="int32")
    return elementwise("negative", x) if dtype == "float32" else elementwise("negative_int32", x, dtype="int32")


@operation("Absolute")
@documented("The absolute value.", {"x": ARRAY}, SAME, "ops.absolute([1.0, -2.0])\narray([1., 2.], dtype=float32)")
def absolute(x):
    if x.dtype == "bool":
        return x
    return elementwise("abs", x) if x.dtype == "float32" else elementwise("abs_int32", x, dtype="int32")


abs = absolute


@operation("Square")
@documented("`x * x`.", {"x": ARRAY}, SAME, "ops.square([1.0, -2.0])\narray([1., 4.], dtype=float32)")
def square(x):
    (x,), dtype = together(x, at_least="int32")
    return elementwise("square", x) if dtype == "float32" else elementwise("multiply_int32", x, x, dtype="int32")


# ---- functions of floats ---------------------------------------------------------------------------------------------


@unary("Exp", "exp", "`e ** x`.", "ops.exp([0.0, 1.0])\narray([1.       , 2.7182817], dtype=float32)")
def exp(x): ...


@unary(
    "Expm1",
    "expm1",
    "`e ** x - 1`, exact near 0.",
    "ops.expm1([0.0, 1.0])\narray([0.       , 1.7182817], dtype=float32)",
)
def expm1(x): ...


@unary("Log", "log", "The natural logarithm.", "ops.log([1.0, 2.0])\narray([0.       , 0.6931472], dtype=float32)")
def log(x): ...


@unary(
    "Log1p",
    "log1p",
    "`log(1 + x)`, exact near 0.",
    "ops.log1p([0.0, 1.0])\narray([0.       , 0.6931472], dtype=float32)",
)
def log1p(x): ...


@unary("Sqrt", "sqrt", "The square root.", "ops.sqrt([1.0, 4.0])\narray([1., 2.], dtype=float32)")
def sqrt(x): ...


@unary("Rsqrt", "rsqrt", "`1 / sqrt(x)`.", "ops.rsqrt([1.0, 4.0])\narray([1. , 0.5], dtype=float32)", module="math")
def rsqrt(x): ...


@unary("Reciprocal", "reciprocal", "`1 / x`.", "ops.reciprocal([1.0, 4.0])\narray([1.  , 0.25], dtype=float32)")
def reciprocal(x): ...


@unary("Tanh", "tanh", "The hyperbolic tangent.", "ops.tanh([0.0, 1.0])\narray([0.       , 0.7615942], dtype=float32)")
def tanh(x): ...


@unary(
    "Erf",
    "erf",
    "The error function.",
    "ops.erf([0.0, 1.0])\narray([0.       , 0.8427008], dtype=float32)",
    module="math",
)
def erf(x): ...


# ---- comparisons -----------------------------------------------------------------------------------------------------


def compared(kind, x1, x2):
    (x1, x2), dtype = together(x1, x2)
    return elementwise(kind if dtype == "float32" else f"{kind}_int32", x1, x2, dtype="bool")


@binary("Equal", "`x1 == x2`.", "ops.equal([1, 2], [1, 3])\narray([ True, False])", BOOL)
def equal(x1, x2):
    return compared("equal", x1, x2)


@binary("NotEqual", "`x1 != x2`.", "ops.not_equal([1, 2], [1, 3])\narray([False,  True])", BOOL)
def not_equal(x1, x2):
    return elementwise("logical_not", compared("equal", x1, x2), dtype="bool")


@binary("Less", "`x1 < x2`.", "ops.less([1, 2], [1, 3])\narray([False,  True])", BOOL)
def less(x1, x2):
    return compared("less", x1, x2)


@binary("LessEqual", "`x1 <= x2`.", "ops.less_equal([1, 4], [1, 3])\narray([ True, False])", BOOL)
def less_equal(x1, x2):
    return compared("less_equal", x1, x2)


@binary("Greater", "`x1 > x2`.", "ops.greater([1, 4], [1, 3])\narray([False,  True])", BOOL)
def greater(x1, x2):
    return compared("less", x2, x1)


@binary("GreaterEqual", "`x1 >= x2`.", "ops.greater_equal([1, 2], [1, 3])\narray([ True, False])", BOOL)
def greater_equal(x1, x2):
    return compared("less_equal", x2, x1)


@operation("Isnan")
@documented("Whether it is NaN.", {"x": ARRAY}, BOOL, "ops.isnan([0.0, float('nan')])\narray([False,  True])")
def isnan(x):
    return elementwise("isnan", to_dtype(x, "float32"), dtype="bool")


# ---- logic -----------------------------------------------------------------------------------------------------------


def _logic(kind, x1, x2):
    return elementwise(kind, to_dtype(x1, "bool"), to_dtype(x2, "bool"), dtype="bool")


@binary(
    "LogicalAnd",
    "Whether both are true; what is not 0 is.",
    "ops.logical_and([True, False], True)\narray([ True, False])",
    BOOL,
)
def logical_and(x1, x2):
    return _logic("bitwise_and", x1, x2)


@binary(
    "LogicalOr",
    "Whether one of them is true; what is not 0 is.",
    "ops.logical_or([True, False], False)\narray([ True, False])",
    BOOL,
)
def logical_or(x1, x2):
    return _logic("bitwise_or", x1, x2)


@binary(
    "LogicalXor",
    "Whether just one of them is true.",
    "ops.logical_xor([True, False], True)\narray([False,  True])",
    BOOL,
)
def logical_xor(x1, x2):
    return _logic("bitwise_xor", x1, x2)


@operation("LogicalNot")
@documented(
    "Whether it is false; what is 0 is.", {"x": ARRAY}, BOOL, "ops.logical_not([True, False])\narray([False,  True])"
)
def logical_not(x):
    return elementwise("logical_not", to_dtype(x, "bool"), dtype="bool")


# ---- choices ---------------------------------------------------------------------------------------------------------


@operation("Where")
@documented(
    "`x1` where the condition holds, else `x2`.",
    {"condition": "(array): What is not 0 counts as true.", "x1": ARRAY, "x2": ARRAY},
    "An array of the dtype that `x1` and `x2` have together.",
    "ops.where([True, False], 1.0, [2.0, 3.0])\narray([1., 3.], dtype=float32)",
    {
        "ValueError": "One of `x1` and `x2` without the other, or shapes that do not broadcast.",
        "UnsupportedError": "Neither of them.",
    },
)
def where(condition, x1=None, x2=None):
    if x1 is None and x2 is None:
        raise UnsupportedError(
            "ops.where: without `x1` and `x2` the shape of its result depends on values, which a program for fixed "
            "shapes cannot have. Give both, or take np.where on arrays."
        )
    if x1 is None or x2 is None:
        raise ValueError("`x1` and `x2` either both should be `None` or both should have non-None value.")
    (x1, x2), dtype = together(x1, x2)
    return elementwise("select", to_dtype(condition, "bool"), x1, x2, dtype=dtype)


@operation("Clip", options=("x_min", "x_max"))
@documented(
    "`x`, at least `x_min` and at most `x_max`.",
    {"x": ARRAY, "x_min": "(array): The lower bound, or None.", "x_max": "(array): The upper bound, or None."},
    "An array of the dtype of `x`; booleans become int32.",
    "ops.clip([-1.0, 0.5, 2.0], 0.0, 1.0)\narray([0. , 0.5, 1. ], dtype=float32)",
    NO_BROADCAST,
)
def clip(x, x_min, x_max):
    (x,), _ = together(x, at_least="int32")
    x = x if x_min is None else maximum(x, x_min)
    return x if x_max is None else minimum(x, x_max)


@operation("Cast", "core", options=("dtype",))
@documented(
    "`x` in another dtype.",
    {"x": ARRAY, "dtype": "(str): Any of Keras; floats are kept in float32, integers in int32."},
    "An array of that dtype.",
    'ops.cast([0.0, 1.5], "int32")\narray([0, 1], dtype=int32)',
    NO_DTYPE,
)
def cast(x, dtype):
    return to_dtype(x, working_dtype(dtype))

"""Functions of integers: bits, shifts, divisors. https://keras.io/api/ops/numpy/"""

from fastseq.ops.documented import documented
from fastseq.ops.operation import operation
from fastseq.ops.values import dtype_of, elementwise, together

_WHOLE = "(array): int32 or bool."
_RAISES = {"TypeError": "Floats."}


def _whole(name, *values):
    for value in values:
        if dtype_of(value) == "float32":
            raise TypeError(f"ops.{name}: it takes integers or booleans, not float32.")


def _of_integers(class_name, kind, summary, example, at_least="int32"):
    """A function of two integers that is one instruction."""

    def decorate(body):
        name, (first, second) = body.__name__, body.__code__.co_varnames[:2]

        def compute(a, b):
            _whole(name, a, b)
            (a, b), dtype = together(a, b, at_least=at_least)
            return elementwise(kind, a, b, dtype=dtype)

        def of_xs(x1, x2):
            return compute(x1, x2)

        def of_xy(x, y):
            return compute(x, y)

        function = of_xs if first == "x1" else of_xy
        function.__name__ = function.__qualname__ = name
        function.__module__ = body.__module__
        returns = "int32 array." if at_least == "int32" else "int32 array; bool of two bools."
        arguments = {first: _WHOLE, second: _WHOLE}
        return operation(class_name)(documented(summary, arguments, returns, example, _RAISES)(function))

    return decorate


@_of_integers(
    "BitwiseAnd",
    "bitwise_and",
    "The bits that both have.",
    "ops.bitwise_and([6], [3])\narray([2], dtype=int32)",
    "bool",
)
def bitwise_and(x, y): ...


@_of_integers(
    "BitwiseOr",
    "bitwise_or",
    "The bits that one of them has.",
    "ops.bitwise_or([6], [3])\narray([7], dtype=int32)",
    "bool",
)
def bitwise_or(x, y): ...


@_of_integers(
    "BitwiseXor",
    "bitwise_xor",
    "The bits that just one of them has.",
    "ops.bitwise_xor([6], [3])\narray([5], dtype=int32)",
    "bool",
)
def bitwise_xor(x, y): ...


def _inverted(x, name):
    _whole(name, x)
    return elementwise("logical_not" if x.dtype == "bool" else "bitwise_not", x, dtype=x.dtype)


@operation("BitwiseNot")
@documented(
    "All bits turned over.",
    {"x": _WHOLE},
    "An array of the dtype of `x`.",
    "ops.bitwise_not([6])\narray([-7], dtype=int32)",
    _RAISES,
)
def bitwise_not(x):
    return _inverted(x, "bitwise_not")


@operation("BitwiseInvert")
@documented(
    "All bits turned over.",
    {"x": _WHOLE},
    "An array of the dtype of `x`.",
    "ops.bitwise_invert([6])\narray([-7], dtype=int32)",
    _RAISES,
)
def bitwise_invert(x):
    return _inverted(x, "bitwise_invert")


_LEFT = "`x * 2 ** y`, without the bits that 32 do not hold; 0 for `y` below 0 or above 31."
_RIGHT = "`x / 2 ** y`, rounded down; what 31 places leave for `y` below 0 or above 31."


@_of_integers("LeftShift", "left_shift", _LEFT, "ops.left_shift([3], 2)\narray([12], dtype=int32)")
def left_shift(x, y): ...


@_of_integers("BitwiseLeftShift", "left_shift", _LEFT, "ops.bitwise_left_shift([3], 2)\narray([12], dtype=int32)")
def bitwise_left_shift(x, y): ...


@_of_integers("RightShift", "right_shift", _RIGHT, "ops.right_shift([13], 2)\narray([3], dtype=int32)")
def right_shift(x, y): ...


@_of_integers("BitwiseRightShift", "right_shift", _RIGHT, "ops.bitwise_right_shift([13], 2)\narray([3], dtype=int32)")
def bitwise_right_shift(x, y): ...


@_of_integers("Gcd", "gcd", "The greatest common divisor, at least 0.", "ops.gcd([12], [18])\narray([6], dtype=int32)")
def gcd(x1, x2): ...


@_of_integers(
    "Lcm",
    "lcm",
    "The least common multiple, at least 0; 0 where one is 0.",
    "ops.lcm([4], [6])\narray([12], dtype=int32)",
)
def lcm(x1, x2): ...

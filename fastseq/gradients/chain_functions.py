"""Gradients of the functions of floats that an instruction of a chain can be: a table of those of one number, and one
of those of two.

An entry is a function of (builder, x, y, dy), or (builder, a, c, y, dy), and gives the gradient by the one operand, or
both gradients. Operands are Slots or numbers, y is the result. Most are written as TensorFlow writes them.
"""

import math


def _multiply(p, *factors):
    found = factors[0]
    for factor in factors[1:]:
        found = p.elementwise("multiply", found, factor)
    return found


def _times(kind):
    """dy * kind(x)."""
    return lambda p, x, y, dy: _multiply(p, dy, p.elementwise(kind, x))


def _over(kind):
    """dy / kind(y)."""
    return lambda p, x, y, dy: p.elementwise("divide", dy, p.elementwise(kind, y))


def _scaled(kind, scale):
    """dy * scale * kind(x)."""
    return lambda p, x, y, dy: _multiply(p, p.elementwise("multiply", dy, scale), p.elementwise(kind, x))


def _one_minus_square(p, x):
    return p.elementwise("subtract", 1.0, p.elementwise("square", x))


def _negative(rule):
    return lambda p, *operands: p.elementwise("negative", rule(p, *operands))


def _of_arcsin(p, x, y, dy):
    return p.elementwise("divide", dy, p.elementwise("sqrt", _one_minus_square(p, x)))


def _of_erf(p, x, y, dy):
    slope = p.elementwise("exp", p.elementwise("negative", p.elementwise("square", x)))
    return _multiply(p, dy, p.elementwise("multiply", slope, 2 / math.sqrt(math.pi)))


def _of_sinc(p, x, y, dy):
    """(cos(pi x) - sinc(x)) / x, and 0 at 0."""
    slope = p.elementwise("subtract", p.elementwise("cos", p.elementwise("multiply", x, math.pi)), y)
    zero = p.elementwise("equal", x, 0.0, dtype="bool")
    slope = p.elementwise("divide", slope, p.elementwise("select", zero, 1.0, x))
    return _multiply(p, dy, slope)


def _of_i0(p, x, y, dy):
    return _multiply(p, dy, p.elementwise("i1", x))


UNARY = {
    "sin": _times("cos"),
    "cos": _negative(_times("sin")),
    "tan": lambda p, x, y, dy: p.elementwise("divide", dy, p.elementwise("square", p.elementwise("cos", x))),
    "sinc": _of_sinc,
    "arcsin": _of_arcsin,
    "arccos": _negative(_of_arcsin),
    "arctan": lambda p, x, y, dy: p.elementwise("divide", dy, p.elementwise("add", p.elementwise("square", x), 1.0)),
    "sinh": _times("cosh"),
    "cosh": _times("sinh"),
    "arcsinh": _over("cosh"),
    "arccosh": _over("sinh"),
    "arctanh": lambda p, x, y, dy: p.elementwise("divide", dy, _one_minus_square(p, x)),
    "exp2": lambda p, x, y, dy: _multiply(p, dy, y, math.log(2)),
    "log2": _scaled("reciprocal", 1 / math.log(2)),
    "log10": _scaled("reciprocal", 1 / math.log(10)),
    "cbrt": lambda p, x, y, dy: p.elementwise(
        "divide", p.elementwise("multiply", dy, 1 / 3), p.elementwise("square", y)
    ),
    "erf": _of_erf,
    "erfc": _negative(_of_erf),
    "erfinv": lambda p, x, y, dy: _multiply(
        p, p.elementwise("multiply", dy, math.sqrt(math.pi) / 2), p.elementwise("exp", p.elementwise("square", y))
    ),
    "i0": _of_i0,
}


def _of_arctan2(p, a, c, y, dy):
    squares = p.elementwise("add", p.elementwise("square", a), p.elementwise("square", c))
    share = p.elementwise("divide", dy, squares)
    return _multiply(p, share, c), p.elementwise("negative", _multiply(p, share, a))


def _of_power(p, a, c, y, dy):
    """By the exponent it is 0 where the base is not above 0."""
    less = p.elementwise("subtract", c, 1.0) if not isinstance(c, (int, float)) else c - 1.0
    by_base = _multiply(p, p.elementwise("multiply", dy, c), p.elementwise("power", a, less))
    above = p.elementwise("less", 0.0, a, dtype="bool")
    log = p.elementwise("select", above, p.elementwise("log", p.elementwise("select", above, a, 1.0)), 0.0)
    return by_base, _multiply(p, dy, y, log)


def _quotient(p, a, c):
    return p.elementwise("floor", p.elementwise("divide", a, c))


def _of_mod(p, a, c, y, dy):
    return dy, p.elementwise("negative", _multiply(p, dy, _quotient(p, a, c)))


def _of_fmod(p, a, c, y, dy):
    """Keras computes it of absolute values: 0 by both where the first one is 0."""
    sign = p.elementwise("sign", a)
    by_first = _multiply(p, dy, p.elementwise("abs", sign))
    quotient = _quotient(p, p.elementwise("abs", a), p.elementwise("abs", c))
    by_second = _multiply(p, p.elementwise("negative", dy), quotient, sign, p.elementwise("sign", c))
    return by_first, by_second


def _of_logaddexp(scale):
    def rule(p, a, c, y, dy):
        apart = p.elementwise("subtract", a, c)
        if scale != 1.0:
            apart = p.elementwise("multiply", apart, scale)
        second = p.elementwise("sigmoid", p.elementwise("negative", apart))
        return _multiply(p, dy, p.elementwise("sigmoid", apart)), _multiply(p, dy, second)

    return rule


def _of_hypot(p, a, c, y, dy):
    """0 at the origin."""
    share = p.elementwise("divide", dy, p.elementwise("select", p.elementwise("equal", y, 0.0, dtype="bool"), 1.0, y))
    return _multiply(p, share, a), _multiply(p, share, c)


BINARY = {
    "arctan2": _of_arctan2,
    "power": _of_power,
    "mod": _of_mod,
    "fmod": _of_fmod,
    "logaddexp": _of_logaddexp(1.0),
    "logaddexp2": _of_logaddexp(math.log(2)),
    "hypot": _of_hypot,
    "nextafter": lambda p, a, c, y, dy: (dy, p.elementwise("multiply", dy, 0.0)),
}

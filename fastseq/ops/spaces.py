"""Numbers whose logarithms are at equal distances, and windows of a length. https://keras.io/api/ops/numpy/

Windows are computed in double by sums, products and roots alone, whose bits are the same on every machine.
"""

import math

import numpy as np

from fastseq.errors import UnsupportedError
from fastseq.ops import elementwise as e
from fastseq.ops.call_errors import names_its_errors
from fastseq.ops.creation import linspace
from fastseq.ops.documented import ARRAY, documented
from fastseq.ops.mathematical import exp2, log2, power
from fastseq.ops.operation import operation
from fastseq.ops.rounding import sign
from fastseq.ops.values import Traced, cast, is_number, lift, together, working_dtype
from fastseq.program.fourier import roots_of_unity
from fastseq.tensors.symbolic import KerasTensor

_NUMBERS = {
    "start": ARRAY, "stop": ARRAY, "num": "(int, default 50): How many.",
    "endpoint": "(bool, default True): Whether `stop` is the last one.",
    "dtype": "(str, default None): None is float32.", "axis": "(int, default 0): Where they stand in the result.",
}  # fmt: skip
_RETURNS = "An array with one axis more than `start` and `stop` have together."
_RAISES = {"ValueError": "num below 0, or another dtype."}


@operation("Logspace", options=("num", "endpoint", "base", "dtype", "axis"))
@documented("Powers of a base whose exponents are at equal distances between two.",
            {**_NUMBERS, "base": "(int or float, default 10): The base."}, _RETURNS,
            "ops.logspace(0.0, 2.0, 3)\narray([  1.,  10., 100.], dtype=float32)", _RAISES)  # fmt: skip
def logspace(start, stop, num=50, endpoint=True, base=10, dtype=None, axis=0):
    dtype = working_dtype(dtype or "float32")
    exponents = linspace(start, stop, num, endpoint, False, dtype, axis)
    return cast(power(lift(exponents.p, np.array(base, dtype)), exponents), dtype)


@operation("Geomspace", options=("num", "endpoint", "dtype", "axis"))
@documented("Numbers between two, each the one before by the same factor; both ends have one sign, and are not 0.",
            _NUMBERS, _RETURNS, "ops.geomspace(1.0, 8.0, 4)\narray([1., 2., 4., 8.], dtype=float32)",
            _RAISES)  # fmt: skip
def geomspace(start, stop, num=50, endpoint=True, dtype=None, axis=0):
    (start, stop), _ = together(start, stop, at_least="float32")
    p = next(one.p for one in (start, stop) if isinstance(one, Traced))
    start, stop = (lift(p, np.array(one, np.float32)) if is_number(one) else one for one in (start, stop))
    exponents = linspace(log2(e.absolute(start)), log2(e.absolute(stop)), num, endpoint, axis=axis)
    signs = linspace(sign(start), sign(start), num, endpoint, axis=axis) if start.ndim else sign(start)
    return cast(e.multiply(exp2(exponents), signs), working_dtype(dtype or "float32"))


# ---- windows ---------------------------------------------------------------------------------------------------------


def _length(x, name):
    if isinstance(x, (Traced, KerasTensor)):
        raise UnsupportedError(f"ops.{name}: the length is a number that is known before, not a computed one.")
    length = int(x)
    if length < 0:
        raise ValueError(f"ops.{name}: a length from 0 on is wanted, got {length}.")
    return length


def _window(name, summary, example):
    def decorate(factors):
        def function(x):
            length = _length(x, name)
            return np.ones(length, np.float32) if length < 2 else factors(length).astype(np.float32)

        function.__name__ = function.__qualname__ = name
        function.__module__ = factors.__module__
        return documented(
            f"{summary}, symmetric.", {"x": "(int): How many elements."}, "float32 array (x,).", example,
            {"ValueError": "A length below 0.", "UnsupportedError": "A length that is computed from values."},
        )(function)  # fmt: skip

    return decorate


@names_its_errors
@_window("bartlett", "A triangle, 0 at both ends", "ops.bartlett(5)\narray([0. , 0.5, 1. , 0.5, 0. ], dtype=float32)")
def bartlett(length):
    n = np.arange(length)
    return np.minimum(2.0 * n / (length - 1), 2.0 - 2.0 * n / (length - 1))


def _cosines(length, times=1):
    """cos(2 pi times n / (length - 1)) for each n."""
    return roots_of_unity(length - 1)[np.arange(length) * times % (length - 1), 0]


@names_its_errors
@_window("blackman", "Blackman's window: two cosines, 0 at both ends",
         "ops.blackman(5)\narray([-1.3877788e-17,  3.4000000e-01,  1.0000000e+00,  3.4000000e-01,\n"
         "       -1.3877788e-17], dtype=float32)")  # fmt: skip
def blackman(length):
    return 0.42 - 0.5 * _cosines(length) + 0.08 * _cosines(length, 2)


@names_its_errors
@_window("hamming", "Hamming's window: a cosine, 0.08 at both ends",
         "ops.hamming(5)\narray([0.08, 0.54, 1.  , 0.54, 0.08], dtype=float32)")  # fmt: skip
def hamming(length):
    return 0.54 - 0.46 * _cosines(length)


@names_its_errors
@_window("hanning", "Hann's window: a cosine, 0 at both ends",
         "ops.hanning(5)\narray([0. , 0.5, 1. , 0.5, 0. ], dtype=float32)")  # fmt: skip
def hanning(length):
    return 0.5 - 0.5 * _cosines(length)


def _bessel(x):
    """The modified Bessel function of order 0: sum of (x / 2)^(2 k) / k!^2, until a term adds nothing."""
    quarter, term, total = x * x / 4, np.ones_like(x), np.ones_like(x)
    for k in range(1, 2000):
        term = term * quarter / (k * k)
        if (term <= total * 1e-17).all():
            break
        total = total + term
    return total


@names_its_errors
@documented(
    "Kaiser's window, symmetric: a modified Bessel function of half a circle.",
    {"x": "(int): How many elements.", "beta": "(float): How narrow it is; 0 is a rectangle, 14 a good first choice."},
    "float32 array (x,).",
    "ops.kaiser(5, 2.0)\narray([0.43867627, 0.83476144, 1.        , 0.83476144, 0.43867627],\n      dtype=float32)",
    {"ValueError": "A length below 0, or a beta that is not within [-700, 700].",
     "UnsupportedError": "A length or beta that is computed from values."},
)  # fmt: skip
def kaiser(x, beta):
    length = _length(x, "kaiser")
    if isinstance(beta, (Traced, KerasTensor)):
        raise UnsupportedError("ops.kaiser: beta is a number that is known before, not a computed one.")
    beta = float(beta)
    if not math.fabs(beta) <= 700:
        raise ValueError(f"ops.kaiser: beta is within [-700, 700], got {beta}.")
    if length < 2:
        return np.ones(length, np.float32)
    across = 2.0 * np.arange(length) / (length - 1) - 1.0
    share = np.sqrt(np.maximum(1.0 - across * across, 0.0))
    return (_bessel(beta * share) / _bessel(np.array([beta]))).astype(np.float32)

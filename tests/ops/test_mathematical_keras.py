"""Functions of floats of fastseq.ops beside Keras's: trigonometric, hyperbolic, exponential, powers."""

import numpy as np
import pytest
from op_check import array, call, check, name_of

pytest.importorskip("keras")
pytestmark = pytest.mark.tensorflow

X, Y, ROW = array(3, 4), array(3, 4, seed=1), array(4)
IDS, FLAGS = array(3, 4, dtype="int32"), array(3, 4, dtype="bool")
SPECIAL = np.array([[0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 3e38]], np.float32)
POSITIVE = array(3, 4, low=0.1, high=4.0)
INSIDE = array(3, 4, low=-0.95, high=0.95)
FAR = array(2, 300, low=-1e4, high=1e4)

EVERYWHERE = ["sin", "cos", "tan", "arctan", "sinh", "cosh", "arcsinh", "sinc", "exp2", "cbrt", "deg2rad", "rad2deg",
              "fabs"]  # fmt: skip
LOGS = ["log2", "log10"]
TWO = ["arctan2", "hypot", "logaddexp", "logaddexp2"]
EXPONENTS = [0, 1, 2, 3, -1, 0.5, 1.5, -2.0]

CALLS = [
    *(call(name, X) for name in EVERYWHERE),
    *(call(name, x, grad=False) for name in EVERYWHERE for x in [IDS, FLAGS, array(0, 3), array(2, 700)]),
    *(call(name, SPECIAL, grad=False) for name in EVERYWHERE if name != "sinc"),
    call("sinc", SPECIAL[:, :7], grad=False),  # of 3e38 Keras has NaN, as pi times it is infinite there
    *(call(name, FAR, grad=False) for name in ["sin", "cos", "arctan", "cbrt"]),
    *(call(name, INSIDE) for name in ["arcsin", "arccos", "arctanh", "erfinv"]),
    *(call(name, x, grad=False) for name in ["arcsin", "arccos", "arctanh"] for x in [SPECIAL, FLAGS]),
    call("arccosh", POSITIVE + 1),
    call("arccosh", SPECIAL, grad=False),
    *(call(name, x, grad=x is X) for name in ["erfc", "i0"] for x in [X, array(2, 700, low=-9, high=9)]),
    call("erfc", SPECIAL),
    call("i0", SPECIAL[:, 4:7], grad=False),  # of infinities Keras has NaN
    call("erfinv", SPECIAL, grad=False),
    *(call(name, POSITIVE) for name in LOGS),
    *(call(name, x, grad=False) for name in LOGS for x in [np.abs(SPECIAL), IDS, FLAGS]),
    *(call(name, *pair) for name in TWO for pair in [(X, Y), (X, ROW), (X[:, :1], Y)]),
    *(call(name, IDS, X) for name in TWO),
    *(call(name, IDS, IDS[:, ::-1].copy(), grad=False) for name in TWO),
    *(call(name, SPECIAL, np.flip(SPECIAL).copy(), grad=False) for name in ["arctan2", "logaddexp", "logaddexp2"]),
    *(call("power", POSITIVE, exponent) for exponent in EXPONENTS),
    *(call("power", X, exponent) for exponent in [2, 3, -1]),
    *(call("power", IDS, exponent, grad=False) for exponent in [0, 1, 2, 3, 5, 0.5]),
    call("power", POSITIVE, Y),
    call("power", POSITIVE, ROW),
    call("power", 2.0, X),
    call("power", POSITIVE, IDS),
    call("power", IDS, np.abs(IDS), grad=False),
    call("power", 2, np.abs(IDS), grad=False),
    *(call("power", SPECIAL, exponent, grad=False) for exponent in EXPONENTS),
    *(call("power", x, e, grad=False) for x, e in [(SPECIAL, np.flip(SPECIAL).copy()), (SPECIAL, SPECIAL)]),
    call("ldexp", X, IDS),
    call("ldexp", SPECIAL, array(1, 8, dtype="int32"), grad=False),
]  # fmt: skip


@pytest.mark.parametrize("c", CALLS, ids=name_of)
def test_like_keras(c):
    check(c)

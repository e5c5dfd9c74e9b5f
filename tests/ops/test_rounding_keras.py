"""Rounding, quotients, integers, and what numbers are, of fastseq.ops beside Keras's."""

import numpy as np
import pytest
from op_check import array, call, check, name_of

pytest.importorskip("keras")
pytestmark = pytest.mark.tensorflow

X, Y, ROW = array(3, 4), array(3, 4, seed=1), array(4)
IDS, MORE, FLAGS = array(3, 4, dtype="int32"), array(3, 4, dtype="int32", seed=1), array(3, 4, dtype="bool")
POSITIVE_IDS = np.abs(MORE) + 1
SPECIAL = np.array([[0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 3e38]], np.float32)
HALVES = np.array([[-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 8388609.0, -0.3]], np.float32)
WIDE = array(3, 40, low=-30, high=30)

ROUNDED = ["floor", "ceil", "trunc", "round", "sign"]
QUESTIONS = ["isfinite", "isinf", "isposinf", "isneginf", "isreal", "signbit", "isnan"]
SAME = ["copy", "real", "conjugate", "conj", "imag", "nan_to_num"]
BITS = ["bitwise_and", "bitwise_or", "bitwise_xor"]
SHIFTS = ["left_shift", "right_shift", "bitwise_left_shift", "bitwise_right_shift"]

CALLS = [
    *(call(name, x) for name in ROUNDED for x in [WIDE, HALVES, SPECIAL, array(0, 3)]),
    *(call(name, IDS, grad=False) for name in ROUNDED),
    *(call("round", x, decimals=decimals) for x in [WIDE, SPECIAL] for decimals in [1, -1]),
    *(call("round", IDS * 17, decimals=decimals, grad=False) for decimals in [1, -1]),
    *(call(name, *pair) for name in ["mod", "fmod", "divide_no_nan", "fmax", "fmin"]
      for pair in [(WIDE, X[:, :1]), (X, Y), (X, ROW), (X, 0.75), (IDS, X)]),
    *(call(name, X, Y, grad=False) for name in ["floor_divide", "nextafter"]),
    *(call(name, IDS * 7, POSITIVE_IDS * sign, grad=False) for name in ["mod", "fmod", "floor_divide"]
      for sign in [1, -1]),
    *(call(name, FLAGS, POSITIVE_IDS, grad=False) for name in ["mod", "fmod", "floor_divide"]),
    *(call(name, SPECIAL, np.flip(SPECIAL).copy(), grad=False) for name in ["fmax", "fmin", "divide_no_nan"]),
    call("divide_no_nan", X, np.where(Y > 0, Y, 0.0).astype(np.float32)),
    *(call("heaviside", x, 0.5, grad=False, symbolic=False) for x in [X, SPECIAL, IDS]),
    call("heaviside", np.round(X), Y),
    *(call(name, x, grad=False) for name in QUESTIONS for x in [SPECIAL, IDS, FLAGS]),
    *(call(name, x, grad=x is X) for name in SAME for x in [X, SPECIAL, IDS]),
    *(call("angle", x, grad=False) for x in [X, SPECIAL[:, :4], IDS]),
    call("nan_to_num", SPECIAL, nan=2.0, posinf=5.0, neginf=-6.0, grad=False),
    *(call("isclose", *pair, grad=False) for pair in [(X, X * (1 + 1e-5)), (SPECIAL, SPECIAL), (IDS, MORE), (X, ROW)]),
    call("isclose", X, Y, rtol=0.5, atol=0.1, grad=False),
    *(call(name, SPECIAL, SPECIAL, equal_nan=True, grad=False) for name in ["isclose", "allclose"]),
    *(call("allclose", *pair, grad=False) for pair in [(X, X + 1e-9), (X, Y), (SPECIAL, SPECIAL), (IDS, IDS)]),
    *(call(name, IDS, MORE, grad=False) for name in BITS),
    *(call(name, IDS, 2, grad=False, symbolic=False) for name in [*BITS, *SHIFTS]),
    *(call(name, IDS, POSITIVE_IDS, grad=False) for name in SHIFTS),
    *(call(name, IDS, grad=False) for name in ["bitwise_not", "bitwise_invert"]),
    *(call(name, IDS * 6, MORE * 4, grad=False) for name in ["gcd", "lcm"]),
    call("view", X, "int32", grad=False),
    call("view", IDS, "float32", grad=False),
    *(call("cast", x, dtype, grad=False) for x in [WIDE, IDS] for dtype in ["int64", "float64", "float32"]),
    *(call("saturate_cast", x * 100, dtype, grad=False) for x in [WIDE, IDS] for dtype in ["int8", "uint8", "int32"]),
    *(call("clip", X, low, high, symbolic=False) for low, high in [(Y - 1, Y + 1), (-0.5, ROW + 3)]),
    call("select", [X > 1, X > 0], [Y, 2 * X], 0.5),
    call("select", [X > 1, X > 0], [IDS, MORE], grad=False),
]  # fmt: skip


@pytest.mark.parametrize("c", CALLS, ids=name_of)
def test_like_keras(c):
    check(c)

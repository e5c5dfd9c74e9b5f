"""Logarithmic spaces and windows, and quantiles and sums so far without NaN, beside Keras's."""

import numpy as np
import pytest
from op_check import array, call, check, check_arrays, name_of

from fastseq import ops
from fastseq.errors import UnsupportedError

pytest.importorskip("keras")
pytestmark = pytest.mark.tensorflow

X, Y, FAR = array(3, 4), array(2, 3, 5), array(3, 4, low=0.5, high=900.0)
HOLES = np.where(np.abs(Y) < 0.6, np.float32(np.nan), Y)
NONE = np.where(np.arange(3)[:, None] == 1, np.float32(np.nan), array(3, 6))
ENDS = np.array([[1.0, np.nan, np.inf, 2.0, -np.inf, np.nan]], np.float32)

CALLS = [
    *(call("logspace", a, b, num=n, endpoint=end, symbolic=False, ulp=16.0)
      for a, b in [(X, 2.0), (X, array(3, 4, seed=2))] for n in (1, 5) for end in (True, False)),
    call("logspace", X, 2.0, num=4, base=2.0, axis=-1, symbolic=False),
    *(call("geomspace", a, b, num=n, endpoint=end, symbolic=False, grad=False, ulp=16.0)
      for a, b in [(FAR, 1000.0), (FAR, 2 * FAR), (-FAR, -2 * FAR)] for n in (1, 5) for end in (True, False)),
    *(call("nanmedian", x, axis=axis, keepdims=keep, symbolic=False) for x in (HOLES, Y) for axis in (None, 0, -1)
      for keep in (False, True)),
    *(call("nanmedian", NONE, axis=axis, symbolic=False, grad=False) for axis in (0, 1)),
    *(call("nanquantile", HOLES, q, axis=axis, method=method, symbolic=False, grad=q == 0.3)
      for q in (0.3, [0.0, 0.5, 1.0]) for axis in (None, 1)
      for method in ("linear", "lower", "higher", "nearest", "midpoint")),
    *(call("nanpercentile", HOLES, q, 2, keepdims=keep, symbolic=False) for q in (37.5, 100.0)
      for keep in (False, True)),
    *(call(name, x, axis=axis, grad=x is HOLES, symbolic=axis is not None) for name in ("nancumsum", "nancumprod")
      for x in (HOLES, array(3, 4, dtype="int32")) for axis in (0, 1, None)),
    *(call(name, ENDS[:, :2], axis=1, grad=False) for name in ("nancumsum", "nancumprod")),
]  # fmt: skip
#: Calls that have no array among their arguments.
CREATED = [
    *(call(name, n, ulp=16.0) for name in ("bartlett", "blackman", "hamming", "hanning") for n in (0, 1, 5, 8, 33)),
    *(call("kaiser", n, beta, ulp=16.0) for n in (1, 2, 7, 32) for beta in (0.0, 2.0, 14.0)),
    call("logspace", 0, 2, 5, ulp=16.0), call("logspace", 0.0, 3.0, 4, dtype="int32"),
    call("geomspace", 1, 1000, 4, ulp=16.0), call("geomspace", -1.0, -256.0, 9, ulp=16.0),
]  # fmt: skip


@pytest.mark.parametrize("c", CALLS, ids=name_of)
def test_like_keras(c):
    check(c)


@pytest.mark.parametrize("c", CREATED, ids=name_of)
def test_created_like_keras(c):
    check_arrays(c)


def test_windows_are_those_of_double():
    for n in (2, 3, 8, 64, 101):
        for name in ("bartlett", "blackman", "hamming", "hanning"):
            np.testing.assert_allclose(getattr(ops, name)(n), getattr(np, name)(n), rtol=6e-8, atol=1e-16)
        for beta in (0.0, 0.5, 8.6, 80.0):
            np.testing.assert_allclose(ops.kaiser(n, beta), np.kaiser(n, beta), rtol=1e-7)


@pytest.mark.parametrize(("make", "error", "words"), [
    (lambda: ops.hanning(-1), ValueError, "ops.hanning: a length from 0 on is wanted, got -1"),
    (lambda: ops.kaiser(3, 1e4), ValueError, r"ops.kaiser: beta is within \[-700, 700\]"),
    (lambda: ops.logspace(0.0, 1.0, -1), ValueError, "Received: num=-1"),
    (lambda: ops.nanquantile(X, 0.5, method="cubic"), ValueError, "ops.nanquantile: method='cubic'"),
    (lambda: ops.nanpercentile(X, 101), ValueError, r"ops.nanpercentile: numbers within \[0, 1\]"),
    (lambda: ops.nanmedian(X, 2), ValueError, "ops.nanmedian: axis 2"),
    (lambda: ops.nancumsum(X, 2), ValueError, "axis 2"),
    (lambda: ops.nanquantile(X, X[0, 0] * ops.ones(2) * 5), ValueError, "numbers within"),
])  # fmt: skip
def test_what_does_not_fit_raises(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_lengths_are_known_before():
    from fastseq import layers

    with pytest.raises(UnsupportedError, match=r"ops\.hamming: the length is a number that is known before"):
        ops.hamming(layers.Input(()))

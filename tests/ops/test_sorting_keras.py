"""Order, extremes, sums so far and given values of fastseq.ops beside Keras's."""

import numpy as np
import pytest
from op_check import array, call, check, check_arrays, name_of

pytest.importorskip("keras")
pytestmark = pytest.mark.tensorflow

X, Y, LONG = array(3, 4), array(2, 3, 4), array(2, 300)
IDS, FLAGS = array(3, 4, dtype="int32"), array(3, 4, dtype="bool")
TIES = np.array([[1.0, 2.0, 1.0, -3.0, 2.0, 2.0]], np.float32)
EDGES = np.array([[0.0, -0.0, 0.0, -1.0, np.inf, -np.inf, 3e38]], np.float32)
BOUNDS = np.array([-1.0, 0.0, 0.0, 1.5], np.float32)

CALLS = [
    *(call("percentile", X, q, axis, keepdims=keep) for q in (0.0, 37.5, 100.0)
      for axis, keep in ((1, False), (0, True))),
    call("percentile", X, 50.0, None, method="nearest"),
    *(call("sort", x, axis=axis, grad=x.dtype == np.float32) for x in (X, Y, IDS, FLAGS, LONG)
      for axis in (-1, 0, None)),
    *(call("argsort", x, axis=axis, grad=False) for x in (X, Y, IDS, FLAGS, TIES, LONG) for axis in (-1, 0, None)),
    call("sort", array(0, 3)),
    *(call("top_k", x, k, grad=x is X) for x in (X, IDS, TIES, LONG) for k in (1, 3)),
    call("top_k", array(2, 3000), 200, grad=False),
    *(call(name, x, axis=axis, keepdims=keep, grad=False) for name in ("argmax", "argmin") for x in (X, Y, IDS, TIES)
      for axis in (None, 0, -1) for keep in (False, True)),
    *(call(name, EDGES, axis=-1, grad=False) for name in ("argmax", "argmin")),
    *(call("searchsorted", BOUNDS, X.ravel(), side=side, grad=False, symbolic=False) for side in ("left", "right")),
    call("searchsorted", np.array([1, 3, 3, 7], np.int32), IDS.ravel(), grad=False, symbolic=False),
    *(call("digitize", x, [-1.0, 0.0, 1.0], grad=False, symbolic=False) for x in (X, IDS)),
    *(call(name, x, axis=axis, keepdims=keep, symbolic=False) for name in ("median",) for x in (X, Y)
      for axis in (None, 0, -1, (0, 1)) for keep in (False, True)),
    *(call("quantile", X, q, axis=axis, method=method, symbolic=False) for q in (0.3, [0.0, 0.5, 1.0])
      for axis in (None, 1) for method in ("linear", "lower", "higher", "nearest", "midpoint")),
    call("quantile", IDS, 0.25, axis=1, grad=False, symbolic=False),
    *(call(name, x, axis=axis, grad=x.dtype == np.float32, symbolic=axis is not None)
      for name in ("cumsum", "cumprod") for x in (X, Y, IDS, FLAGS) for axis in (0, 1, -1, None)
      if x is not FLAGS or (name == "cumsum" and axis is None)),
    *(call(name, array(2, 5, 130), axis=1) for name in ("cumsum", "cumprod")),
    call("cumsum", IDS, axis=1, dtype="float32", grad=False),
    call("cumprod", np.array([[2.0, 0.0, 3.0]], np.float32), axis=1),
    *(call("diff", x, n=n, axis=axis, grad=x.dtype == np.float32, symbolic=axis != 0) for x in (X, Y, IDS, FLAGS)
      for n in (0, 1, 2) for axis in (-1, 0)),
    *(call(name, X, grad=False) for name in ("zeros_like", "ones_like")),
    call("full_like", X, 7.0, grad=False),
    call("full_like", IDS, 7, dtype="float32", grad=False),
    *(call("linspace", a, b, num=n, endpoint=end, symbolic=False) for a, b in [(X, 2.0), (X, array(3, 4, seed=2)),
      (X, array(4, seed=2))] for n in (1, 5) for end in (True, False)),
    call("linspace", X, 2.0, num=4, axis=-1, symbolic=False),
]  # fmt: skip

# Shares that fall on an element, but for how a plain number is rounded.
CALLS += [
    *(call(name, array(56), q, method=method, symbolic=False, grad=False)
      for name, q in (("quantile", 0.9), ("quantile", [0.9, 0.2]), ("percentile", 90), ("percentile", [20.0]))
      for method in ("lower", "higher", "nearest")),
]  # fmt: skip

#: Calls that have no array among their arguments.
CREATED = [
    *(call(name, shape, **options) for name in ("zeros", "ones") for shape in ((2, 3), (0, 2), (4,))
      for options in ({}, {"dtype": "int32"}, {"dtype": "bool"})),
    call("full", (2, 3), 7),
    call("full", (2, 3), 1.5, dtype="float32"),
    call("full", (2, 3), [1.0, 2.0, 3.0]),
    *(call("eye", *sizes, k=k) for sizes in [(3,), (3, 4)] for k in (0, 1, -1)),
    call("eye", 3, dtype="bool"),
    call("identity", 3),
    *(call("tri", *sizes, k=k) for sizes in [(3,), (3, 4)] for k in (0, 1, -1)),
    *(call("arange", *given) for given in [(5,), (2, 7), (7, 2, -2), (5.0,), (0, 1, 0.1), (1.0, 1.3, 0.1), (3, 3)]),
    call("arange", 5, dtype="float32"),
    *(call("linspace", 0, 1, num=n, endpoint=end) for n in (2, 7, 50) for end in (True, False)),
    call("linspace", 0.0, 10.0, num=4, dtype="int32"),
    call("linspace", -10.0, 0.0, num=4, dtype="int32"),
    call("linspace", -3.0, 8.0, num=5, retstep=True),
    call("array", [1, 2]),
    call("array", [1.5, 2.0], dtype="int32"),
    call("convert_to_tensor", [1.5, 2.0]),
    call("convert_to_tensor", [1, 2], dtype="float32"),
]  # fmt: skip


@pytest.mark.parametrize("c", CALLS, ids=name_of)
def test_like_keras(c):
    check(c)


@pytest.mark.parametrize("c", CREATED, ids=name_of)
def test_created_like_keras(c):
    check_arrays(c)

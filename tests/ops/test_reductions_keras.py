"""Reductions of fastseq.ops beside Keras's."""

import numpy as np
import pytest
from op_check import array, call, check, name_of

pytest.importorskip("keras")
pytestmark = pytest.mark.tensorflow

X, IDS, FLAGS = array(3, 4, 5), array(3, 4, 5, dtype="int32"), array(3, 4, 5, dtype="bool")
ROW, WEIGHTS = array(5, low=0.1), array(3, 4, 5, seed=2, low=0.1)
WITH_NAN = np.where(array(3, 4, 5, seed=3) > 1.2, np.nan, X).astype(np.float32)
ALL_NAN = np.where(np.arange(5) == 2, np.nan, X).astype(np.float32)
ZEROS = np.where(np.arange(5) == 2, 0, X).astype(np.float32)
TWO_ZEROS = np.where(np.arange(5) > 2, 0, X).astype(np.float32)
LONG = array(2, 3, 700)
AXES = [{}, {"axis": 1}, {"axis": -1, "keepdims": True}, {"axis": (0, 2)}, {"axis": (0, 1, 2), "keepdims": True}]

OF_FLOATS = ["sum", "mean", "var", "std", "max", "min", "amax", "amin", "prod", "ptp"]
TRUTHS = ["any", "all"]
NAN = ["nansum", "nanmean", "nanvar", "nanstd", "nanmax", "nanmin", "nanprod"]
PLACES = ["nanargmax", "nanargmin"]

CALLS = [
    *(call(name, X, **axes) for name in OF_FLOATS for axes in AXES),
    *(call(name, LONG, axis=axis) for name in ["sum", "mean", "var", "max"] for axis in [-1, 0]),
    *(call(name, IDS, axis=1, grad=False) for name in OF_FLOATS),
    *(call(name, FLAGS, axis=1, grad=False) for name in ["sum", "mean", "max", "min", "prod"]),
    *(call(name, FLAGS, **axes, grad=False) for name in TRUTHS for axes in AXES),
    *(call(name, x, axis=-1, grad=False) for name in TRUTHS for x in [X, IDS]),
    *(call(name, WITH_NAN, axis=-1, grad=False) for name in OF_FLOATS),
    *(call(name, X, axis=1, initial=0.5) for name in ["max", "min"]),
    *(call(name, array(0, 3), axis=0, grad=False) for name in ["sum", "prod"]),
    *(call("prod", x, axis=axis) for x in [ZEROS, TWO_ZEROS] for axis in [-1, None]),
    call("prod", IDS, grad=False),
    *(call("max", np.round(X), axis=axis) for axis in [None, 1, -1]),  # ties
    *(call(name, WITH_NAN, **axes) for name in NAN[:-1] for axes in AXES[:3]),
    call("nanprod", WITH_NAN, axis=1),
    *(call(name, ALL_NAN, axis=1, grad=False) for name in [*NAN, *PLACES]),
    *(call(name, x, axis=1, grad=False) for name in [*NAN[:5], *PLACES] for x in [IDS]),
    *(call(name, WITH_NAN, **axes, grad=False) for name in PLACES for axes in AXES[:3]),
    *(call("count_nonzero", x, axis=axis, grad=False) for x in [np.round(X), IDS, FLAGS] for axis in [None, 1, (0, 2)]),
    *(call("average", X, axis=axis) for axis in [None, 1]),
    *(call("average", X, axis, WEIGHTS, symbolic=axis == 1) for axis in [1, (0, 2)]),
    call("average", X, 2, ROW, symbolic=False),
    call("average", IDS, 2, ROW, grad=False, symbolic=False),
]  # fmt: skip


@pytest.mark.parametrize("c", CALLS, ids=name_of)
def test_like_keras(c):
    check(c)

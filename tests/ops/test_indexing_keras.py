"""Indexing, taking and putting of fastseq.ops beside Keras's."""

import numpy as np
import pytest
from op_check import array, call, check, name_of

pytest.importorskip("keras")
pytestmark = pytest.mark.tensorflow

X, Y, ROW = array(3, 4), array(2, 3, 4), array(5)
IDS, FLAGS = array(3, 4, dtype="int32"), array(3, 4, dtype="bool")
ALL = slice(None)
KEYS = [
    0, -1, (ALL, -1), (ALL, slice(1, None)), (ALL, slice(None, -1)), (ALL, slice(None, None, -1)), (..., 0), (...,),
    (ALL, None), (None, ..., None), (slice(0, 1), slice(3, 0, -2)), (0, ..., 1), (ALL, slice(5, 2)),
    (ALL, slice(2, 99)), (slice(-2, None), slice(None, None, 2)),
]  # fmt: skip
AXIS_IDS = np.array([2, 0, -1, 2], np.int32)
ROWS = array(3, 4, seed=2)
PAIRS = np.array([[0, 1], [2, 3], [0, 1]], np.int32)

CALLS = [
    *(call("get_item", x, key, grad=x.dtype == np.float32) for key in KEYS for x in (X, Y)),
    *(call("get_item", x, key, grad=False) for key in KEYS[:6] for x in (IDS, FLAGS)),
    call("get_item", array(2, 3, 4, 5, 2), (0, ALL, slice(1, 3), None, ALL, -1)),
    *(call("take", x, AXIS_IDS, axis=axis, grad=x is X) for x in (X, IDS, FLAGS) for axis in (0, 1, -1, None)),
    call("take", Y, array(2, 3, dtype="int32", low=0, high=1), axis=1, symbolic=False),
    call("take", X, np.zeros((0, 2), np.int32), axis=1),
    call("take", array(4, 700), AXIS_IDS[:2], axis=0),
    *(call("take_along_axis", x, array(3, 2, dtype="int32", low=-3, high=2), axis=axis, grad=x is not IDS)
      for x in (X[:, :2], IDS[:, :2], X[:1, :2]) for axis in (0, 1, -1) if x.shape[axis] == 3 or (axis and x is X)),
    call("take_along_axis", X, array(3, 2, dtype="int32", low=-4, high=3), axis=1),
    call("take_along_axis", FLAGS, array(3, 2, dtype="int32", low=-4, high=3), axis=-1),
    call("take_along_axis", Y, array(1, 2, 4, dtype="int32", low=-3, high=2), axis=1, symbolic=False),
    call("take_along_axis", ROW, array(7, dtype="int32", low=-5, high=4)),
    call("slice", X, [1, 0], (2, 3), symbolic=False),
    call("slice", X, [0, 2], (-1, 2)),
    call("slice", IDS, [0, 0], (3, 0), symbolic=False),
    call("slice_update", X, [1, 1], array(2, 2, seed=3), grad=False, symbolic=False),
    call("slice_update", X, [0, 3], array(3, 2, seed=3), grad=False, symbolic=False),
    call("slice_update", IDS, [0, 1], array(1, 2, dtype="int32", seed=3), grad=False, symbolic=False),
    call("scatter", AXIS_IDS[:2, None], array(2, 4), (5, 4), symbolic=False),
    call("scatter", PAIRS, array(3), (3, 4), symbolic=False),
    call("scatter", PAIRS, array(3, 200), (3, 4, 200), symbolic=False),
    call("scatter", PAIRS, array(3, dtype="int32"), (3, 4), symbolic=False),
    *(call("scatter_update", X, PAIRS, array(3, seed=2), reduction=kind, symbolic=False)
      for kind in ("add", "mul", "max", "min")),
    *(call("scatter_update", x, PAIRS[:, :1], v, reduction="mul", symbolic=False)
      for x in (X, X * (X > 0)) for v in (ROWS, ROWS * (np.abs(ROWS) > 1))),
    call("scatter_update", X, PAIRS[:2], array(2, seed=2), symbolic=False),
    call("scatter_update", X, PAIRS[:, :1], array(3, 4, seed=2), reduction="max", symbolic=False),
    call("scatter_update", IDS, PAIRS, array(3, dtype="int32", seed=2), reduction="add", symbolic=False),
    *(call("one_hot", x, 3, **options, grad=False) for x in (IDS, array(4, dtype="int32")) for options in
      ({}, {"axis": 0}, {"dtype": "int32"}, {"dtype": "bool"})),
    call("one_hot", np.array(2, np.int32), 3, grad=False, symbolic=False),
    call("one_hot", IDS, 3, axis=1, grad=False),
    *(call("multi_hot", np.abs(x), 4, dtype=dtype, grad=False, symbolic=False)
      for x in (IDS, array(4, dtype="int32")) for dtype in (None, "int32", "bool")),
]  # fmt: skip


@pytest.mark.parametrize("c", CALLS, ids=name_of)
def test_like_keras(c):
    check(c)

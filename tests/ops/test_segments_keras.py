"""Segments, counts and memberships of fastseq.ops beside Keras's."""

import numpy as np
import pytest
from op_check import array, call, check, check_arrays, name_of

from fastseq import ops

pytest.importorskip("keras")
pytestmark = pytest.mark.tensorflow

X, LONG, WHOLE = array(6, 3), array(40, 2, 2), array(6, 3, dtype="int32")
IDS, ASCENDING = np.array([2, 0, 2, -1, 0, 4], np.int32), np.array([0, 0, 1, 3, 3, 3], np.int32)
MANY = np.arange(40, dtype=np.int32) * 7 % 11
TIES = np.round(X)
ZEROS = np.where(np.abs(X) < 0.7, np.float32(0), X)
NUMBERS = np.array([1, 5, 2, 5, 0], np.int32)
KINDS = ("segment_sum", "segment_max", "segment_min", "segment_prod")

CALLS = [
    *(call(name, x, IDS, 5, grad=x.dtype == np.float32) for name in KINDS for x in (X, WHOLE, TIES, ZEROS, X[:, 0])),
    *(call(name, LONG, MANY, 12) for name in KINDS),
    *(call("histogram", x, bins, symbolic=False, grad=False) for x in (X.ravel(), array(1), array(300))
      for bins in (1, 4, 10)),
    *(call("histogram", array(300), 7, reach, symbolic=False, grad=False) for reach in ((-1.0, 1.5), (0.0, 0.5))),
    *(call("isin", x, y, invert=invert, assume_unique=not invert, grad=False) for x in (WHOLE, TIES)
      for invert in (False, True)
      for y in (np.array([1, 2, 2], np.int32), np.array([[0.0, -1.0]], np.float32), np.zeros(0, np.int32))),
]  # fmt: skip
#: The shapes of whose results depend on values, so that they take arrays alone.
COUNTED = [
    *(call(name, x, ASCENDING, sorted=True) for name in KINDS for x in (X, WHOLE)),
    *(call(name, X, np.abs(IDS)) for name in ("segment_max", "segment_min", "segment_prod")),
    call("segment_sum", X, np.array([0, 1, 2, 1, 0, 2], np.int32)),
    *(call("bincount", NUMBERS, minlength=least) for least in (0, 3, 9)),
    call("bincount", NUMBERS, array(5)), call("bincount", NUMBERS, np.arange(5, dtype=np.int32)),
    call("bincount", np.stack([NUMBERS, NUMBERS[::-1] + 1])),
    call("bincount", np.stack([NUMBERS, NUMBERS[::-1]]), array(2, 5), minlength=7),
]  # fmt: skip


@pytest.mark.parametrize("c", CALLS, ids=name_of)
def test_like_keras(c):
    check(c)


@pytest.mark.parametrize("c", COUNTED, ids=name_of)
def test_counted_like_keras(c):
    check_arrays(c)


def test_nan_belongs_to_its_segment():
    x = np.array([np.nan, 1.0, 2.0, np.inf], np.float32)
    for name in KINDS:
        found = getattr(ops, name)(x, [0, 0, 1, 1], 2)
        assert np.isnan(found[0]) and not np.isnan(found[1])
    assert ops.isin(x, x).tolist() == [False, True, True, True]

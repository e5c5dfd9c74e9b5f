"""Functions of fastseq.ops that give other shapes and orders of the same elements, beside Keras's."""

import numpy as np
import pytest
from op_check import array, call, check, name_of

pytest.importorskip("keras")
pytestmark = pytest.mark.tensorflow

X, Y, ROW, ONE = array(3, 4), array(2, 3, 4), array(5), array(3, 1, 4, 1)
IDS, FLAGS = array(3, 4, dtype="int32"), array(3, 4, dtype="bool")
EMPTY = array(0, 4)

CALLS = [
    *(call("reshape", X, shape, symbolic=False) for shape in [(4, 3), (-1,), (2, -1, 3), 12, (12, 1)]),
    call("reshape", X, (-1, 2, 2)),
    call("reshape", EMPTY, (4, 0), symbolic=False),
    *(call("ravel", x, grad=x is X) for x in (X, IDS, FLAGS, EMPTY)),
    *(call("squeeze", ONE, axis) for axis in (None, 1, -1, (1, 3))),
    *(call("expand_dims", X, axis) for axis in (0, -1, 1, (0, 2))),
    *(call("swapaxes", Y, *axes) for axes in [(1, 2), (-1, 0), (1, 1)]),
    *(call("moveaxis", Y, *axes) for axes in [(0, 2), (-1, 0), ((0, 1), (-1, 0)), (1, 1)]),
    *(call("transpose", x, axes) for x, axes in [(X, None), (Y, None), (Y, (0, 2, 1)), (Y, (2, 0, 1))]),
    call("transpose", FLAGS, (1, 0), grad=False),
    call("broadcast_to", X, (2, 3, 4), symbolic=False),
    call("broadcast_to", X[:, :1], (3, 5), symbolic=False),
    *(call(name, [x, x], grad=x.dtype == np.float32) for name in ("hstack", "vstack", "dstack", "concatenate", "stack")
      for x in (X, IDS, FLAGS, Y)),
    *(call(name, [ROW, ROW], symbolic=False) for name in ("hstack", "vstack", "dstack")),
    *(call("concatenate", [X, IDS, X], axis=axis) for axis in (0, 1, -1)),
    *(call("stack", [X, array(3, 4, seed=2)], axis=axis) for axis in (0, 1, -1)),
    *(call("append", X, array(3, 4, seed=2), axis=axis, symbolic=axis != 0) for axis in (None, 0, 1)),
    call("split", Y, 3, axis=1),
    call("split", Y, (1, 3), axis=-1),
    call("split", X, 3, symbolic=False),
    call("array_split", Y, 3, axis=2),
    call("array_split", X, 2, symbolic=False),
    *(call(name, Y, n, symbolic=False) for name, n in (("hsplit", 3), ("vsplit", 2), ("dsplit", 2))),
    call("hsplit", ROW, 5, symbolic=False),
    call("unstack", Y, axis=1),
    call("unstack", X, axis=-1),
    call("unstack", X, symbolic=False),
    *(call("meshgrid", ROW, array(3), indexing=how, symbolic=False) for how in ("xy", "ij")),
    call("meshgrid", ROW, array(3), array(2), symbolic=False),
    *(call("pad", X, width, symbolic=width[0] == (0, 0)) for width in (((1, 2), (1, 0)), ((0, 0), (2, 1)))),
    call("pad", IDS, ((0, 0), (1, 0)), constant_values=7, grad=False),
    call("pad", FLAGS, ((0, 0), (1, 0)), grad=False),
    call("pad", Y, ((0, 0), (1, 1), (0, 2)), constant_values=-1.5),
    *(call("pad", Y, ((0, 0), (2, 1), (1, 2)), mode=mode) for mode in ("reflect", "symmetric")),
    *(call("flip", Y, axis=axis) for axis in (None, 0, -1, (0, 2))),
    call("flip", FLAGS, grad=False),
    *(call(name, x) for name in ("fliplr", "flipud") for x in (X, Y)),
    *(call("rot90", X, k=k, symbolic=False) for k in (0, 1, 3, -1, 5)),
    call("rot90", Y, axes=(2, 0), symbolic=False),
    *(call("roll", Y, *given) for given in [(1, 1), (-1, 2), (7, -1), (2, 0), ((1, 2), (1, 2))]),
    call("roll", X, 5, symbolic=False),
    call("roll", EMPTY, 1, 0),
    *(call("repeat", X, n, axis=axis, symbolic=False) for n in (2, 0, [3]) for axis in (None, 0, -1)),
    call("repeat", X, [1, 0, 2, 1], axis=1),
    *(call("tile", x, n, symbolic=False) for x in (X, ROW, Y) for n in (2, (2, 1), (1, 2, 3), (2, 1, 1, 2))),
    *(call("extract_sequences", x, 3, 2) for x in (X, array(2, 9))),
    call("extract_sequences", array(2, 9), 3, 1),
    *(call("diagonal", Y, offset, 1, 2) for offset in (0, 1, -1)),
    *(call("diagonal", Y, offset, *axes, symbolic=False) for offset in (0, 1, -1) for axes in [(0, 1), (2, 0)]),
    *(call("diag", x, k, symbolic=False) for x in (X, ROW) for k in (0, 2, -1)),
    call("diagflat", X, 1, symbolic=False),
    *(call("trace", x, offset, grad=x.dtype == np.float32, symbolic=False)
      for x in (X, Y, IDS, FLAGS) for offset in (0, 1)),
    *(call(name, x, k, grad=x.dtype == np.float32) for name in ("tril", "triu") for x in (X, Y, IDS, FLAGS)
      for k in (0, 1, -1)),
    call("size", X, grad=False, symbolic=False),
]  # fmt: skip


@pytest.mark.parametrize("c", CALLS, ids=name_of)
def test_like_keras(c):
    check(c)

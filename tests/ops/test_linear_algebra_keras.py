"""Products of fastseq.ops beside Keras's."""

import numpy as np
import pytest
from op_check import array, call, check, name_of

from fastseq import ops

pytest.importorskip("keras")
pytestmark = pytest.mark.tensorflow

V, W, M, N = array(4), array(4, seed=1), array(3, 4), array(4, 5, seed=2)
B, C = array(2, 3, 4), array(2, 4, 5, seed=3)
INTS, MORE = array(3, 4, dtype="int32"), array(4, 5, dtype="int32", seed=1)
MATMULS = [
    (M, N), (V, W), (V, N), (M, V), (B, C), (B, N), (M, C), (B, V), (V, C), (array(5, 1, 3, 4), C),
    (array(5, 2, 3, 4), array(5, 1, 4, 2)), (array(2, 1, 3, 2, 4), array(3, 1, 4, 2)), (array(0, 4), N),
    (array(3, 0), array(0, 5)), (M, MORE),
]  # fmt: skip
EINSUMS = [
    ("ij,jk->ik", M, N), ("ij,jk", M, N), ("ij,kj->ki", M, array(5, 4)), ("bij,bjk->bik", B, C), ("bij,bjk->bki", B, C),
    ("...ij,jk->...ik", B, N), ("...d,de->...e", B, N), ("ij->ji", M), ("ij->", M), ("ij->j", M),
    ("ii", array(4, 4)), ("i,j->ij", V, array(3)), ("i,i->i", V, W), ("i,i", V, W), ("ij,j->i", M, V),
    ("ji,kj->ik", N, M), ("ab,bc,cd->ad", M, N, array(5, 2)), ("ii->i", array(4, 4)),
    ("btnh,bsnh->bnts", array(2, 5, 3, 4), array(2, 6, 3, 4)),
    ("bnts,bsnh->btnh", array(2, 3, 5, 6), array(2, 6, 3, 4)),
    ("abc,cde->abde", B, array(4, 2, 3)), ("abcd,cd->ab", array(2, 3, 4, 5), array(4, 5)),
    ("ab,ac,ad->a", M, M, array(3, 2)), ("abcd,dcbe->ea", array(2, 3, 4, 2), array(2, 4, 3, 5)), ("ij,k->i", M, V),
    ("iij,jk->ik", array(3, 3, 4), N), ("abcdef,abcdfg->abcdeg", array(2, 2, 2, 2, 3, 4), array(2, 2, 2, 2, 4, 3)),
]  # fmt: skip
CALLS = [
    *(call("matmul", *pair) for pair in MATMULS),
    # One chain of sums, where TensorFlow's are in pieces: an error of sqrt(k) units.
    call("matmul", array(70, 300), array(300, 90), ulp=18),
    call("matmul", array(2, 600), array(600, 33), ulp=25),
    call("matmul", INTS, MORE, grad=False),
    call("matmul", array(2, 3, 4, dtype="int32"), MORE, grad=False),
    *(call("dot", *pair) for pair in [(V, W), (M, N), (B, N), (B, C), (M, 2.0), (V, N)]),
    call("dot", M, V, symbolic=False),  # Keras asks for sizes that are known
    call("dot", INTS, MORE, grad=False),
    call("vdot", M, M + 1),
    *(call("inner", *pair) for pair in [(V, W), (M, array(2, 4)), (B, M)]),
    *(call("outer", *pair) for pair in [(V, W), (M, V)]),
    call("outer", INTS, MORE, grad=False),
    *(call("tensordot", B, other, axes=axes) for other, axes in
      [(C, 0), (N, 1), (array(3, 4, 2), 2), (C, ([0, 2], [0, 1])), (array(2, 3, 4), 3)]),
    call("tensordot", B, C, axes=(0, 0), symbolic=False),  # Keras's symbolic call takes lists alone
    *(call("einsum", subscripts, *arrays, symbolic=subscripts != "ii->i") for subscripts, *arrays in EINSUMS),
    call("einsum", "ij,jk->ik", INTS, MORE, grad=False),
    *(call("cross", *pair) for pair in [(array(5, 3), array(5, 3, seed=1)), (array(5, 2), array(5, 2, seed=1)),
                                        (array(5, 3), array(5, 2)), (array(3), array(5, 3))]),
    call("cross", array(3, 5), array(5, 3), axisa=0, axisc=0, symbolic=False),
    call("kron", M, N),
    *(call("kron", *pair, symbolic=False) for pair in [(V, M), (M, array(2, 3, 2))]),  # Keras has another rank there
    *(call("norm", B, ord=order, axis=1, keepdims=keep, grad=order not in (0,))
      for order in [None, 1, 2, np.inf, -np.inf, 0] for keep in [False, True]),
    *(call("norm", M, ord=order, axis=axis, grad=order in (None, "fro"))
      for order in [None, "fro", 1, -1, np.inf, -np.inf] for axis in [None, (1, 0), (-1, -2)]),
    call("norm", B, ord="fro", axis=(0, 2), keepdims=True),
    *(call("norm", B, ord=order, axis=1) for order in [3, 2.5, -2]),
]  # fmt: skip


@pytest.mark.parametrize("c", CALLS, ids=name_of)
def test_like_keras(c):
    check(c)


@pytest.mark.parametrize("name, args, kwargs, words", [
    ("matmul", (M, M), {}, r"ops.matmul: arrays of shapes \(3, 4\) and \(3, 4\) do not fit: 4 and 3"),
    ("matmul", (B, array(3, 4, 5)), {}, r"ops.matmul: arrays of shapes \(2, 3, 4\), \(3, 4, 5\) do not fit"),
    ("matmul", (M, 2.0), {}, "ops.matmul takes no scalars"),
    ("dot", (M, M), {}, "ops.dot: arrays of shapes"),
    ("tensordot", (M, N), {"axes": ([0], [0])}, "ops.tensordot: arrays of shapes"),
    ("tensordot", (M, N), {"axes": 3}, "ops.tensordot: axes=3"),
    ("tensordot", (M, N), {"axes": ([0, 1], [0])}, "are no pairs"),
    ("einsum", ("ij,jk", M), {}, "are for 2 arrays, got 1"),
    ("einsum", ("ij,jk->ij", M, M), {}, "ops.einsum: arrays of shapes"),
    ("einsum", ("ij,jk->ik", M[:, :1], N), {}, "sizes 1 and 4 along 'j' are not one size"),
    ("einsum", ("ij->k", M), {}, "one that no array has"),
    ("einsum", ("i?->i", M), {}, "are not known"),
    ("einsum", ("ijk->i", M), {}, "have 3 letters for an array of 2 axes"),
    ("cross", (M, M), {}, "takes vectors of 2 or 3 elements"),
    ("norm", (M,), {"ord": 3}, "no norm that is known"),
    ("norm", (M,), {"ord": 1, "axis": 5}, "out of bounds"),
], ids=str)  # fmt: skip
def test_bad_arguments(name, args, kwargs, words):
    with pytest.raises(ValueError, match=words):
        getattr(ops, name)(*args, **kwargs)


def test_norms_of_singular_values_are_not_there():
    with pytest.raises(NotImplementedError, match="ord='nuc' of matrices takes singular values"):
        ops.norm(M, ord="nuc")

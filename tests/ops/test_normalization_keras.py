"""Normalizations, attention and crossentropies of fastseq.ops beside Keras's."""

import numpy as np
import pytest
from op_check import array, call, check, name_of

from fastseq import ops

pytest.importorskip("keras")
pytestmark = pytest.mark.tensorflow

X, B = array(3, 4), array(2, 3, 4)
V, W = array(4, low=0.5), array(4, seed=1)
Q, K = array(2, 5, 4, 3), array(2, 6, 4, 3, seed=1)
KV = array(2, 6, 4, 3, seed=2)
P = array(3, 4, low=0.05, high=1.0)
SHARES = (lambda a: (a / a.sum(-1, keepdims=True)).astype("f"))(array(3, 4, low=0.1, high=1.0, seed=1))
FLAGS, CLASSES = array(3, 4, dtype="bool"), np.array([1, 3, 0], np.int32)
ATTENTION = [{}, {"is_causal": True}, {"scale": 0.3}]
MASK = array(2, 1, 5, 6, dtype="bool")
MASK[..., 0] = True
ODD = np.array([[np.inf, 1.0], [-np.inf, -np.inf], [np.nan, 1.0], [1e4, 1e4]], np.float32)

CALLS = [
    *(call("moments", x, axes=axes, keepdims=keep, ulp=8)
      for x, axes in [(X, 0), (B, [0, 2]), (B, -1)] for keep in [False, True]),
    *(call("normalize", x, ulp=8, **kwargs) for x in [X, B] for kwargs in [{}, {"axis": 0}, {"order": 1}]),
    call("normalize", np.zeros((2, 3), np.float32)),
    call("normalize", np.float32([[0, 0, 0], [1, 2, 3]]), axis=1),
    # Keras asks for vectors of a known size in symbolic calls.
    call("batch_normalization", X, W, np.abs(V), axis=-1, ulp=12, symbolic=False),
    call("batch_normalization", B, W[:3].copy(), np.abs(V[:3]) + 1, 1, V[:3].copy(), W[:3].copy(), 0.1, ulp=12,
         symbolic=False),
    *(call("layer_normalization", x, *rest, ulp=16, symbolic=not rest, **kwargs) for x, rest, kwargs in [
        (X, (), {}), (X, (V, W), {}), (B, (V, W), {"epsilon": 0.1}), (B, (array(3, 4), None), {"axis": [1, 2]}),
        (B, (V[:3].copy(), W[:3].copy()), {"axis": 1}),
    ]),
    *(call("rms_normalization", x, *rest, ulp=8, **kwargs) for x, rest, kwargs in [
        (X, (), {}), (X, (V,), {}), (B, (), {"axis": (1, 2), "epsilon": 0.1})]),
    *(call("dot_product_attention", Q, K, KV, ulp=12, **kwargs) for kwargs in ATTENTION),
    call("dot_product_attention", Q, K, KV, array(1, 4, 5, 6, seed=3), MASK, ulp=12),
    call("dot_product_attention", Q, K[:, :, :2].copy(), KV[:, :, :2].copy(), ulp=12),
    *(call("logsumexp", x, axis=axis, keepdims=keep)
      for x, axis in [(X, None), (B, 1), (B, (0, 2))] for keep in [False, True]),
    call("logsumexp", ODD, axis=1, grad=False),
    call("binary_crossentropy", SHARES, P), call("binary_crossentropy", SHARES, X, from_logits=True),
    call("binary_crossentropy", FLAGS.astype("f"), FLAGS.astype("f"), grad=False),
    call("categorical_crossentropy", SHARES, P, ulp=8),
    call("categorical_crossentropy", SHARES, X, from_logits=True, ulp=8),
    call("categorical_crossentropy", SHARES, P, axis=0, ulp=8, symbolic=False),  # Keras says the wrong shape
    *(call("sparse_categorical_crossentropy", CLASSES, x, from_logits=logits, ulp=8)
      for x, logits in [(P, False), (X, True)]),
    call("sparse_categorical_crossentropy", CLASSES[:, None].copy(), P, ulp=8, symbolic=False),
]  # fmt: skip


@pytest.mark.parametrize("c", CALLS, ids=name_of)
def test_like_keras(c):
    check(c)


@pytest.mark.parametrize("name, args, kwargs, words", [
    ("moments", (X, 2), {}, "axis 2 is out of bounds"),
    ("moments", (X, 0), {"synchronized": True}, "several devices"),
    ("normalize", (X,), {"order": 0}, "ops.normalize: order=0"),
    ("batch_normalization", (X, W, W, 3), {}, "ops.batch_normalization: axis 3"),
    ("layer_normalization", (X,), {"axis": 4}, "ops.layer_normalization: axis 4"),
    ("dot_product_attention", (X, X, X), {}, "takes arrays of four axes"),
    ("dot_product_attention", (Q, K[:, :, :3], K[:, :, :3]), {}, "4 heads are no multiple of 3"),
    ("dot_product_attention", (Q, K, K), {"flash_attention": True}, "JAX's alone"),
    ("binary_crossentropy", (X, B), {}, "ops.binary_crossentropy takes target and output of one shape"),
    ("categorical_crossentropy", (X, P[:2]), {}, "of one shape, got"),
    ("sparse_categorical_crossentropy", (CLASSES, P), {"axis": 0}, "classes stand in the last axis"),
    ("sparse_categorical_crossentropy", (CLASSES[:2], P), {}, "but for the last axis"),
    ("sparse_categorical_crossentropy", (np.array([1, 4, 0]), P), {}, "target 4 at place 1 is none of 4 classes"),
    ("logsumexp", (X,), {"axis": 2}, "axis 2 is out of bounds"),
], ids=str)  # fmt: skip
def test_bad_arguments(name, args, kwargs, words):
    with pytest.raises(ValueError, match=words):
        getattr(ops, name)(*args, **kwargs)

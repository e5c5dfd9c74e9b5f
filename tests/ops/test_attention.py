"""The step "attention" of ops.dot_product_attention: beside its twin in float64, and its promise of bits."""

import math

import numpy as np
import pytest
from layer_check import EPS, isa

from fastseq import ops
from fastseq.layers.attention.projected import reference_heads
from fastseq.native import runtime

# B, T, S, heads, heads of keys, their size, that of the values: below, at and above blocks of 64 keys and panels of 16.
SHAPES = [
    (1, 1, 1, 1, 1, 1, 1), (2, 5, 7, 2, 2, 3, 5), (2, 130, 130, 4, 2, 16, 24), (1, 300, 64, 2, 1, 64, 64),
    (3, 67, 200, 3, 3, 70, 130), (1, 3, 65, 1, 1, 256, 256),
]  # fmt: skip


def reference_attention(q, k, v, seen=None):
    """The naive twin in float64: q (B, T, N, H), k (B, S, K, H), v (B, S, K, V), seen bool (B, N, T, S) or None."""
    q, k, v = (array.astype("f8") for array in (q, k, v))
    k, v = (np.repeat(array, q.shape[2] // k.shape[2], axis=2) for array in (k, v))
    return reference_heads(q, k, v, None if seen is None else ~seen)


def drawn(shape):
    batch, queries, keys, heads, groups, size, value_size = shape
    rng = np.random.default_rng(sum(shape))
    sizes = (batch, queries, heads, size), (batch, keys, groups, size), (batch, keys, groups, value_size)
    return [rng.standard_normal(size).astype("f") for size in sizes]


def mask_of(shape):
    """(B, 1, T, S), most of it hidden, and all of it from some queries."""
    return np.random.default_rng(1).random((shape[0], 1, *shape[1:3])) < 0.2


def same(one, other):
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_values_and_bits(shape, causal, masked):
    q, k, v = drawn(shape)
    mask = mask_of(shape) if masked else None
    seen = np.ones((1, 1, *shape[1:3]), bool) if mask is None else mask
    seen = seen & np.tri(*shape[1:3], dtype=bool) if causal else seen

    def call(rows=slice(None)):
        given = None if mask is None else mask[rows]
        return ops.dot_product_attention(q[rows], k[rows], v[rows], mask=given, is_causal=causal)

    y, wanted = call(), reference_attention(q, k, v, seen)
    np.testing.assert_allclose(y, wanted, rtol=0, atol=8 * EPS * math.sqrt(shape[5]) * np.abs(wanted).max())
    for name in runtime.available_isas():
        with isa(name):
            found = call()
        if name == "scalar":  # without FMA
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(v).max())
        else:
            same(found, y)
    for threads in (1, 2, 3):
        with runtime.num_threads(threads):
            same(call(), y)
    for row in range(shape[0]):
        same(call(slice(row, row + 1)), y[row : row + 1])


@pytest.mark.parametrize("shape", [(1, 130, 130, 2, 1, 16, 24), (2, 70, 70, 1, 1, 5, 3)], ids=str)
def test_a_causal_query_has_the_bits_of_the_shorter_sequence(shape):
    q, k, v = drawn(shape)
    whole = ops.dot_product_attention(q, k, v, is_causal=True)
    for length in (1, 2, 15, 16, 17, 63, 64, 65, shape[1] - 1):
        part = ops.dot_product_attention(q[:, :length], k[:, :length], v[:, :length], is_causal=True)
        same(part, whole[:, :length])


def test_a_causal_query_does_not_touch_what_comes_later():
    q, k, v = drawn((1, 100, 100, 1, 1, 8, 8))
    whole = ops.dot_product_attention(q, k, v, is_causal=True)
    for place in (1, 40, 64, 99):
        later_k, later_v = k.copy(), v.copy()
        later_k[:, place:], later_v[:, place:] = np.nan, np.inf
        same(ops.dot_product_attention(q, later_k, later_v, is_causal=True)[:, :place], whole[:, :place])


def test_a_query_alone_has_its_bits():
    q, k, v = drawn((1, 100, 77, 2, 2, 24, 40))
    whole = ops.dot_product_attention(q, k, v)
    for t in range(0, 100, 9):
        same(ops.dot_product_attention(q[:, t : t + 1], k, v), whole[:, t : t + 1])


def test_a_query_that_sees_nothing_gets_the_mean_of_all_values():
    q, k, v = drawn((1, 6, 70, 1, 1, 4, 4))
    for causal in (False, True):
        y = ops.dot_product_attention(q, k, v, mask=np.zeros((1, 1, 6, 70), bool), is_causal=causal)
        np.testing.assert_allclose(y[0, :, 0], np.repeat(v.mean(axis=1)[:, 0], 6, axis=0), atol=1e-6)


def test_what_is_not_finite():
    """Large scores do not overflow; NaN and infinite scores make their query NaN, and no other."""
    q, k, v = drawn((1, 4, 70, 1, 1, 4, 4))
    q[0, 0] *= 1e18
    k[0, 1] *= 1e18
    q[0, 1], q[0, 2] = np.nan, np.inf
    y = ops.dot_product_attention(q, k, v)
    assert np.isfinite(y[0, [0, 3]]).all() and np.isnan(y[0, [1, 2]]).all()


def test_masks_of_every_shape_that_broadcasts():
    shape = (2, 5, 70, 4, 2, 8, 8)
    q, k, v = drawn(shape)
    for sizes in ((2, 4, 5, 70), (2, 1, 1, 70), (1, 4, 5, 1), (5, 70), (70,), (1,)):
        mask = np.random.default_rng(2).random(sizes) < 0.7
        y = ops.dot_product_attention(q, k, v, mask=mask)
        np.testing.assert_allclose(y, reference_attention(q, k, v, np.broadcast_to(mask, (2, 4, 5, 70))), atol=2e-5)
    with pytest.raises(ValueError, match="broadcast"):
        ops.dot_product_attention(q, k, v, mask=np.ones((3, 70), bool))

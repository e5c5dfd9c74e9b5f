"""The steps "pool" and "pool_backward" beside NumPy, window by window, with the bits of any columns around them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_check import isa

from fastseq.native import runtime
from fastseq.native.kinds import POOL_KINDS
from fastseq.program.builder import Builder
from fastseq.program.pooling import pool
from fastseq.program.program import Program

F32 = np.float32


def windows_of(length, size, stride, same):
    """(number of windows, how many places the first one lacks)."""
    if not same:
        return (length - size) // stride + 1, 0
    count = -(-length // stride)
    return count, max((count - 1) * stride + size - length, 0) // 2


def reference(x, kind, size, stride, before, count):
    """(y, what dy gives dx as a function), in float32 with the sums of a mean in double: the kernel's own order."""
    places = [range(max(w * stride - before, 0), min(w * stride - before + size, x.shape[1])) for w in range(count)]
    if kind == "mean":
        y = np.stack([(x[:, p].astype("f8").sum(1)).astype(F32) / F32(len(p)) for p in places], 1)
    else:
        y = np.stack([x[:, p].max(1) for p in places], 1)

    def backward(dy):
        dx = np.zeros_like(x)
        for w, p in enumerate(places):
            left = dy[:, w].copy()
            if kind == "mean":
                left /= F32(len(p))
            elif kind == "max_shared":
                left *= F32(1) / (x[:, p] == y[:, w : w + 1]).sum(1).astype(F32)
            for t in p:
                here = np.ones(left.shape, bool) if kind == "mean" else x[:, t] == y[:, w]
                dx[:, t] += np.where(here, left, F32(0))
                if kind == "max":
                    left = np.where(here, F32(0), left)
        return dx

    return y, backward


def both(x, dy, kind, size, stride, before, count):
    """(y, dx) of the two steps, for x as (outer, length, inner)."""
    p = Builder()
    slot, given_dy = p.input(x.shape, "float32"), p.input(dy.shape, "float32")
    y, dx = pool(p, slot, kind, 1, size, stride, before, count), p.new(x.shape)
    outer, length, inner = x.shape
    p.step(
        "pool_backward", x=slot, y=y, dy=given_dy, dx=dx, outer=outer, length=length, inner=inner, windows=count,
        size=size, stride=stride, before=before, kind=POOL_KINDS[kind],
    )  # fmt: skip
    return Program(p, [slot, given_dy], [y, dx], keeps=False).run([x, dy])


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["max", "max_shared", "mean"]), st.integers(1, 3), st.integers(1, 40),
    st.sampled_from([1, 2, 3, 7, 8, 15, 16, 17, 31, 40, 64, 70, 131, 300]), st.integers(1, 45), st.integers(1, 6),
    st.booleans(), st.integers(0, 2**31),
)  # fmt: skip
def test_as_numpy(kind, outer, length, inner, size, stride, same, seed):
    size = size if same else min(size, length)
    count, before = windows_of(length, size, stride, same)
    rng = np.random.default_rng(seed)
    x = rng.integers(-3, 4, (outer, length, inner)).astype(F32)  # few values, so that many are equal
    x += (rng.random(x.shape) < 0.3) * rng.standard_normal(x.shape).astype(F32)
    dy = rng.standard_normal((outer, count, inner)).astype(F32)
    wanted, backward = reference(x, kind, size, stride, before, count)
    for name in runtime.available_isas():
        with isa(name):
            y, dx = both(x, dy, kind, size, stride, before, count)
            np.testing.assert_array_equal(y, wanted)
            np.testing.assert_array_equal(dx, backward(dy))


@pytest.mark.parametrize("kind", POOL_KINDS)
@pytest.mark.parametrize("size, stride", [(3, 1), (40, 40), (5, 2)])
def test_columns_and_threads_change_no_bits(kind, size, stride):
    """A column among 300 has the bits that it has alone: vectors, parts of them and one lane compute the same."""
    import fastseq

    rng = np.random.default_rng(0)
    x = 100 * rng.standard_normal((3, 40, 300)).astype(F32)
    x[0, 3, :40], x[1, 5, 7] = np.nan, -np.inf
    count = (40 - size) // stride + 1
    dy = rng.standard_normal((3, count, 300)).astype(F32)
    with fastseq.num_threads(1):
        whole = both(x, dy, kind, size, stride, 0, count)
    with fastseq.num_threads(3):
        for found, wanted in zip(both(x, dy, kind, size, stride, 0, count), whole):
            np.testing.assert_array_equal(found.view("i4"), wanted.view("i4"))
    for start, end in ((0, 1), (7, 9), (40, 57), (299, 300)):
        part = both(x[..., start:end].copy(), dy[..., start:end].copy(), kind, size, stride, 0, count)
        for found, wanted in zip(part, whole):
            np.testing.assert_array_equal(found.view("i4"), wanted[..., start:end].copy().view("i4"))


def test_what_is_stored_is_one_nan():
    x = np.full((1, 4, 20), np.nan, F32)
    x.view("u4")[:] = 0xFFC12345  # a negative one, with a payload
    for kind in POOL_KINDS:
        y, _ = both(x, np.ones((1, 2, 20), F32), kind, 2, 2, 0, 2)
        assert set(y.view("u4").ravel()) == {0x7FC00000}

"""Segments, counts and memberships beside NumPy, what is refused, and streams."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from op_check import array

import fastseq
from fastseq import layers, ops
from fastseq.errors import UnsupportedError

X = array(4, 3)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 30), st.integers(1, 7), st.integers(0, 3), st.booleans())
def test_segments_are_numpys(n, count, width, whole):
    x = array(n, width, dtype="int32" if whole else "float32", seed=n)
    ids = np.random.default_rng([n, count]).integers(-1, count, n).astype(np.int32)
    for name, function in (("sum", np.sum), ("prod", np.prod), ("max", np.max), ("min", np.min)):
        found = getattr(ops, f"segment_{name}")(x, ids, count)
        assert found.shape == (count, width) and found.dtype == x.dtype
        for segment in range(count):
            own = x[ids == segment]
            if len(own):
                wanted = function(own.astype(np.float64), axis=0).astype(x.dtype)
                np.testing.assert_allclose(found[segment], wanted, rtol=1e-5, atol=1e-6)
            elif name in ("sum", "prod"):
                assert (found[segment] == (name == "prod")).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 12), max_size=20), st.integers(0, 15), st.booleans())
def test_counts_and_memberships_are_numpys(numbers, least, invert):
    x = np.array(numbers, np.int32)
    np.testing.assert_array_equal(ops.bincount(x, minlength=least), np.bincount(x, minlength=least))
    if len(x):
        np.testing.assert_array_equal(ops.isin(X.astype(np.int32), x, invert=invert),
                                      np.isin(X.astype(np.int32), x, invert=invert))  # fmt: skip
        counts, bounds = ops.histogram(x, 4, (0.0, 12.0))
        wanted, edges = np.histogram(x, 4, (0.0, 12.0))
        np.testing.assert_array_equal(counts, wanted)
        np.testing.assert_array_equal(bounds, edges)


def test_weights_of_counts_have_gradients():
    x, w = np.array([1, 3, 1, 0], np.int32), array(4)
    found = fastseq.value_and_grad(lambda w: ops.sum(ops.bincount(x, w) * np.arange(4, dtype=np.float32)))(w)
    np.testing.assert_array_equal(found[1], x.astype(np.float32))
    assert ops.bincount(x[:0], w[:0], 3).tolist() == [0, 0, 0] and ops.bincount(x[:0], w[:0]).dtype == np.float32


def test_segments_on_threads():
    x, ids = array(20000, 8), (np.arange(20000) * 13 % 50).astype(np.int32)
    whole = ops.segment_sum(x, ids, 50)
    with fastseq.num_threads(1):
        np.testing.assert_array_equal(ops.segment_sum(x, ids, 50), whole)


@pytest.mark.parametrize(("make", "error", "words"), [
    (lambda: ops.segment_sum(X, [0, 1], 2), ValueError, r"segment_sum: .*got \(2,\) for an array of shape \(4, 3\)"),
    (lambda: ops.segment_max(X, [0, 1, 2, 3], 3), IndexError, "ops.segment_max: index 3 at .* axis of size 3"),
    (lambda: ops.segment_min(X, [0, 1, 2, 3], 3, sorted=True), ValueError, "ops.segment_min: num_segments is None"),
    (lambda: ops.segment_sum(layers.Input((3,)), layers.Input(())), UnsupportedError, "_sum: .*Give num_segments"),
    (lambda: ops.bincount(layers.Input(())), UnsupportedError, "ops.bincount: .*segment_sum with num_segments"),
    (lambda: ops.bincount([1, -2]), ValueError, "ops.bincount: numbers from 0 on are wanted, got -2"),
    (lambda: ops.bincount([1, 2], [1.0]), ValueError, r"ops.bincount takes .*got \(2,\) and \(1,\)"),
    (lambda: ops.bincount([1], sparse=True), UnsupportedError, "ops.bincount: fastseq has no sparse arrays"),
    (lambda: ops.histogram(X), ValueError, r"ops.histogram takes \(n,\)"),
    (lambda: ops.histogram(X[0], 2.0), TypeError, "`bins` must be of type `int`"),
    (lambda: ops.histogram(X[0], 0), ValueError, "bins from 1 on"),
    (lambda: ops.histogram(X[0], 2, (1.0, 0.0)), ValueError, r"range=\(1.0, 0.0\) is not two ascending numbers"),
])  # fmt: skip
def test_what_does_not_fit_raises(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_streams_what_keeps_time():
    inputs = layers.Input((None, 4))
    h = layers.SimpleRNN(4, return_sequences=True)(inputs)
    model = fastseq.Model(inputs, ops.isin(ops.cast(4.0 * h, "int32"), np.array([-1, 0, 2], np.int32)))
    x = array(2, 6, 4)
    whole, stream = model(x), model.stream(batch_size=2)
    for t in range(6):
        np.testing.assert_array_equal(stream.step(x[:, t]), whole[:, t])
    for outputs in (ops.isin(np.ones((2, 1, 1), np.float32), h), ops.segment_sum(h, np.zeros(5, np.int32), 2)):
        with pytest.raises(ValueError, match="cannot run in a stream"):
            fastseq.Model(inputs, outputs).stream()

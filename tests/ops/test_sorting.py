"""Order, extremes and sums so far beside NumPy: ties, NaN, lengths where the way of sorting changes; and streams."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from op_check import array

import fastseq
from fastseq import ops
from fastseq.errors import UnsupportedError
from fastseq.streaming import Stream

X = array(3, 4)
SPECIAL = st.sampled_from([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 2.5, 3e38, -3e38])
WHOLE = st.sampled_from([0, 1, -1, 7, 2**31 - 1, -(2**31)])


def arrays(lengths):
    shapes = st.tuples(st.integers(1, 3), lengths, st.integers(1, 2))
    return st.one_of(hnp.arrays(np.float32, shapes, elements=SPECIAL), hnp.arrays(np.int32, shapes, elements=WHOLE))


@settings(max_examples=60, deadline=None)
@given(arrays(st.one_of(st.integers(0, 6), st.sampled_from([47, 48, 49, 100]))), st.sampled_from([0, 1, 2, -1, None]))
def test_order_is_numpys(x, axis):
    np.testing.assert_array_equal(ops.sort(x, axis), np.sort(x, axis), strict=True)
    places = np.argsort(x, axis, kind="stable").astype(np.int32)
    np.testing.assert_array_equal(ops.argsort(x, axis), places, strict=True)


@settings(max_examples=40, deadline=None)
@given(arrays(st.integers(1, 60)), st.data())
def test_top_k_takes_the_first_of_equal_ones(x, data):
    x = x[..., 0]
    k = data.draw(st.integers(0, x.shape[1]))
    values, places = ops.top_k(x, k)
    keys = np.where(np.isnan(x), 1e300, np.nan_to_num(x.astype(np.float64), posinf=1e299, neginf=-1e299))
    order = np.argsort(-keys, axis=1, kind="stable")
    np.testing.assert_array_equal(places, order[:, :k].astype(np.int32).reshape(places.shape), strict=True)
    np.testing.assert_array_equal(values, np.take_along_axis(x, places, 1), strict=True)


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.float32, st.integers(0, 9), elements=SPECIAL), hnp.arrays(np.float32, (3, 2), elements=SPECIAL),
       st.sampled_from(["left", "right"]))  # fmt: skip
def test_searchsorted_is_numpys(sequence, values, side):
    sequence = np.sort(sequence)
    wanted = np.searchsorted(sequence, values, side).astype(np.int32)
    np.testing.assert_array_equal(ops.searchsorted(sequence, values, side), wanted, strict=True)
    if side == "right" and not np.isnan(sequence).any():
        np.testing.assert_array_equal(ops.digitize(values, sequence), wanted, strict=True)


@settings(max_examples=40, deadline=None)
@given(st.data(), st.tuples(st.integers(1, 3), st.integers(0, 5), st.sampled_from([1, 3, 63, 64, 65, 130])))
def test_sums_so_far_are_those_of_double(data, shape):
    x, axis = array(*shape), data.draw(st.integers(-3, 2))
    for mine, numpys in ((ops.cumsum, np.cumsum), (ops.cumprod, np.cumprod)):
        np.testing.assert_array_equal(mine(x, axis), numpys(x.astype(np.float64), axis).astype(np.float32), strict=True)
        whole = (x * 1e9).astype(np.int32)
        np.testing.assert_array_equal(mine(whole, axis), numpys(whole, axis, dtype=np.int32), strict=True)
    np.testing.assert_array_equal(ops.diff(x, axis=axis), np.diff(x, axis=axis), strict=True)


def test_many_rows_on_threads():
    x = array(64, 500, 3)
    np.testing.assert_array_equal(ops.sort(x, 1), np.sort(x, 1))
    np.testing.assert_array_equal(ops.cumsum(x, 1)[5], ops.cumsum(x[5], 0))
    np.testing.assert_array_equal(ops.sort(x, 1)[7], ops.sort(x[7], 0))


def test_quantiles_are_numpys():
    x = array(5, 7, seed=3)
    for method in ("lower", "higher", "nearest"):
        wanted = np.quantile(x, [0.0, 0.3, 0.9], 1, method=method)
        np.testing.assert_array_equal(ops.quantile(x, [0.0, 0.3, 0.9], 1, method), wanted)
    for q in (0.0, 0.37, 1.0):
        np.testing.assert_allclose(ops.quantile(x, q, 0), np.quantile(x.astype(np.float64), q, 0), rtol=2e-6)
        np.testing.assert_array_equal(ops.percentile(x, 100 * q, 0), ops.quantile(x, q, 0))
    assert np.isnan(ops.median(np.array([1.0, np.nan, 2.0], np.float32)))


def test_in_top_k_counts_what_is_larger():
    p = np.array([[0.1, 0.9, 0.9, 0.0], [0.3, 0.2, np.nan, 0.1], [0.1, 0.2, 0.3, 0.4], [1, 2, 3, 4]], np.float32)
    targets = np.array([2, 0, 1, 9], np.int32)
    assert ops.in_top_k(targets, p, 1).tolist() == [True, False, False, False]
    assert ops.in_top_k(targets, p, 3).tolist() == [True, False, True, False]
    assert ops.in_top_k(targets, p, 0).tolist() == [False] * 4


@pytest.mark.parametrize("x", [[np.nan, 1.0], [1.0, np.nan, np.nan], [np.inf, np.nan]])
def test_nan_is_the_extreme(x):
    x = np.array(x, np.float32)
    assert ops.argmax(x) == np.argmax(x) and ops.argmin(x) == np.argmin(x)


@pytest.mark.parametrize(("make", "error", "words"), [
    (lambda: ops.sort(X, 2), ValueError, "axis 2"),
    (lambda: ops.argmax(X, 2), ValueError, "axis 2"),
    (lambda: ops.top_k(X, 5), ValueError, "at least k"),
    (lambda: ops.in_top_k([1], X[0], 1), ValueError, "rows, classes"),
    (lambda: ops.searchsorted(X, [1.0]), ValueError, "1-D"),
    (lambda: ops.searchsorted([1.0], [1.0], "middle"), ValueError, "side"),
    (lambda: ops.quantile(X, 1.5), ValueError, r"\[0, 1\]"),
    (lambda: ops.quantile(X, 0.5, method="cubic"), ValueError, "method"),
    (lambda: ops.quantile(fastseq.layers.Input((4,)), fastseq.layers.Input(())), UnsupportedError, "known before"),
    (lambda: ops.median(array(0, 3), 0), ValueError, "no elements"),
    (lambda: ops.diff(X, -1), ValueError, "non-negative"),
    (lambda: ops.cumsum(X, 2), ValueError, "axis 2"),
])  # fmt: skip
def test_what_does_not_fit_raises(make, error, words):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize("function", [
    lambda h: ops.sort(h), lambda h: ops.cumsum(h, axis=-1), lambda h: ops.diff(h), lambda h: ops.top_k(h, 2)[0],
    lambda h: ops.median(h, axis=-1, keepdims=True), lambda h: ops.quantile(h, 0.3, axis=2),
    lambda h: ops.searchsorted(np.array([-0.5, 0.0, 0.5], np.float32), h),
])  # fmt: skip
def test_streams_what_keeps_time(function):
    inputs = fastseq.layers.Input((None, 4))
    model = fastseq.Model(inputs, function(fastseq.layers.SimpleRNN(4, return_sequences=True)(inputs)))
    x = array(2, 6, 4)
    whole, stream = model(x), Stream(model, batch_size=2)
    for t in range(6):
        np.testing.assert_array_equal(stream.step(x[:, t]), whole[:, t])

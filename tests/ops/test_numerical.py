"""Integrals, correlations, distances and blocks beside NumPy, what is refused, and streams."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from op_check import array

import fastseq
from fastseq import layers, ops
from fastseq.errors import UnsupportedError

X, IMAGES = array(3, 4), array(2, 4, 6, 3)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from(["same", "full"]))
def test_correlations_are_numpys(n, m, mode):
    a, b = array(n), array(m, seed=3)
    wanted = np.correlate(a.astype(np.float64), b.astype(np.float64), mode)
    if mode == "full" or n >= m:  # NumPy's "same" turns the two around where the second is longer
        np.testing.assert_allclose(ops.correlate(a, b, mode), wanted, rtol=1e-5, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(0, 9))
def test_places_of_all_axes_are_numpys(shape, seed):
    places = np.random.default_rng(seed).integers(0, np.prod(shape), (2, 3)).astype(np.int32)
    for mine, wanted in zip(ops.unravel_index(places, tuple(shape)), np.unravel_index(places, shape), strict=True):
        np.testing.assert_array_equal(mine, wanted.astype(np.int32), strict=True)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 3))
def test_pools_of_a_length_are_means_of_its_windows(length, size, channels):
    x = array(2, length, channels)
    cuts = [(i * length // size, -(-(i + 1) * length // size)) for i in range(size)]
    mean = np.stack([x[:, a:b].astype(np.float64).mean(1) for a, b in cuts], 1)
    np.testing.assert_allclose(ops.adaptive_average_pool(x, size), mean, rtol=1e-6, atol=1e-7)
    largest = np.stack([x[:, a:b].max(1) for a, b in cuts], 1)
    np.testing.assert_array_equal(ops.adaptive_max_pool(x, size), largest)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3), st.integers(1, 2), st.integers(0, 2), st.integers(1, 3))
def test_what_is_unfolded_and_folded_counts_the_windows_of_each_element(kernel, dilation, padding, stride):
    x = array(1, 2, 7, 6)
    options = (kernel, dilation, padding, stride)
    many = ops.fold(ops.unfold(np.ones_like(x), *options), (7, 6), *options)
    np.testing.assert_allclose(ops.fold(ops.unfold(x, *options), (7, 6), *options), x * many, rtol=1e-6)


def test_blocks_are_put_back():
    for kind in ("channels_last", "channels_first"):
        x = IMAGES if kind == "channels_last" else IMAGES.transpose(0, 3, 1, 2)
        np.testing.assert_array_equal(ops.depth_to_space(ops.space_to_depth(x, 2, kind), 2, kind), x)
    x = ops.rearrange(IMAGES, "b (h r) (w s) c -> (b w) (s h) (r c)", r=2, s=3)
    np.testing.assert_array_equal(ops.rearrange(x, "(b w) (s h) (r c) -> b (h r) (w s) c", b=2, s=3, r=2), IMAGES)


def test_distances_of_equal_rows_are_0():
    np.testing.assert_array_equal(np.diag(ops.cdist(X, X)), np.zeros(3))
    assert ops.psnr(X, X, 1.0) == np.inf


@pytest.mark.parametrize(("make", "error", "words"), [
    (lambda: ops.trapezoid(X, axis=2), ValueError, "ops.trapezoid: axis 2"),
    (lambda: ops.trapezoid(layers.Input((4,)), layers.Input((4,))), UnsupportedError, "ops.trapezoid: x is numbers"),
    (lambda: ops.vander(X), ValueError, r"ops.vander takes \(n,\)"),
    (lambda: ops.corrcoef(X[0]), ValueError, r"ops.corrcoef takes rows of samples.*got shape \(4,\)"),
    (lambda: ops.correlate(X, X), ValueError, r"ops.correlate takes \(n,\) and \(m,\), got \(3, 4\)"),
    (lambda: ops.correlate(X[0], X[0], "half"), ValueError, "Invalid mode: 'half'"),
    (lambda: ops.correlate(X[0, :2], X[0]), ValueError, "leave no result"),
    (lambda: ops.unravel_index([1], (2, None)), ValueError, "`shape` is made of sizes above 0.*None"),
    (lambda: ops.unravel_index([1.0], (2,)), TypeError, "ops.unravel_index: indices are integers"),
    (lambda: ops.argpartition(X, 4), ValueError, "ops.argpartition: kth=4 is out of bounds: axis 1"),
    (lambda: ops.cdist(X, X[:, :2]), ValueError, r"ops.cdist takes .*got \(3, 4\) and \(3, 2\)"),
    (lambda: ops.psnr(X, X[:2], 1.0), ValueError, "must match for PSNR"),
    (lambda: ops.space_to_depth(IMAGES, 4), ValueError, "ops.space_to_depth: 4 does not divide axis 2"),
    (lambda: ops.depth_to_space(IMAGES, 2), ValueError, "ops.depth_to_space: 4 does not divide axis 3"),
    (lambda: ops.depth_to_space(X, 2), ValueError, "ops.depth_to_space takes four axes"),
    (lambda: ops.unfold(IMAGES, 5), ValueError, "ops.unfold: windows of .* leave nothing"),
    (lambda: ops.fold(array(1, 8, 5), 4, 2), ValueError, r"ops.fold takes \(batch, channels \* 4, 9\)"),
    (lambda: ops.rearrange(X, "a b, b a"), ValueError, "has no two sides"),
    (lambda: ops.rearrange(X, "a b -> a c"), ValueError, r"does not fit an array of shape \(3, 4\)"),
    (lambda: ops.rearrange(X, "a (b c) -> a b c", c=3), ValueError, "b c of .* does not fit a size of 4"),
    (lambda: ops.rearrange(X, "a (b c) -> a b c"), ValueError, "b c of .* does not fit a size of 4"),
    (lambda: ops.adaptive_max_pool(IMAGES, 2), NotImplementedError, "ops.adaptive_max_pool takes sequences"),
    (lambda: ops.adaptive_average_pool(array(1, 4, 2), 0), ValueError, "a length from 1 on"),
    (lambda: ops.adaptive_average_pool(layers.Input((None, 2)), 3), ValueError, "must be statically known"),
])  # fmt: skip
def test_what_does_not_fit_raises(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_streams_what_keeps_time():
    inputs = layers.Input((None, 4))
    h = layers.SimpleRNN(4, return_sequences=True)(inputs)
    x = array(2, 6, 4)
    for function in (lambda h: ops.trapezoid(h), lambda h: ops.rearrange(h, "b t (r c) -> b t c r", r=2),
                     lambda h: ops.argpartition(h, 1)):  # fmt: skip
        model = fastseq.Model(inputs, function(h))
        whole, stream = model(x), model.stream(batch_size=2)
        for t in range(6):
            np.testing.assert_array_equal(stream.step(x[:, t]), whole[:, t])
    for function in (lambda h: ops.trapezoid(h, axis=1), lambda h: ops.corrcoef(h), lambda h: ops.cdist(h, h),
                     lambda h: ops.rearrange(h, "b t c -> b (t c)")):  # fmt: skip
        with pytest.raises(ValueError, match="cannot run in a stream"):
            fastseq.Model(inputs, function(h)).stream()


def test_a_file_has_patterns(tmp_path):
    """Keras itself takes no graph with an unknown batch through rearrange."""
    inputs = layers.Input((4, 6))
    model = fastseq.Model(inputs, ops.rearrange(inputs, "b t (n c) -> b (t n) c", n=2))
    model.save(tmp_path / "model.keras")
    x = array(3, 4, 6)
    np.testing.assert_array_equal(fastseq.load_model(tmp_path / "model.keras")(x), x.reshape(3, 8, 3))

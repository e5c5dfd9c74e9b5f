"""Reductions beside NumPy: axes, dtypes, special values, what they refuse, and what streams make of them."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from op_check import array

import fastseq
from fastseq import ops
from fastseq.streaming import Stream

SHAPES = hnp.array_shapes(min_dims=1, max_dims=5, min_side=1, max_side=5)
INTEGERS = st.integers(-(2**31), 2**31 - 1)
FLOATS = st.one_of(  # denormals are 0 in programs
    st.floats(-4, 4, width=32, allow_subnormal=False),
    st.sampled_from([0.0, -0.0, float("nan"), float("inf"), -float("inf")]),
)


def drawn_axes(data, shape):
    """An int, a tuple or None, negative ones among them."""
    axes = data.draw(st.sets(st.integers(0, len(shape) - 1)))
    if not axes:
        return None
    signed = tuple(axis - len(shape) * data.draw(st.integers(0, 1)) for axis in sorted(axes))
    return signed[0] if len(signed) == 1 and data.draw(st.booleans()) else signed


@settings(max_examples=100, deadline=None)
@given(st.data(), SHAPES, st.booleans())
def test_floats_are_numpys(data, shape, keepdims):
    x, axis = data.draw(hnp.arrays(np.float32, shape, elements=FLOATS)), drawn_axes(data, shape)
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore", category=RuntimeWarning):
        for name in ("max", "min", "amax", "amin", "nanmax", "nanmin", "all", "any", "ptp"):
            wanted = np.asarray(getattr(np, name)(x, axis=axis, keepdims=keepdims))
            np.testing.assert_array_equal(np.asarray(getattr(ops, name)(x, axis, keepdims)), wanted, strict=True)
        for name in ("sum", "mean", "prod", "nansum", "nanmean", "nanprod", "var", "std", "nanvar"):
            wanted = np.asarray(getattr(np, name)(x.astype(np.float64), axis=axis, keepdims=keepdims))
            got = np.asarray(getattr(ops, name)(x, axis, keepdims))
            assert got.dtype == np.float32
            # The mean rounds to float32: what is left of large numbers that are nearly the same is off by as much.
            large = np.abs(x[np.isfinite(x)]).max(initial=1) * 2.0**-23
            off = {"var": large**2, "nanvar": large**2, "std": large}.get(name, 0.0)
            np.testing.assert_allclose(got, wanted.astype(np.float32), rtol=3e-6, atol=1e-5 + off, equal_nan=True)
        wanted = np.asarray(np.count_nonzero(x, axis=axis))
        np.testing.assert_array_equal(np.asarray(ops.count_nonzero(x, axis)), wanted)


@settings(max_examples=60, deadline=None)
@given(st.data(), SHAPES, st.booleans())
def test_integers_are_numpys(data, shape, keepdims):
    x, axis = data.draw(hnp.arrays(np.int32, shape, elements=INTEGERS)), drawn_axes(data, shape)
    for name in ("sum", "prod", "max", "min"):
        kwargs = {"dtype": np.int32} if name in ("sum", "prod") else {}
        wanted = np.asarray(getattr(np, name)(x, axis=axis, keepdims=keepdims, **kwargs))
        np.testing.assert_array_equal(np.asarray(getattr(ops, name)(x, axis, keepdims)), wanted, strict=True)


@settings(max_examples=60, deadline=None)
@given(st.data(), SHAPES)
def test_weighted_means_are_numpys(data, shape):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    weights = np.random.default_rng(1).uniform(0.1, 2, shape[axis]).astype(np.float32)
    np.testing.assert_allclose(ops.average(x, axis, weights), np.average(x, axis, weights), rtol=2e-5, atol=1e-6)
    full = np.broadcast_to(np.abs(x) + 1, shape)
    np.testing.assert_allclose(ops.average(x, axis, full), np.average(x, axis, full), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "wanted"), [("sum", 0), ("prod", 1), ("count_nonzero", 0), ("all", True), ("any", False)]
)
def test_of_no_elements(name, wanted):
    got = getattr(ops, name)(np.zeros((0, 3), np.float32), axis=0)
    np.testing.assert_array_equal(got, np.full(3, wanted))


def test_a_batch_of_no_rows():
    x = np.zeros((0, 3), np.float32)
    for name in ("sum", "max", "mean", "prod", "nanmax", "std"):
        assert getattr(ops, name)(x, axis=1).shape == (0,)


def test_what_is_refused():
    x = np.zeros((2, 0), np.float32)
    with pytest.raises(ValueError, match=r"ops\.max: an array of shape \(2, 0\) has no max over axis=1"):
        ops.max(x, axis=1)
    np.testing.assert_array_equal(ops.max(x, axis=1, initial=3.0), [3.0, 3.0])
    with pytest.raises(ValueError, match=r"ops\.sum: axis 2 is out of bounds for an array of shape \(2, 0\)"):
        ops.sum(x, axis=2)
    with pytest.raises(ValueError, match=r"ops\.average: weights of shape \(2,\) do not fit"):
        ops.average(np.ones((2, 3), np.float32), 1, [1.0, 2.0])


def test_streams_take_what_keeps_the_timesteps_and_refuse_what_does_not():
    x = fastseq.Input((None, 5))
    centred = x - ops.mean(x, axis=-1, keepdims=True)
    model = fastseq.Model(x, centred / (ops.std(x, axis=-1, keepdims=True) + 1e-3))
    values = array(1, 6, 5)
    stream = Stream(model)
    np.testing.assert_array_equal(np.stack([stream.step(values[:, t]) for t in range(6)], 1), model(values))
    with pytest.raises(ValueError, match="takes all timesteps together"):
        Stream(fastseq.Model(x, ops.max(x, axis=1)))

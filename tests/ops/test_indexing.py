"""Indexing, taking and putting beside NumPy, what they refuse, and what streams make of them."""

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

X, IDS = array(3, 4), array(3, 4, dtype="int32")
SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)


def numbers(shape, dtype=np.float32):
    return np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)


@settings(max_examples=80, deadline=None)
@given(st.data(), SHAPES, st.sampled_from([np.float32, np.int32, np.bool_]))
def test_get_item_is_numpys(data, shape, dtype):
    x = numbers(shape, dtype)
    key = data.draw(hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True, max_dims=6))
    np.testing.assert_array_equal(ops.get_item(x, key), x[key], strict=True)


@pytest.mark.parametrize("x", [X, IDS], ids=["float32", "int32"])
def test_a_plain_int_is_a_place_beside_floats_too(x):
    for axis, places in ((0, (0, 2, -1)), (1, (3, -2)), (None, (5, -1))):
        for place in places:
            np.testing.assert_array_equal(ops.take(x, place, axis=axis), np.take(x, place, axis=axis), strict=True)
    for wrong, error in ((1.0, TypeError), (9, IndexError)):
        with pytest.raises(error, match=r"ops\.take: ind"):
            ops.take(x, wrong, axis=0)
    np.testing.assert_array_equal(ops.ldexp(x, 2), np.float32(x * 4), strict=True)
    with pytest.raises(TypeError, match="integers, not float32"):
        ops.ldexp(x, 2.0)


def test_rounds_of_a_loop_take_by_their_number():
    def total(x):
        return ops.sum(ops.fori_loop(0, 3, lambda i, v: v + ops.take(x, i, axis=0) * v, x[1]))

    x = np.float32([[1, 2], [3, 4], [5, 6]])
    assert total(x) == np.sum(x[1] * np.prod(1 + x, axis=0))
    value, gradient = fastseq.value_and_grad(total)(x)
    assert value == total(x)
    own = np.where(np.arange(3)[:, None] == 1, np.prod(1 + x, axis=0), 0)
    np.testing.assert_allclose(gradient, x[1] * np.prod(1 + x, axis=0) / (1 + x) + own, rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.data(), hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4))
def test_take_and_take_along_axis_are_numpys(data, shape):
    x = numbers(shape)
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    size = shape[axis]
    ids = data.draw(hnp.arrays(np.int32, hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3),
                               elements=st.integers(-size, size - 1)))  # fmt: skip
    np.testing.assert_array_equal(ops.take(x, ids, axis=axis), np.take(x, ids, axis=axis), strict=True)
    own = list(shape)
    own[axis] = data.draw(st.integers(0, 3))
    along = data.draw(hnp.arrays(np.int32, tuple(own), elements=st.integers(-size, size - 1)))
    np.testing.assert_array_equal(ops.take_along_axis(x, along, axis), np.take_along_axis(x, along, axis), strict=True)


@settings(max_examples=40, deadline=None)
@given(st.data(), st.integers(1, 3), st.sampled_from([np.float32, np.int32]))
def test_scatter_update_is_a_loop(data, depth, dtype):
    x, count = numbers((3, 2, 70), dtype), data.draw(st.integers(0, 5))
    ids = np.array([[data.draw(st.integers(0, size - 1)) for size in x.shape[:depth]] for _ in range(count)], np.int32)
    ids, v = ids.reshape(count, depth), numbers((count, *x.shape[depth:]), dtype) - 40
    kinds = {None: lambda a, b: b, "add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}
    for kind, function in kinds.items():
        wanted = x.copy()
        for one, value in zip(ids, v):
            wanted[tuple(one)] = function(wanted[tuple(one)], value)
        np.testing.assert_array_equal(ops.scatter_update(x, ids, v, reduction=kind), wanted, strict=True)


def test_arrays_beside_other_keys():
    y, ids = numbers((2, 3, 4)), np.array([[2, 0], [1, -1]])
    whole, zeros = slice(None), ids * 0
    for key in [zeros[:, :1], (whole, ids), (0, ids), (..., ids), (zeros, 1), (whole, ids, 1), (None, zeros)]:
        np.testing.assert_array_equal(ops.get_item(y, key), y[key], strict=True)


def test_starts_that_are_computed():
    np.testing.assert_array_equal(ops.slice(X, np.array([1, 0]), (2, 3)), X[1:3, :3])
    p_start = fastseq.layers.Input((2,), batch_size=2, dtype="int32")
    tensor = fastseq.layers.Input((4,), batch_size=3)
    model = fastseq.Model([tensor, p_start], ops.slice(tensor, p_start[0], (2, 2)))
    np.testing.assert_array_equal(model([X, np.array([[1, 2], [0, 0]], np.int32)]), X[1:3, 2:4])
    updated = fastseq.Model([tensor, p_start], ops.slice_update(tensor, p_start[0], np.ones((2, 2), np.float32)))
    wanted = X.copy()
    wanted[1:3, 2:4] = 1  # a start of 3 would reach beyond the end
    np.testing.assert_array_equal(updated([X, np.array([[1, 3], [0, 0]], np.int32)]), wanted)


@pytest.mark.parametrize(("make", "error", "words"), [
    (lambda: ops.get_item(X, 3), IndexError, "index 3 is out of bounds for axis 0"),
    (lambda: ops.get_item(X, (0, 0, 0)), IndexError, "not as many axes"),
    (lambda: ops.get_item(X, (..., 0, ...)), ValueError, "one ellipsis"),
    (lambda: ops.get_item(X, "a"), ValueError, "Unsupported key"),
    (lambda: ops.get_item(X, X > 0), UnsupportedError, "depends on its values"),
    (lambda: ops.get_item(X, True), UnsupportedError, "depends on its values"),
    (lambda: ops.get_item(X, (np.array([0, 1]), np.array([0, 1]))), UnsupportedError, "one array"),
    (lambda: ops.get_item(array(2, 2, 2), (0, slice(None), np.array([0]))), UnsupportedError, "next to it"),
    (lambda: ops.take(X, [0, 4], axis=1), IndexError, r"index 4 at \(1,\) is out of bounds for an axis of size 4"),
    (lambda: ops.take(X, [-4], axis=0), IndexError, "index -4 .* size 3"),
    (lambda: ops.take(X, [0.5], axis=0), TypeError, "integers"),
    (lambda: ops.take(X, [0], axis=2), ValueError, "axis 2"),
    (lambda: ops.take_along_axis(X, [0], axis=0), ValueError, "shapes"),
    (lambda: ops.slice(X, [0, 2], (3, 3)), ValueError, "beyond axis 1"),
    (lambda: ops.slice(X, [0], (3, 3)), ValueError, "1 start indices for 2 axes"),
    (lambda: ops.slice_update(X, [0, 0], array(4, 4)), ValueError, "updates of shape"),
    (lambda: ops.scatter([[4]], [1.0], (4,)), IndexError, "index 4"),
    (lambda: ops.scatter([[-1]], [1.0], (4,)), IndexError, "index -1"),
    (lambda: ops.scatter([[0]], [[1.0]], (4,)), ValueError, "do not fit"),
    (lambda: ops.scatter_update(X, [[0]], array(1, 4), reduction="mean"), ValueError, "Invalid reduction"),
    (lambda: ops.one_hot(IDS, 3, sparse=True), UnsupportedError, "sparse"),
    (lambda: ops.one_hot(IDS, 3, axis=3), ValueError, "axis must be"),
    (lambda: ops.one_hot(IDS, -1), ValueError, "num_classes is not negative, got -1"),
    (lambda: ops.multi_hot(IDS, -2), ValueError, "num_classes is not negative, got -2"),
    (lambda: ops.multi_hot(IDS), ValueError, "num_classes"),
    (lambda: ops.where(X > 0, X), ValueError, "either both"),
    (lambda: ops.where(X > 0), UnsupportedError, "depends on values"),
    (lambda: ops.nonzero(X), UnsupportedError, "depends on values"),
    (lambda: ops.unique(X), UnsupportedError, "depends on values"),
])  # fmt: skip
def test_what_does_not_fit_raises(make, error, words):
    with pytest.raises(error, match=words):
        make()


def timed(function):
    inputs = fastseq.layers.Input((None, 4))
    return fastseq.Model(inputs, function(fastseq.layers.SimpleRNN(4, return_sequences=True)(inputs)))


@pytest.mark.parametrize("function", [
    lambda h: h[..., 0], lambda h: h[:, :, 1:3], lambda h: h[:, :, ::-1], lambda h: h[..., None] * 2.0,
    lambda h: ops.take(h, np.array([1, 1, 0]), axis=-1), lambda h: ops.take_along_axis(h, ops.argsort(h), axis=-1),
    lambda h: ops.one_hot(ops.argmax(h, axis=-1), 4),
])  # fmt: skip
def test_streams_what_keeps_time(function):
    model = timed(function)
    x = array(2, 6, 4)
    whole, stream = model(x), Stream(model, batch_size=2)
    for t in range(6):
        np.testing.assert_array_equal(stream.step(x[:, t]), whole[:, t])


@pytest.mark.parametrize("function", [
    lambda h: h[:, 1:], lambda h: h[:, :7], lambda h: h[:, ::2], lambda h: ops.take(h, np.array([0]), axis=1),
    lambda h: ops.slice_update(h, [0, 0, 0], h[:, :1]), lambda h: ops.get_item(h, (0,)) * h,
])  # fmt: skip
def test_streams_refuse_what_mixes_timesteps(function):
    with pytest.raises(ValueError, match="stream"):
        Stream(timed(function), batch_size=2)


@pytest.mark.parametrize("function", [
    lambda x: ops.one_hot(ops.cast(x, "int32"), 10**12), lambda x: ops.pad(x, ((0, 0), (0, 10**12)), mode="edge"),
    lambda x: ops.tile(x, (1, 10**12)), lambda x: ops.repeat(x, 10**12, axis=1),
    lambda x: ops.linspace(x, 1.0, 10**12),
    lambda x: ops.pad(x, ((0, 0), (0, 10**12))), lambda x: ops.extract_sequences(x, 10**12, 1),
    lambda x: ops.diag(x[0], 10**5),
    lambda x: ops.slice(x, [0, 0], (10**12, 1)), lambda x: ops.broadcast_to(x[:1], (10**12, 4)),
])  # fmt: skip
def test_shapes_of_symbolic_calls_take_no_memory(function):
    """They are asked for before anybody says that a file's sizes are too large."""
    function(fastseq.layers.Input((4,)))

"""Other shapes and orders of the same elements beside NumPy, what they refuse, and what streams make of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from op_check import array

import fastseq
from fastseq import ops
from fastseq.streaming import Stream

X, Y = array(3, 4), array(2, 3, 4)
SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)


def numbers(shape, dtype=np.float32):
    return np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)


def same(got, wanted):
    if isinstance(wanted, (list, tuple)):
        assert len(got) == len(wanted)
        for a, b in zip(got, wanted):
            same(a, b)
    else:
        np.testing.assert_array_equal(got, wanted, strict=True)


@settings(max_examples=60, deadline=None)
@given(st.data(), SHAPES, st.sampled_from([np.float32, np.int32, np.bool_]))
def test_one_axis_is_numpys(data, shape, dtype):
    x, axis = numbers(shape, dtype), data.draw(st.integers(-len(shape), len(shape) - 1))
    other, by = data.draw(st.integers(-len(shape), len(shape) - 1)), data.draw(st.integers(-5, 5))
    same(ops.flip(x, axis), np.flip(x, axis))
    same(ops.roll(x, by, axis), np.roll(x, by, axis))
    same(ops.roll(x, by), np.roll(x, by))
    same(ops.repeat(x, abs(by), axis), np.repeat(x, abs(by), axis))
    same(ops.swapaxes(x, axis, other), np.swapaxes(x, axis, other))
    same(ops.moveaxis(x, axis, other), np.moveaxis(x, axis, other))
    same(ops.expand_dims(x, axis), np.expand_dims(x, axis))
    same(ops.array_split(x, abs(by) + 1, axis), np.array_split(x, abs(by) + 1, axis))
    same(ops.concatenate([x, x], axis), np.concatenate([x, x], axis))
    same(ops.stack([x, x], axis), np.stack([x, x], axis))
    same(ops.unstack(x, axis=axis), list(np.moveaxis(x, axis, 0)))
    if len(shape) > 1 and axis % len(shape) != other % len(shape):
        same(ops.diagonal(x, by, axis, other), np.diagonal(x, by, axis, other))
        same(ops.rot90(x, by, (axis, other)), np.rot90(x, by, (axis, other)))
        same(ops.tril(x, by), np.tril(x, by))
        same(ops.triu(x, by), np.triu(x, by))
        if dtype != np.bool_:
            same(ops.trace(x, by, axis, other), np.trace(x, by, axis, other).astype(dtype))


@settings(max_examples=40, deadline=None)
@given(st.data(), hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=3))
def test_pad_and_tile_are_numpys(data, shape):
    x = numbers(shape)
    width = [[data.draw(st.integers(0, 2)) for _ in range(2)] for _ in shape]
    same(ops.pad(x, width, constant_values=5), np.pad(x, width, constant_values=5))
    same(ops.pad(x, width, "edge"), np.pad(x, width, "edge"))
    for mode, most in (("reflect", -1), ("symmetric", 0)):
        fit = [[min(n, size + most) for n in one] for one, size in zip(width, shape)]
        same(ops.pad(x, fit, mode), np.pad(x, fit, mode))
    counts = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=5))
    same(ops.tile(x, counts), np.tile(x, counts))


def test_where_keras_on_tensorflow_cannot():
    """It refuses these, or turns what is not square wrongly."""
    same(ops.pad(X, 1), np.pad(X, 1))
    same(ops.pad(X, ((1, 2),)), np.pad(X, ((1, 2),)))
    same(ops.rot90(X, 2), np.rot90(X, 2))
    same(ops.diagonal(Y, 9, 1, 2), np.diagonal(Y, 9, 1, 2))
    same(ops.eye(4, 2, -1), np.eye(4, 2, -1, dtype=np.float32))
    same(ops.arange(5, 1), np.arange(5, 1).astype(np.int32))


def test_five_axes_and_more():
    x = numbers((2, 3, 2, 2, 3, 2))
    same(ops.transpose(x, (1, 0, 2, 3, 5, 4)), np.transpose(x, (1, 0, 2, 3, 5, 4)))
    same(ops.tile(x, (2, 1, 2, 1, 2, 2)), np.tile(x, (2, 1, 2, 1, 2, 2)))
    same(ops.get_item(x, (slice(None), 0, slice(1, None))), x[:, 0, 1:])


def test_gradients_of_six_axes_come_back_by_the_same_way():
    """Steps walk five: neighbours that stay together on both sides count as one."""
    x, order = array(2, 3, 2, 2, 3, 2), (0, 1, 3, 2, 4, 5)
    w = array(*np.transpose(x, order).shape, seed=1)
    found = fastseq.value_and_grad(lambda x: ops.sum(ops.transpose(x, order) * w))(x)[1]
    np.testing.assert_array_equal(found, w.transpose(order))


def test_sizes_are_ints():
    assert ops.shape(X) == (3, 4) and ops.ndim(Y) == 3
    tensor = fastseq.layers.Input((None, 4))
    assert ops.shape(tensor) == (None, None, 4) and ops.ndim(tensor) == 3
    same(ops.size(X), np.array(12, np.int32))
    model = fastseq.Model(tensor, ops.cast(ops.size(tensor), "float32") + tensor)
    same(model(Y), Y + np.float32(24))


@pytest.mark.parametrize(("make", "words"), [
    (lambda: ops.reshape(X, (5, -1)), r"\(3, 4\) cannot have the shape"),
    (lambda: ops.transpose(X, (0, 0)), "no order of the axes"),
    (lambda: ops.moveaxis(X, (0, 1), 0), "do not belong together"),
    (lambda: ops.moveaxis(X, (0, 0), (0, 1)), "do not belong together"),
    (lambda: ops.broadcast_to(X, (3, 5)), "does not broadcast"),
    (lambda: ops.squeeze(X, 0), "not of size 1"),
    (lambda: ops.concatenate([X, Y]), "not alike"),
    (lambda: ops.concatenate([]), "at least one"),
    (lambda: ops.split(X, 2), "equal parts"),
    (lambda: ops.split(X, [3, 1]), "ascending"),
    (lambda: ops.array_split(X, 0), "number of parts"),
    (lambda: ops.dsplit(X, 2), "no axis 2"),
    (lambda: ops.unstack(X, num=2), "num=2"),
    (lambda: ops.unstack(fastseq.layers.Input((None, 4)), axis=1), "Give num="),
    (lambda: ops.meshgrid([1], [2], indexing="a"), "indexing"),
    (lambda: ops.pad(X, ((1, 1), (1, 1), (1, 1))), "pad_width"),
    (lambda: ops.pad(X, -1), "pad_width"),
    (lambda: ops.pad(X, 1, "wrap"), "mode"),
    (lambda: ops.pad(X, 4, "reflect"), "at most 2"),
    (lambda: ops.pad(X, 1, "reflect", constant_values=1), "constant_values"),
    (lambda: ops.flip(X, 2), "axis 2"),
    (lambda: ops.roll(X, (1, 2), (0, 1, 1)), "do not belong together"),
    (lambda: ops.roll(X, 1.5, 0), "integers"),
    (lambda: ops.repeat(X, [1, 2], 1), "repeats"),
    (lambda: ops.repeat(X, -1), "repeats"),
    (lambda: ops.tile(X, -1), "below 0"),
    (lambda: ops.rot90([1, 2]), "at least 2"),
    (lambda: ops.rot90(X, axes=(0, -2)), "two different"),
    (lambda: ops.diagonal([1, 2]), "no two axes"),
    (lambda: ops.diagonal(X, 0, 1, -1), "same axis"),
    (lambda: ops.diag(Y), "1d or 2d"),
    (lambda: ops.extract_sequences(X, 0, 1), "windows of 0"),
    (lambda: ops.zeros((2, -1)), "no size"),
    (lambda: ops.full((2, 2), [1, 2, 3]), r"ops\.full: .* does not broadcast to \(2, 2\)"),
    (lambda: ops.full_like(X, [1, 2, 3]), r"ops\.full_like: .* \(3,\) does not broadcast to \(3, 4\)"),
    (lambda: ops.full_like(X[0], X), r"ops\.full_like: .* \(3, 4\) does not broadcast to \(4,\)"),
    (lambda: ops.full_like(fastseq.layers.Input((4,)), [1, 2, 3]), r"\(3,\) does not broadcast to \(None, 4\)"),
    (lambda: ops.arange(0, 3, 0), "step is 0"),
    (lambda: ops.linspace(0, 1, -1), "non-negative"),
])  # fmt: skip
def test_what_does_not_fit_raises(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def timed(function):
    inputs = fastseq.layers.Input((None, 4))
    return fastseq.Model(inputs, function(fastseq.layers.SimpleRNN(4, return_sequences=True)(inputs)))


@pytest.mark.parametrize("function", [
    lambda h: ops.flip(h, -1), lambda h: ops.roll(h, 1, 2), lambda h: ops.repeat(h, 2, axis=2),
    lambda h: ops.tile(h, (1, 1, 2)), lambda h: ops.pad(h, ((0, 0), (0, 0), (1, 2)), constant_values=3.0),
    lambda h: ops.pad(h, ((0, 0), (0, 0), (1, 2)), "reflect"), lambda h: ops.split(h, 2, axis=-1)[1],
    lambda h: ops.unstack(h, axis=2)[1], lambda h: ops.expand_dims(h, 2) + h[:, :, :, None],
    lambda h: ops.concatenate([h, ops.zeros_like(h), ops.full_like(h, 2.0)], axis=-1),
    lambda h: ops.extract_sequences(h, 2, 1), lambda h: ops.diagonal(h[..., None] * h[:, :, None], 1, 2, 3),
    lambda h: ops.tril(h[..., None] * h[:, :, None]), lambda h: ops.swapaxes(ops.expand_dims(h, 2), 2, 3),
    lambda h: ops.linspace(h, 1.0, 3, axis=-1), lambda h: ops.stack([h, h], axis=2),
])  # fmt: skip
def test_streams_what_keeps_time(function):
    model = timed(function)
    x = array(2, 6, 4)
    whole, stream = model(x), Stream(model, batch_size=2)
    for t in range(6):
        np.testing.assert_array_equal(stream.step(x[:, t]), whole[:, t])


@pytest.mark.parametrize("function", [
    lambda h: ops.flip(h, 1), lambda h: ops.flip(h), lambda h: ops.roll(h, 1, 1), lambda h: ops.roll(h, 1),
    lambda h: ops.repeat(h, 2, axis=1), lambda h: ops.tile(h, (1, 2, 1)), lambda h: ops.pad(h, 1), ops.ravel,
    lambda h: ops.split(h, 1, axis=1)[0], lambda h: ops.swapaxes(h, 1, 2), lambda h: ops.concatenate([h, h], axis=1),
    lambda h: ops.tril(h), lambda h: ops.diagonal(h, 0, 1, 2), lambda h: ops.reshape(h, (-1, 4)),
    lambda h: ops.cumsum(h, axis=1), lambda h: ops.diff(h, axis=1), lambda h: ops.sort(h, axis=1),
    lambda h: ops.argmax(h, axis=1), lambda h: ops.median(h, axis=1),
])  # fmt: skip
def test_streams_refuse_what_mixes_timesteps(function):
    with pytest.raises(ValueError, match="stream"):
        Stream(timed(function), batch_size=2)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda a, b: ops.stack([a, b]), r"ops\.stack: arrays of shapes \(2, 3\), \(4, 2\) are not of one shape"),
        (lambda a, b: ops.stack([a, a], axis=3), r"ops\.stack: axis 3 is out of bounds for an array of shape \(2, 3\)"),
        (lambda a, b: ops.stack([]), r"ops\.stack\(\) needs at least one array"),
        (
            lambda a, b: ops.hstack([a, b]),
            r"ops\.hstack: arrays of shapes \(2, 3\), \(4, 2\) are not alike beside axis 1",
        ),
        (
            lambda a, b: ops.vstack([a, b]),
            r"ops\.vstack: arrays of shapes \(2, 3\), \(4, 2\) are not alike beside axis 0",
        ),
        (
            lambda a, b: ops.dstack([a, b]),
            r"ops\.dstack: arrays of shapes \(2, 3\), \(4, 2\) are not alike beside axis 2",
        ),
        (lambda a, b: ops.append(a, b, axis=0), r"ops\.append: arrays of shapes \(2, 3\), \(4, 2\) are not alike"),
        (lambda a, b: ops.concatenate([a, b]), r"ops\.concatenate: arrays of shapes \(2, 3\), \(4, 2\) are not alike"),
        (lambda a, b: ops.average(a, axis=4), r"ops\.average, by ops\.mean: axis 4 is out of bounds"),
        (lambda a, b: ops.moments(a, axes=[4]), r"ops\.moments, by ops\.mean: axis 4 is out of bounds"),
        (lambda a, b: ops.nansum(a, axis=4), r"ops\.nansum, by ops\.sum: axis 4 is out of bounds"),
        (lambda a, b: ops.flipud(ops.sum(a)), r"ops\.flipud, by ops\.flip: axis 0 is out of bounds"),
    ],
)
def test_errors_name_the_function_that_was_called_and_the_shapes_that_it_got(call, message):
    a, b = np.ones((2, 3), "f"), np.ones((4, 2), "f")
    with pytest.raises(ValueError, match=f"^{message}"):
        call(a, b)
    with pytest.raises(ValueError, match=f"^{message}"):  # in traced code, too
        fastseq.value_and_grad(lambda a, b: ops.sum(call(a, b)))(a, b)
    symbols = fastseq.Input(batch_shape=(2, 3)), fastseq.Input(batch_shape=(4, 2))
    with pytest.raises(ValueError, match=f"^{message}"):
        call(*symbols)

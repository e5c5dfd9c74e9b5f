"""Loops that run for tiles of rows by themselves: the same bits, and not where rows meet."""

import numpy as np
import pytest

import fastseq
from fastseq import layers, ops
from fastseq.program.loops import loops_of, share_memory

ROWS, TIME, INPUTS, UNITS = 130, 6, 3, 8  # more rows than a tile has


class Cell(layers.Layer):
    def __init__(self, body, **kwargs):
        super().__init__(**kwargs)
        self.body = body
        self.state_size = self.output_size = UNITS

    def build(self, shape):
        self.kernel = self.add_weight((shape[-1], UNITS), name="kernel")
        self.recurrent = self.add_weight((UNITS, UNITS), name="recurrent")
        self.gain = self.add_weight((UNITS,), initializer="ones", name="gain")

    def call(self, inputs, states):
        (h,) = states
        new = self.body(ops.matmul(inputs, self.kernel) + ops.matmul(h, self.recurrent), self.gain)
        return new, [new]


APART = {
    "sums of rows": lambda x, gain: ops.tanh((x - ops.mean(x, -1, keepdims=True)) * gain),
    "slices": lambda x, gain: ops.concatenate([ops.sigmoid(x[:, :3]), ops.relu(x[:, 3:] * gain[3:])], axis=1),
    "softmax": lambda x, gain: ops.softmax(x) * gain,
    "products by row": lambda x, gain: ops.tanh(
        ops.reshape(ops.matmul(ops.reshape(x, (-1, 4, 2)), ops.reshape(x, (-1, 2, 4)))[:, :2], (-1, 8))
    ),
    "comparisons": lambda x, gain: ops.where(x > 0, ops.log1p(ops.abs(x)), gain * 0.1 * x),
    "the largest": lambda x, gain: ops.tanh(x / (1 + ops.max(ops.abs(x), axis=1, keepdims=True))),
}  # fmt: skip
MEETING = {
    "means of the batch": lambda x, gain: ops.tanh(x - ops.mean(x, axis=0, keepdims=True)),
    "sums so far": lambda x, gain: ops.tanh(ops.cumsum(x, axis=0) * 0.01),
    "the row before": lambda x, gain: ops.tanh(x + ops.roll(x, 1, axis=0)),
    "turned": lambda x, gain: ops.tanh(ops.flip(x, 0) * gain),
    "transposed": lambda x, gain: ops.tanh(ops.reshape(ops.transpose(x), ops.shape(x))),
    "products of rows": lambda x, gain: ops.tanh(ops.matmul(ops.matmul(x, ops.transpose(x)), x) * 1e-3),
}


def model_of(body, **options):
    inputs = fastseq.Input((None, INPUTS))
    layer = layers.RNN(Cell(body), return_sequences=True, **options)
    return fastseq.Model(inputs, layer(inputs))


def draw(rows=ROWS):
    return np.random.default_rng(1).standard_normal((rows, TIME, INPUTS)).astype("f")


def loop_of(model, x):
    ((_, _, loop),) = loops_of(model._programs.program(model, {"inputs": x}).steps)
    return loop


@pytest.mark.parametrize("name", APART)
def test_rows_alone_have_the_bits_of_tiles(name):
    model, x = model_of(APART[name]), draw()
    whole = model(x)
    assert loop_of(model, x).cuts is not None
    for row in (0, 47, 48, 129):
        np.testing.assert_array_equal(model(x[row : row + 1])[0], whole[row])


@pytest.mark.parametrize("name", MEETING)
def test_rows_that_meet_run_together(name):
    model, x = model_of(MEETING[name]), draw()
    cell = model.layers[-1].cell
    found = model(x)
    assert loop_of(model, x).cuts is None
    kernel, recurrent, gain = (np.asarray(w, np.float64) for w in cell.get_weights())
    h = np.zeros((ROWS, UNITS))
    for t in range(TIME):
        z = (x[:, t] @ kernel + h @ recurrent).astype("f")
        h = np.asarray(MEETING[name](z, gain.astype("f")), np.float64)
        np.testing.assert_allclose(found[:, t], h, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("name", APART)
@pytest.mark.parametrize("backwards", [False, True])
def test_training_with_threads_has_the_bits_of_one(name, backwards):
    from fastseq.training.program import gradients_of

    model, x = model_of(APART[name], go_backwards=backwards), draw(512)
    y = np.zeros((512, TIME, UNITS), "f")
    before = fastseq.get_num_threads()
    try:
        fastseq.set_num_threads(1)
        _, wanted = gradients_of(model, x, y, "mse")
        fastseq.set_num_threads(2)
        for _ in range(3):
            _, found = gradients_of(model, x, y, "mse")
            for got, gradient in zip(found, wanted, strict=True):
                np.testing.assert_array_equal(got, gradient)
    finally:
        fastseq.set_num_threads(before)


def test_arrays_of_one_size_share_memory():
    from fastseq.program.slots import Buffer

    buffers = []
    for nbytes, first, last in ((64, 10, 11), (64, 12, 13), (128, 12, 13), (64, 11, 14)):
        buffers.append(Buffer("arena", nbytes))
        buffers[-1].first, buffers[-1].last = first, last
    shared = share_memory(buffers, 10, 20)
    assert [(b.nbytes, b.first, b.last) for b in shared] == [(64, 10, 19), (64, 10, 19), (128, 10, 19)]
    assert buffers[0].shared is buffers[1].shared is not buffers[3].shared

"""sparsemax's gradient: Keras 3.15's formula, whose threshold is not the paper's, differentiated by TensorFlow."""

import numpy as np
import pytest
from layer_check import EPS, rms
from native_steps import on_every_isa, run_step

from fastseq import activations
from fastseq.native.kinds import ACTIVATION_KINDS

SIZES = [(1, 1, 1), (1, 2, 1), (5, 8, 1), (3, 40, 7), (20, 300, 1), (0, 3, 2)]


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("f")


def found(x, dy):
    outer, n, inner = x.shape
    return run_step(
        "row_activation_backward", "dx", x.shape, x=x, dy=dy, scratch=np.zeros((outer, 3, n), "f"), outer=outer, n=n,
        inner=inner, kind=ACTIVATION_KINDS["sparsemax"],
    )  # fmt: skip


@pytest.mark.parametrize("size", [size for size in SIZES if size[1] < 100 and size[0]], ids=str)
def test_differences(size):
    x, dy = 2 * draw(*size), draw(*size, seed=1)
    truth = np.zeros(size)
    for at in np.ndindex(size):
        ends = []
        for sign in (1, -1):
            moved = x.astype("f8")
            moved[at] += sign * 1e-6
            ends.append(np.sum(activations.sparsemax(moved, axis=1) * dy))
        truth[at] = (ends[0] - ends[1]) / 2e-6
    scale = max(1.0, np.abs(truth).max())
    on_every_isa(lambda: found(x, dy), lambda dx: np.testing.assert_allclose(dx, truth, rtol=0, atol=3e-6 * scale))


@pytest.mark.tensorflow
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("kind", ["normal", "ties", "far apart", "negative"])
def test_as_close_as_the_tape(size, kind):
    keras = pytest.importorskip("keras")
    tf = pytest.importorskip("tensorflow")
    x, dy = draw(*size), draw(*size, seed=1)
    if kind == "ties":
        x = np.round(4 * x) / 4  # equal ones, and exact in both types
    x = x * 30 if kind == "far apart" else x - 5 if kind == "negative" else x

    def taped(dtype):
        given = tf.Variable(x.astype(dtype))
        with tf.GradientTape() as tape:
            y = keras.activations.sparsemax(given, axis=1)
        return tape.gradient(y, given, output_gradients=tf.constant(dy.astype(dtype))).numpy()

    keras32, truth = taped("float32"), taped("float64")

    def check(dx):
        assert dx.shape == truth.shape
        assert rms(dx - truth) <= max(1.5 * rms(keras32 - truth), 4 * EPS * np.abs(truth).max(initial=0.0))

    on_every_isa(lambda: found(x, dy), check)


def test_nan_spoils_its_row_alone():
    x, dy = draw(4, 9, 1), draw(4, 9, 1, seed=1)
    clean = found(x, dy)
    x[2, 3] = np.nan
    dx = found(x, dy)
    assert np.isnan(dx[2]).all()
    np.testing.assert_array_equal(np.delete(dx, 2, 0), np.delete(clean, 2, 0))

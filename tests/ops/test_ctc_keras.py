"""ops.ctc_loss and ops.ctc_decode beside Keras's, and the twin in float64: TensorFlow's loss is float32 alone."""

import numpy as np
import pytest
from ctc_twins import loss_and_gradient
from op_check import (
    array,
    assert_close,
    call,
    check_arrays,
    check_gradients,
    check_program,
    check_symbolic,
    name_of,
)

import fastseq
from fastseq import ops

keras = pytest.importorskip("keras")
pytestmark = pytest.mark.tensorflow


def ints(*values):
    return np.array(values, np.int32)


def labels(batch, longest, classes, blank=0, seed=0):
    found = np.random.default_rng([seed, batch, longest]).integers(1, classes, (batch, longest)).astype(np.int32)
    return np.where(found == blank, 0, found) if blank else found


X, LONG = array(3, 6, 5, low=-4, high=4), array(2, 40, 12, low=-3, high=3)
SURE = array(2, 30, 7, low=-20, high=20)
TARGETS = labels(3, 4, 5)
REPEATED = ints([1, 1, 2], [3, 3, 3], [2, 1, 2])
ROWS = [
    call("ctc_loss", TARGETS, X, ints(2, 3, 1), ints(6, 5, 4)),
    call("ctc_loss", TARGETS, X, ints(0, 4, 1), ints(6, 6, 1)),
    call("ctc_loss", REPEATED, X, ints(3, 2, 3), ints(6, 3, 6)),
    call("ctc_loss", labels(2, 10, 12), LONG, ints(10, 7), ints(40, 33)),
    call("ctc_loss", labels(2, 9, 7), SURE, ints(9, 5), ints(30, 30)),
    *(call("ctc_loss", labels(3, 3, 5, blank % 5), X, ints(2, 3, 1), ints(6, 5, 4), mask_index=blank)
      for blank in (2, 4, -1)),
]  # fmt: skip
#: Labels that cannot be reached, lengths of 0, of less and of more.
EDGES = [
    call("ctc_loss", REPEATED, X, ints(3, 3, 3), ints(3, 4, 2)),
    call("ctc_loss", TARGETS, X, ints(2, 0, 4), ints(0, 0, 3)),
    call("ctc_loss", TARGETS, X, ints(5, -1, 2), ints(6, 6, -2)),
    call("ctc_loss", TARGETS, X, ints(2, 2, 2), ints(9, 7, 6)),
]
DECODED = [
    *(call("ctc_decode", x, lengths, merge_repeated=merges, mask_index=blank, grad=False)
      for x, lengths in ((X, ints(6, 0, 3)), (LONG, ints(40, 7))) for merges in (True, False)
      for blank in (0, 2, -1, None)),
    *(call("ctc_decode", x, lengths, strategy="beam_search", beam_width=beams, top_paths=top, mask_index=blank,
           grad=False, ulp=16.0)
      for x, lengths in ((X, ints(6, 2, 3)), (LONG, ints(40, 7)))
      for beams, top, blank in ((100, 1, 0), (30, 3, 2), (1, 1, None), (5, 5, 4))),
]  # fmt: skip


def _twin(c):
    target, x, counts, frames = c.args
    blank = c.kwargs.get("mask_index", 0) % x.shape[2]
    found = [loss_and_gradient(*row, blank) for row in zip(x, target, counts, frames)]
    return tuple(np.stack(parts) for parts in zip(*found))


def _both(c):
    """(fastseq's and Keras's losses, their gradients of the sum of losses times weights), and these weights."""
    import tensorflow as tf

    target, x, counts, frames = c.args
    weights = array(len(x), seed=5)
    given = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(given)
        theirs = keras.ops.ctc_loss(target, given, counts, frames, **c.kwargs)
        total = tf.reduce_sum(theirs * weights)
    gradient = fastseq.value_and_grad(lambda x: ops.sum(ops.ctc_loss(target, x, counts, frames, **c.kwargs) * weights))
    mine = ops.ctc_loss(*c.args, **c.kwargs)
    return (mine, theirs.numpy()), (gradient(x)[1], tape.gradient(total, given).numpy()), weights


@pytest.mark.parametrize("c", ROWS + EDGES, ids=name_of)
def test_loss_is_that_of_the_twin_and_of_keras(c):
    (mine, theirs), (slope, keras_slope), weights = _both(c)
    loss, gradient = _twin(c)
    assert mine.dtype == np.float32 and mine.shape == theirs.shape
    assert_close(mine, theirs, loss, 2.0, "loss")
    assert_close(slope, keras_slope, gradient * weights[:, None, None], 8.0, "gradient")
    check_program(c, [mine])
    check_symbolic(c)


def test_labels_that_are_no_classes_are_as_in_tensorflow():
    for target in (ints([0, 2]), ints([7, 2]), ints([-1, 2])):
        c = call("ctc_loss", target, X[:1], ints(2), ints(6))
        check_arrays(c._replace(ulp=64.0))  # Keras's float64 is its float32
        check_gradients(c._replace(ulp=64.0))
    for blank in (1, 2):  # the blank among the labels is another class
        check_arrays(call("ctc_loss", ints([blank, 2, 2]), X[:1], ints(3), ints(6), mask_index=blank, ulp=64.0))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("frame", [1, 5])
def test_a_logit_that_is_not_finite_makes_its_row_nan(value, frame):
    x = X.copy()
    x[1, frame, 2] = value
    (mine, theirs), (slope, keras_slope), _ = _both(call("ctc_loss", TARGETS, x, ints(2, 2, 2), ints(6, 4, 6)))
    np.testing.assert_array_equal(np.isnan(mine), np.isnan(theirs))
    np.testing.assert_array_equal(np.isnan(slope), np.isnan(keras_slope))


@pytest.mark.parametrize("c", DECODED, ids=name_of)
def test_decoded_like_keras(c):
    if c.kwargs.get("strategy") == "beam_search" and c.kwargs["mask_index"] is None:
        got = check_arrays(c)
        check_program(c, got)
        return
    negative = c.kwargs["mask_index"] is not None and c.kwargs["mask_index"] < 0
    got = check_arrays(c)
    check_program(c, got)
    check_symbolic(c)
    assert not negative or got[0].max() < c.args[0].shape[2] - 1

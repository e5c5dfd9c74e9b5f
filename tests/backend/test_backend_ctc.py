"""backend.ctc_batch_cost and ctc_decode beside Keras 2's."""

import numpy as np
import pytest
from ctc_twins import loss_and_gradient
from op_check import array, assert_close

import fastseq
from fastseq import backend as K
from fastseq import ops


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def ints(*values):
    return np.array(values, np.int32)


P = softmax(array(3, 9, 6, low=-3, high=3))
TARGETS = ints([0, 1, 4], [3, 3, 2], [2, 2, 2])
LENGTHS = (ints([9], [6], [5]), ints([3], [2], [3]))


@pytest.mark.tensorflow
@pytest.mark.parametrize("frames", [LENGTHS[0], ints([3], [9], [4])], ids=["enough", "repeats without room"])
def test_costs_and_gradients(frames):
    import tensorflow as tf
    import tf_keras

    weights, counts = array(3, 1, seed=3), LENGTHS[1]
    given = tf.constant(P)
    with tf.GradientTape() as tape:
        tape.watch(given)
        theirs = tf_keras.backend.ctc_batch_cost(TARGETS, given, frames, counts)
        total = tf.reduce_sum(theirs * weights)
    mine = K.ctc_batch_cost(TARGETS, P, frames, counts)
    slope = fastseq.value_and_grad(lambda p: ops.sum(K.ctc_batch_cost(TARGETS, p, frames, counts) * weights))(P)[1]
    shares = P.astype(np.float64) + 1e-7
    rows = [loss_and_gradient(*row, 5, exact=True) for row in zip(np.log(shares), TARGETS, counts[:, 0], frames[:, 0])]
    loss = np.array([[row[0]] for row in rows])
    assert_close(mine, theirs.numpy(), loss, 4.0, "loss")
    possible = np.isfinite(loss[:, 0])
    truth = np.stack([row[1] for row in rows]) / shares * weights[..., None]
    keras_slope = tape.gradient(total, given).numpy()
    assert_close(slope[possible], keras_slope[possible], truth[possible], 16.0, "gradient")
    np.testing.assert_allclose(slope, keras_slope, rtol=1e-4, atol=1e-4)


@pytest.mark.tensorflow
@pytest.mark.parametrize("options", [
    {}, {"greedy": False}, {"greedy": False, "beam_width": 5, "top_paths": 3},
], ids=str)  # fmt: skip
def test_decoded(options):
    import tf_keras

    repeated = softmax(array(2, 20, 4, seed=4, low=-2, high=2))
    for p, frames in ((P, ints(9, 4, 6)), (repeated, ints(20, 11))):
        mine, scores = K.ctc_decode(p, frames, **options)
        theirs, keras_scores = tf_keras.backend.ctc_decode(p, frames, **options)
        assert len(mine) == len(theirs) and all(labels.dtype == np.int32 for labels in mine)
        for labels, wanted in zip(mine, theirs):
            np.testing.assert_array_equal(labels, wanted)
        np.testing.assert_allclose(scores, keras_scores, rtol=2e-6)


@pytest.mark.parametrize(("change", "words"), [
    ({"label_length": ints([3], [0], [3])}, "row 1 has no labels"),
    ({"label_length": ints([3], [4], [3])}, "row 1 is longer than its array"),
    ({"input_length": ints([9], [6], [12])}, "row 2 is longer than its array"),
    ({"input_length": ints([9], [6], [2])}, "row 2 has more labels than frames"),
    ({"y_true": ints([0, 1, 5], [3, 3, 2], [2, 2, 2])}, "row 0 has a label that is no class, or the blank"),
    ({"y_true": ints([0, 1, 4], [3, -1, 2], [2, 2, 2])}, "row 1 has a label that is no class, or the blank"),
], ids=str)  # fmt: skip
def test_rows_that_have_no_cost(change, words):
    arguments = {"y_true": TARGETS, "y_pred": P, "input_length": LENGTHS[0], "label_length": LENGTHS[1], **change}
    with pytest.raises(ValueError, match=f"backend.ctc_batch_cost: {words}"):
        K.ctc_batch_cost(**arguments)


def test_symbolic_tensors_are_told_where_to_go():
    x = fastseq.layers.Input((9, 6))
    for call in (lambda: K.ctc_decode(x, ints(9)), lambda: K.ctc_batch_cost(TARGETS, x, *LENGTHS)):
        with pytest.raises(TypeError, match=r"inside of a .* of your own, or take ops.ctc_loss"):
            call()


def test_in_a_layer_of_the_user_s():
    class Cost(fastseq.layers.Layer):
        def call(self, x):
            self.add_loss(K.mean(K.ctc_batch_cost(TARGETS, x, *LENGTHS)))
            return K.ctc_decode(x, ints(9, 6, 5))[0][0]

    layer = Cost()
    np.testing.assert_array_equal(layer(P), K.ctc_decode(P, ints(9, 6, 5))[0][0])
    np.testing.assert_allclose(layer.losses[0], K.ctc_batch_cost(TARGETS, P, *LENGTHS).mean(), rtol=1e-6)

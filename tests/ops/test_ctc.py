"""Connectionist temporal classification beside its definition: sums over all paths; in models, streams and training."""

import numpy as np
import pytest
from ctc_twins import ELSEWHERE, loss_and_gradient, probabilities, searched, softmax
from hypothesis import given, settings
from hypothesis import strategies as st
from op_check import array

import fastseq
from fastseq import layers, ops


def ints(*values):
    return np.array(values, np.int32)


@st.composite
def rows(draw):
    """(logits (timesteps, classes), labels, blank) of few paths."""
    timesteps, classes = draw(st.integers(1, 5)), draw(st.integers(2, 4))
    x = array(timesteps, classes, seed=draw(st.integers(0, 99)), low=-3, high=3)
    blank = draw(st.integers(0, classes - 1))
    others = [c for c in range(classes) if c != blank]
    return x, draw(st.lists(st.sampled_from(others), min_size=1, max_size=3)), blank


@settings(max_examples=60, deadline=None)
@given(rows())
def test_the_loss_is_of_all_paths(row):
    x, labels, blank = row
    found = probabilities(x, blank)
    target = ints(labels)
    args = target, x[None], ints(len(labels)), ints(len(x))
    loss = ops.ctc_loss(*args, mask_index=blank)[0]
    if tuple(labels) not in found:
        assert loss > -np.log(ELSEWHERE) - 1
        return
    share, through = found[tuple(labels)]
    np.testing.assert_allclose(loss, -np.log(share), rtol=3e-7, atol=1e-7)
    gradient = fastseq.value_and_grad(lambda x: ops.sum(ops.ctc_loss(target, x, *args[2:], mask_index=blank)))(x[None])
    np.testing.assert_allclose(gradient[1][0], softmax(x) - through / share, rtol=1e-6, atol=1e-7)


@settings(max_examples=40, deadline=None)
@given(rows(), st.integers(1, 4))
def test_a_search_of_all_beginnings_finds_the_most_probable_labels(row, top):
    x, _, blank = row
    found = {labels: share for labels, (share, _) in probabilities(x, blank).items()}
    best = sorted(found, key=found.get, reverse=True)[:top]
    args = x[None], ints(len(x))
    if len(best) < top:
        with pytest.raises(ValueError, match="row 0 has less paths than top_paths"):
            ops.ctc_decode(*args, "beam_search", 400, top, mask_index=blank)
        return
    paths, scores = ops.ctc_decode(*args, "beam_search", 400, top, mask_index=blank)
    np.testing.assert_allclose(scores[0], np.log([found[labels] for labels in best]), rtol=1e-6, atol=1e-7)
    for labels, path in zip(best, paths[:, 0]):
        assert path.tolist() == [*labels, *[-1] * (len(x) - len(labels))]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 20), st.integers(2, 8), st.sampled_from([1, 2, 5, 12]), st.integers(0, 999))
def test_a_search_prunes_as_its_twin_does(timesteps, classes, width, seed):
    x, blank = array(timesteps, classes, seed=seed, low=-3, high=3), seed % classes
    wanted = searched(x, width, blank)
    paths, scores = ops.ctc_decode(x[None], ints(timesteps), "beam_search", width, len(wanted), mask_index=blank)
    np.testing.assert_allclose(scores[0], [score for _, score in wanted], rtol=1e-6, atol=1e-7)
    for (labels, _), path in zip(wanted, paths[:, 0]):
        assert path.tolist() == [*labels, *[-1] * (timesteps - len(labels))]


def test_a_long_row_whose_probability_no_double_holds():
    x, labels = array(1, 700, 6, low=-30, high=0), ints([1, 2, 3, 4, 5] * 40)
    x[..., 0] = 30.0  # blanks are certain, all of the labels least probable: 200 of them
    loss = ops.ctc_loss(labels, x, ints(200), ints(700))
    twin, gradient = loss_and_gradient(x[0], labels[0], 200, 700, 0)
    np.testing.assert_allclose(loss[0], twin, rtol=1e-6)
    found = fastseq.value_and_grad(lambda x: ops.sum(ops.ctc_loss(labels, x, ints(200), ints(700))))(x)[1]
    np.testing.assert_allclose(found[0], gradient, atol=1e-6)


def test_a_row_alone_and_on_threads_has_the_same_bits():
    x, labels = array(40, 30, 9, low=-3, high=3), np.full((40, 5), 3, np.int32)
    labels[:, ::2] = 1
    counts, frames = np.arange(40, dtype=np.int32) % 6, np.arange(40, dtype=np.int32) % 31
    whole = ops.ctc_loss(labels, x, counts, frames)
    slope = fastseq.value_and_grad(lambda x, *rest: ops.sum(ops.ctc_loss(labels, x, counts, frames)))(x)[1]
    for strategy in ("greedy", "beam_search"):
        paths, scores = ops.ctc_decode(x, frames, strategy, 8)
        with fastseq.num_threads(1):
            one = ops.ctc_decode(x[7:8], frames[7:8], strategy, 8)
        np.testing.assert_array_equal(one[0][:, 0], paths[:, 7])
        np.testing.assert_array_equal(one[1][0], scores[7])
    with fastseq.num_threads(1):
        np.testing.assert_array_equal(ops.ctc_loss(labels[5:6], x[5:6], counts[5:6], frames[5:6])[0], whole[5])
        alone = fastseq.value_and_grad(
            lambda x: ops.sum(ops.ctc_loss(labels[5:6], x, counts[5:6], frames[5:6]))
        )(x[5:6])[1]  # fmt: skip
    np.testing.assert_array_equal(alone[0], slope[5])


def test_empty_batches():
    args = np.zeros((0, 2), np.int32), np.zeros((0, 4, 3), np.float32), np.zeros(0, np.int32), np.zeros(0, np.int32)
    assert ops.ctc_loss(*args).shape == (0,)
    for strategy in ("greedy", "beam_search"):
        paths, scores = ops.ctc_decode(args[1], args[3], strategy)
        assert paths.shape == (1, 0, 4) and scores.shape == (0, 1)


X = array(2, 4, 3)


@pytest.mark.parametrize(("make", "words"), [
    (lambda: ops.ctc_loss(ints([1]), X, ints(1, 1), ints(4, 4)), r"ops.ctc_loss: .*target \(1, 1\)"),
    (lambda: ops.ctc_loss(ints(1, 1), X, ints(1, 1), ints(4, 4)), r"ops.ctc_loss: .*target \(2,\)"),
    (lambda: ops.ctc_loss(ints([1], [1]), X[0], ints(1, 1), ints(4, 4)), r"ops.ctc_loss: .*logits \(4, 3\)"),
    (lambda: ops.ctc_loss(ints([1], [1]), X, ints(1, 1), ints(4, 4), 3), "mask_index=3 is none of 3 classes"),
    (lambda: ops.ctc_loss(ints([1], [1]), X[..., :0], ints(1, 1), ints(4, 4)), "at least one class"),
    (lambda: ops.ctc_decode(X, ints(4)), r"ops.ctc_decode: .*sequence_lengths \(1,\)"),
    (lambda: ops.ctc_decode(X, ints(4, 5)), "ops.ctc_decode: row 1 is longer than its array"),
    (lambda: ops.ctc_decode(X, ints(4, 4), mask_index=-4), "mask_index=-4 is none of 3 classes"),
    (lambda: ops.ctc_decode(X, ints(4, 4), "best"), "strategy is one of greedy, beam_search, got 'best'"),
    (lambda: ops.ctc_decode(X, ints(4, 4), "beam_search", 2, 3), r"top_paths is within \[1, beam_width\], got 3 and 2"),
    (lambda: ops.ctc_decode(X, ints(4, 4), "beam_search", 2, 0), "top_paths is within"),
    (lambda: ops.ctc_decode(X, ints(4, 0), "beam_search", 4, 2), "row 1 has less paths than top_paths"),
])  # fmt: skip
def test_what_does_not_fit_raises(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_streams_refuse_both():
    inputs = layers.Input((None, 4))
    h = layers.SimpleRNN(3, return_sequences=True)(inputs)
    for outputs in (ops.ctc_loss(ints([1], [2]), h, ints(1, 1), ints(5, 5)), ops.ctc_decode(h, ints(5, 5))[0]):
        model = fastseq.Model(inputs, outputs)
        with pytest.raises(ValueError, match="cannot run in a stream: it takes all timesteps together"):
            model.stream()


def test_a_model_learns_its_labels_by_native_steps():
    """CTC as a loss of the user's: the labels of 8 sequences in 100 epochs."""
    x, labels = array(8, 12, 4, seed=3), np.random.default_rng(1).integers(1, 5, (8, 3)).astype(np.int32)

    def loss(y_true, y_pred):
        counts = ops.sum(ops.cast(ops.not_equal(y_true, 0), "int32"), axis=-1)
        return ops.ctc_loss(y_true, y_pred, counts, ops.full_like(counts, 12))

    inputs, h = layers.Input((12, 4)), layers.LSTM(16, return_sequences=True)
    model = fastseq.Model(inputs, layers.Dense(5)(layers.Bidirectional(h)(inputs)))
    model.compile("adam", loss)
    model.optimizer.learning_rate = 0.03
    losses = model.fit(x, labels, epochs=100, batch_size=8, verbose=0, shuffle=False).history["loss"]
    assert losses[-1] < 0.1 < 5 < losses[0]
    paths, _ = ops.ctc_decode(model(x), np.full(8, 12, np.int32))
    np.testing.assert_array_equal(paths[0, :, :3], labels)

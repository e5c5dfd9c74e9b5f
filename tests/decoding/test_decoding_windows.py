"""Models that read a window: generate against the naive twin, and windows side by side against whole ones."""

import decoding_reference
import numpy as np
import pytest
from decoding_steps import END, KINDS, TOKENS, UNITS, Halved, embedded, one_step, same, weighted
from stream_models import Lagged

import fastseq
from fastseq import layers
from fastseq.decoding import generate, generation, loop


def window_model(hot, sequences=False):
    inputs = layers.Input((6, TOKENS)) if hot else layers.Input((6,), dtype="int32")
    x = inputs if hot else embedded(inputs)
    y = layers.LSTM(UNITS, return_sequences=True)(x)
    y = layers.GRU(UNITS, return_sequences=sequences)(layers.Concatenate()([x, y]))
    return weighted(fastseq.Model(inputs, layers.Dense(TOKENS, activation="softmax")(y)))


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("hot", [False, True])
def test_generate(hot, sequences):
    model = window_model(hot, sequences)

    def predict(ids):
        values = model(np.eye(TOKENS, dtype="f")[ids] if hot else ids)
        return values[:, -1] if sequences else values

    rng = np.random.default_rng(3)
    rows = [rng.integers(0, TOKENS, length).tolist() for length in (1, 3, 6, 9, 2, 12, 0)]
    expected = decoding_reference.generate(predict, rows, 15, 6, end_id=END, pad_id=3)
    got = generate(model, rows, 15, end_id=END, pad_id=3)
    np.testing.assert_array_equal(got.ids, expected.ids)
    np.testing.assert_array_equal(got.lengths, expected.lengths)
    np.testing.assert_allclose(got.scores, expected.scores, rtol=1e-4, atol=1e-4)
    same(generate(model, np.array(rows[1]), 15, end_id=END, pad_id=3), [part[1:2] for part in got])
    same(generate(model, np.array([rows[2]]), 15, 6, end_id=END, pad_id=3), [part[2:3] for part in got])
    drawn = generate(model, rows, 15, seed=1, temperature=2.0)
    same(drawn, generate(model, rows, 15, seed=1, temperature=2.0))
    assert not np.array_equal(drawn.ids, generate(model, rows, 15, seed=2, temperature=2.0).ids)
    same(generate(model, rows, 15, top_k=1, seed=2), generate(model, rows, 15))
    with fastseq.num_threads(1):
        same(drawn, generate(model, rows, 15, seed=1, temperature=2.0))


def slid_models():
    """(model, whether its recurrent layers slide) over windows of 12 tokens."""

    def over(make, hot=False, slides=True):
        inputs = layers.Input((12, TOKENS)) if hot else layers.Input((12,), dtype="int32")
        y = make(inputs if hot else embedded(inputs))
        return weighted(fastseq.Model(inputs, layers.Dense(TOKENS, activation="softmax")(y))), slides

    def attention(x):
        both = layers.Concatenate()([x, layers.LSTM(UNITS, return_sequences=True)(x)])
        scores = layers.Softmax(axis=1)(layers.Dense(1)(both))
        return layers.Flatten()(layers.Dot(axes=1)([scores, both]))

    def with_states(x):
        _, h, c = layers.LSTM(UNITS, return_state=True)(layers.GRU(9, return_sequences=True)(x))
        return layers.Concatenate()([h, c])

    def masked(x):
        return layers.GRU(UNITS)(layers.Masking()(x))

    return {
        "last output": over(layers.GRU(UNITS)),
        "cells": over(layers.RNN([layers.LSTMCell(9), layers.GRUCell(UNITS)])),
        "a mask that is None": over(lambda x: layers.GRU(UNITS)(x, mask=None)),
        "one-hot": over(layers.SimpleRNN(UNITS), hot=True),
        "attention": over(attention),
        "states": over(with_states),
        "python in the rest": over(lambda x: Halved()(attention(x))),
        "all timesteps": over(layers.LSTM(UNITS, return_sequences=True)),
        "dense between": over(
            lambda x: layers.LSTM(7)(layers.Dense(8, "relu")(layers.GRU(9, return_sequences=True)(x)))
        ),
        "both ways": over(layers.Bidirectional(layers.GRU(UNITS)), slides=False),
        "python before": over(lambda x: layers.GRU(UNITS)(Halved()(x)), slides=False),
        "earlier inputs before": over(lambda x: layers.GRU(UNITS)(Lagged(2)(x))),
        "earlier inputs behind": over(
            lambda x: layers.Flatten()(Lagged(2)(layers.GRU(UNITS, return_sequences=True)(x)))
        ),
        "earlier inputs alone": over(lambda x: layers.Flatten()(Lagged(2)(x)), slides=False),
        "masks": over(masked, slides=False),
        "backwards first": over(
            lambda x: layers.GRU(9)(layers.GRU(9, return_sequences=True, go_backwards=True)(x)), slides=False
        ),
    }


@pytest.mark.parametrize("name", slid_models())
def test_windows_side_by_side_give_the_same_bits(name, monkeypatch):
    model, slides = slid_models()[name]
    rng = np.random.default_rng(5)
    for rows, steps, end in [(1, 40, None), (1, 12, None), (3, 9, 7), (2, 100, 11), (5, 30, 3)]:
        ids = rng.integers(0, TOKENS, (rows, 15))
        for options in ({}, {"seed": 4, "temperature": 1.5}):
            with monkeypatch.context() as patch:
                patch.setattr(loop, "_MOST_WINDOWS", 0)
                whole = generate(model, ids, steps, end_id=end, **options)
            for threads in (1, 2):
                with fastseq.num_threads(threads):
                    same(generate(model, ids, steps, end_id=end, **options), whole)
    kept = generation._generators[model][False].plans._found
    assert [bool(plan) for (key, _), plan in kept.items() if key[0] == "sliding"] == [slides]


def test_generate_with_any_window():
    inputs = layers.Input((None,), dtype="int32")
    y = layers.Bidirectional(layers.GRU(UNITS))(embedded(inputs))
    model = weighted(fastseq.Model(inputs, layers.Dense(TOKENS, activation="softmax")(y)))
    for window in (1, 4):
        expected = decoding_reference.generate(model, [[1, 2, 3], [5]], 10, window)
        np.testing.assert_array_equal(generate(model, [[1, 2, 3], [5]], 10, window).ids, expected.ids)
    with pytest.raises(ValueError, match="window="):
        generate(model, [[1]], 3)


def test_generate_with_a_sequential_model_and_many_rows():
    model = weighted(
        fastseq.Sequential([
            layers.Input((5,), dtype="int32"), layers.Embedding(TOKENS, 7), layers.SimpleRNN(UNITS),
            layers.Dense(TOKENS), layers.Softmax(),
        ])
    )  # fmt: skip
    rows = np.random.default_rng(0).integers(0, TOKENS, (150, 5))
    expected = decoding_reference.generate(model, rows, 7, 5)
    np.testing.assert_array_equal(generate(model, rows, 7).ids, expected.ids)


def test_windows_that_do_not_fit():
    model = window_model(False)
    with pytest.raises(ValueError, match=r"window=5, but its input has the shape \(None, 6\)"):
        generate(model, [[1]], 3, 5)
    for wrong in ([[0.5]], [[-1]], np.zeros((2, 2, 2), int)):
        with pytest.raises(ValueError, match="takes ids"):
            generate(model, wrong, 3)
    with pytest.raises(ValueError, match=r"ids in the range \[0, 23\), got 23"):
        generate(model, [[TOKENS]], 3)
    with pytest.raises(ValueError, match="one input and one output"):
        generate(one_step(KINDS[0])[0], [[1]], 3)
    assert generate(model, np.zeros((0, 6), int), 3).ids.shape == (0, 3)

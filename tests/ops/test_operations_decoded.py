"""Operations in models that are decoded: programs for any number of rows, whose sizes are those of the rows."""

import numpy as np
import pytest

import fastseq
from fastseq import layers, ops
from fastseq.decoding import generate


def model_of(function, time=6):
    ids = layers.Input((time,), dtype="int32")
    x = layers.Embedding(7, 5)(ids)
    outputs = function(ids, x)
    model = fastseq.Model(ids, layers.Dense(7)(outputs))
    rng = np.random.default_rng(2)
    model.set_weights([rng.normal(size=w.shape).astype(np.float32) for w in model.get_weights()])
    return model


@pytest.mark.parametrize("function", [
    lambda ids, x: layers.LSTM(4, return_sequences=True)(x)[:, -1],
    lambda ids, x: layers.GRU(4, return_sequences=True)(x)[:, -1] * 2.0 + ops.cast(ids[:, -1:], "float32"),
    lambda ids, x: layers.LSTM(4, return_sequences=True)(ops.concatenate([x[:, 1:], x[:, :1]], axis=1))[:, -1, ::-1],
    lambda ids, x: layers.GRU(4)(ops.pad(x, ((0, 0), (1, 0), (0, 0)))),
    lambda ids, x: layers.GRU(4)(x) + ops.zeros_like(x[:, 0, :4]),
    lambda ids, x: ops.sort(layers.GRU(4)(x)),
    lambda ids, x: ops.cumsum(layers.GRU(4)(x), axis=-1),
    lambda ids, x: ops.take(layers.GRU(4)(x), np.array([1, 0]), axis=1),
    lambda ids, x: ops.take_along_axis(layers.GRU(7)(x), ids, axis=1),
    lambda ids, x: ops.sum(ops.one_hot(ids, 7), axis=1),
])  # fmt: skip
def test_generate_writes_what_calls_choose(function):
    model = model_of(function)
    start = np.array([[1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1], [0, 0, 1, 1, 2, 2]], np.int32)
    got = generate(model, start, 5, from_logits=True).ids
    rows = start
    for t in range(5):
        best = model(rows)[:, :].argmax(axis=1).astype(np.int32)
        np.testing.assert_array_equal(got[:, t], best)
        rows = np.concatenate([rows[:, 1:], best[:, None]], axis=1)
    np.testing.assert_array_equal(generate(model, start[1:2], 5, from_logits=True).ids, got[1:2])

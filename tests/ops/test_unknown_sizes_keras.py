"""Shapes of symbolic calls over sizes that are unknown, beside Keras's."""

import numpy as np
import pytest

import fastseq
from fastseq import ops
from fastseq.tensors import nest

keras = pytest.importorskip("keras")
pytestmark = pytest.mark.tensorflow

CALLS = {
    "slices": lambda o, x, ids: [x[:, 1:], x[:, :5], x[:, -1], x[:, 7], x[:, ::-1], x[:, 2:3], x[:, None, :, -1],
                                 x[3], x[1:, 2]],
    "pairs": lambda o, x, ids: [x[:, 1:] - x[:, :-1], o.concatenate([x[:, :1], x[:, 1:]], axis=1), x[:, -1:] + x],
    "take": lambda o, x, ids: [o.take(x, ids, axis=2), o.take(x, [0, 1], axis=1), o.take(x, 1, axis=-1)],
    "one_hot": lambda o, x, ids: [o.one_hot(ids, 7), o.one_hot(ids, 7, axis=1)],
    "joined": lambda o, x, ids: [o.stack([x, x], 1), o.concatenate([x, x], 1), o.concatenate([x, x], 0),
                                 o.hstack([x, x])],
    "split": lambda o, x, ids: [o.split(x, 2, axis=2), o.split(x, 2, axis=1), o.split(x, [2], axis=1),
                                o.array_split(x, 3, axis=1), o.unstack(x, axis=2), o.unstack(x, num=3, axis=1)],
    "moved": lambda o, x, ids: [o.transpose(x, (2, 0, 1)), o.swapaxes(x, 1, 2), o.moveaxis(x, 2, 0), o.flip(x, 1),
                                o.roll(x, 2, 1), o.expand_dims(x, 1), o.rot90(x, 1, (1, 2))],
    "larger": lambda o, x, ids: [o.pad(x, ((0, 0), (0, 0), (1, 2))), o.pad(x, ((0, 0), (1, 2), (0, 0))),
                                 o.repeat(x, 3, axis=2), o.repeat(x, 3, axis=1), o.repeat(x, 2), o.tile(x, (1, 2, 3)),
                                 o.extract_sequences(o.swapaxes(x, 1, 2), 3, 2)],
    "shapes": lambda o, x, ids: [o.reshape(x, (-1, 4)), o.reshape(x, (-1, 2, 2)), o.ravel(x),
                                 o.squeeze(x[:, :, :1], -1)],
    "order": lambda o, x, ids: [o.sort(x, axis=1), o.argsort(x, axis=1), o.top_k(x, 2), o.argmax(x, axis=1),
                                o.argmax(x, axis=1, keepdims=True), o.median(x, axis=1), o.cumsum(x, axis=1),
                                o.diff(x, axis=1), o.searchsorted(np.array([0.0, 1.0], np.float32), x[:, 0, 0])],
    "sides": lambda o, x, ids: [o.tril(x), o.diagonal(x, 0, 0, 1), o.zeros_like(x), o.full_like(x, 2.0)],
}  # fmt: skip


def shapes_of(library, functions, call):
    x, ids = library.KerasTensor((None, None, 4)), library.KerasTensor((None, None), dtype="int32")
    results = [leaf for result in call(functions, x, ids) for leaf in nest.flatten(result)]
    return [(tuple(leaf.shape), str(leaf.dtype)) for leaf in results]


@pytest.mark.parametrize("name", CALLS)
def test_like_keras(name):
    found = shapes_of(fastseq, ops, CALLS[name])
    wanted = shapes_of(keras, keras.ops, CALLS[name])
    assert len(found) == len(wanted)
    for number, (mine, other) in enumerate(zip(found, wanted)):
        assert mine == other, (number, mine, other)

"""What the tests of the short way of a call share (fastseq/native/_call.pyx)."""

import sys

import numpy as np

from fastseq import layers, models


def count_long_way(monkeypatch):
    """A list that gets the name of each layer whose call does not take the short way from now on."""
    seen = []
    original = layers.Layer._call_any

    def counted(self, *args, **kwargs):
        seen.append(self.name)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(layers.Layer, "_call_any", counted)
    return seen


def python_calls(function):
    """How many Python functions start while `function()` runs, itself not counted."""
    count = -1

    def note(frame, event, _):
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(before)
    return count


def values(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def same(a, b):
    assert (a.dtype, a.shape) == (b.dtype, b.shape), f"{a.dtype} {a.shape} and {b.dtype} {b.shape}"
    assert a.tobytes() == b.tobytes(), f"{a} differs from {b}"


def misaligned(x):
    memory = np.zeros(x.nbytes + 1, np.uint8)
    array = memory[1:].view(np.float32).reshape(x.shape)
    array[...] = x
    assert not array.flags.aligned
    return array


def every_second(x):
    wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), np.float32)
    wide[..., ::2] = x
    return wide[..., ::2]


def sequential():
    return models.Sequential([layers.Input((3, 4)), layers.LSTM(5, return_sequences=True), layers.Dense(2)])


def functional():
    inputs = layers.Input((3, 4))
    hidden = layers.GRU(4, return_sequences=True)(inputs)
    return models.Model(inputs, layers.Dense(2)(layers.Concatenate()([inputs, hidden])))


MAKERS = {
    "dense": lambda: layers.Dense(5),
    "lstm": lambda: layers.LSTM(5),
    "bidirectional": lambda: layers.Bidirectional(layers.GRU(3)),
    "sequential": sequential,
    "unbuilt sequential": lambda: models.Sequential([layers.LSTM(5), layers.Dense(2)]),
    "functional": functional,
}

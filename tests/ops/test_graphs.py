"""Models with operations between their layers: copies, files, parts, streams, training, and how they are told."""

import copy
import pickle

import numpy as np
import pytest

import fastseq
from fastseq import activations, layers, ops
from fastseq.models import clone_model, model_from_json

X = np.random.default_rng(0).standard_normal((2, 4, 3)).astype("f")


@pytest.fixture
def model():
    x = fastseq.Input((4, 3), name="x")
    h = layers.LSTM(5, return_sequences=True, name="rnn")(x)
    y = h[:, -1, :] * np.arange(5, dtype="f") + ops.mean(h, axis=1)
    z = activations.relu(1 - y) / (abs(y) + 1.0)
    start = fastseq.Input((5,))
    inner = fastseq.Model(start, ops.concatenate([start, ops.square(start)], axis=-1) @ np.ones((10, 2), "f"))
    return fastseq.Model(x, [inner(z), h[..., ::2]])


def saved(path):
    def way(model):
        model.save(path)
        return fastseq.load_model(path)

    return way


def with_weights(way):
    def made(model):
        other = way(model)
        other.set_weights(model.get_weights())
        return other

    return made


def test_copies_and_files_give_the_same_bits(model, tmp_path):
    wanted = model(X)
    for way in (copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model)), with_weights(clone_model),
                with_weights(lambda model: model_from_json(model.to_json())), saved(tmp_path / "m.keras"),
                saved(tmp_path / "m.h5")):  # fmt: skip
        other = way(model)
        for one, two in zip(other(X), wanted, strict=True):
            np.testing.assert_array_equal(one, two)
        assert [one.name for one in other.operations] == [one.name for one in model.operations]


def test_layers_are_layers_and_operations_are_all(model, capsys):
    kinds = [type(one).__name__ for one in model.operations]
    assert kinds == ["InputLayer", "LSTM", "GetItem", "Multiply", "Mean", "Add", "Subtract", "Absolute", "ReLU", "Add",
                     "TrueDivide", "Functional", "GetItem"]  # fmt: skip
    assert [type(layer).__name__ for layer in model.layers] == ["InputLayer", "LSTM", "Functional"]
    assert model.get_layer(index=1).name == "rnn"
    with pytest.raises(ValueError, match="No such layer"):
        model.get_layer(next(one.name for one in model.operations if type(one).__name__ == "ReLU"))
    model.summary(line_length=120)
    assert "(TrueDivide)" in capsys.readouterr().out


def test_a_part_of_a_graph_begins_behind_a_layer(model):
    inside = model.get_layer("rnn").output
    part = fastseq.Model(inside, model.outputs[1])
    np.testing.assert_array_equal(part(model.get_layer("rnn")(X)), model(X)[1])


def test_streams_take_what_keeps_time_and_name_what_does_not(model):
    x = model.inputs[0]
    h = model.get_layer("rnn").output
    timed = fastseq.Model(x, ops.tanh(h) * 2.0 - h[..., :1])
    stream = timed.stream(2)
    np.testing.assert_array_equal(np.stack([stream.step(X[:, t]) for t in range(4)], 1), timed(X))
    with pytest.raises(ValueError, match=r"\(GetItem\) cannot run in a stream"):
        model.stream(2)


def test_training_goes_through_operations(model):
    model.compile("adam", "mse")
    before = model.get_weights()
    first = model.train_on_batch(X, [np.ones((2, 2), "f"), np.ones((2, 4, 3), "f")])
    for _ in range(5):
        last = model.train_on_batch(X, [np.ones((2, 2), "f"), np.ones((2, 4, 3), "f")])
    assert last[0] < first[0] and all((a != b).any() for a, b in zip(before, model.get_weights()))

"""predict of a few rows, as servers call it: one batch, few Python calls, and all that predict says and refuses."""

import re

import numpy as np
import pytest
from calling_tests import count_long_way, python_calls, same, values

from fastseq import Input, Model, Sequential, layers
from fastseq.data import predict as prediction
from fastseq.tensors import nest

_MOST_CALLS = 16  # Python functions that predict of one row runs, in a model of any size; 175 before


class Own(layers.Layer):
    def call(self, inputs, training=None):
        return inputs if training else inputs + 1


def deep(count=40):
    return Sequential([Input((4,)), *(layers.Dense(4) for _ in range(count))])


MODELS = {
    "dense": (lambda: Sequential([Input((4,)), layers.Dense(3)]), (2, 4)),
    "lstm": (lambda: Sequential([Input((3, 4)), layers.LSTM(5), layers.Dropout(0.5)]), (2, 3, 4)),
    "of 40 layers": (deep, (2, 4)),
    "stateful": (lambda: Sequential([Input(batch_shape=(2, 3, 4)), layers.LSTM(5, stateful=True)]), (2, 3, 4)),
    "masked": (lambda: Sequential([Input((3, 4)), layers.Masking(), layers.Dense(2)]), (2, 3, 4)),
}


@pytest.mark.parametrize("name", MODELS)
def test_one_batch_makes_few_python_calls_and_no_walk(name, monkeypatch):
    make, shape = MODELS[name]
    model, x = make(), values(shape)
    for _ in range(2):
        model.predict(x, verbose=0)
    walks, long_way = [], count_long_way(monkeypatch)
    for cls in (layers.Layer, Model, Sequential):
        if "_sublayers" in vars(cls):
            monkeypatch.setattr(cls, "_sublayers", lambda self: walks.append(self.name) or [])
    assert python_calls(lambda: model.predict(x, verbose=0)) <= _MOST_CALLS + 2 * (name in ("stateful", "masked"))
    assert python_calls(lambda: model.predict_on_batch(x)) <= 8
    assert walks == [] and long_way == []


def test_a_python_layer_adds_few():
    model, x = Sequential([Input((4,)), layers.Dense(3), Own()]), values((2, 4))
    model.predict(x), model.predict(x)
    assert python_calls(lambda: model.predict(x)) <= 28


def test_many_rows_walk_no_layers(monkeypatch):
    model, x = deep(), values((3000, 4))
    model.predict(x)
    walks = []
    monkeypatch.setattr(Sequential, "_sublayers", lambda self: walks.append(self.name) or [])
    model.predict(x)
    assert walks == []


@pytest.mark.parametrize("name", MODELS)
def test_the_same_as_in_batches(name, monkeypatch):
    """The long way, of sources and results put together, gives the same arrays."""
    make, shape = MODELS[name]
    model, x = make(), values(shape)
    x[0, 1:] = 0
    for _ in range(3):
        if model.stateful:
            model.reset_states()
        found = model.predict(x, verbose=0)
        assert type(found) is np.ndarray and found.flags.writeable
        with monkeypatch.context() as patch:
            patch.setattr(prediction, "_is_one_batch", lambda *_: False)
            if model.stateful:
                model.reset_states()
            same(found, model.predict(x, verbose=0))
        if not model.stateful:
            same(found, np.asarray(model(x, training=False)))


@pytest.mark.parametrize("rows", [0, 1, 2, 31, 32, 33, 70])
@pytest.mark.parametrize("batch_size", [None, 1, 32, np.int64(40)])
def test_batches_that_a_python_layer_gets(rows, batch_size):
    seen = []

    class Seeing(layers.Layer):
        def call(self, inputs):
            if inputs.any():
                seen.append(len(inputs))
            return inputs

    model, x = Sequential([Input((4,)), Seeing()]), np.ones((rows, 4), np.float32)
    for _ in range(2):
        del seen[:]
        same(model.predict(x, batch_size=batch_size, verbose=0), x)
        size = 32 if batch_size is None else batch_size
        assert seen == [min(size, rows - start) for start in range(0, rows, size)]


def test_several_inputs_and_outputs():
    a, b = Input((3,), name="a"), Input((2,), name="b")
    joined = layers.Concatenate()([a, b])
    model = Model({"a": a, "b": b}, {"y": layers.Dense(2)(joined), "z": [joined]})
    x = {"a": values((4, 3)), "b": values((4, 2), 1)}
    for _ in range(2):
        found = model.predict(x, verbose=0)
        wanted = model(x, training=False)
        assert type(found) is dict and list(found) == ["y", "z"]
        for one, other in zip(nest.flatten(found), nest.flatten(wanted), strict=True):
            same(one, other)
    with pytest.raises(ValueError, match="cardinality"):
        model.predict({"a": x["a"], "b": x["b"][:1]})
    with pytest.raises(ValueError, match="single value"):
        model.predict({"a": x["a"], "b": np.float32(1)})


def test_training_is_false_in_every_layer():
    model, x = Sequential([Input((4,)), layers.Dropout(0.5), Own()]), values((2, 4))
    for _ in range(3):
        same(model.predict(x), x + 1)
        assert not np.array_equal(model(x, training=True), x)


def test_what_it_refuses_is_refused_each_time():
    model, x = Sequential([Input((3, 4)), layers.LSTM(2)]), values((2, 3, 4))
    wanted = model.predict(x)
    for _ in range(2):
        for wrong in (
            {"callbacks": [1]}, {"verbose": 3}, {"verbose": None}, {"batch_size": 0}, {"batch_size": True},
            {"batch_size": 2.0}, {"steps": 0}, {"steps": True},
        ):  # fmt: skip
            with pytest.raises(ValueError, match=next(iter(wrong))):
                model.predict(x, **wrong)
        with pytest.raises(ValueError, match="single value"):
            model.predict(np.array(1.0, np.float32))
        with pytest.raises(ValueError, match="shape"):
            model.predict(values((2, 3, 5)))
        with pytest.raises(TypeError, match="real numbers"):
            model.predict(np.array([["a"]]))
        same(model.predict(x, callbacks=[], verbose=1), wanted)


def test_what_is_said(capsys):
    model, x = Sequential([Input((4,)), layers.Dense(2)], name="m"), values((2, 4))
    for verbose, said in ((0, ""), (1, ""), ("auto", ""), (2, r"m: 1 batches in \d+\.\d\d s\n")):
        model.predict(x, verbose=verbose)
        assert re.fullmatch(said, capsys.readouterr().err)


class TestStateful:
    def model(self):
        return Sequential([Input(batch_shape=(2, 3, 4)), layers.LSTM(5, stateful=True)])

    def test_rows_that_make_no_whole_batches(self):
        model, x = self.model(), values((4, 3, 4))
        for _ in range(2):
            model.predict(x[:2])
            for wrong in (x[:1], x[:3]):
                with pytest.raises(ValueError, match="stateful network"):
                    model.predict(wrong)
            with pytest.raises(ValueError, match="stateful network"):
                model.predict(x, batch_size=3)

    def test_states_go_from_call_to_call_and_back_where_one_fails(self):
        model, twin = self.model(), self.model()
        twin.set_weights(model.get_weights())
        for step in range(4):
            x = values((2, 3, 4), step)
            same(model.predict(x), twin(x))
            with pytest.raises(ValueError, match=r"batch|shape"):
                model.predict(np.ones((2, 3, 5), np.float32))

    def test_a_layer_that_becomes_stateful(self):
        model, x = Sequential([Input((3, 4)), layers.LSTM(5)]), values((3, 3, 4))
        assert model.predict(x).shape == (3, 5)
        model.layers[0].stateful = True
        with pytest.raises(ValueError, match="stateful network"):
            model.predict(x)
        model.layers[0].stateful = False
        assert model.predict(x).shape == (3, 5)

    def test_one_in_an_attribute_or_on_top_counts(self):
        model, x = Sequential([Input((3, 4)), layers.LSTM(5)]), values((3, 3, 4))
        model.predict(x), model.predict(x)
        model.other = layers.LSTM(2, stateful=True)
        with pytest.raises(ValueError, match="stateful network"):
            model.predict(x)
        model.other = None
        assert model.predict(x).shape == (3, 5)
        model.add(layers.RepeatVector(2))
        model.add(Own())
        model.layers[-1].stateful = True
        with pytest.raises(ValueError, match="stateful network"):
            model.predict(x)
        model.pop()
        assert model.predict(x).shape == (3, 2, 5)

    def test_a_users_property_is_asked_each_time(self):
        class Sometimes(Own):
            now = False
            stateful = property(lambda self: self.settings["stateful"])

            def __init__(self):
                self.settings = {"stateful": False}
                super().__init__()

        model, x = Sequential([Input((4,)), Sometimes()]), values((3, 4))
        for stateful in (False, True, False, True):
            model.layers[0].settings["stateful"] = stateful
            assert model.stateful == stateful
            if stateful:
                with pytest.raises(ValueError, match="stateful network"):
                    model.predict(x)
            else:
                same(model.predict(x), x + 1)


def test_a_python_layer_that_comes_later_gets_batches_of_keras_size():
    sizes = []

    class Seeing(layers.Layer):
        def call(self, inputs):
            sizes.append(len(inputs))
            return inputs

    model, x = Sequential([Input((4,)), layers.Dense(3)]), values((100, 4))
    model.predict(x), model.predict(x)
    model.add(Seeing())
    del sizes[:]
    model.predict(x)
    assert max(sizes) == 32

"""Sequential: add, pop, deferred building, masks and configs as in Keras. (Whole models: test_functional.py.)"""

import json

import model_zoo as zoo
import numpy as np
import pytest

import fastseq
from fastseq import Input, Model, Sequential
from fastseq.errors import FileFormatError
from fastseq.layers import GRU, LSTM, Dense, InputLayer, Layer
from fastseq.models import clone_model, model_from_json


@pytest.fixture
def keras():
    keras = pytest.importorskip("keras")
    pytest.importorskip("tensorflow")
    return keras


def test_deferred_building(rng):
    model = Sequential([LSTM(3, return_sequences=True), Dense(2)])
    assert not model.built and model.weights == [] and model.get_weights() == []
    for name in ("input_shape", "output_shape", "inputs", "outputs"):
        with pytest.raises(AttributeError, match="has no defined"):
            getattr(model, name)
    with pytest.raises(ValueError, match="not built"):
        model.count_params()
    x = rng.standard_normal((2, 5, 4))
    y = model(x)
    assert y.shape == (2, 5, 2) and model.built and len(model.layers) == 2
    # Neither rows nor timesteps are fixed by the first call.
    assert model(x[:1, :3]).shape == (1, 3, 2) and model.predict(np.zeros((9, 7, 4))).shape == (9, 7, 2)
    np.testing.assert_array_equal(model(x), y)
    with pytest.raises(ValueError):
        model(np.zeros((2, 5, 3)))


def test_build():
    model = Sequential([Dense(3), Dense(2)])
    model.build((None, 4))
    assert model.input_shape == (None, 4) and model.output_shape == (None, 2) and model.count_params() == 23
    with pytest.raises(ValueError, match="already been configured"):
        model.build((None, 5))
    with pytest.raises(ValueError, match="has no layers"):
        Sequential().build((None, 4))


@pytest.mark.parametrize("first", ["Input", "InputLayer", "input_shape", "input_dim", "batch_input_shape"])
def test_ways_to_say_the_input_shape(first):
    if first == "Input":
        layers = [Input((4,)), Dense(3)]
    elif first == "InputLayer":
        layers = [InputLayer((4,)), Dense(3)]
    else:
        layers = [Dense(3, **{first: {"input_shape": (4,), "input_dim": 4, "batch_input_shape": (None, 4)}[first]})]
    for model in (Sequential(layers), Sequential()):
        if not model._stack.layers:
            for layer in layers:
                model.add(layer)
        assert model.built and model.input_shape == (None, 4) and len(model.layers) == 1
        assert model(np.ones((2, 4))).shape == (2, 3)


def test_add_and_pop(rng):
    model = Sequential([Input((4,)), Dense(3, name="a")])
    model.add(Dense(2, name="b"))
    assert model.output_shape == (None, 2) and len(model.weights) == 4
    x = rng.standard_normal((2, 4))
    both = model(x)
    b = model.pop()
    assert b.name == "b" and model.output_shape == (None, 3) and model(x).shape == (2, 3)
    model.add(b)
    np.testing.assert_array_equal(model(x), both)
    model.pop(), model.pop()
    assert model.layers == [] and not model.built
    with pytest.raises(IndexError):
        Sequential().pop()


def test_one_node_for_each_call():
    layers = [Dense(3), Dense(2)]
    Sequential([Input((4,)), *layers])
    assert [len(layer._inbound_nodes) for layer in layers] == [1, 1]


def test_what_cannot_be_added():
    with pytest.raises(ValueError, match="Only instances"):
        Sequential([5])
    with pytest.raises(ValueError, match="Only instances"):
        Sequential([Input((4,)), Dense(3)(Input((4,)))])
    with pytest.raises(ValueError, match=r"unique names.*'x'"):
        Sequential([Dense(1, name="x"), Dense(1, name="x")])
    with pytest.raises(ValueError, match=r"already been configured.*\(None, 3\)"):
        Sequential([Input((3,)), Input((3,))])
    with pytest.raises(ValueError, match="has no layers"):
        Sequential()(np.ones((2, 3)))
    with pytest.raises(AttributeError, match="add"):
        Sequential().layers = []


def test_models_inside_models(rng):
    inner = Sequential([Dense(3), Dense(2)])
    outer = Sequential([inner, Dense(1)])
    x = rng.standard_normal((2, 4))
    np.testing.assert_array_equal(outer(x), outer.layers[1](inner(x)))
    assert len(outer.weights) == 6
    y = Input((4,))
    assert Model(y, outer(y)).count_params() == outer.count_params()


def test_mask_goes_through(rng):
    class Masker(Layer):
        supports_masking = True

        def call(self, x):
            return x

        def compute_output_shape(self, input_shape):
            return input_shape

        def compute_mask(self, x, mask=None):
            return np.asarray(x)[..., 0] > 0

    x = rng.standard_normal((4, 6, 3)).astype("f")
    mask = x[..., 0] > 0
    gru = GRU(2, return_sequences=True)
    outer = Sequential([Masker(), Sequential([gru]), LSTM(3)])
    found = outer(x)
    lstm = outer.layers[2]
    np.testing.assert_array_equal(found, lstm(gru(x, mask=mask), mask=mask))
    np.testing.assert_array_equal(Sequential([gru])(x, mask=mask), gru(x, mask=mask))
    assert not np.array_equal(found, lstm(gru(x)))


def test_several_inputs_without_a_graph():
    class Sum(Layer):
        def call(self, xs):
            return xs[0] + xs[1]

    model = Sequential([Sum(), Dense(2)])
    x = np.ones((3, 4))
    np.testing.assert_array_equal(model([x, x]), model.layers[1](2 * x))
    np.testing.assert_array_equal(model.predict([x, x]), model([x, x]))


def test_stateful_keeps_its_batch_size():
    model = Sequential([LSTM(2, stateful=True)])
    x = np.ones((2, 3, 4))
    first, second = model(x), model(x)
    assert model.input_shape == (2, 3, 4) and model.stateful and not np.array_equal(first, second)
    model.reset_states()
    np.testing.assert_array_equal(model(x), first)


@pytest.mark.parametrize("name", ["stack", "old_input_shape", "stack_of_models"])
def test_config_round_trip(name, rng):
    model = zoo.PLAIN[name](fastseq)
    read = model_from_json(model.to_json())
    assert read.to_json() == model.to_json() and read.built
    read.set_weights(model.get_weights())
    x = zoo.random_inputs(model)
    np.testing.assert_array_equal(read.predict(x), model.predict(x))
    assert clone_model(model).to_json() == model.to_json()


def test_config_of_an_unbuilt_model():
    model = Sequential([Dense(3), Dense(2)], name="s", trainable=False)
    config = zoo.as_json(model.get_config())
    assert "build_input_shape" not in config
    read = Sequential.from_config(config)
    assert not read.built and not read.trainable and read.get_config() == model.get_config()


@pytest.mark.parametrize("config", [{}, {"name": "s"}, {"name": "s", "layers": 3}, {"name": "s", "layers": [None]},
                                    {"layers": []}, {"name": "s", "layers": ["Dense"]}])  # fmt: skip
def test_configs_that_are_no_models(config):
    with pytest.raises(FileFormatError):
        Sequential.from_config(config)


@pytest.mark.tensorflow
def test_deferred_model_as_in_keras(keras, rng):
    ours, theirs = (k.Sequential([k.layers.Dense(3, name="a"), k.layers.Dense(2, name="b")], name="s")
                    for k in (fastseq, keras))  # fmt: skip
    assert zoo.without_details(json.loads(ours.to_json())) == zoo.without_details(json.loads(theirs.to_json()))
    x = rng.standard_normal((5, 4)).astype("f")
    ours.build((None, 4))
    theirs.build((None, 4))
    theirs.set_weights(ours.get_weights())
    np.testing.assert_allclose(ours(x), theirs(x), atol=1e-6)
    for config in (ours, theirs):
        assert config.get_config()["build_input_shape"] in ([None, 4], (None, 4))
    read = model_from_json(theirs.to_json())
    assert read.built and [w.shape for w in read.weights] == [w.shape for w in ours.weights]


@pytest.mark.tensorflow
@pytest.mark.parametrize("masked", [False, True])
def test_ids_in_a_sequential(keras, masked):
    """An Embedding behind the float32 InputLayer that Keras makes takes ids of any integer type."""
    ours, theirs = (
        k.Sequential([k.layers.Embedding(9, 4, mask_zero=masked, name="e"), k.layers.LSTM(3, name="l")], name="s")
        for k in (fastseq, keras)
    )
    ids = np.random.default_rng(0).integers(0, 9, (4, 6))
    ours(ids), theirs(ids)
    theirs.set_weights(zoo.random_weights(ours))
    ours.set_weights(zoo.random_weights(ours))
    expected = theirs.predict(ids, verbose=0)
    for kind in ("int64", "uint8", "float64", ">i4"):
        np.testing.assert_allclose(ours.predict(ids.astype(kind)), expected, atol=1e-6)
    # Ids of 32 bits stay whole. Where 0 is masked, 0.5 is not, so the floats themselves are needed.
    assert ours._functional._plan.input_dtypes == ["float32" if masked else "int32"]

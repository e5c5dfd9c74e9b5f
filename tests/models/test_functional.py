"""Functional models: structure, order, calls and configs as in Keras; bad graphs refused in bounded time."""

import json

import model_zoo as zoo
import numpy as np
import pytest

import fastseq
from fastseq import Input, Model
from fastseq.errors import UnsupportedError
from fastseq.layers import GRU, LSTM, Activation, Add, Concatenate, Dense, Layer
from fastseq.models import clone_model, model_from_json
from fastseq.ops.operation import OpNode
from fastseq.tensors import nest
from fastseq.tensors.symbolic import KerasTensor


@pytest.fixture
def keras(keras_runs_eagerly):
    keras = pytest.importorskip("keras")
    pytest.importorskip("tensorflow")
    return keras


def assert_same(ours, theirs, tolerance=2e-6):
    assert type(ours) is type(theirs) or not nest.is_nested(ours)
    ours, theirs = nest.flatten(ours), nest.flatten(theirs)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs):
        assert type(a) is np.ndarray
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=tolerance)


# ---- beside Keras ----------------------------------------------------------------------------------------------------


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", zoo.ALL)
def test_same_model_as_keras(keras, name):
    ours, theirs = zoo.both(keras, name)
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
    assert [type(layer).__name__ for layer in ours.layers] == [type(layer).__name__ for layer in theirs.layers]
    assert [w.shape for w in ours.weights] == [tuple(w.shape) for w in theirs.weights]
    assert ours.count_params() == theirs.count_params()
    assert ours.input_shape == theirs.input_shape and ours.output_shape == theirs.output_shape
    assert len(ours.inputs) == len(theirs.inputs) and len(ours.outputs) == len(theirs.outputs)
    if not isinstance(theirs, keras.Sequential):
        assert ours.output_names == theirs.output_names
    weights = zoo.random_weights(ours)
    ours.set_weights(weights)
    theirs.set_weights(weights)
    x = zoo.random_inputs(ours)
    assert_same(ours.predict(x), theirs.predict(x, verbose=0))
    assert_same(nest.map_structure(lambda a: np.asarray(a).view(np.ndarray), ours(x)), theirs(x))
    shapes = nest.map_structure(lambda a: a.shape, x)
    assert ours.compute_output_shape(shapes) == theirs.compute_output_shape(shapes)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", zoo.ALL)
def test_same_config_as_keras(keras, name):
    ours, theirs = zoo.both(keras, name)
    assert zoo.without_details(json.loads(ours.to_json())) == zoo.without_details(json.loads(theirs.to_json()))


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", zoo.ALL)
def test_configs_cross(keras, name):
    """Keras builds what fastseq writes, fastseq builds what Keras writes; both compute the same."""
    ours, theirs = zoo.both(keras, name)
    read = model_from_json(theirs.to_json())
    given = keras.models.model_from_json(ours.to_json())
    weights = zoo.random_weights(ours)
    for model in (ours, theirs, read, given):
        model.set_weights(weights)
    x = zoo.random_inputs(ours)
    expected = theirs.predict(x, verbose=0)
    assert_same(read.predict(x), expected)
    assert_same(given.predict(x, verbose=0), expected)
    assert [layer.name for layer in read.layers] == [layer.name for layer in theirs.layers]
    # What was read is written as it was read, the masks' operations among it.
    again = keras.models.model_from_json(read.to_json())
    again.set_weights(weights)
    assert_same(again.predict(x, verbose=0), expected)


@pytest.mark.tensorflow
def test_layers_with_masks_as_keras_saves_them(keras):
    """Masks that Keras spells out are left to the layers where they are the layers' own, and computed where not."""
    for name in zoo.MASKED:
        for model in (zoo.ALL[name](fastseq), model_from_json(zoo.ALL[name](keras).to_json())):
            assert not any(isinstance(node.layer, OpNode) for node in model._plan.steps)
            assert any(isinstance(layer, OpNode) for layer in model._graph.layers)
            assert not any(isinstance(layer, OpNode) for layer in model.layers)

    def foreign_mask(k):
        x, y = k.Input((None,), dtype="int32", name="x"), k.Input((None, 4), name="y")
        values = k.layers.Masking(0.5, name="masking")(y)
        ids = k.layers.Embedding(9, 4, mask_zero=True, name="ids")(x)
        return k.Model([x, y], k.layers.LSTM(3, name="rnn")(ids, mask=values._keras_mask))

    theirs = foreign_mask(keras)
    ours = model_from_json(theirs.to_json())
    assert "Any" in [type(node.layer).__name__ for node in ours._plan.steps]
    ours.set_weights(zoo.random_weights(ours))
    theirs.set_weights(ours.get_weights())
    x = zoo.random_inputs(ours)
    assert_same(ours.predict(x), theirs.predict(x, verbose=0))


@pytest.mark.tensorflow
@pytest.mark.parametrize("inputs", ["a list", "a dict", "more names", "one array", "a list of one"])
def test_input_structures(keras, inputs):
    one = inputs in ("one array", "a list of one")
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 2, 4)).astype("f")

    def make(k):
        x, y = k.Input((4,), name="x"), k.Input((4,), name="y")
        return k.Model(x, k.layers.Activation("tanh")(x)) if one else k.Model([x, y], k.layers.Subtract()([x, y]))

    value = {
        "a list": [a, b],
        "a dict": {"y": b, "x": a},
        "more names": {"y": b, "x": a, "z": a},
        "one array": a,
        "a list of one": [a],
    }[inputs]
    with pytest.warns(UserWarning, match=r"no inputs named \['z'\]") if inputs == "more names" else _nothing():
        ours = make(fastseq)(value)
    np.testing.assert_allclose(ours, make(keras)(value), atol=1e-6)


def _nothing():
    import contextlib

    return contextlib.nullcontext()


@pytest.mark.tensorflow
def test_rank_is_adjusted_as_keras_does(keras):
    x = np.arange(6, dtype="f")
    for wanted, given in (((1,), (6,)), ((), (6, 1))):
        ours, theirs = (k.Model(i, k.layers.Activation("tanh")(i)) for k in (fastseq, keras) for i in [k.Input(wanted)])
        np.testing.assert_allclose(ours(x.reshape(given)), theirs(x.reshape(given)), atol=1e-6)


@pytest.mark.tensorflow
def test_dropout_that_was_switched_on_in_the_graph(keras):
    """training=True in a call holds for model(x); predict switches it off, as in Keras."""

    def make(k):
        x = k.Input((4,))
        return k.Model(x, k.layers.Dropout(0.5)(x, training=True))

    x = np.ones((50, 4), "f")
    for model in (make(fastseq), make(keras)):
        assert set(np.unique(np.asarray(model(x)))) == {0.0, 2.0}
        np.testing.assert_array_equal(np.asarray(model(x, training=False)), x)
        np.testing.assert_array_equal(model.predict(x, verbose=0), x)


# ---- alone -----------------------------------------------------------------------------------------------------------


def two_dense():
    x = Input((4,), name="x")
    return Model(x, Dense(2, name="b")(Dense(3, activation="relu", name="a")(x)), name="m")


def test_numbers(rng):
    model = two_dense()
    x = rng.standard_normal((5, 4))
    (k1, b1, k2, b2) = model.get_weights()
    np.testing.assert_allclose(model(x), np.maximum(x @ k1 + b1, 0) @ k2 + b2, atol=1e-6)


def test_get_layer():
    model = two_dense()
    assert model.get_layer("a") is model.layers[1] is model.get_layer(index=1)
    for arguments in ({"name": "c"}, {"index": 7}, {}, {"name": "a", "index": 1}):
        with pytest.raises(ValueError):
            model.get_layer(**arguments)
    with pytest.raises(AttributeError):
        model.layers = []


def test_part_of_a_model():
    model = two_dense()
    features = Model(model.input, model.get_layer("a").output)
    head = Model(model.get_layer("a").output, model.output)
    x = np.random.default_rng(1).standard_normal((3, 4))
    np.testing.assert_array_equal(head(features(x)), model(x))
    assert head.get_layer("b") is model.get_layer("b")
    # The whole model still works and its config is as before.
    assert [entry["name"] for entry in model.get_config()["layers"]] == ["x", "a", "b"]
    assert Model.from_config(zoo.as_json(head.get_config())).count_params() == 8


def test_cut_at_one_of_several_outputs():
    x = Input((None, 3), name="x")
    state = GRU(2, return_sequences=True, return_state=True, name="g")(x)[1]
    head = Model(state, Dense(2, name="d")(state))
    assert [layer.name for layer in head.layers][1:] == ["d"]
    assert head(np.zeros((4, 2))).shape == (4, 2)


def test_weights_of_a_shared_layer_count_once():
    x = Input((4,))
    layer = Dense(4)
    model = Model(x, layer(layer(x)))
    assert len(model.weights) == 2 and model.count_params() == 20


def test_new_weights_reach_the_model():
    model = two_dense()
    x = np.ones((1, 4))
    before = model(x)
    model.get_layer("b").set_weights([np.zeros((3, 2)), np.full(2, 7)])
    np.testing.assert_array_equal(model(x), [[7, 7]])
    assert not np.array_equal(before, model(x))


def test_trainable():
    model = two_dense()
    model.trainable = False
    assert model.trainable_weights == [] and len(model.non_trainable_weights) == 4
    model.trainable = True
    model.get_layer("a").trainable = False
    assert [w.shape for w in model.trainable_weights] == [(3, 2), (2,)]
    # As in Keras: the argument is the model's own, and changes no layer.
    frozen = Model(model.input, model.output, trainable=False)
    assert frozen.trainable_weights == [] and frozen.get_layer("b").trainable


@pytest.mark.parametrize(
    "shape, message",
    [((2, 5), "expected shape .None, 4."), ((2, 3, 4), "expected shape"), ((4,), "expected shape")],
)
def test_wrong_shapes(shape, message):
    with pytest.raises(ValueError, match=f"model 'm'.*input 'x'.*{message}"):
        two_dense()(np.zeros(shape))


def test_wrong_structures():
    x, y = Input((4,), name="x"), Input((4,), name="y")
    model = Model({"x": x, "y": y}, Add()([x, y]), name="m")
    ones = np.ones((2, 4))
    for inputs in ([ones], {"x": ones}, ones, [ones, ones, ones]):
        with pytest.raises(ValueError, match="'m'"):
            model(inputs)
    with pytest.raises(ValueError, match="not optional"):
        model([ones, None])
    np.testing.assert_array_equal(model([ones, ones]), 2 * ones)
    unsorted = Model({"y": y, "x": x}, Add()([x, y]))
    with pytest.raises(ValueError, match="structure"):
        unsorted([ones, ones])


def test_wrong_kinds_of_values():
    model = two_dense()
    for value in (np.full((2, 4), "a"), np.full((2, 4), None), np.zeros((2, 4), complex)):
        with pytest.raises(TypeError, match="real numbers"):
            model(value)
    for value in (np.ones((2, 4), "f2"), np.ones((2, 4), ">f8"), np.ones((4, 2), "i8").T, np.ones((2, 8))[:, ::-2]):
        np.testing.assert_array_equal(model(value), model(np.ones((2, 4), "f")))


def test_empty_batch():
    assert two_dense()(np.zeros((0, 4))).shape == (0, 2)


def test_what_a_model_is_not_made_of():
    x, y = Input((4,)), Input((4,))
    with pytest.raises(ValueError, match=r"not connected|disconnected"):
        Model(x, Dense(2)(y))
    with pytest.raises(ValueError, match="KerasTensors"):
        Model(x, 5)
    with pytest.raises(ValueError, match="KerasTensors"):
        Model(KerasTensor((None, 4)), x)
    with pytest.raises(ValueError, match="cannot be empty"):
        Model([], x)
    with pytest.raises(ValueError, match='"d" is used 2 times'):
        Model(x, Concatenate()([Dense(1, name="d")(x), Dense(1, name="d")(x)]))
    with pytest.raises(NotImplementedError, match="does not define call"):
        Model()(np.ones((2, 4)))


@pytest.mark.parametrize("arguments", [
    {}, {"shape": (3,), "batch_shape": (2, 3)}, {"batch_size": 2, "batch_shape": (2, 3)}, {"shape": 3},
    {"shape": (3.5,)}, {"shape": (-1,)}, {"shape": (3,), "sparse": True}, {"shape": (3,), "ragged": True},
    {"shape": (3,), "optional": True}, {"shape": (3,), "dtype": "string"}, {"shape": (3,), "dtype": "complex64"},
    {"shape": (3,), "tensor": Input((4,))}, {"tensor": 3}, {"shape": (3,), "name": "a/b"},
])  # fmt: skip
def test_wrong_inputs(arguments):
    with pytest.raises(ValueError):
        Input(**arguments)


@pytest.mark.parametrize("dtype, kind", [(None, "float32"), ("float64", "float32"), ("float16", "float32"),
                                         ("int64", "int32"), ("uint8", "int32"), ("bool", "bool")])  # fmt: skip
def test_input_dtypes(dtype, kind):
    x = Input((3,), dtype=dtype)
    assert x.dtype == kind
    assert x._keras_history[0].get_config()["dtype"] == (dtype or "float32")


def test_spellings_of_keras_2():
    make = fastseq.layers.InputLayer
    assert make(batch_input_shape=(2, 3)).batch_shape == (2, 3)
    assert make(input_shape=(3,)).batch_shape == (None, 3)
    old = make.from_config({"batch_input_shape": [None, 3], "dtype": "float32", "name": "i", "sparse": False})
    assert old.batch_shape == (None, 3) and old.name == "i"
    x = Input((3,), batch_size=2)
    assert Input(tensor=x) is x and Input(shape=(3,), tensor=x).shape == (2, 3)


def test_clone_model():
    model = zoo.nested_twice(fastseq)
    copy = clone_model(model)
    assert copy.to_json() == model.to_json() and not set(copy.weights) & set(model.weights)
    names = []
    other = clone_model(model, clone_function=lambda layer: names.append(layer.name) or layer)
    assert names == ["inner", "sum"] and other.weights == model.weights
    x = Input((7, 3))
    assert clone_model(model, input_tensors=x).output_shape == (None, 7, 3)
    deep = clone_model(model, recursive=True, clone_function=lambda layer: type(layer).from_config(layer.get_config()))
    assert deep.to_json() == model.to_json()
    doubled = clone_model(two_dense(), call_function=lambda layer, *a, **k: Activation("tanh")(layer(*a, **k)))
    assert len(doubled.layers) == 5
    assert clone_model(zoo.stack(fastseq)).to_json() == zoo.stack(fastseq).to_json()
    with pytest.raises(ValueError):
        clone_model(zoo.stack(fastseq), call_function=print)


# ---- models of a user's own ------------------------------------------------------------------------------------------


class Own(Model):
    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.first = Dense(units)
        self.more = [Dense(2), LSTM(2)]

    def call(self, inputs, training=None):
        return {"y": self.more[0](self.first(inputs)), "training": np.full((len(inputs), 1), training is False)}


def test_subclass_with_call(rng):
    model = Own()
    x = rng.standard_normal((70, 4))
    results = model.predict(x)
    np.testing.assert_array_equal(results["y"], model.more[0](model.first(x)))
    assert results["training"].all() and results["y"].shape == (70, 2)
    assert [type(layer) for layer in model.layers] == [Dense, Dense, LSTM]
    assert len(model.weights) == 4 and Own.from_config(model.get_config()).units == 3


def test_subclass_around_a_functional_model():
    class Wrapped(Model):
        def __init__(self):
            x = Input((4,), name="x")
            super().__init__(x, Dense(2, name="d")(x), name="wrapped")

    model = Wrapped()
    assert isinstance(model, Wrapped) and model(np.ones((3, 4))).shape == (3, 2) and model.count_params() == 10


def test_own_layer_in_a_model(rng):
    class Weighted(Layer):
        def build(self, input_shape):
            self.scale = self.add_weight((input_shape[-1],), initializer="ones", name="scale")

        def call(self, x, y=None):
            return x * self.scale.numpy() + (0 if y is None else y)

        def compute_output_shape(self, x_shape, y_shape=None):
            return x_shape

    x, y = Input((4,), name="x"), Input((4,), name="y")
    model = Model([x, y], Weighted(name="w")(x, y))
    a, b = rng.standard_normal((2, 3, 4)).astype("f")
    np.testing.assert_allclose(model([a, b]), a + b)
    config = zoo.as_json(model.get_config())
    read = Model.from_config(config, custom_objects={"Weighted": Weighted})
    np.testing.assert_allclose(read([a, b]), a + b)
    with pytest.raises(UnsupportedError, match="Weighted"):
        Model.from_config(config)

"""Functional: configs that are no models, deep ones, and Keras 2's; all refused or read in bounded time."""

import model_zoo as zoo
import numpy as np
import pytest
from hang_guard import must_end

from fastseq import Input, Model
from fastseq.errors import FileFormatError, UnsupportedError
from fastseq.layers import (
    ELU,
    GRU,
    RNN,
    Activation,
    Bidirectional,
    GRUCell,
    Layer,
    LeakyReLU,
    PReLU,
    ReLU,
    Softmax,
)


def entry(name, *calls, class_name="Dense", **config):
    config = {"units": 2, **config} if class_name == "Dense" else config
    nodes = [
        {"args": [[tensor(*c) for c in call] if isinstance(call[0], tuple) else tensor(*call)], "kwargs": {}}
        for call in calls
    ]
    return {"module": "keras.layers", "class_name": class_name, "config": {"name": name, **config},
            "registered_name": None, "name": name, "inbound_nodes": nodes}  # fmt: skip


def tensor(layer, call=0, position=0):
    config = {"shape": [None, 2], "dtype": "float32", "keras_history": [layer, call, position]}
    return {"class_name": "__keras_tensor__", "config": config}


def graph(*layers, inputs=("x", 0, 0), outputs=("a", 0, 0)):
    x = entry("x", class_name="InputLayer", batch_shape=[None, 2])
    return zoo.as_json({"name": "m", "trainable": True, "layers": [x, *layers], "input_layers": inputs,
                        "output_layers": outputs})  # fmt: skip


def test_a_proper_graph():
    model = Model.from_config(graph(entry("b", ("a",)), entry("a", ("x",), ("b",)), outputs=["a", 1, 0]))
    assert [layer.name for layer in model.layers] == ["x", "a", "b"]


BAD = {
    "loop": graph(entry("a", ("b",)), entry("b", ("a",))),
    "self": graph(entry("a", ("a",))),
    "second call first": graph(entry("a", ("a", 1), ("x",))),
    "unknown layer": graph(entry("a", ("nobody",))),
    "unknown call": graph(entry("a", ("x", 1))),
    "huge call": graph(entry("a", ("x", 10**30))),
    "negative call": graph(entry("a", ("x", -1))),
    "call is true": graph(entry("a", ("x", True))),
    "call is text": graph(entry("a", ("x", "0"))),
    "unknown tensor": graph(entry("a", ("x", 0, 1))),
    "negative tensor": graph(entry("a", ("x", 0, -1))),
    "doubled name": graph(entry("a", ("x",)), entry("a", ("x",))),
    "output of nobody": graph(entry("a", ("x",)), outputs=["b", 0, 0]),
    "output of no call": graph(entry("a", ("x",)), outputs=["a", 1, 0]),
    "output before the first": graph(entry("a", ("x",)), outputs=["a", -1, 0]),
    "output is no tensor": graph(entry("a", ("x",)), outputs=["a", 0, 5]),
    "outputs are empty": graph(entry("a", ("x",)), outputs=[]),
    "outputs are a number": graph(entry("a", ("x",)), outputs=3),
    "input is a layer": graph(entry("a", ("x",)), outputs=["x", 0, 0], inputs=["y", 0, 0]),
    "no layer": graph({"module": "keras.initializers", "class_name": "Zeros", "config": {}, "name": "a",
                       "inbound_nodes": []}),
    "no config": graph({"module": "keras.layers", "class_name": "Dense", "name": "a"}),
    "no name": graph({"module": "keras.layers", "class_name": "Dense", "config": {"units": 2}}),
    "layer is text": graph("a"),
    "calls are text": graph({**entry("a"), "inbound_nodes": "x"}),
    "call has no tensor": graph({**entry("a"), "inbound_nodes": [{"args": [], "kwargs": {}}]}),
    "call is a number": graph({**entry("a"), "inbound_nodes": [3]}),
    "unknown argument": graph({**entry("a"), "inbound_nodes": [{"args": [tensor("x")], "kwargs": {"q": 1}}]}),
    "never called": graph(entry("a")),
    "an operation": graph({"module": "keras.src.ops.numpy", "class_name": "Exp", "config": {}, "name": "a",
                           "inbound_nodes": []}),
    "layers are a dict": {**graph(), "layers": {}},
    "name is a number": {**graph(entry("a", ("x",))), "name": 3},
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_configs_that_are_no_models(case):
    with pytest.raises((FileFormatError, UnsupportedError)):
        Model.from_config(BAD[case])


def test_deep_nesting_is_refused():
    value = tensor("x")
    for _ in range(100_000):
        value = [value]
    config = graph(entry("a", ("x",)))
    config["layers"][1]["inbound_nodes"][0]["args"] = value
    with pytest.raises(FileFormatError):
        Model.from_config(config)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("count", [2_000, pytest.param(20_000, marks=pytest.mark.slow("10 s"))])
def test_long_chains(count, backwards):
    """No recursion, and nothing that grows with the square: 20,000 layers load in seconds in either order."""
    layers = [entry(f"l{k}", (f"l{k - 1}" if k else "x",), class_name="Activation", activation="linear")
              for k in range(count)]  # fmt: skip
    config = graph(*(layers[::-1] if backwards else layers), outputs=[f"l{count - 1}", 0, 0])
    with must_end():
        model = Model.from_config(config)
    assert len(model.layers) == count + 1
    np.testing.assert_array_equal(model(np.ones((2, 2))), np.ones((2, 2)))
    config["layers"][count // 2]["inbound_nodes"] = []
    with pytest.raises(FileFormatError):
        Model.from_config(config)


def test_models_that_double_at_each_level():
    """Forty models, each calling the next one twice: shapes are found at once, a file of it is refused."""
    x = Input((None, 2), name="x")
    model = Model(x, Activation("linear", name="a")(x), name="m0")
    for level in range(1, 40):
        x = Input((None, 2), name="x")
        model = Model(x, model(model(x)), name=f"m{level}")
    assert model.compute_output_shape((3, 5, 2)) == (3, 5, 2)
    with pytest.raises(FileFormatError, match="calls"):
        Model.from_config(zoo.as_json(model.get_config()))


def test_calls_as_keras_2_wrote_them():
    config = graph(entry("a"), entry("b"))
    config["layers"][1]["inbound_nodes"] = [[["x", 0, 0, {}]]]
    config["layers"][2]["inbound_nodes"] = [[["a", 0, 0]]]
    config["output_layers"] = [["b", 0, 0]]
    model = Model.from_config(config)
    assert [layer.name for layer in model.layers] == ["x", "a", "b"]


def test_operations_without_a_module():
    """As the older HDF5 format of Keras 3 has them; a user's class of such a name is the user's."""
    config = graph(entry("a", ("x",)), entry("b", ("a",), class_name="LSTM", units=2), outputs=["b", 0, 0])
    config["layers"][0]["config"]["batch_shape"] = [None, None, 2]
    operations = [
        {"class_name": "NotEqual", "config": {"name": "n"}, "name": "n",
         "inbound_nodes": [{"args": [tensor("x"), 0.0], "kwargs": {}}]},
        {"class_name": "Any", "config": {"name": "any", "axis": -1, "keepdims": False}, "name": "any",
         "inbound_nodes": [{"args": [tensor("n")], "kwargs": {}}]},
    ]  # fmt: skip
    config["layers"] += operations
    config["layers"][2]["inbound_nodes"][0]["kwargs"]["mask"] = tensor("any")
    model = Model.from_config(config)
    x = np.random.default_rng(0).standard_normal((3, 4, 2)).astype("f")
    x[:, 2] = 0
    a, b = model.get_layer("a"), model.get_layer("b")
    np.testing.assert_array_equal(model(x), b(a(x), mask=(x != 0).any(-1)))

    class Any(Layer):
        def call(self, x):
            return x

    config = graph({"class_name": "Any", "config": {"name": "a"}, "name": "a", "inbound_nodes": [
        {"args": [tensor("x")], "kwargs": {}}]})  # fmt: skip
    assert type(Model.from_config(config, custom_objects={"Any": Any}).get_layer("a")) is Any


@pytest.mark.parametrize("make", [Softmax, ReLU, ELU, LeakyReLU, PReLU])
def test_layers_that_keep_the_shape_take_one_tensor(make):
    """They took lists into a model, and its call raised AttributeError."""
    x = Input((5, 4))
    for inputs, kind in (([x], "a list of 1"), ([x, x], "a list of 2"), ({"a": x}, "a dict of 1")):
        if make is PReLU and kind != "a list of 1":
            continue  # its weight asks first
        with pytest.raises(ValueError, match=f"takes one tensor, got {kind}"):
            make()(inputs)


@pytest.mark.parametrize("mask", ["", "x", {"class_name": "x"}, 5, True, [1, None]], ids=str)
@pytest.mark.parametrize("layer", [GRU(2), RNN(GRUCell(2)), Bidirectional(GRU(2)), Softmax()], ids=lambda x: x.name)
def test_masks_of_calls_that_are_none(layer, mask):
    """A config may give a call anything for its mask; it is refused by name when the model runs."""
    x = Input((3, 2))
    config = Model(x, layer(x)).get_config()
    config["layers"][-1]["inbound_nodes"][0]["kwargs"] = {"mask": mask}
    with pytest.raises((UnsupportedError, FileFormatError, ValueError), match=r"mask|class_name"):
        Model.from_config(config).predict(np.ones((1, 3, 2)), verbose=0)

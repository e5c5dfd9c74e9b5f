"""Configs as data: what Keras 2 wrote becomes Keras 3's form, and what cannot be a model is refused."""

import json

import numpy as np
import pytest
from saving_files import dense, functional, input_layer, node, sequential

from fastseq.configs.limits import parse_json
from fastseq.errors import FileFormatError, UnsupportedError
from fastseq.saving import cudnn
from fastseq.saving.config_check import check_model_config
from fastseq.saving.legacy_config import to_keras3


def convert_layer(class_name, config, **others):
    model = {"class_name": "Sequential", "config": {"name": "m", "layers": [
        {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 3], "name": "input"}},
        {"class_name": class_name, "config": {"name": "layer", **config}, **others},
    ]}}  # fmt: skip
    before = json.dumps(model)
    converted = to_keras3(model)["config"]["layers"]
    assert json.dumps(model) == before
    assert converted[0]["config"] == {"batch_shape": [None, 3], "name": "input"}
    return converted[1]


@pytest.mark.parametrize(
    "class_name, config, new_name, new_config",
    [
        ("LSTM", {"units": 2, "implementation": 1, "time_major": False}, "LSTM", {"units": 2}),
        ("GRU", {"units": 2}, "GRU", {"units": 2, "reset_after": False}),
        ("GRU", {"units": 2, "reset_after": True}, "GRU", {"units": 2, "reset_after": True}),
        ("CuDNNLSTM", {"units": 2}, "LSTM",
         {"units": 2, "activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": True}),
        ("CuDNNGRU", {"units": 2}, "GRU",
         {"units": 2, "activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": True, "reset_after": True}),
        ("LeakyReLU", {"alpha": 0.25}, "LeakyReLU", {"negative_slope": 0.25}),
        ("Embedding", {"input_dim": 5, "input_length": 7}, "Embedding", {"input_dim": 5}),
        ("Softmax", {"axis": [2]}, "Softmax", {"axis": 2}),
        ("Dense", {"units": 1, "dtype": {"class_name": "Policy", "config": {"name": "float32"}}}, "Dense",
         {"units": 1, "dtype": "float32"}),
        ("Reshape", {"target_shape": {"class_name": "__tuple__", "items": [2]}}, "Reshape", {"target_shape": [2]}),
        ("Merge", {"mode": "concat", "concat_axis": 1}, "Concatenate", {"axis": 1, "trainable": True}),
        ("Merge", {"mode": "sum"}, "Add", {"trainable": True}),
    ],
)  # fmt: skip
def test_layers_of_keras_2(class_name, config, new_name, new_config):
    layer = convert_layer(class_name, config)
    assert layer["class_name"] == new_name
    assert layer["config"] == {"name": "layer", **new_config}


def test_layers_inside_layers():
    inner = {"class_name": "CuDNNLSTM", "config": {"name": "inner", "units": 2}}
    layer = convert_layer("Bidirectional", {"layer": inner, "backward_layer": inner})
    for key in ("layer", "backward_layer"):
        assert layer["config"][key]["class_name"] == "LSTM"
        assert layer["config"][key]["config"]["recurrent_activation"] == "sigmoid"


def test_options_without_an_equivalent():
    with pytest.raises(UnsupportedError, match=r"'layer'.*time_major"):
        convert_layer("LSTM", {"units": 2, "time_major": True})
    with pytest.raises(UnsupportedError, match=r"'layer'.*Merge\(mode='lambda'\)"):
        convert_layer("Merge", {"mode": "lambda"})  # a function, whose code never runs
    model = sequential(input_layer(), {"class_name": "GRU", "config": {"name": "g", "units": 2, "time_major": True}})
    with pytest.raises(FileFormatError, match=r"file 'm\.h5', layer 'g': time_major") as caught:
        to_keras3(model, path="m.h5")
    assert (caught.value.path, caught.value.layer) == ("m.h5", "g")
    assert isinstance(caught.value.__cause__, UnsupportedError)


@pytest.mark.parametrize(
    "saved",
    ["hard_sigmoid", {"class_name": "function", "config": "hard_sigmoid", "module": "builtins"}],
    ids=["name", "object"],
)
def test_hard_sigmoid_is_that_of_keras_2(saved):
    """0.2 x + 0.5, which the model was trained with; Keras 3's own loader takes x / 6 + 0.5."""
    layer = convert_layer("LSTM", {"units": 2, "activation": "tanh", "recurrent_activation": saved})
    assert layer["config"]["activation"] == "tanh"
    assert layer["config"]["recurrent_activation"] == "hard_sigmoid_keras2"
    assert convert_layer("Activation", {"activation": saved})["config"]["activation"] == "hard_sigmoid_keras2"
    inner = {"class_name": "Dense", "config": {"name": "inner", "units": 2, "activation": saved}}
    wrapped = convert_layer("TimeDistributed", {"layer": inner})
    assert wrapped["config"]["layer"]["config"]["activation"] == "hard_sigmoid_keras2"
    model = sequential(input_layer(), dense(activation=saved))
    assert to_keras3(model, keras3=True) == model


def test_sequential_that_is_a_list():
    layers = [{"class_name": "Dense", "config": {"name": "a", "units": 2, "batch_input_shape": [None, 3]}}]
    model = to_keras3({"class_name": "Sequential", "config": layers})
    assert [layer["class_name"] for layer in model["config"]["layers"]] == ["InputLayer", "Dense"]
    # The name that Keras 2 gave the input which it added.
    assert model["config"]["layers"][0]["config"] == {"batch_shape": [None, 3], "name": "a_input"}
    assert model["config"]["layers"][1]["config"] == {"name": "a", "units": 2}


def test_nodes_of_keras_2():
    def layer(class_name, name, nodes, **config):
        return {"class_name": class_name, "config": {"name": name, **config}, "name": name, "inbound_nodes": nodes}

    config = {
        "name": "m",
        "layers": [
            layer("InputLayer", "x", [], batch_input_shape=[None, 5, 3]),
            layer("LSTM", "encoder", [[["x", 0, 0, {"training": False}]]], units=3, return_state=True),
            layer("LSTM", "decoder", [[["x", 0, 0, {}], ["encoder", 0, 1, {}], ["encoder", 0, 2, {}]]], units=3),
            layer("Sequential", "inner", [[["decoder", 0, 0, {"mask": ["x", 0, 0]}]]], layers=[]),
            layer("Add", "sum", [[["inner", 1, 0, {}], ["encoder", 0, 0]]]),
        ],
        "input_layers": [["x", 0, 0]],
        "output_layers": [["sum", 0, 0], ["inner", 1, 0]],
    }
    converted = to_keras3({"class_name": "Model", "config": config})
    assert converted["class_name"] == "Functional"
    nodes = {entry["name"]: entry["inbound_nodes"] for entry in converted["config"]["layers"]}

    def origin(tensor):
        return tensor["config"]["keras_history"]

    assert nodes["x"] == []
    assert [origin(t) for t in nodes["encoder"][0]["args"]] == [["x", 0, 0]]
    assert nodes["encoder"][0]["kwargs"] == {"training": False}
    assert [origin(t) for t in nodes["decoder"][0]["args"]] == [["x", 0, 0]]
    states = nodes["decoder"][0]["kwargs"]["initial_state"]
    assert [origin(t) for t in states] == [["encoder", 0, 1], ["encoder", 0, 2]]
    assert origin(nodes["inner"][0]["kwargs"]["mask"]) == ["x", 0, 0]
    (inputs,) = nodes["sum"][0]["args"]
    # Keras 2 counted a model's own definition as its call 0.
    assert [origin(t) for t in inputs] == [["inner", 0, 0], ["encoder", 0, 0]]
    assert converted["config"]["output_layers"] == [["sum", 0, 0], ["inner", 0, 0]]
    check_model_config(converted)


def test_keras_3_configs_stay_as_they_are():
    graph = functional([(input_layer(), []), (dense(), [node(["input", 0, 0])])])
    assert to_keras3(graph, keras3=True) == graph


@pytest.mark.parametrize("junk", [5, "x", None, [5], {"a": 1}], ids=str)
@pytest.mark.parametrize("place", ["layers", "inbound_nodes", "output_layers", "entry"])
def test_junk_in_keras_2_configs(place, junk):
    graph = functional([(input_layer(), []), (dense(), [[["input", 0, 0, {}]]])])
    if place == "inbound_nodes":
        graph["config"]["layers"][1]["inbound_nodes"] = junk
    elif place == "entry":
        graph["config"]["layers"][1] = junk
    else:
        graph["config"][place] = junk
    with pytest.raises(FileFormatError):
        check_model_config(to_keras3(graph, path="m.h5"), "m.h5")


def test_graphs_in_any_order_and_sharing_are_sound():
    layers = [
        (dense("c"), [node(["b", 0, 0]), node(["b", 1, 0])]),
        (dense("b"), [node(["input", 0, 0]), node(["c", 0, 0])]),
        (input_layer(), []),
    ]
    check_model_config(functional(layers, outputs=("c", 1, 0)))
    check_model_config(sequential(input_layer(), sequential(input_layer(), dense()), dense()))


def test_long_chain_is_checked_at_once():
    """Linear in the number of layers, also with the layers in the worst order."""
    layers = [(dense(f"d{i}"), [node([f"d{i - 1}" if i else "input", 0, 0])]) for i in reversed(range(9000))]
    check_model_config(functional([*layers, (input_layer(), [])], outputs=("d8999", 0, 0)))


def test_json_numbers_as_keras_writes_them():
    assert np.isnan(parse_json('{"a": NaN}', "config", "m")["a"])
    assert parse_json(b'{"a": [-Infinity, 1e400]}', "config", "m")["a"] == [-np.inf, np.inf]


@pytest.mark.parametrize("gates", [4, 3])
def test_cudnn_layout(gates):
    """Against the definition: gate g of cuDNN's matrix is the transpose of Keras's, stored row by row."""
    units, inputs = 2, 5
    rng = np.random.default_rng(0)
    kernel, recurrent = rng.standard_normal((inputs, gates * units)), rng.standard_normal((units, gates * units))
    bias = rng.standard_normal((2, gates * units))
    saved_kernel = np.concatenate(
        [kernel[:, g * units : (g + 1) * units].T.reshape(inputs, units) for g in range(gates)], axis=1
    )
    saved_recurrent = np.concatenate([recurrent[:, g * units : (g + 1) * units].T for g in range(gates)], axis=1)
    got = cudnn.convert(saved_kernel, saved_recurrent, bias.reshape(-1))
    np.testing.assert_array_equal(got[0], kernel)
    np.testing.assert_array_equal(got[1], recurrent)
    np.testing.assert_array_equal(got[2], bias.sum(0) if gates == 4 else bias)
    plain = (gates * units,) if gates == 4 else (2, gates * units)
    assert cudnn.saved_shapes(kernel.shape, recurrent.shape, plain) == (
        kernel.shape,
        recurrent.shape,
        (2 * gates * units,),
    )


@pytest.mark.parametrize(
    "shapes",
    [
        ((5, 4), (4, 3), (3,)),
        ((5, 8), (2, 8), (16,)),
        ((5, 6), (2, 6), (6,)),
        ((3,), (4,), (5,)),
        ((0, 0), (0, 0), (0,)),
    ],
)
def test_shapes_without_a_cudnn_form(shapes):
    assert cudnn.saved_shapes(*shapes) is None

"""Configs that are no model, in files made here. None may do anything but raise, soon and with a reason."""

import json

import pytest
from saving_files import dense, functional, h5_model, input_layer, keras_file, node, refuse, sequential

import fastseq


@pytest.mark.parametrize("text", ["[" * 10**6, '{"a":' * 10**6, '{"class_name": "Sequential", "config": ' * 10**5])
def test_deep_json(tmp_path, text):
    refuse(keras_file(tmp_path / "m.keras", text), "nested|not JSON")


def test_deep_models(tmp_path):
    model = sequential()
    for _ in range(150):
        model = sequential(input_layer(), model)
    refuse(keras_file(tmp_path / "m.keras", model), "nested")


def test_a_million_layers(tmp_path):
    for count, reason in ((10**6, "bytes, the limit"), (20_000, "20002 layers")):
        text = json.dumps(sequential()).replace('"layers": [', '"layers": [' + '{"class_name":"Flatten"},' * count)
        refuse(keras_file(tmp_path / "m.keras", text), reason)


def test_countless_objects(tmp_path):
    text = json.dumps(sequential()).replace('"linear"', "[" + '{"class_name":"x"},' * 300_000 + "1]")
    refuse(keras_file(tmp_path / "m.keras", text), "objects")


def test_cycle(tmp_path):
    two = [(input_layer(), []), (dense("a"), [node(["b", 0, 0])]), (dense("b"), [node(["a", 0, 0])])]
    refuse(keras_file(tmp_path / "m.keras", functional(two, outputs=("b", 0, 0))), "layer '[ab]': .*cycle")
    one = [(input_layer(), []), (dense(), [node(["dense", 0, 0])])]
    refuse(keras_file(tmp_path / "m.keras", functional(one)), "layer 'dense': .*cycle")


@pytest.mark.parametrize(
    "origin",
    [["nowhere", 0, 0], ["input", 1, 0], ["input", 0, 1], ["input", -1, 0], ["input", 0], ["input", "0", 0], None,
     ["input", 0, 10**30], ["input", float("nan"), 0], [["input"], 0, 0], ["input", 0, -1]],
    ids=str,
)  # fmt: skip
def test_dangling_inbound_node(tmp_path, origin):
    graph = functional([(input_layer(), []), (dense(), [node(origin)])])
    refuse(keras_file(tmp_path / "m.keras", graph), "layer 'dense'|dense")


@pytest.mark.parametrize("nodes", [5, "x", {"a": 1}, [5], [[]], [{"args": 1, "kwargs": 2}], [None]], ids=str)
def test_malformed_inbound_nodes(tmp_path, nodes):
    refuse(keras_file(tmp_path / "m.keras", functional([(input_layer(), []), (dense(), nodes)])), "m.keras")


@pytest.mark.parametrize("outputs", [("nowhere", 0, 0), ("dense", 5, 0), ("dense", 0, 7), (), 5, None], ids=str)
def test_dangling_outputs(tmp_path, outputs):
    graph = functional([(input_layer(), []), (dense(), [node(["input", 0, 0])])])
    graph["config"]["output_layers"] = list(outputs) if isinstance(outputs, tuple) else outputs
    refuse(keras_file(tmp_path / "m.keras", graph), "m.keras")


def test_duplicate_names(tmp_path):
    model = sequential(input_layer(), dense("same"), dense("same"))
    refuse(keras_file(tmp_path / "m.keras", model), "layer 'same': two layers")
    layers = [(input_layer(), []), (dense(), [node(["input", 0, 0])]), (dense(), [node(["input", 0, 0])])]
    refuse(keras_file(tmp_path / "m.keras", functional(layers)), "layer 'dense': two layers")


@pytest.mark.parametrize(
    "units",
    [float("nan"), -3, 0, 2.5, 1e300, float("inf"), "2", None, True, [2], {}, 10**400],
    ids=lambda u: str(u)[:9],
)
def test_sizes_that_are_none(tmp_path, units):
    refuse(keras_file(tmp_path / "m.keras", sequential(input_layer(), dense(units=units))), "layer 'dense'|JSON")


@pytest.mark.parametrize("units", [10**9, 2**40, 10**15])
def test_sizes_beyond_the_file(tmp_path, units):
    """The weights of a layer cannot be larger than the file that should hold them."""
    refuse(keras_file(tmp_path / "m.keras", sequential(input_layer(), dense(units=units))), "layer 'dense'")


@pytest.mark.parametrize("shape", [[None, -3], [None, "3"], [None, float("nan")], [None, 1e9], "abc", 5], ids=str)
def test_input_shapes_that_are_none(tmp_path, shape):
    layer = input_layer()
    layer["config"]["batch_shape"] = shape
    refuse(keras_file(tmp_path / "m.keras", sequential(layer, dense())), "m.keras")


@pytest.mark.parametrize("dtype", ["object", "float1024", "|O", "V8", 5, ["float32"], {"class_name": "x"}], ids=str)
def test_unknown_dtypes(tmp_path, dtype):
    refuse(keras_file(tmp_path / "m.keras", sequential(input_layer(), dense(dtype=dtype))), "dense")


@pytest.mark.parametrize(
    "config",
    [[], 5, "x", None, {}, {"class_name": "Sequential"}, {"class_name": 5, "config": {}},
     {"class_name": "Sequential", "config": {"name": "m", "layers": 5}},
     {"class_name": "Sequential", "config": {"name": "m", "layers": [5]}},
     {"class_name": "Sequential", "config": {"name": "m", "layers": [{"class_name": "Dense", "config": 5}]}},
     {"class_name": "Functional", "config": {"name": "m"}}, {"class_name": "Dense", "config": {"units": 2}}],
    ids=str,
)  # fmt: skip
def test_configs_of_nothing(tmp_path, config):
    refuse(keras_file(tmp_path / "m.keras", json.dumps(config)), "m.keras")
    if isinstance(config, dict):
        refuse(h5_model(tmp_path / "m.h5", config), "m.h5")


@pytest.mark.parametrize("text", [b"", b"\xff\xfe", b"{", b'{"a": 1e}', "ü".encode("utf-16"), b"1" * 10**5])
def test_not_json(tmp_path, text):
    refuse(keras_file(tmp_path / "m.keras", text), "config.json")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-le", "utf-8-sig"])
def test_configs_are_utf8(tmp_path, encoding):
    """json guesses encodings, and imports the codec of what it guessed."""
    path = keras_file(tmp_path / "m.keras", json.dumps(sequential()).encode(encoding))
    if encoding == "utf-8-sig":
        fastseq.load_model(path)
    else:
        refuse(path, "config.json is not JSON")

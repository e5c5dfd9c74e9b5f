"""Registered objects, scopes, and config dicts: what comes back, and what a config cannot do."""

import json
import sys
import threading

import numpy as np
import pytest

from fastseq import activations, constraints, initializers, regularizers
from fastseq.configs import registry as registration
from fastseq.configs.serialization import _public_module as public_module
from fastseq.configs.serialization import deserialize_keras_object, serialize_keras_object
from fastseq.configs.shared_objects import ObjectSharingScope
from fastseq.errors import FileFormatError, UnsupportedError
from fastseq.layers import REGISTRY
from fastseq.tensors.symbolic import KerasTensor


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch):
    monkeypatch.setattr(registration, "_registered_objects", {})
    monkeypatch.setattr(registration, "_registered_names", {})


class Own:
    def __init__(self, size=1, inner=None):
        self.size = size
        self.inner = inner

    def get_config(self):
        return {"size": self.size, "inner": self.inner}

    @classmethod
    def from_config(cls, config):
        return cls(config["size"], deserialize_keras_object(config.get("inner")))


def own_function(x):
    return x


def _through_json(obj):
    return json.loads(json.dumps(serialize_keras_object(obj)))


# ---- registration ------------------------------------------------------------------------------------------------


def test_registered_names():
    assert registration.register_keras_serializable("pack")(Own) is Own
    assert registration.get_registered_name(Own) == "pack>Own"
    assert registration.get_registered_object("pack>Own") is Own
    assert registration.get_custom_objects() == {"pack>Own": Own}
    registration.register_keras_serializable(name="other")(own_function)
    assert registration.get_registered_name(own_function) == "Custom>other"
    assert registration.get_registered_name(test_registered_names) == "test_registered_names"
    assert registration.get_registered_object("nope") is None
    assert registration.get_registered_object("a", {"a": 1}, {"a": 2}) == 1
    assert registration.get_registered_object("a", None, {"a": 2}) == 2


def test_a_class_without_a_config_cannot_be_registered():
    with pytest.raises(ValueError, match="get_config"):
        registration.register_keras_serializable()(int)


def test_scopes():
    with registration.custom_object_scope({"a": Own}):
        assert registration.get_registered_object("a") is Own
        with registration.CustomObjectScope({"b": own_function}):
            assert registration.get_registered_object("a") is None
            assert registration.get_registered_object("b") is own_function
        assert registration.get_registered_object("a") is Own
        assert registration.get_custom_objects() == {}
        seen = []
        thread = threading.Thread(target=lambda: seen.append(registration.get_registered_object("a")))
        thread.start()
        thread.join()
        assert seen == [None]
    assert registration.get_registered_object("a") is None


def test_a_scope_ends_with_an_error():
    with pytest.raises(RuntimeError), registration.CustomObjectScope({"a": Own}):
        raise RuntimeError
    assert registration.get_registered_object("a") is None


# ---- values ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [None, 1, 1.5, True, "text", [1, [2.0, None]], {"a": [1], "b": {"c": "d"}}, b"bytes", slice(1, None, 2), Ellipsis],
)
def test_values_go_there_and_back(value):
    assert deserialize_keras_object(_through_json(value)) == value


def test_numbers_of_numpy_become_plain():
    assert serialize_keras_object(np.float32(2)) == 2.0
    assert type(serialize_keras_object(np.int64(2))) is int
    assert serialize_keras_object(np.array(3)) == 3
    assert serialize_keras_object(np.dtype("float32")) == "float32"
    assert serialize_keras_object((1, (np.int8(2), [3]))) == (1, (2, [3]))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8", "bool"])
def test_arrays_go_there_and_back(dtype):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    again = deserialize_keras_object(_through_json({"x": array}))["x"]
    np.testing.assert_array_equal(again, array)
    assert again.dtype == dtype


def test_older_tuples_and_shapes():
    assert deserialize_keras_object({"class_name": "__tuple__", "items": [1, [2]]}) == (1, [2])
    assert deserialize_keras_object({"class_name": "TensorShape", "items": [None, 3]}) == (None, 3)


def test_symbolic_tensors():
    config = _through_json(KerasTensor((None, 3), dtype="int32"))
    assert config["config"] == {"shape": [None, 3], "dtype": "int32", "keras_history": None}
    config["config"]["keras_history"] = ["lstm", 0, 1]
    tensor = deserialize_keras_object(config)
    assert (tensor.shape, tensor.dtype) == ((None, 3), "int32")
    assert tensor._pre_serialization_keras_history == ["lstm", 0, 1]


@pytest.mark.parametrize("class_name", ["DTypePolicy", "Policy", "FloatDTypePolicy"])
def test_a_dtype_policy_is_its_name(class_name):
    config = {"module": "keras", "class_name": class_name, "config": {"name": "float32"}, "registered_name": None}
    assert deserialize_keras_object(config) == "float32"


@pytest.mark.parametrize(
    "obj",
    [
        initializers.HeNormal(seed=3),
        initializers.Constant(0.5),
        regularizers.L1L2(0.1, 0.2),
        constraints.MinMaxNorm(rate=0.5),
    ],
)
def test_elements_go_there_and_back(obj):
    config = _through_json(obj)
    assert config["module"].startswith("keras.")
    again = deserialize_keras_object(config)
    assert type(again) is type(obj)
    assert again.get_config() == obj.get_config()
    # Files of Keras 2 have neither a module nor a registered name.
    again = deserialize_keras_object({"class_name": config["class_name"], "config": config["config"]})
    assert type(again) is type(obj)


def test_functions():
    for name in ("tanh", "silu"):
        config = _through_json(activations.get(name))
        assert deserialize_keras_object(config) is activations.get(name)
    config = _through_json(own_function)
    with pytest.raises(UnsupportedError, match=r"function 'own_function'.*register_keras_serializable"):
        deserialize_keras_object(config)
    assert deserialize_keras_object(config, {"own_function": own_function}) is own_function
    assert deserialize_keras_object("own_function", {"own_function": own_function}) is own_function
    with registration.CustomObjectScope({"own_function": own_function}):
        assert activations.get("own_function") is activations.get(config) is own_function
    registration.register_keras_serializable("p")(own_function)
    assert _through_json(own_function)["config"] == "p>own_function"
    assert deserialize_keras_object(_through_json(own_function)) is own_function
    # As Keras up to 3.6 wrote it.
    assert deserialize_keras_object(config) is own_function


def test_layers():
    layer = REGISTRY["Dense"](3, activation="tanh", name="named")
    config = _through_json(layer)
    assert (config["module"], config["class_name"], config["registered_name"]) == ("keras.layers", "Dense", None)
    again = deserialize_keras_object(config)
    assert type(again) is REGISTRY["Dense"]
    assert again.get_config() == layer.get_config()


def test_models_are_named_as_in_keras():
    from fastseq import models

    model = models.Sequential([REGISTRY["Dense"](2, input_shape=(3,))])
    config = _through_json(model)
    assert (config["module"], config["class_name"], config["registered_name"]) == ("keras", "Sequential", None)
    assert type(deserialize_keras_object(config)) is models.Sequential
    names = {name: public_module(getattr(models, name)) for name in ("Sequential", "Model", "Functional")}
    assert names == {"Sequential": "keras", "Model": "keras", "Functional": "keras.src.models.functional"}


# ---- users' classes ----------------------------------------------------------------------------------------------


def test_own_classes():
    config = _through_json(Own(4, Own(5)))
    assert config["registered_name"] == "Own"
    assert deserialize_keras_object(config, {"Own": Own}).inner.size == 5
    with pytest.raises(UnsupportedError, match=r"class 'Own'.*register_keras_serializable.*custom_objects=\{'Own'"):
        deserialize_keras_object(config)
    registration.register_keras_serializable("pack")(Own)
    config = _through_json(Own(4))
    assert config["registered_name"] == "pack>Own"
    assert deserialize_keras_object(config).size == 4
    registration.get_custom_objects().clear()
    assert deserialize_keras_object(config, {"pack>Own": Own}).size == 4
    assert deserialize_keras_object(config, {"Own": Own}).size == 4


def test_a_users_class_is_not_the_built_in_of_its_name():
    class Dense(Own):
        pass

    built_in = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 2}, "registered_name": None}
    assert type(deserialize_keras_object(built_in, {"Dense": Dense})) is REGISTRY["Dense"]
    # Written for a class in somebody's script: loading the built-in instead would give wrong numbers.
    for module, name in ((None, "Dense"), (None, "C>Dense"), ("their.module", "Dense"), ("keras.layers", "C>Dense")):
        config = {"module": module, "class_name": "Dense", "config": {"size": 2}, "registered_name": name}
        with pytest.raises(UnsupportedError, match="Dense"):
            deserialize_keras_object(config)
        assert type(deserialize_keras_object(config, {name: Dense})) is Dense


def test_build_and_compile_configs_are_applied():
    class Built(Own):
        built = False

        def build_from_config(self, config):
            self.shape = config["input_shape"]

        def compile_from_config(self, config):
            self.compiled = config

        def get_build_config(self):
            return {"input_shape": (None, 2)}

        def get_compile_config(self):
            return {"loss": "mse"}

    again = deserialize_keras_object(_through_json(Built()), {"Built": Built})
    assert again.shape == [None, 2]
    assert again.compiled == {"loss": "mse"}


def test_shared_objects_are_made_once():
    config = {"class_name": "Own", "config": {"size": 1}, "shared_object_id": 17}
    with ObjectSharingScope():
        one, two = deserialize_keras_object([config, config], {"Own": Own})
        assert one is two
    one, two = deserialize_keras_object([config, config], {"Own": Own})
    assert one is not two


# ---- a config is data --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [
        {"class_name": "__lambda__", "config": {"value": ["4wEAAAA=", None, None]}},
        {"module": "keras.layers", "class_name": "Lambda", "config": {"name": "l"}, "registered_name": None},
        {"class_name": "Lambda", "config": {"function": ["4wEAAAA=", None, None]}},
    ],
)
def test_lambdas_are_refused_with_advice(config):
    with pytest.raises(UnsupportedError, match=r"never runs code .*subclass (of )?fastseq.layers.Layer"):
        deserialize_keras_object(config)


def test_lambdas_are_not_saved():
    with pytest.raises(UnsupportedError, match="lambda cannot be saved"):
        serialize_keras_object(lambda x: x)
    with pytest.raises(UnsupportedError, match="lambda cannot be saved"):
        activations.serialize(lambda x: x)


ATTACKS = [
    {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"},
    {"module": "builtins", "class_name": "function", "config": "eval", "registered_name": "eval"},
    {"module": "builtins", "class_name": "function", "config": "exec", "registered_name": "function"},
    {"module": "antigravity", "class_name": "Anything", "config": {}, "registered_name": "Anything"},
    {"module": "keras.antigravity", "class_name": "Anything", "config": {}, "registered_name": None},
    {"module": "keras.src.utils.python_utils", "class_name": "function", "config": "func_load"},
    {"module": "keras.utils", "class_name": "function", "config": "get_file", "registered_name": "get_file"},
    {"module": "keras.models", "class_name": "load_model", "config": {"filepath": "x"}, "registered_name": None},
    {"module": "fastseq.configs.serialization", "class_name": "_tables", "config": {}, "registered_name": None},
    {"module": "fastseq.errors", "class_name": "FileFormatError", "config": {"reason": "x"}},
    {"module": "numpy", "class_name": "ndarray", "config": {"shape": [1]}, "registered_name": "ndarray"},
    {"class_name": "__typespec__", "config": [], "spec_name": "x", "module": "os", "registered_name": "x"},
    {"class_name": "__class__", "config": {}},
    {"class_name": "__init__", "config": {}},
    {"class_name": ["Dense"], "config": {}},
    {"class_name": "Dense", "config": {}, "registered_name": ["x"], "module": ["keras"]},
    {"class_name": "Dense", "config": [1], "module": "keras.layers"},
    {"class_name": "Dense", "config": "x", "module": "keras.layers"},
    {"class_name": "function", "config": {"a": 1}, "module": "builtins"},
    {"class_name": "function", "config": None, "module": None},
    {"class_name": "__numpy__", "config": {"value": ["a"], "dtype": "object"}},
    {"class_name": "__numpy__", "config": {"value": [1], "dtype": ["float32"]}},
    {"class_name": "__numpy__", "config": {"value": [[1], [2, 3]], "dtype": "float32"}},
    {"class_name": "__numpy__", "config": {"value": {"a": 1}, "dtype": "float32"}},
    {"class_name": "__tensor__", "config": {"dtype": "float32"}},
    {"class_name": "__tensor__", "config": None},
    {"class_name": "__bytes__", "config": {"value": 5}},
    {"class_name": "__slice__", "config": {"start": 1}},
    {"class_name": "__keras_tensor__", "config": {"shape": 5, "dtype": "float32"}},
    {"class_name": "DTypePolicy", "config": {"name": ["float32"]}, "module": "keras"},
    {"class_name": "QuantizedDTypePolicy", "config": {"mode": "int8"}, "module": "keras"},
]


@pytest.mark.parametrize("config", ATTACKS)
@pytest.mark.parametrize(
    "read", [deserialize_keras_object, activations.get, initializers.get, regularizers.get, constraints.get]
)
def test_a_config_reaches_nothing_but_the_tables(config, read):
    modules = set(sys.modules)
    with pytest.raises(ValueError):
        read(config)
    assert not {m for m in set(sys.modules) - modules if m.split(".")[0] not in ("fastseq", "numpy")}


def test_a_config_nested_without_end_is_an_error():
    config = {}
    for _ in range(100_000):
        config = {"a": config}
    with pytest.raises(FileFormatError, match="nested too deeply"):
        deserialize_keras_object(config)


def test_a_config_the_class_does_not_take():
    config = {"module": "keras.initializers", "class_name": "Zeros", "config": {"wrong": 1}, "registered_name": None}
    with pytest.raises(UnsupportedError, match=r"Zeros.*wrong"):
        deserialize_keras_object(config)


def test_objects_without_a_config_are_not_saved():
    for obj in (object(), int, Own):
        with pytest.raises(UnsupportedError, match="get_config"):
            serialize_keras_object(obj)


# ---- against Keras -----------------------------------------------------------------------------------------------


@pytest.mark.tensorflow
def test_configs_of_layers_of_keras_are_read():
    keras = pytest.importorskip("keras")
    theirs = keras.layers.Dense(
        4,
        activation="gelu",
        kernel_initializer=keras.initializers.Orthogonal(2.0, seed=1),
        kernel_regularizer=keras.regularizers.L1L2(0.1, 0.2),
        bias_constraint="non_neg",
        name="d",
    )
    ours = deserialize_keras_object(json.loads(json.dumps(keras.saving.serialize_keras_object(theirs))))
    assert type(ours) is REGISTRY["Dense"]
    assert (ours.name, ours.units, ours.activation) == ("d", 4, activations.gelu)
    assert ours.kernel_initializer.gain == 2.0
    assert ours.kernel_regularizer.l2 == 0.2
    assert type(ours.bias_constraint) is constraints.NonNeg
    again = keras.saving.deserialize_keras_object(_through_json(ours))
    assert again.get_config() == theirs.get_config()


@pytest.mark.tensorflow
@pytest.mark.parametrize("value", [(1, [2.5, None]), {"a": np.arange(3.0)}, slice(1, 2), b"abc", np.float32(3)])
def test_configs_of_values_are_those_of_keras(value):
    keras = pytest.importorskip("keras")
    assert serialize_keras_object(value) == keras.saving.serialize_keras_object(value)

"""dtype policies in files: read, run in float32 with one warning, and kept; in code they raise."""

import copy
import json
import pickle
import warnings

import numpy as np
import pytest
from saving_files import keras_file

import fastseq
from fastseq import layers
from fastseq.configs import policies
from fastseq.errors import FileFormatError, UnsupportedError

NAMES = ["mixed_float16", "mixed_bfloat16", "float16", "bfloat16", "float64"]


def policy(name, kind="DTypePolicy"):
    return {"module": "keras", "class_name": kind, "config": {"name": name}, "registered_name": None}


def config(*dtypes):
    """A Sequential of Dense layers of 3 units whose configs hold these dtypes."""
    entries = [{"module": "keras.layers", "class_name": "InputLayer", "config": {"batch_shape": [None, 3]}}]
    for number, dtype in enumerate(dtypes):
        inner = {"name": f"d{number}", "units": 3, "dtype": dtype}
        entries.append({
            "module": "keras.layers", "class_name": "Dense", "config": inner, "registered_name": None,
            "build_config": {"input_shape": [None, 3]},
        })  # fmt: skip
    return {"module": "keras", "class_name": "Sequential", "config": {"name": "m", "layers": entries}}


def read(*dtypes):
    """(model, messages of warnings)"""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = fastseq.models.model_from_json(json.dumps(config(*dtypes)))
    assert all(warning.filename == __file__ for warning in caught)
    return model, [str(warning.message) for warning in caught]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", [str, policy, lambda name: policy(name, "Policy"), lambda n: policy(n, "PolicyV1")])
def test_a_policy_is_kept_and_told_of_once(name, form):
    model, messages = read(form(name), "float32", form(name))
    assert [layer.dtype_policy for layer in model.layers] == [name, "float32", name]
    assert [layer.dtype for layer in model.layers] == ["float32"] * 3
    (message,) = messages
    rounded = {"float16": "5e-4", "bfloat16": "4e-3", "float64": "6e-8"}[name.removeprefix("mixed_")]
    assert name in message and "runs in float32" in message and rounded in message
    assert model.get_config()["layers"][1]["config"]["dtype"]["config"] == {"name": name}
    assert model.predict(np.ones((1, 3))).dtype == np.float32


def test_one_warning_names_all_policies():
    _, (message,) = read(policy("mixed_float16"), policy("float64"), policy("mixed_float16"))
    assert "policies mixed_float16 and float64" in message


@pytest.mark.parametrize("form", ["float32", policy("float32"), None, policy("infer", "Policy"), "_infer"])
def test_float32_is_no_news(form):
    model, messages = read(form)
    assert messages == [] and model.layers[0].dtype_policy == "float32"


def test_copies_keep_policies_in_silence():
    model, _ = read(policy("mixed_float16"), policy("float32"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        copies = [fastseq.models.clone_model(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
        layers.Bidirectional(layers.LSTM(2))
    for other in copies:
        assert [layer.dtype_policy for layer in other.layers] == ["mixed_float16", "float32"]


def test_configs_keep_policies():
    model, _ = read(policy("float16"))
    with pytest.warns(UserWarning, match="policy float16"):
        again = type(model).from_config(model.get_config())
    with pytest.warns(UserWarning, match="'d0' names the dtype policy float16"):
        layer = layers.Dense.from_config(model.layers[0].get_config())
    assert again.layers[0].dtype_policy == layer.dtype_policy == "float16"
    inputs = fastseq.Input((3,))
    graph = fastseq.Model(inputs, model.layers[0](inputs))
    with pytest.warns(UserWarning, match="policy float16") as caught:
        again = fastseq.Model.from_config(graph.get_config())
    assert len(caught) == 1 and again.layers[1].dtype_policy == "float16"


@pytest.mark.parametrize("name", [*NAMES, "int8_from_float32", "float8_from_mixed_float16", "int32"])
def test_code_raises(name):
    for make in (lambda: layers.LSTM(4, dtype=name), lambda: layers.Embedding(4, 2, dtype=name)):
        with pytest.raises(ValueError, match=rf"{name}.*float32"):
            make()
    layer = layers.Dense(2)
    with pytest.raises(ValueError, match=rf"{name}.*float32"):
        layer.dtype_policy = name
    assert layer.dtype_policy == "float32"
    # Not even beside a scope that is over, or in another thread's.
    with policies.reading(quiet=True):
        pass
    with pytest.raises(ValueError, match=name):
        layers.Dense(2, dtype=name)


QUANTIZED = {"module": "keras", "class_name": "QuantizedDTypePolicy", "registered_name": None}


@pytest.mark.parametrize(("form", "name"), [
    ("int8_from_float32", "int8_from_float32"),
    ({**QUANTIZED, "config": {"mode": "int8", "source_name": "mixed_bfloat16"}}, "int8_from_mixed_bfloat16"),
    ({**QUANTIZED, "config": {"mode": "int4/128", "source_name": None}}, "int4/128_from_float32"),
    ({"class_name": "DTypePolicyMap", "config": {"default_policy": "float32", "policy_map": {
        "a": {**QUANTIZED, "config": {"mode": "int8", "source_name": "float32"}}}}}, "int8_from_float32"),
])  # fmt: skip
def test_quantized_weights_are_refused_by_name(tmp_path, form, name):
    with pytest.raises(UnsupportedError, match=rf"'d0'.*'{name}'.*quantized"):
        read(form)
    path = keras_file(tmp_path / "m.keras", config(form))
    with pytest.raises(FileFormatError, match=rf"layer 'd0'.*'{name}'.*quantized"):
        fastseq.load_model(path)


@pytest.mark.parametrize(
    "form", ["int32", "float8", policy("x"), policy(None), policy(["float16"]), {"class_name": "DTypePolicy"}]
)
def test_what_is_no_policy(form):
    if form == policy(None):
        assert read(form)[1] == []
        return
    with pytest.raises(ValueError, match=r"d0.*(dtype policy|is no dtype)"):
        read(form)


def test_maps_of_policies():
    form = {"module": "keras.dtype_policies", "class_name": "DTypePolicyMap", "registered_name": None,
            "config": {"default_policy": policy("float16"), "policy_map": {"x": policy("float32")}}}  # fmt: skip
    model, (message,) = read(form)
    assert model.layers[0].dtype_policy == "float16" and "float16" in message
    assert model.layers[0].get_config()["dtype"] == form


def test_inputs_of_half_precision_are_told_of():
    with pytest.warns(UserWarning, match="policy float16"):
        fastseq.saving.deserialize_keras_object(
            {"class_name": "InputLayer", "config": {"batch_shape": [None, 3], "dtype": "float16"}}
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fastseq.Input((3,), dtype="float16")


def test_a_failed_file_tells_of_nothing_else(tmp_path):
    broken = config("float16", "float32", "float16")
    broken["config"]["layers"][2]["config"]["units"] = -1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(FileFormatError, match=r"layer 'd1'.*units"):
            fastseq.load_model(keras_file(tmp_path / "m.keras", broken))


def test_a_config_is_a_copy():
    model, _ = read(policy("float16"))
    model.layers[0].get_config()["dtype"]["config"]["name"] = "x"
    assert model.layers[0].get_config()["dtype"]["config"] == {"name": "float16"}


def test_a_failed_file_leaves_no_scope():
    broken = config("float16", "x")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UnsupportedError):
            fastseq.models.model_from_json(json.dumps(broken))
    with pytest.raises(ValueError, match="float16"):
        layers.Dense(2, dtype="float16")


# ---- beside Keras ----------------------------------------------------------------------------------------------------


def _of(k, name):
    """A model of library `k` under the policy `name`, trained for a step."""
    set_policy = k.mixed_precision.set_global_policy if hasattr(k.mixed_precision, "set_global_policy") else None
    set_policy = set_policy or k.config.set_dtype_policy
    set_policy(name)
    try:
        L = k.layers
        model = k.Sequential([
            k.Input((6, 3)), L.LSTM(4, return_sequences=True), L.Bidirectional(L.GRU(3)), L.Dense(2, dtype="float32"),
        ])  # fmt: skip
        model.compile("adam", "mse", run_eagerly=True)
        model.train_on_batch(np.ones((2, 6, 3)), np.ones((2, 2)))
    finally:
        set_policy("float32")
    return model


@pytest.mark.tensorflow
@pytest.mark.parametrize("library", ["keras", "tf_keras"])
@pytest.mark.parametrize("name", ["mixed_float16", "mixed_bfloat16", "float16", "float64"])
def test_files_of_keras(tmp_path, library, name, rng):
    k = pytest.importorskip(library)
    theirs = _of(k, name)
    for path in (tmp_path / "m.keras", tmp_path / "m.h5"):
        theirs.save(path)
        _check_file(path, theirs, name, library, rng)


def _check_file(path, theirs, name, library, rng):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ours = fastseq.load_model(path)
    told = [str(warning.message) for warning in caught if "dtype polic" in str(warning.message)]
    assert len(told) == 1 and name in told[0] and str(path) in told[0]
    x = rng.standard_normal((4, 6, 3)).astype("f")
    expected = np.asarray(theirs(x), "f")
    # A few roundings of the narrower type.
    kind = name.removeprefix("mixed_")
    np.testing.assert_allclose(
        ours.predict(x), expected, rtol=0, atol={"float16": 2e-3, "bfloat16": 2e-2, "float64": 1e-6}[kind]
    )  # fmt: skip
    assert [layer.dtype_policy for layer in ours.layers] == [name, name, "float32"]
    for own, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(own, np.asarray(other, "f"))
    # The optimizer inside the one that scales the loss, with its state.
    assert type(ours.optimizer).__name__ == "Adam"
    if library == "keras":
        assert int(ours.optimizer.iterations) == int(
            getattr(theirs.optimizer, "inner_optimizer", theirs.optimizer).iterations
        )


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["mixed_float16", "float16", "float64"])
@pytest.mark.filterwarnings("ignore:.*dtype policy", "ignore:Skipping variable loading")
def test_keras_loads_what_is_saved_with_its_policy(tmp_path, name, rng):
    keras = pytest.importorskip("keras")
    _of(keras, name).save(tmp_path / "m.keras")
    ours = fastseq.load_model(tmp_path / "m.keras")
    ours.save(tmp_path / "again.keras")
    theirs = keras.models.load_model(tmp_path / "again.keras")
    assert [layer.dtype_policy.name for layer in theirs.layers] == [name, name, "float32"]
    x = rng.standard_normal((4, 6, 3)).astype("f")
    np.testing.assert_allclose(np.asarray(theirs(x), "f"), ours.predict(x), rtol=0, atol=2e-3)


@pytest.mark.tensorflow
def test_a_quantized_model_of_keras_is_refused(tmp_path):
    keras = pytest.importorskip("keras")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="d0")])
    model.quantize("int8")
    model.save(tmp_path / "m.keras")
    with pytest.raises(FileFormatError, match=r"layer 'd0'.*[Ii]nt8.*dequantize"):
        fastseq.load_model(tmp_path / "m.keras")


@pytest.mark.tensorflow
@pytest.mark.parametrize("library", ["keras", "tf_keras"])
def test_live_models(library, rng):
    k = pytest.importorskip(library)
    theirs = _of(k, "mixed_float16")
    with pytest.warns(UserWarning, match="The model names the dtype policy mixed_float16"):
        ours = fastseq.from_keras(theirs)
    assert [layer.dtype_policy for layer in ours.layers] == ["mixed_float16", "mixed_float16", "float32"]
    x = rng.standard_normal((4, 6, 3)).astype("f")
    np.testing.assert_allclose(ours.predict(x), theirs(x), rtol=0, atol=2e-3)

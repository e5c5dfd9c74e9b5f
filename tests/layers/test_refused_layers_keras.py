"""Every public name of `keras.layers` is there, or in the table of what is refused, and nothing is in both."""

import json

import h5py
import pytest
from places import ROOT

import fastseq
from fastseq import layers


def test_nothing_is_refused_that_is_there():
    there = set(layers.__all__) & set(layers.REASONS)
    assert there == set(), f"{sorted(there)} are layers: take them out of fastseq/layers/refused.py and the README."


@pytest.mark.tensorflow
def test_every_name_of_keras_is_there_or_refused():
    keras = pytest.importorskip("keras")
    names = {name for name in dir(keras.layers) if not name.startswith("_")}
    unnamed = names - set(layers.__all__) - set(layers.REASONS)
    assert unnamed == set(), f"fastseq/layers/refused.py names neither {sorted(unnamed)} nor a reason."
    gone = set(layers.REASONS) - names
    assert gone == set(), f"keras.layers has no {sorted(gone)}: take them out of fastseq/layers/refused.py."


@pytest.mark.parametrize("name", layers.REASONS)
def test_the_reason_is_given(name):
    with pytest.raises(AttributeError) as error:
        getattr(layers, name)
    assert str(error.value) == f"module 'fastseq.layers' has no attribute '{name}': {layers.REASONS[name]}."
    with pytest.raises(ImportError, match=f"cannot import name '{name}' from 'fastseq.layers': "):
        exec(f"from fastseq.layers import {name}")


def test_the_readme_lists_them():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = text.split("Of `keras.layers` these are missing:")[1].split(".\n")[0]
    assert [name.strip() for name in listed.split(",")] == sorted(layers.REASONS)


def test_files_give_the_reasons(tmp_path):
    entries = [
        {"class_name": name, "config": {"name": f"layer_{i}", "trainable": True, "dtype": "float32"}}
        for i, name in enumerate(("Conv2D", "MaxPooling2D", "StringLookup"))
    ]
    entries.insert(0, {"class_name": "InputLayer", "config": {"name": "in", "batch_input_shape": [None, 4, 4, 1]}})
    with h5py.File(tmp_path / "model.h5", "w") as file:
        file.attrs["keras_version"] = b"2.4.0"
        model = {"class_name": "Sequential", "config": {"name": "model", "layers": entries}}
        file.attrs["model_config"] = json.dumps(model).encode()
        file.create_group("model_weights").attrs["layer_names"] = []
    with pytest.raises(ValueError) as error:
        fastseq.load_model(tmp_path / "model.h5")
    for name, told in (("Conv2D", "Conv2D, MaxPooling2D"), ("StringLookup", "StringLookup")):
        assert f" {told}: {layers.REASONS[name]}." in str(error.value)

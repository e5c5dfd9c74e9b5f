"""The rules of masks stay with a graph: in its parts, its copies and its files. Without Keras."""

import copy
import pickle
import warnings
import zipfile

import numpy as np
import pytest
from mask_models import IDS, OTHERS, merged, newest, rules, states_input, the, with_states, words

import fastseq
from fastseq import FileFormatError, layers
from fastseq.models import clone_model, model_from_json


def copies(model, folder):
    """(way, copy with the same weights) for every way to copy a model."""

    def loaded(ending):
        path = folder / f"model{ending}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.save(path)
        return fastseq.load_model(path)

    def with_weights(twin):
        twin.set_weights(model.get_weights())
        return twin

    yield "keras", loaded(".keras")
    yield "h5", loaded(".h5")
    yield "pickle", pickle.loads(pickle.dumps(model))
    yield "deepcopy", copy.deepcopy(model)
    yield "clone", with_weights(clone_model(model))
    yield "clone with its models", with_weights(clone_model(model, recursive=True))
    yield "config", with_weights(type(model).from_config(model.get_config()))
    yield "json", with_weights(model_from_json(model.to_json()))
    yield "twice", pickle.loads(pickle.dumps(loaded(".keras")))


def test_rules_stay_with_a_graph(tmp_path):
    model, x = with_states(), states_input()
    expected = model.predict(x)
    assert not np.array_equal(expected, newest(model).predict(x))
    for way, twin in copies(model, tmp_path):
        assert np.array_equal(twin.predict(x), expected), way


def test_rules_stay_with_a_sequential(tmp_path):
    model, ids = words(), np.stack([IDS, OTHERS], axis=1)
    ids[0, 1] = 0
    expected = model.predict(ids)
    assert not np.array_equal(expected, newest(model).predict(ids))
    for way, twin in copies(model, tmp_path):
        assert np.array_equal(twin.predict(ids), expected), way


def test_a_sequential_that_is_built_later_keeps_its_rules():
    model = words()
    with rules("2"):
        later = fastseq.Sequential([type(layer).from_config(layer.get_config()) for layer in model.layers])
    later.build((None, None, 4))
    later.set_weights(model.get_weights())
    ids = np.stack([IDS, OTHERS], axis=1)
    assert np.array_equal(later.predict(ids), model.predict(ids))


def test_a_part_of_a_model_keeps_its_rules():
    model, x = with_states(), states_input()
    lstm, dense = the(model, layers.LSTM), the(model, layers.Dense)
    part = fastseq.Model(model.inputs, lstm.output[0] if isinstance(lstm.output, list) else lstm.output)
    assert np.array_equal(dense(part.predict(x)), model.predict(x))
    nested = fastseq.Model(model.inputs, layers.Identity()(model(model.inputs)))
    assert np.array_equal(nested.predict(x), model.predict(x))
    on_top = fastseq.Model(model.inputs, layers.LSTM(2)(lstm.output))
    config = on_top.get_config()["layers"]
    assert [node.get("mask_rules") for entry in config for node in entry["inbound_nodes"]][-2:] == ["2", None]


def test_saving_tells_what_keras_will_do_differently(tmp_path):
    model = with_states()
    for ending in (".keras", ".h5"):
        with pytest.warns(UserWarning, match="rules of masks of Keras 2.*initial states without their mask.*'lstm"):
            model.save(tmp_path / f"m{ending}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with_states("3.15").save(tmp_path / "m.keras")
        pickle.dumps(model)
        # Nothing in it depends on the rules.
        with rules("2"):
            plain = fastseq.Sequential([fastseq.Input((4,)), layers.Embedding(9, 4, mask_zero=True), layers.LSTM(3)])
        plain.save(tmp_path / "m.keras")
    with pytest.warns(UserWarning, match=r"Keras 3\.0 \(before 3\.4\).*masks what merging layers give"):
        merged("3.0", layers.add).save(tmp_path / "m.keras")
    with pytest.warns(UserWarning, match="TimeDistributed"):
        words().save(tmp_path / "m.keras")


def test_a_file_cannot_name_other_rules(tmp_path):
    path = tmp_path / "m.keras"
    pickled = with_states()
    with pytest.warns(UserWarning):
        pickled.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for value in (b'"9"', b"[]", b"null", b"2"):
        broken = {
            **members,
            "config.json": members["config.json"].replace(b'"mask_rules": "2"', b'"mask_rules": ' + value),
        }
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in broken.items():
                archive.writestr(name, data)
        with pytest.raises(FileFormatError, match="mask_rules"):
            fastseq.load_model(path)

"""What load_model, load_weights and save are given: paths, bytes, file objects, and files of other programs."""

import errno
import gzip
import io
import json
import os
import pickle
import shutil
import tarfile
import zipfile

import h5py
import numpy as np
import pytest
from saving_files import BIAS, DATA, KERNEL, keras_file, sequential
from saving_files import weights as weights_file

import fastseq
from fastseq import layers
from fastseq.errors import FileFormatError
from fastseq.saving import write


@pytest.fixture
def model():
    made = fastseq.Sequential([fastseq.Input((3,)), layers.Dense(2, name="dense")])
    made.set_weights([KERNEL + 1, BIAS + 1])
    return made


class OnlyReads:
    """As an HTTP response: no seek, no name."""

    def __init__(self, data):
        self.data = data

    def read(self):
        return self.data


def at_its_end(data):
    file = io.BytesIO(data)
    file.seek(0, 2)
    return file


FORMS = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "BytesIO": io.BytesIO,
    "BytesIO at its end": at_its_end,
    "no seek": OnlyReads,
    "gzip": lambda data: gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(data))),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
class TestInMemory:
    @pytest.mark.parametrize("file", ["keras3.keras", "keras2.keras", "keras3.h5", "keras2.h5"])
    def test_models(self, form, file):
        expected = fastseq.load_model(DATA / file).get_weights()
        found = fastseq.load_model(form((DATA / file).read_bytes())).get_weights()
        for a, b in zip(expected, found, strict=True):
            np.testing.assert_array_equal(a, b)

    @pytest.mark.parametrize("file", ["keras3.keras", "keras3.weights.h5", "keras3.h5"])
    def test_weights(self, form, file):
        found = fastseq.load_model(DATA / "keras3.keras")
        expected = found.get_weights()
        found.set_weights([weight + 1 for weight in expected])
        found.load_weights(form((DATA / file).read_bytes()))
        for a, b in zip(expected, found.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)

    def test_damage_is_told_without_a_path(self, form):
        data = (DATA / "keras3.keras").read_bytes()
        with pytest.raises(FileFormatError, match=r"file '<\w+>'"):
            fastseq.load_model(form(data[: len(data) // 2]))
        with pytest.raises(FileFormatError, match="it is empty"):
            fastseq.load_model(form(b""))


def test_open_files_stay_open_and_are_named(tmp_path, model):
    path = keras_file(tmp_path / "m.keras")
    with open(path, "rb") as file:
        file.read(100)
        np.testing.assert_array_equal(fastseq.load_model(file).get_weights()[0], KERNEL)
        model.load_weights(file)
        np.testing.assert_array_equal(model.get_weights()[0], KERNEL)
        assert not file.closed
    path.write_bytes(path.read_bytes()[:300])
    with open(path, "rb") as file, pytest.raises(FileFormatError) as caught:
        fastseq.load_model(file)
    assert caught.value.path == str(path)


def test_what_is_no_file(tmp_path, model):
    for given in (None, 5, 1.5, ["m.keras"], object(), np.zeros(3), model):
        with pytest.raises(TypeError, match=f"from a path, from bytes or from an open .* got {type(given).__name__}"):
            fastseq.load_model(given)
        with pytest.raises(TypeError, match="from a path"):
            model.load_weights(given)
        with pytest.raises(TypeError, match="to a path or to an open"):
            model.save(given)
    path = keras_file(tmp_path / "m.keras")
    with open(path, encoding="latin-1") as file, pytest.raises(TypeError, match="open it with 'rb'"):
        fastseq.load_model(file)
    with pytest.raises(FileFormatError, match=r"these are a path: give os\.fsdecode"):
        fastseq.load_model(os.fsencode(path))
    with pytest.raises(FileNotFoundError, match="download it"):
        fastseq.load_model("https://example.org/m.keras")
    with pytest.raises(FileNotFoundError):
        fastseq.load_model("")


def test_saving_to_file_objects(tmp_path, model):
    model.compile("adam", "mse")
    model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    memory = io.BytesIO()
    model.save(memory)
    found = fastseq.load_model(memory)
    assert int(found.optimizer.iterations) == 1
    with open(tmp_path / "w", "wb") as file:
        model.save_weights(file)
    model.set_weights([KERNEL, BIAS])
    model.load_weights(tmp_path / "w")
    np.testing.assert_array_equal(model.get_weights()[0], found.get_weights()[0])
    memory = io.BytesIO()
    fastseq.saving.save_model(model, memory, include_optimizer=False)
    assert not fastseq.load_model(memory).compiled
    with open(tmp_path / "text", "w") as file, pytest.raises(TypeError, match="open it with 'wb'"):
        model.save(file)


def test_file_objects_that_take_a_part(model):
    class Raw(io.BytesIO):
        def write(self, data):
            return super().write(data[:1000])

    class Full(io.BytesIO):
        def write(self, data):
            return 0

    class Silent:
        parts = ()

        def write(self, data):
            self.parts = (*self.parts, data)

    file, silent = Raw(), Silent()
    model.save(file)
    model.save(silent)
    for data in (file, *silent.parts):
        np.testing.assert_array_equal(fastseq.load_model(data).get_weights()[0], KERNEL + 1)
    with pytest.raises(OSError, match="takes no more bytes"):
        model.save(Full())


# ---- files of other programs ---------------------------------------------------------------------------------------

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 123456\n"
_HEADER = json.dumps({"kernel": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
OTHERS = {
    "Git LFS": (LFS, "pointer of Git LFS.*git lfs pull"),
    "HTML": (b"\n<!DOCTYPE html>\n<html><head><title>GitHub</title>", r"web page \(HTML\).*download the file itself"),
    "HTML with a mark": (b"\xef\xbb\xbf<HTML>", "web page"),
    "an error of a server": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "XML document"),
    "JSON": (b'{"a": 1}', "it is JSON, and neither"),
    "a config": (json.dumps(sequential()).encode(), r"config \(JSON\), without weights.*model_from_json.*load_weights"),
    "TensorFlow.js": (b'{"format": "layers-model", "modelTopology": {}}', "TensorFlow.js: convert it"),
    "a notebook": (b'{\n "cells": [], "nbformat": 4}', "Jupyter notebook"),
    "weights in parts": (b'{"metadata": {}, "weight_map": {}}', "wrote in parts"),
    "a pickle": (pickle.dumps({"a": 1}), "a pickle. Those are code and are not read"),
    "an old PyTorch file": (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.", "PyTorch.*code"),
    "an empty zip": (b"PK\x05\x06" + bytes(18), "it is an empty zip"),
    "gzip": (gzip.compress(b"x" * 1000), "packed by gzip: unpack it first"),
    "a graph": (b"\x08\x01\x12\xb8\x17\n\x04", "graph of TensorFlow.*tf_keras.models.load_model.*model.save"),
    "ONNX": (b"\x08\x07\x12\x07pytorch\x1a\x051.9", "an ONNX model"),
    "TFLite": (b"\x1c\0\0\0TFL3" + bytes(20), "a TensorFlow Lite model"),
    "safetensors": (len(_HEADER).to_bytes(8, "little") + _HEADER + bytes(4), "safetensors"),
    "GGUF": (b"GGUF\x03\0\0\0", "GGUF"),
    "an array": (b"\x93NUMPY\x01\0v\0{'descr'", r"NumPy array.*set_weights"),
    "text mode": (b"\x89HDF\n\x1a\n" + bytes(50), "line ends.*transfer it again, as binary"),
    "text, replaced": ("\ufffdHDF\r\n\x1a\n".encode() + bytes(50), "line ends"),
    "a user block": (bytes(512) + b"\x89HDF\r\n\x1a\n", "user block"),
    "text": (b"404: Not Found\n", "it is text, and begins with '404: Not Found'"),
    "a list of checkpoints": (b'model_checkpoint_path: "ckpt-1"\n', "list of a folder's TensorFlow checkpoints"),
    "noise": (bytes(range(200, 256)), r"neither a .keras \(zip\) nor an HDF5 file$"),
}


@pytest.mark.parametrize(("content", "match"), OTHERS.values(), ids=OTHERS)
def test_files_of_others(tmp_path, model, content, match):
    path = tmp_path / "m.keras"
    path.write_bytes(content)
    for load in (fastseq.load_model, model.load_weights):
        for given in (path, str(path), content, io.BytesIO(content)):
            with pytest.raises(FileFormatError, match=match):
                load(given)


def archive(*members):
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as file:
        for name in members:
            file.writestr(name, b"{}")
    return memory.getvalue()


ZIPS = {
    "PyTorch": (["archive/data.pkl", "archive/data/0", "archive/version"], "PyTorch, which is pickles"),
    "arrays": (["a.npy", "b.npy"], r"NumPy's arrays \(.npz\).*set_weights"),
    "a SavedModel": (["m/saved_model.pb", "m/variables/variables.index"], "a SavedModel in a zip.*tf_keras"),
    "a folder": (["m/config.json", "m/metadata.json", "m/model.weights.h5"], "'m/config.json': zip the files of a"),
    "a packed model": (["m.keras"], "'m.keras': unpack it"),
    "something": (["readme.txt"], "'readme.txt'"),
}


@pytest.mark.parametrize(("members", "match"), ZIPS.values(), ids=ZIPS)
def test_other_zips(tmp_path, members, match):
    path = tmp_path / "m.keras"
    path.write_bytes(archive(*members))
    with pytest.raises(FileFormatError, match=f"no member 'config.json', so it is not a Keras model; it .*{match}"):
        fastseq.load_model(path)


def test_tar(tmp_path):
    keras_file(tmp_path / "m.keras")
    with tarfile.open(tmp_path / "m.tar", "w") as file:
        file.add(tmp_path / "m.keras", "m.keras")
    with pytest.raises(FileFormatError, match="tar archive: unpack it"):
        fastseq.load_model(tmp_path / "m.tar")


def test_checkpoints_of_tensorflow(tmp_path, model):
    for name in ("ckpt.index", "ckpt.data-00000-of-00001"):
        (tmp_path / name).write_bytes(bytes(100))
    prefix = str(tmp_path / "ckpt")
    for given in (prefix, f"{prefix}.index", f"{prefix}.data-00000-of-00001", tmp_path):
        for load in (fastseq.load_model, model.load_weights):
            with pytest.raises(FileFormatError, match="TensorFlow checkpoint, which holds weights only") as caught:
                load(given)
            assert f"model.load_weights({prefix!r})" in str(caught.value)


def test_folders(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01\x12")
    with pytest.raises(FileFormatError, match=r"folder of a SavedModel.*tf_keras"):
        fastseq.load_model(tmp_path)
    with zipfile.ZipFile(keras_file(tmp_path / "m.keras")) as file:
        file.extractall(tmp_path / "unpacked")
    with pytest.raises(FileFormatError, match="zip without a folder in it"):
        fastseq.load_model(tmp_path / "unpacked")
    shutil.make_archive(str(tmp_path / "again"), "zip", tmp_path / "unpacked")
    np.testing.assert_array_equal(fastseq.load_model(tmp_path / "again.zip").get_weights()[0], KERNEL)


def test_weights_alone(tmp_path):
    message = r"weights only: build the model .* call model\.load_weights\(path\)\. They are those of {}"
    with pytest.raises(FileFormatError, match=message.format("4 layers: both_ways, gru_layer, lstm_layer, out")):
        fastseq.load_model(DATA / "keras2_weights.h5")
    path = tmp_path / "m.weights.h5"
    path.write_bytes(weights_file())
    with pytest.raises(FileFormatError, match=message.format("1 layer: dense")):
        fastseq.load_model(path)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = KERNEL
    with pytest.raises(FileFormatError, match="holds no Keras model"):
        fastseq.load_model(tmp_path / "other.h5")


# ---- places to save to ---------------------------------------------------------------------------------------------

SAVES = {
    ".keras": lambda model, path: model.save(path),
    ".h5": lambda model, path: model.save(path),
    ".weights.h5": lambda model, path: model.save_weights(path),
}


@pytest.mark.parametrize("ending", SAVES)
class TestPlaces:
    def test_missing_folders(self, tmp_path, model, ending):
        folder = tmp_path / "no" / "folder"
        if ending == ".h5":  # as Keras does
            SAVES[ending](model, folder / "m.h5")
            assert os.listdir(folder) == ["m.h5"]
            return
        with pytest.raises(FileNotFoundError, match="no such folder") as caught:
            SAVES[ending](model, folder / f"m{ending}")
        assert caught.value.filename == str(folder) and caught.value.errno == errno.ENOENT
        assert os.listdir(tmp_path) == []

    def test_a_file_for_a_folder(self, tmp_path, model, ending):
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(OSError) as caught:
            SAVES[ending](model, tmp_path / "file" / f"m{ending}")
        assert caught.value.filename == str(tmp_path / "file")

    def test_a_folder_for_a_file(self, tmp_path, model, ending):
        (tmp_path / f"m{ending}").mkdir()
        with pytest.raises(IsADirectoryError) as caught:
            SAVES[ending](model, tmp_path / f"m{ending}")
        assert caught.value.filename == str(tmp_path / f"m{ending}")
        assert os.listdir(tmp_path) == [f"m{ending}"]

    def test_a_folder_that_is_read_only(self, tmp_path, model, ending, monkeypatch):
        def refuse(path, mode):
            raise PermissionError(errno.EACCES, "Permission denied", path)

        monkeypatch.setattr(write, "open", refuse, raising=False)
        with pytest.raises(PermissionError) as caught:
            SAVES[ending](model, tmp_path / f"m{ending}")
        assert caught.value.filename == str(tmp_path / f"m{ending}") and ".part" not in str(caught.value)

    @pytest.mark.parametrize("letter", ["x", "ü", "語", "🙂"])
    def test_names_as_long_as_they_may_be(self, tmp_path, model, ending, letter):
        space = 255 - len(ending)
        name = letter * (space // len(letter.encode())) + ending
        SAVES[ending](model, tmp_path / name)
        assert os.listdir(tmp_path) == [name]
        with pytest.raises(OSError) as caught:
            SAVES[ending](model, tmp_path / f"{'x' * 256}{ending}")
        assert caught.value.errno == errno.ENAMETOOLONG and ".part" not in str(caught.value)

    @pytest.mark.parametrize("name", ["", ".", "m", "m.pb", "m.keras.txt"])
    def test_other_endings(self, tmp_path, model, ending, name, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(ValueError, match="must end in"):
            SAVES[ending](model, name)
        assert os.listdir(tmp_path) == []


@pytest.mark.tensorflow
def test_a_checkpoint_of_keras_2_itself(tmp_path):
    tf_keras = pytest.importorskip("tf_keras")
    theirs = tf_keras.Sequential([tf_keras.layers.Input((3,)), tf_keras.layers.Dense(2)])
    theirs.save_weights(tmp_path / "ckpt")
    theirs.save(tmp_path / "saved", save_format="tf")
    for path, match in ((tmp_path / "ckpt", "a TensorFlow checkpoint"), (tmp_path / "saved", "folder of a SavedModel"),
                        (tmp_path / "saved" / "saved_model.pb", "graph of TensorFlow"),
                        (tmp_path / "checkpoint", "list of a folder's TensorFlow checkpoints")):  # fmt: skip
        with pytest.raises(FileFormatError, match=match):
            fastseq.load_model(path)


def test_a_handler_while_a_path_is_looked_at(tmp_path, monkeypatch):
    """Its TimeoutError is an OSError, and no sign that there is no file."""
    path, interrupted = keras_file(tmp_path / "m.keras"), TimeoutError("a handler's")

    def stat(*args, **kwargs):
        raise interrupted

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", stat)
        with pytest.raises(TimeoutError, match="a handler's"):
            fastseq.load_model(path)
    fastseq.load_model(path)

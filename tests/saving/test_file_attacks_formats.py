"""The attacks on HDF5 in the older formats and in weight files, and files of other programs: each refused by name."""

import gzip
import io
import os
import pickle
import tarfile
import zipfile

import h5py
import numpy as np
import pytest
from saving_files import BIAS, KERNEL, dense, h5_model, input_layer, keras_file, refuse, sequential, weights

import fastseq
from fastseq import layers
from fastseq.errors import FileFormatError


def untouched(model, path, match):
    """load_weights must raise, naming the file, and leave every weight as it was."""
    before = model.get_weights()
    with pytest.raises(FileFormatError, match=match) as caught:
        model.load_weights(path)
    assert caught.value.path == str(path)
    for ours, kept in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, kept)


@pytest.fixture
def model():
    return fastseq.Sequential([fastseq.Input((3,)), layers.Dense(2, name="dense")])


def shape_bomb(group, name, folder):
    group.create_dataset(name, shape=(2**30, 2**30), dtype="f4", chunks=(1024, 1024), compression="gzip")


def external_storage(group, name, folder):
    (folder / "secret").write_bytes(bytes(24))
    group.create_dataset(name, (3, 2), "f4", external=[(str(folder / "secret"), 0, 24)])


def virtual_dataset(group, name, folder):
    with h5py.File(folder / "source.h5", "w") as file:
        file["secret"] = KERNEL
    layout = h5py.VirtualLayout((3, 2), "f4")
    layout[...] = h5py.VirtualSource(folder / "source.h5", "secret", (3, 2))
    group.create_virtual_dataset(name, layout)


def external_link(group, name, folder):
    with h5py.File(folder / "source.h5", "w") as file:
        file["secret"] = KERNEL
    group[name] = h5py.ExternalLink(str(folder / "source.h5"), "/secret")


def soft_link(group, name, folder):
    group.file["elsewhere"] = KERNEL
    group[name] = h5py.SoftLink("/elsewhere")


def huge_chunks(group, name, folder):
    group.create_dataset(name, (3, 2), "f4", maxshape=(None, None), chunks=(8000, 8000), compression="gzip")
    group[name][...] = KERNEL


@pytest.mark.parametrize(
    "attack, reason",
    [(shape_bomb, r"\(1073741824, 1073741824\)"), (external_storage, "external"), (virtual_dataset, "virtual"),
     (external_link, "external link"), (soft_link, "soft link"), (huge_chunks, "larger chunks")],
)  # fmt: skip
class TestHdf5InEveryFormat:
    def test_full_model(self, tmp_path, model, attack, reason):
        path = h5_model(tmp_path / "m.h5", sequential())
        with h5py.File(path, "r+") as file:
            group = file["model_weights/dense"]
            del group["dense/kernel:0"]
            attack(group, "dense/kernel:0", tmp_path)
        refuse(path, reason)
        untouched(model, path, reason)

    def test_weights_of_keras_3(self, tmp_path, model, attack, reason):
        def fill(group):
            attack(group, "0", tmp_path)
            group["1"] = BIAS

        path = tmp_path / "m.weights.h5"
        path.write_bytes(weights(fill))
        untouched(model, path, reason)
        untouched(model, keras_file(tmp_path / "m.keras", h5=weights(fill)), reason)


@pytest.mark.parametrize("link", ["soft", "external"])
@pytest.mark.parametrize("depth", ["model_weights", "model_weights/dense", "model_weights/dense/dense"])
def test_links_in_older_files(tmp_path, link, depth):
    path = h5_model(tmp_path / "m.h5", sequential())
    with h5py.File(path, "r+") as file:
        file.move(depth, "hidden")
        other = tmp_path / "other.h5"
        file[depth] = h5py.SoftLink("/hidden") if link == "soft" else h5py.ExternalLink(str(other), "/hidden")
    refuse(path, f"{link} link")


# ---- configs that want memory ----------------------------------------------------------------------------------------


def layer(class_name, **config):
    return {"module": "keras.layers", "class_name": class_name, "config": {"name": "evil", **config}}


@pytest.mark.parametrize(
    "shape, evil",
    [
        ((None, 3), layer("Embedding", input_dim=10**12, output_dim=4)),
        ((None, 10**12), layer("PReLU")),
        ((None, 5, 10**10), layer("LSTM", units=2)),
        ((10**12, 5, 3), layer("LSTM", units=2, stateful=True)),
        ((10**12, 5, 3), layer("Bidirectional", layer=layer("GRU", units=2, stateful=True))),
        ((None, 2, 3), layer("TimeDistributed", layer=dense(units=10**12))),
        ((None, 3), layer("Permute", dims=[1] * 1000)),
        ((None, 3), layer("Reshape", target_shape=[-1, -1])),
        ((None, 3), layer("RepeatVector", n=-1)),
        ((None, 3), layer("RepeatVector", n=float("nan"))),
        ((None, 3), layer("Dropout", rate=float("nan"))),
        ((None, 3), layer("LeakyReLU", negative_slope=[1] * 1000)),
    ],
    ids=lambda value: value["class_name"] if isinstance(value, dict) else "on",
)
def test_sizes_beyond_reason(tmp_path, shape, evil):
    """The weights and states that a config asks for are bounded by the file that should hold them."""
    message = refuse(keras_file(tmp_path / "m.keras", sequential(input_layer(shape=shape), evil)), "layer '")
    assert "evil'" in message or "'dense'" in message


# ---- foreign files ---------------------------------------------------------------------------------------------------


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def zipped(**members):
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), data)
    return memory.getvalue()


def tarred():
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("config.json"))
    return memory.getvalue()


def saved(save, *args, **kwargs):
    memory = io.BytesIO()
    save(memory, *args, **kwargs)
    return memory.getvalue()


FOREIGN = {
    "empty": lambda evil: b"",
    "text": lambda evil: b"layers: [dense]\n",
    "json": lambda evil: b'{"class_name": "Sequential", "config": {"name": "m", "layers": []}}',
    "pickle": lambda evil: pickle.dumps(Evil(evil)),
    "PyTorch before 1.6": lambda evil: pickle.dumps(0x1950A86A20F9469CFC6C) + pickle.dumps(Evil(evil)),
    "PyTorch": lambda evil: zipped(archive__data_dot_pkl=pickle.dumps(Evil(evil)), archive__version=b"3"),
    "npz": lambda evil: saved(np.savez, kernel=KERNEL, bias=BIAS),
    "pickled npz": lambda evil: saved(np.savez, kernel=np.array([Evil(evil)], dtype=object)),
    "npy": lambda evil: saved(np.save, KERNEL),
    "gzip": lambda evil: gzip.compress(weights()),
    "tar": lambda evil: tarred(),
    "half a zip": lambda evil: zipped(config_dot_json="{}")[:40],
    "zip within": lambda evil: zipped(m_dot_keras=zipped(config_dot_json="{}")),
    "HDF5 signature": lambda evil: b"\x89HDF\r\n\x1a\n",
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.weights.h5"])
def test_foreign_files(tmp_path, model, kind, name):
    path, evil = tmp_path / name, tmp_path / "executed"
    path.write_bytes(FOREIGN[kind](evil))
    refuse(path, name)
    untouched(model, path, name)
    assert not evil.exists()


def test_places_without_a_file(tmp_path, model):
    for path in (tmp_path / "nothing.keras", tmp_path / "no" / "folder.h5", tmp_path / "no.weights.h5"):
        with pytest.raises(FileNotFoundError, match=path.name):
            fastseq.load_model(path)
        with pytest.raises(FileNotFoundError, match=path.name):
            model.load_weights(path)
    saved_model = tmp_path / "saved_model"
    saved_model.mkdir()
    (saved_model / "saved_model.pb").write_bytes(b"")
    refuse(saved_model, "folder")
    untouched(model, saved_model, "folder")
    with pytest.raises(TypeError):
        fastseq.load_model(None)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipes_and_devices_do_not_hang(tmp_path):
    os.mkfifo(tmp_path / "m.keras")
    refuse(tmp_path / "m.keras", "not a regular file")
    if os.path.exists("/dev/zero"):
        with pytest.raises(FileFormatError, match="not a regular file"):
            fastseq.load_model("/dev/zero")

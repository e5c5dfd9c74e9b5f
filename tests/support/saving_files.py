"""Builds small model files for the tests, sound and hostile ones, with zipfile and h5py only."""

import io
import itertools
import json
import tracemalloc
import zipfile

import h5py
import numpy as np
import pytest
from hang_guard import must_end
from places import DATA

import fastseq
from fastseq.errors import FileFormatError

REFERENCE = np.load(DATA / "reference.npz")
KERNEL = np.arange(6, dtype=np.float32).reshape(3, 2)
BIAS = np.array([1, -1], np.float32)
ADAM = {"module": "keras.optimizers", "class_name": "Adam", "config": {"learning_rate": 0.1}, "registered_name": None}


def refuse(path, match, largest=300 << 20, **options):
    """Loading `path` must raise, naming the file, with at most `largest` bytes allocated."""
    tracemalloc.start()
    try:
        with must_end(), pytest.raises(FileFormatError, match=match) as caught:
            fastseq.load_model(path, **options)
        assert caught.value.path == str(path) and str(path) in str(caught.value)
        assert tracemalloc.get_traced_memory()[1] < largest
    finally:
        tracemalloc.stop()
    return str(caught.value)


def dense(name="dense", **options):
    config = {"name": name, "units": 2, "activation": "linear", "use_bias": True, **options}
    return {"module": "keras.layers", "class_name": "Dense", "config": config, "registered_name": None}


def input_layer(name="input", shape=(None, 3)):
    config = {"batch_shape": list(shape), "dtype": "float32", "sparse": False, "name": name}
    return {"module": "keras.layers", "class_name": "InputLayer", "config": config, "registered_name": None}


def sequential(*layers):
    layers = list(layers) or [input_layer(), dense()]
    config = {"name": "model", "trainable": True, "layers": layers}
    return {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": None}


def node(*origins, **kwargs):
    tensors = [
        {"class_name": "__keras_tensor__", "config": {"shape": [None, 3], "dtype": "float32", "keras_history": origin}}
        for origin in origins
    ]
    return {"args": tensors, "kwargs": kwargs}


def functional(layers, inputs=("input", 0, 0), outputs=("dense", 0, 0)):
    """layers: (config, nodes) pairs."""
    entries = [dict(config, name=config["config"]["name"], inbound_nodes=nodes) for config, nodes in layers]
    config = {"name": "model", "trainable": True, "layers": entries}
    config.update(input_layers=list(inputs), output_layers=list(outputs))
    return {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": config,
        "registered_name": "Functional",
    }


def weights(fill=None):
    """Bytes of a weights file for one Dense(2) on 3 inputs. fill: called with the `vars` group, to write it instead."""
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        group = file.create_group("layers/dense/vars")
        if fill is None:
            group["0"], group["1"] = KERNEL, BIAS
        else:
            fill(group)
    return memory.getvalue()


def keras_file(path, config=None, h5=None, members=(), compression=zipfile.ZIP_STORED):
    """Writes a `.keras` file and returns its path. members: further (name, bytes)."""
    config = sequential() if config is None else config
    text = config if isinstance(config, (bytes, str)) else json.dumps(config)
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("metadata.json", '{"keras_version": "3.15.1"}')
        archive.writestr("config.json", text)
        archive.writestr("model.weights.h5", weights() if h5 is None else h5)
        for name, data in members:
            archive.writestr(name, data)
    return path


def h5_model(path, config, version="3.15.1", training=None):
    """Writes a full-model `.h5` file with the weights of one Dense(2) on 3 inputs and returns its path."""
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"], file.attrs["backend"] = version, "tensorflow"
        file.attrs["model_config"] = json.dumps(config)
        if training is not None:
            file.attrs["training_config"] = json.dumps(training)
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"dense"]
        group.attrs["keras_version"] = version
        group = group.create_group("dense")
        group.attrs["weight_names"] = [b"dense/kernel:0", b"dense/bias:0"]
        group["dense/kernel:0"], group["dense/bias:0"] = KERNEL, BIAS
    return path


def damaged(data, seed, count):
    """Yields `count` copies of `data` with bytes changed or the end cut off, always the same ones."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        copy = bytearray(data)
        if rng.random() < 0.2:
            del copy[rng.integers(len(copy)) :]
        else:
            for _ in range(rng.choice([1, 1, 2, 8])):
                position = rng.integers(len(copy))
                copy[position] = rng.choice([0, 1, 127, 128, 255, copy[position] ^ (1 << int(rng.integers(8)))])
            if rng.random() < 0.3:
                # A whole 8-byte address or size, which is what the structures of HDF5 and zip are made of.
                position = rng.integers(len(copy) - 8)
                value = int(rng.choice([0, 2**63, rng.integers(len(copy))]))
                copy[position : position + 8] = value.to_bytes(8, "little")
        yield bytes(copy)


def arrays(name, kind):
    return [REFERENCE[key] for key in sorted(REFERENCE.files) if key.startswith(f"{name}/{kind}")]


def check_reference(model, name):
    inputs = arrays(name, "in")
    outputs = model.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    for got, expected in zip(outputs, arrays(name, "out"), strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=2e-6)


def all_joined(path):
    return path.replace("/", "\\")


def joined_in_turn(path):
    """Some of the separators, as a Keras of October 2023 did: `layers/lstm\\cell`."""
    signs = itertools.cycle("/\\")
    return "".join(next(signs) if letter == "/" else letter for letter in path)


def as_on_windows(data, spell=all_joined):
    """The bytes of a weights file (HDF5) with the paths of its groups spelled by `spell`, but for the last `/vars`."""
    memory = io.BytesIO()
    with h5py.File(io.BytesIO(data)) as source, h5py.File(memory, "w") as file:

        def copy(name, item):
            path, _, last = name.rpartition("/")
            if isinstance(item, h5py.Group) and last == "vars" and path:
                source.copy(item, file.require_group(spell(path)), "vars")

        if "vars" in source:
            source.copy("vars", file)
        source.visititems(copy)
    return memory.getvalue()

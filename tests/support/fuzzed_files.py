"""The sound files that file_fuzzer.py changes: the saved zoo in all formats, backups, inputs, files of Keras."""

import io
import os
import random
import tempfile

import file_mutations as change
import numpy as np
import saving_zoo
from places import DATA
from saving_files import as_on_windows, joined_in_turn

import fastseq
from fastseq import callbacks, layers
from fastseq.demo import MODEL_PATH

# Of every layer and option those that are small enough to be read a hundred times a second.
_ZOO = (
    "noises", "shapes", "merges", "regularized", "lstm_options", "gru_options", "cells", "both_ways", "distributed",
    "stateful", "masked_graph", "masked_stack", "shared", "models_in_models", "advanced_activations", "of_every_name",
)  # fmt: skip


class Seed:
    """name; kind: "keras", "h5", "weights", "backup" or "inputs"; data: bytes; model: one to read its weights into."""

    def __init__(self, name, kind, data, model=None):
        self.name, self.kind, self.data, self.model = name, kind, data, model


def saved(model, ending):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, f"m{ending}")
        model.save_weights(path) if ending == ".weights.h5" else model.save(path)
        with open(path, "rb") as file:
            data = file.read()
    # Without today's date.
    return change.pack(_undated(data)) if ending == ".keras" else data


def _undated(data):
    return [
        (name, b'{"keras_version": "3.15.1"}' if name == "metadata.json" else content)
        for name, content in change.members(data).items()
    ]


def trained_model():
    random.seed(1)  # what layers without a seed draw theirs from
    model = fastseq.Sequential(
        [fastseq.Input((5, 3)), layers.GRU(4, return_sequences=True, name="gru"), layers.Dropout(0.2, seed=1),
         layers.LSTM(3, name="lstm"), layers.Dense(2, name="out")]
    )  # fmt: skip
    rng = np.random.default_rng(1)
    model.set_weights([rng.uniform(-0.5, 0.5, weight.shape).astype("f") for weight in model.get_weights()])
    model.compile(fastseq.optimizers.Adam(0.01, amsgrad=True), "mse", metrics=["mae"])
    return model


def backup_callbacks(folder):
    early = callbacks.EarlyStopping("loss", patience=9, restore_best_weights=True)
    early.on_train_begin = lambda logs=None: None
    return [early, callbacks.BackupAndRestore(folder, delete_checkpoint=False)]


def backup():
    """The bytes of a backup of `trained_model`, after an epoch."""
    model = trained_model()
    x, y = np.ones((8, 5, 3), "f"), np.ones((8, 2), "f")
    with tempfile.TemporaryDirectory() as folder:
        model.fit(x, y, batch_size=4, epochs=1, verbose=0, callbacks=backup_callbacks(folder))
        with open(os.path.join(folder, "latest.npz"), "rb") as file:
            return file.read()


def _array(array):
    memory = io.BytesIO()
    np.save(memory, array)
    return memory.getvalue()


def seeds():
    """All of them, always the same."""
    found = []
    for name in _ZOO:
        model = saving_zoo.randomize(getattr(saving_zoo, name)(fastseq))
        whole, alone = saved(model, ".keras"), saved(model, ".weights.h5")
        found += [Seed(f"{name}.keras", "keras", whole, model), Seed(f"{name}.weights.h5", "weights", alone, model)]
        found.append(Seed(f"{name}.h5", "h5", saved(model, ".h5"), model))
    model = trained_model()
    model.fit(np.ones((8, 5, 3), "f"), np.ones((8, 2), "f"), batch_size=4, verbose=0)
    for ending in (".keras", ".h5", ".weights.h5"):
        kind = {".keras": "keras", ".h5": "h5", ".weights.h5": "weights"}[ending]
        data = saved(model, ending)
        found += [Seed(f"trained{ending}", kind, data, model)] * 3
        if ending != ".keras":
            found.append(Seed(f"newer{ending}", kind, change.in_newer_format(data), model))
            continue
        packed = change.pack(change.members(data).items(), change.zipfile.ZIP_DEFLATED)
        windows = change.change_member(None, data, "model.weights.h5", lambda _, weights: as_on_windows(weights))
        mixed = change.change_member(
            None, data, "model.weights.h5", lambda _, weights: as_on_windows(weights, joined_in_turn)
        )
        found += [Seed(f"{name}.keras", "keras", item, model)
                  for name, item in (("packed", packed), ("windows", windows), ("mixed", mixed))]  # fmt: skip
    for name in ("keras2.keras", "keras2.h5", "keras2_cudnn.h5", "keras3.keras", "keras3.h5"):
        with open(os.path.join(DATA, name), "rb") as file:
            data = file.read()
        found.append(
            Seed(name, "h5" if name.endswith("h5") else "keras", data, fastseq.load_model(data, compile=False))
        )
    for name, model in (("keras2_weights.h5", "keras2_cudnn.h5"), ("keras3.weights.h5", "keras3.keras")):
        with open(os.path.join(DATA, name), "rb") as file:
            found.append(
                Seed(name, "weights", file.read(), fastseq.load_model(os.path.join(DATA, model), compile=False))
            )
    found.append(Seed("demo.keras", "keras", MODEL_PATH.read_bytes(), fastseq.load_model(MODEL_PATH, compile=False)))
    found += [Seed("latest.npz", "backup", backup())] * 8
    reader = fastseq.Sequential([fastseq.Input((4, 3), name="x"), layers.LSTM(2)])
    values = np.random.default_rng(2).standard_normal((3, 4, 3)).astype("f")
    table = "\n".join(",".join(f"{value:.9g}" for value in row) for row in values.reshape(3, 12)).encode()
    found += [
        Seed("x.npy", "inputs", _array(values), reader),
        Seed("x.npz", "inputs", change.pack([("x.npy", _array(values))]), reader),
        Seed("x.csv", "inputs", table, reader),
    ] * 2
    return found


def changed(rng, seed):
    """The bytes of `seed` after one change or some."""
    data = seed.data
    ways = {
        "keras": ("bytes", "json", "json", "json", "hdf5", "hdf5", "zip", "zip"),
        "h5": ("bytes", "json", "json", "hdf5", "hdf5"),
        "weights": ("bytes", "hdf5", "hdf5"),
        "backup": ("bytes", "zip", "array", "array"),
        "inputs": ("bytes", "array"),
    }[seed.kind]
    for _ in range(rng.choice((1, 1, 1, 2))):
        way = rng.choice(ways)
        try:
            data = _change(rng, seed, way, data)
        # What an earlier change broke cannot be taken apart for another one: then its bytes are changed.
        except Exception:
            data = change.change_bytes(rng, data)
    return data


def _change(rng, seed, way, data):
    if way == "bytes":
        if seed.kind == "keras" and rng.random() < 0.6:
            name = rng.choice(list(change.members(data)))
            return change.change_member(rng, data, name, change.change_bytes)
        return change.change_bytes(rng, data)
    if way == "json":
        if seed.kind == "h5":
            return change.change_config_of_hdf5(rng, data)
        name = rng.choice(("config.json",) * 9 + ("metadata.json",))
        return change.change_member(rng, data, name, change.change_text)
    if way == "hdf5":
        if seed.kind == "keras":
            return change.change_member(rng, data, "model.weights.h5", change.change_hdf5)
        return change.change_hdf5(rng, data)
    if way == "array":
        if seed.name.endswith((".npy", ".csv")):
            return change.change_array(rng, data) if seed.name.endswith(".npy") else change.change_bytes(rng, data)
        name = rng.choice(list(change.members(data)))
        return change.change_member(rng, data, name, change.change_array)
    return change.change_zip(rng, data)

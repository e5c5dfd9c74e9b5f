"""Writes keras33_masks.tar.xz: random masked models that Keras 3.3 made, with inputs and outputs.

Run by hand in an environment with Keras 3.0 to 3.3 (the stored file is of Keras 3.3.3 on TensorFlow 2.16):

    python tests/data/make_keras33_masks.py

Each model is `random_models.write(seed)`, saved as .keras by that Keras. "exact" is what it computes in float64, and
"error" how far its float32 is from that, an entry for each output. "reloaded" is there where the model that Keras loads
from its own file computes something else than the one that was saved; the saved one is then the model.
tests/keras33_masks.py reads the file.
"""

import io
import os
import sys
import tarfile
import tempfile
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).parents[1]))

import keras
import numpy as np
import random_models

COUNT, FIRST = 110, 30_000
OUT = Path(__file__).with_name("keras33_masks.tar.xz")


def leaves(value):
    if isinstance(value, (list, tuple)):
        return [leaf for item in value for leaf in leaves(item)]
    return [np.asarray(value)]


def weights_for(model, seed):
    """Random weights with few digits, which take little room in a compressed file and lie in every float type."""
    return [np.round(array * 64) / 64 for array in random_models.weights_for(model, seed)]


def outputs(model, arrays):
    return leaves(model(arrays if len(arrays) > 1 else arrays[0]))


def distance(a, b):
    return [float(np.max(np.abs(x - y), initial=0)) for x, y in zip(a, b, strict=True)]


def case(seed):
    """(bytes of a .keras file, arrays by name) of a seed's model, or why it is left out."""
    program = random_models.write(seed)
    source = program.source()
    if "mask" not in source.lower() or "P(" in source or program.stateful:
        return "has no mask, has a policy, or keeps states"
    arrays = program.arrays()
    try:
        model = random_models.build(keras, program, "float32")
        weights = weights_for(model, seed)
        model.set_weights(weights)
        single = outputs(model, arrays)
        double = random_models.build(keras, program, "float64")
        double.set_weights(weights)
        exact = outputs(double, [a.astype("float64") if a.dtype == np.float32 else a for a in arrays])
    except Exception as error:
        return f"Keras does not run it: {type(error).__name__}"
    errors = distance(single, exact)
    if max(errors) > 1e-4:
        return f"float32 is off by {max(errors)}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        data = path.read_bytes()
        found = {f"input{i}": array for i, array in enumerate(arrays)}
        found |= {f"exact{i}": array for i, array in enumerate(exact)}
        found["error"] = np.array(errors)
        try:
            reloaded = outputs(keras.models.load_model(path), arrays)
        except Exception as error:
            print(f"{seed}: Keras saves it and does not load it: {str(error)[:200]}")
            return data, found
        if max(distance(single, reloaded)) > 1e-5:
            print(f"{seed}: loaded, it differs by {distance(single, reloaded)}")
            found |= {f"reloaded{i}": array for i, array in enumerate(reloaded)}
    return data, found


def add(archive, name, data):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def main():
    warnings.simplefilter("ignore")
    print(f"Keras {keras.__version__}")
    seed, files, arrays = FIRST, {}, {}
    while len(files) < COUNT:
        found = case(seed)
        if isinstance(found, str):
            print(f"{seed}: {found}")
        else:
            files[seed] = found[0]
            arrays |= {f"{seed}/{name}": array for name, array in found[1].items()}
        seed += 1
    with tarfile.open(OUT, "w:xz", preset=9) as archive:
        for seed, data in files.items():
            add(archive, f"{seed}.keras", data)
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        add(archive, "arrays.npz", buffer.getvalue())
    print(f"{len(files)} models, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()

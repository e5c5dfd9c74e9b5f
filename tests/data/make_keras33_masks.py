"""Writes keras33_masks.tar.xz and keras33_rules.tar.xz: masked models that Keras 3.3 made, with inputs and outputs.

Run by hand in an environment with Keras 3.0 to 3.3 (the stored file is of Keras 3.3.3 on TensorFlow 2.16):

    python tests/data/make_keras33_masks.py masks rules

The masks are random, `random_models.write(seed)`; the rules are RULES, one model for each way a mask goes. All are
saved as .keras by that Keras. "exact" is what it computes in float64, and "error" how far its float32 is from that, an
entry for each output. "reloaded" is there where the model that Keras loads from its own file computes something else
than the one that was saved; the saved one is then the model. tests/support/keras33_masks.py reads the files.
"""

import io
import itertools
import os
import sys
import tarfile
import tempfile
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import keras
import numpy as np
import random_models

COUNT, FIRST = 110, 30_000
HERE = Path(__file__).parent


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


def inner(*layers):
    return keras.Sequential([keras.Input((5, 2)), *layers])


def functional():
    start = keras.Input((5, 2))
    return keras.Model(start, L.Dense(2)(L.Masking()(start)))


def rnn(**options):
    return L.SimpleRNN(2, return_sequences=True, **options)


def two(layer, x, y):
    return [layer(L.Masking()(x)), layer(y)]


L = keras.layers
# Of x, y (B, 5, 2), where Masking finds something to mask, and m (B, 5), a mask.
RULES = {
    "explicit_mask_handed_on": lambda x, y, m: rnn()(rnn()(x, mask=m)),
    "explicit_mask_over_a_mask": lambda x, y, m: rnn()(rnn()(L.Masking()(x), mask=m)),
    "explicit_mask_time_distributed": lambda x, y, m: rnn()(L.TimeDistributed(L.Dense(2))(x, mask=m)),
    "explicit_mask_bidirectional": lambda x, y, m: rnn()(L.Bidirectional(rnn())(x, mask=m)),
    "explicit_mask_sequential": lambda x, y, m: rnn()(inner(L.Dense(2), rnn())(x, mask=m)),
    "initial_state": lambda x, y, m: rnn()(rnn()(L.Masking()(x), initial_state=L.SimpleRNN(2)(y))),
    "initial_state_explicit_mask": lambda x, y, m: rnn()(rnn()(x, initial_state=L.SimpleRNN(2)(y), mask=m)),
    "return_state": lambda x, y, m: rnn()(rnn(return_state=True)(L.Masking()(x))[0]),
    "bidirectional": lambda x, y, m: rnn()(L.Bidirectional(rnn())(L.Masking()(x))),
    "bidirectional_two_outputs": lambda x, y, m: [
        rnn()(t) for t in L.Bidirectional(rnn(), merge_mode=None)(L.Masking()(x))
    ],
    "inner_sequential_masks": lambda x, y, m: rnn()(inner(L.Masking(), L.Dense(2))(x)),
    "inner_functional_masks": lambda x, y, m: rnn()(functional()(x)),
    "inner_sequential_of_a_masked": lambda x, y, m: rnn()(inner(L.Dense(2), rnn())(L.Masking()(x))),
    "inner_functional_of_a_masked": lambda x, y, m: rnn()(functional()(L.Masking()(x))),
    "inner_masks_concatenated": lambda x, y, m: rnn()(
        L.Concatenate()([inner(L.Masking(), L.Dense(2))(x), L.Masking()(y)])
    ),
    "time_distributed": lambda x, y, m: rnn()(L.TimeDistributed(L.Dense(2))(L.Masking()(x))),
    "handed_on": lambda x, y, m: rnn()(L.Activation("tanh")(L.Dropout(0.2)(L.Dense(2)(L.Masking()(x))))),
    "destroyed": lambda x, y, m: rnn()(L.Reshape((5, 2))(L.Masking()(x))),
    "permuted": lambda x, y, m: rnn()(L.Permute((2, 1))(L.Masking()(x))),
    "shared": lambda x, y, m: two(rnn(), x, y),
    "repeated": lambda x, y, m: rnn()(L.RepeatVector(3)(L.LSTM(2)(L.Masking()(x)))),
    "dot": lambda x, y, m: rnn()(L.Dot(axes=(2, 2))([L.Masking()(x), L.Masking()(y)])),
    "softmax": lambda x, y, m: rnn()(L.Dense(2, activation="softmax")(L.Masking()(x))),
    "zero_output": lambda x, y, m: rnn()(rnn(zero_output_for_mask=True)(L.Masking()(x))),
    "concatenate_in_time": lambda x, y, m: rnn()(L.Concatenate(axis=1)([L.Masking()(x), L.Masking()(y)])),
    **{
        f"{name.lower()}_{kind}": lambda x, y, m, name=name, pair=pair: rnn()(getattr(L, name)()(pair(x, y)))
        for name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate")
        for kind, pair in {
            "masked": lambda x, y: [L.Masking()(x), L.Masking()(y)],
            "half_masked": lambda x, y: [L.Masking()(x), y],
            "half_masked_second": lambda x, y: [x, L.Masking()(y)],
        }.items()
    },
    **{
        f"{name.lower()}_values": lambda x, y, m, name=name: getattr(L, name)()([L.Masking()(x), L.Masking()(y)])
        for name in ("Maximum", "Minimum")
    },
}


def rule(name):
    """(bytes, arrays) of one of RULES."""

    def make(dtype):
        keras.utils.clear_session()
        random_models.set_policy(keras, dtype)
        x, y, m = keras.Input((5, 2)), keras.Input((5, 2)), keras.Input((5,), dtype="bool")
        model = keras.Model([x, y, m], RULES[name](x, y, m))
        random_models.set_policy(keras, "float32")
        return model

    rng = np.random.default_rng(7)
    x, y = rng.uniform(-1, 1, (2, 4, 5, 2)).astype("float32")
    x[0, :2] = x[1, 3:] = x[2, 2] = x[3] = 0
    y[0, 3:] = y[1, 1] = y[3, :1] = 0
    m = np.array([[1, 0, 1, 1, 0], [0, 0, 1, 1, 1], [1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], bool)
    return stored(name, make, [x, y, m], 7)


def case(seed):
    """(bytes of a .keras file, arrays by name) of a seed's model, or why it is left out."""
    program = random_models.write(seed)
    source = program.source()
    if "mask" not in source.lower() or "P(" in source or program.stateful:
        return "has no mask, has a policy, or keeps states"
    return stored(seed, lambda dtype: random_models.build(keras, program, dtype), program.arrays(), seed)


def stored(name, make, arrays, seed):
    """(bytes of a .keras file, arrays by name) of the model `make("float32")`, or why it is left out."""
    try:
        model = make("float32")
        weights = weights_for(model, seed)
        model.set_weights(weights)
        single = outputs(model, arrays)
        double = make("float64")
        double.set_weights(weights)
        exact = outputs(double, [a.astype("float64") if a.dtype == np.float32 else a for a in arrays])
    except Exception as error:
        return f"Keras does not run it: {type(error).__name__}"
    errors = distance(single, exact)
    if max(errors) > 1e-4:
        return f"float32 is off by {max(errors)}"
    found = {f"input{i}": array for i, array in enumerate(arrays)}
    found |= {f"exact{i}": array for i, array in enumerate(exact)}
    found["error"] = np.array(errors)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        data = path.read_bytes()
        try:
            reloaded = outputs(keras.models.load_model(path), arrays)
        except Exception as error:
            print(f"{name}: Keras saves it and does not load it: {str(error)[:200]}")
            return data, found
    if max(distance(single, reloaded)) > 1e-5:
        print(f"{name}: loaded, it differs by {distance(single, reloaded)}")
        found |= {f"reloaded{i}": array for i, array in enumerate(reloaded)}
    return data, found


def add(archive, name, data):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def write(out, make, names, count):
    """Writes `out`: the first `count` of the models that `make(name)` gives."""
    files, arrays = {}, {}
    for name in names:
        if len(files) == count:
            break
        found = make(name)
        if isinstance(found, str):
            print(f"{name}: {found}")
            continue
        files[name] = found[0]
        arrays |= {f"{name}/{key}": array for key, array in found[1].items()}
    with tarfile.open(out, "w:xz", preset=9) as archive:
        for name, data in files.items():
            add(archive, f"{name}.keras", data)
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        add(archive, "arrays.npz", buffer.getvalue())
    print(f"{out.name}: {len(files)} models, {out.stat().st_size} bytes")


def main():
    warnings.simplefilter("ignore")
    print(f"Keras {keras.__version__}")
    if "masks" in sys.argv:
        write(HERE / "keras33_masks.tar.xz", case, itertools.count(FIRST), COUNT)
    if "rules" in sys.argv:
        write(HERE / "keras33_rules.tar.xz", rule, RULES, len(RULES))


if __name__ == "__main__":
    main()

"""Runs random models in Keras and in fastseq: `python tests/random_check.py --help`.

`compare` says how fastseq differs from Keras on one program: what it refuses, what lies further from float64 than
Keras's own float32 allows, which ways of calling it differ in their bits.
"""

import argparse
import contextlib
import dataclasses
import importlib
import json
import os
import tempfile
import time
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
import random_models

import fastseq

EPS = float(np.finfo(np.float32).eps)
# Keras's own error can be next to nothing by luck: the outputs of these models are few. What is left to us then is a
# rounding or two in each of a handful of layers.
ULPS = 8


class KerasRefuses(Exception):
    """Keras itself does not build, run or save the program."""


@dataclasses.dataclass
class Fault:
    kind: str  # "refused", "numbers", "bits", "stream", "training"
    text: str

    def __str__(self):
        return f"{self.kind}: {self.text}"


@contextlib.contextmanager
def _keras_does(what):
    try:
        yield
    except Exception as error:
        raise KerasRefuses(f"{what}: {type(error).__name__}: {str(error)[:300]}") from error


def leaves(value):
    """The arrays of a model's outputs, flat."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [leaf for item in value for leaf in leaves(item)]
    return [np.asarray(value)]


def given(arrays):
    return arrays if len(arrays) > 1 else arrays[0]


def reset(model):
    """Sets the states of a Keras model's stateful layers to zeros."""
    for layer in getattr(model, "_flatten_layers", lambda: model.layers)():
        if getattr(layer, "stateful", False):
            getattr(layer, "reset_state", getattr(layer, "reset_states", lambda: None))()
        for inner in getattr(layer, "layers", []):
            if inner is not layer:
                reset(layer) if hasattr(layer, "layers") else None
                break


def built(keras, program, weights, policy):
    model = random_models.build(keras, program, policy)
    model.set_weights([array.astype(policy) for array in weights])
    return model


class Models:
    """A program's Keras models: as it says, in float32 and in float64, with the same weights, and its file."""

    def __init__(self, keras, program, folder):
        self.keras, self.program = keras, program
        self.inputs = program.arrays()
        with _keras_does("build"):
            self.own = random_models.build(keras, program)
            self.own.set_weights(random_models.weights_for(self.own, program.seed))
            # What the weights are in the file, where that is float16.
            weights = [np.asarray(array, "float32") for array in self.own.get_weights()]
            self.single = self.own
            if program.policy != "float32" or "P(" in program.source():
                self.single = built(keras, program, weights, "float32")
            self.double = built(keras, program, weights, "float64")
        self.path = Path(folder) / f"m.{program.file_format}"
        with _keras_does("save"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.own.save(self.path)

    def results(self):
        """Outputs of two calls in a row (the second goes on from the states of the first, where they are kept)."""
        batch = self.program.batch
        with _keras_does("predict"):
            single = [self.single.predict(given(self.inputs), batch_size=batch, verbose=0) for _ in range(2)]
            double = [self.double(given([_double(array) for array in self.inputs])) for _ in range(2)]
        return [leaves(value) for value in single], [leaves(value) for value in double]


def _double(array):
    return array.astype("float64") if array.dtype == np.float32 else array


def excess(found, single, double):
    """By how much an array is further from float64 than it may be, as a multiple of what it may be: above 1 is too far.

    Rows of NaN must be rows of NaN.
    """
    if found.shape != double.shape:
        return float("inf")
    if not np.array_equal(np.isfinite(found), np.isfinite(single)):
        return float("inf")
    ours, theirs = (np.max(np.abs(np.where(np.isfinite(a), a - double, 0)), initial=0) for a in (found, single))
    finite = np.abs(double[np.isfinite(double)])
    return float(ours / (1.5 * theirs + ULPS * EPS * max(1.0, np.max(finite, initial=0))))


def compare(keras, program, folder, train=False):
    """The faults of fastseq on a program, and the largest `excess` seen. Raises KerasRefuses."""
    models = Models(keras, program, folder)
    single, double = models.results()
    faults, worst, first = [], 0.0, None
    for way, make in {
        "load_model": lambda: fastseq.load_model(models.path),
        "from_keras": lambda: fastseq.from_keras(models.own),
    }.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = make()
                batch = program.batch
                found = [leaves(model.predict(given(models.inputs), batch_size=batch)) for _ in range(2)]
                reset(model)
                eager = [leaves(model(given(models.inputs))) for _ in range(2)]
        except Exception as error:
            faults.append(Fault("refused", f"{way}: {type(error).__name__}: {error}"))
            continue
        for i, run in enumerate(found):
            for j, array in enumerate(run):
                far = excess(array, single[i][j], double[i][j])
                worst = max(worst, far)
                if far > 1:
                    off = np.max(np.abs(array - double[i][j])) if array.shape == double[i][j].shape else array.shape
                    own = np.max(np.abs(single[i][j] - double[i][j]))
                    faults.append(Fault("numbers", f"{way}: run {i} output {j} is off by {off}, Keras by {own:.1e}"))
        if not _equal(found, eager):
            faults.append(Fault("bits", f"{way}: predict and model(x) differ"))
        if first is None:
            first = found
            faults += _streamed(model, models, found[0])
        elif not _equal(found, first):
            faults.append(Fault("bits", "load_model and from_keras differ"))
    if train and not program.random and not any(fault.kind == "refused" for fault in faults):
        fault, far = _trained(models)
        faults += fault
        worst = max(worst, far)
    return faults, worst


def _equal(a, b):
    return all(np.array_equal(x, y, equal_nan=True) for r, s in zip(a, b) for x, y in zip(r, s, strict=True))


def _streamed(model, models, whole):
    """Faults of a stream: what it gives after all timesteps is what the model gives for the sequence."""
    steps = {array.shape[1] for array in models.inputs if array.ndim > 1}
    try:
        stream = model.stream(models.program.batch)
    except ValueError:  # It needs timesteps to come.
        return []
    except Exception as error:
        return [Fault("stream", f"{type(error).__name__}: {error}")]
    try:
        (n,) = steps
        stepwise = [leaves(stream.step(given([a[:, t] for a in models.inputs]))) for t in range(n)]
        stream.reset()
        chunk = leaves(stream.steps(given(models.inputs)))
    except Exception as error:
        return [Fault("stream", f"{type(error).__name__}: {error}")]
    faults = []
    for j, wanted in enumerate(whole):
        by_step = np.stack([step[j] for step in stepwise], axis=1)
        if not np.array_equal(by_step, chunk[j], equal_nan=True):
            faults.append(Fault("stream", f"output {j}: step and steps differ"))
        last = by_step if by_step.ndim == wanted.ndim else by_step[:, -1]
        if not np.array_equal(last, wanted, equal_nan=True):
            off = np.max(np.abs(last - wanted)) if last.shape == wanted.shape else last.shape
            faults.append(Fault("stream", f"output {j}: streamed and whole differ by {off}"))
    return faults


def _trained(models, steps=2):
    """Faults of the weights after a few steps of plain SGD, and the largest excess of one."""
    keras, program = models.keras, models.program
    rng = np.random.default_rng([program.seed, 2000])
    with _keras_does("train"):
        shapes = [leaf.shape for leaf in leaves(models.double(given(models.inputs)))]
        targets = [rng.uniform(-1, 1, shape).astype("float32") for shape in shapes]
        ends = []
        for model, dtype in ((models.single, "float32"), (models.double, "float64")):
            random_models.set_policy(keras, dtype)
            reset(model)
            try:
                model.compile(keras.optimizers.SGD(0.05), "mse")
                x = [_double(array) if dtype == "float64" else array for array in models.inputs]
                for _ in range(steps):
                    model.train_on_batch(given(x), given([target.astype(dtype) for target in targets]))
            finally:
                random_models.set_policy(keras, "float32")
            ends.append(model.get_weights())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = fastseq.load_model(models.path)
            model.compile(fastseq.optimizers.SGD(0.05), "mse")
            for _ in range(steps):
                model.train_on_batch(given(models.inputs), given(targets))
    except Exception as error:
        return [Fault("training", f"{type(error).__name__}: {error}")], 0.0
    found = model.get_weights()
    if [a.shape for a in found] != [a.shape for a in ends[0]]:
        return [Fault("training", "get_weights() is in another order")], 0.0
    far = [excess(ours, single, double) for ours, single, double in zip(found, *ends)]
    names = [weight.name for weight in model.weights]
    faults = [Fault("training", f"weight {i} ({names[i]}): excess {x:.3g}") for i, x in enumerate(far) if x > 1]
    return faults, max(far, default=0.0)


def shorter(program, fails):
    """The program with what can be left out left out, so that `fails(program)` stays true."""
    tried = True
    while tried:
        tried = False
        for candidate in _shorter_ones(program):
            if fails(candidate):
                program, tried = candidate, True
                break
    return program


def _shorter_ones(program):
    if len(program.outputs) > 1:
        for output in program.outputs:
            yield dataclasses.replace(program, outputs=[output])
    lines = program.needed()
    computed = {name: line for line in lines for name in line.made}
    last = [tensor.name for tensor in program.outputs]
    if len(last) == 1:  # What the last line was made of becomes the output.
        for name in computed[last[0]].used:
            if "keras.Input" not in computed[name].text and "(" in computed[name].text:
                yield dataclasses.replace(program, outputs=[random_models.Tensor(name, ())])
    for line in lines:  # A line of one tensor is left out: what reads it reads what it read.
        if len(line.made) == 1 and line.used and line.made[0] not in last:
            for source in line.used:
                yield dataclasses.replace(program, lines=_renamed(program.lines, line, line.made[0], source))


def _renamed(lines, without, old, new):
    import re

    def swap(text):
        return re.sub(rf"\b{old}\b", new, text)

    return [
        random_models.Line(swap(line.text), line.made, tuple(new if name == old else name for name in line.used))
        for line in lines
        if line is not without
    ]


def run(keras, seeds, write, train_every=4):
    """Compares the programs of seeds; `write` gets a dict for each."""
    for seed in seeds:
        program, start = random_models.write(seed), time.perf_counter()
        row = {"seed": seed, "keras": keras.__name__}
        with tempfile.TemporaryDirectory() as folder:
            try:
                faults, worst = compare(keras, program, folder, train=seed % train_every == 0)
                row |= {"faults": [str(fault) for fault in faults], "excess": worst}
            except KerasRefuses as error:
                row["refused"] = str(error)
        write(row | {"seconds": round(time.perf_counter() - start, 3)})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--keras", choices=["keras", "tf_keras"], default="keras")
    parser.add_argument("--out", help="a file of JSON lines, one a seed")
    options = parser.parse_args()
    keras = importlib.import_module(options.keras)
    rows = []

    def write(row):
        rows.append(row)
        if options.out:
            with open(options.out, "a") as file:
                print(json.dumps(row), file=file)
        if row.get("faults"):
            print(row["seed"], *row["faults"], sep="\n    ", flush=True)

    run(keras, range(options.first, options.first + options.count), write)
    compared = [row for row in rows if "faults" in row]
    wrong = sum(bool(row["faults"]) for row in compared)
    print(f"{len(compared)} compared, {len(rows) - len(compared)} that Keras refuses, {wrong} with faults")


if __name__ == "__main__":
    main()

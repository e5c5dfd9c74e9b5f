"""Runs random models in Keras and in fastseq: `python tests/support/random_check.py --help`.

`compare` says how fastseq differs from Keras on one program: what it refuses, what lies further from float64 than
Keras's own float32 allows, which ways of calling it differ in their bits.
"""

import argparse
import contextlib
import dataclasses
import functools
import importlib
import json
import os
import re
import tempfile
import time
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
import random_models
import random_programs

import fastseq

EPS = float(np.finfo(np.float32).eps)
# Keras's own error can be next to nothing by luck: the outputs of these models are few. What is left to us then is a
# rounding or two in each of a handful of layers.
ULPS = 8
RATE = 0.05  # of SGD


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
    """Sets the states of a model's stateful layers to zeros, those of models in it too."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            reset(layer)
        elif getattr(layer, "stateful", False):
            (getattr(layer, "reset_state", None) or layer.reset_states)()


def zeroes_others(program):
    """Whether Keras may meet a fault of its own: it zeroes other timesteps where it unrolls a loop that goes backwards.

    Under a mask, with zero_output_for_mask (which Bidirectional sets), those of the mask that is not turned around; see
    test_random_models.py. The numbers to compare with are then those of its loop.
    """
    source = program.source()
    return "unroll=" in source and ("go_backwards" in source or "Bidirectional" in source)


def looped(program):
    """The program without unroll."""
    if not zeroes_others(program):
        return program
    lines = [dataclasses.replace(line, text=re.sub(r"unroll=\w+", "unroll=False", line.text)) for line in program.lines]
    return dataclasses.replace(program, lines=lines)


class Models:
    """A program's Keras models with the same weights: as it says, in float32, in float64 where asked; and its file."""

    def __init__(self, keras, program, folder):
        self.keras, self.program = keras, program
        self.inputs = program.arrays()
        with _keras_does("build"):
            self.own = random_models.build(keras, program)
            self.own.set_weights(random_models.weights_for(self.own, program.seed))
            # What the weights are in the file, where that is float16.
            self.weights = [np.asarray(array, "float32") for array in self.own.get_weights()]
            self.single = self.own
            if program.policy != "float32" or "P(" in program.source() or zeroes_others(program):
                self.single = self.built("float32")
        self.path = Path(folder) / f"m.{program.file_format}"
        with _keras_does("save"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.own.save(self.path)

    def built(self, policy):
        model = random_models.build(self.keras, looped(self.program), policy)
        model.set_weights([array.astype(policy) for array in self.weights])
        return model

    def results(self, graph):
        """Keras's outputs in float32, of one call; of two in a row where the second goes on from kept states.

        graph: through predict, as a graph of TensorFlow, and not eagerly, which takes a quarter of the time.
        """
        with _keras_does("predict"):
            batch, x = self.program.batch, given(self.inputs)
            call = (lambda: self.single.predict(x, batch_size=batch, verbose=0)) if graph else lambda: self.single(x)
            return [leaves(call()) for _ in range(1 + self.program.stateful)]

    @functools.cached_property
    def exact(self):
        """Keras's outputs in float64, as `results`."""
        with _keras_does("float64"):
            model, x = self.built("float64"), given([_double(array) for array in self.inputs])
            return [leaves(model(x)) for _ in range(1 + self.program.stateful)]

    def trained(self, policy, targets, steps):
        """Keras's weights after steps of plain SGD."""
        with _keras_does("train"):
            model = self.single if policy == "float32" else self.built(policy)
            reset(model)
            random_models.set_policy(self.keras, policy)
            try:
                model.compile(self.keras.optimizers.SGD(RATE), "mse")
                x = [_double(array) if policy == "float64" else array for array in self.inputs]
                for _ in range(steps):
                    model.train_on_batch(given(x), given([target.astype(policy) for target in targets]))
            finally:
                random_models.set_policy(self.keras, "float32")
            return model.get_weights()


def _double(array):
    return array.astype("float64") if array.dtype == np.float32 else array


def _largest(array):
    return float(np.max(np.abs(array[np.isfinite(array)]), initial=0))


def distance(a, b):
    """The largest difference of two arrays; where one is not finite, both must be the same there."""
    if a.shape != b.shape or not np.array_equal(np.isfinite(a), np.isfinite(b)):
        return float("inf")
    finite = np.isfinite(a)
    return _largest(a[finite].astype("float64") - b[finite])


def too_far(found, single, exact):
    """What is wrong with an array beside Keras's float32 one, or None. exact: a function that gives the float64 one.

    Where the two are within the floor of each other, ours is within the bound: float64 is not computed.
    """
    floor = ULPS * EPS * max(1.0, _largest(single))
    off = distance(found, single)
    if off <= floor:
        return None
    if np.isfinite(off):
        double = exact()
        off, own = distance(found, double), distance(single, double)
        if off <= 1.5 * own + floor:
            return None
        return f"off by {off:.3g}, Keras by {own:.1e}"
    return (
        f"shape {found.shape}, Keras has {single.shape}" if found.shape != single.shape else "NaN where Keras has none"
    )


def compare(keras, program, folder, train=False, graph=True):
    """The faults of fastseq on a program. Raises KerasRefuses.

    graph: Keras's numbers are those of `predict`, else of `model(x)`.
    """
    models = Models(keras, program, folder)
    single = models.results(graph)
    faults, first = [], None
    for way, make in {
        "load_model": lambda: fastseq.load_model(models.path),
        "from_keras": lambda: fastseq.from_keras(models.own),
    }.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = make()
                found, eager = _results(model, models, len(single))
        except Exception as error:
            faults.append(Fault("refused", f"{way}: {type(error).__name__}: {error}"))
            continue
        for i, run in enumerate(found):
            for j, array in enumerate(run):
                wrong = too_far(array, single[i][j], lambda i=i, j=j: models.exact[i][j])
                if wrong:
                    faults.append(Fault("numbers", f"{way}: run {i} output {j}: {wrong}"))
        if not _equal(found, eager):
            faults.append(Fault("bits", f"{way}: predict and model(x) differ"))
        if first is None:
            first = found
            if not program.stateful:  # Streams neither use nor change the states that stateful layers keep.
                faults += _streamed(model, models, found[0])
        elif not _equal(found, first):
            faults.append(Fault("bits", "load_model and from_keras differ"))
    # Losses are those of Keras 3, whatever made the file: Keras 2 divides by the masked timesteps too.
    masked = any(getattr(tensor, "_keras_mask", None) is not None for tensor in models.own.outputs)
    train &= not (random_models.is_legacy(keras) and masked)
    if train and not program.random and not any(fault.kind == "refused" for fault in faults):
        faults += _trained(models, [leaf.shape for leaf in single[0]])
    return faults


def _results(model, models, runs):
    """What fastseq's model gives by predict and by model(x), `runs` times in a row each, from zero states on."""
    x = given(models.inputs)
    found = [leaves(model.predict(x, batch_size=models.program.batch)) for _ in range(runs)]
    reset(model)
    return found, [leaves(model(x)) for _ in range(runs)]


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


def _trained(models, shapes, steps=2):
    """Faults of the weights after a few steps of plain SGD."""
    rng = np.random.default_rng([models.program.seed, 2000])
    targets = [rng.uniform(-1, 1, shape).astype("float32") for shape in shapes]
    single = models.trained("float32", targets, steps)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = fastseq.load_model(models.path)
            model.compile(fastseq.optimizers.SGD(RATE), "mse")
            for _ in range(steps):
                model.train_on_batch(given(models.inputs), given(targets))
    except Exception as error:
        return [Fault("training", f"{type(error).__name__}: {error}")]
    found = model.get_weights()
    if [array.shape for array in found] != [array.shape for array in single]:
        return [Fault("training", "get_weights() has another order")]
    double = functools.cache(lambda: models.trained("float64", targets, steps))
    wrong = [too_far(ours, theirs, lambda i=i: double()[i]) for i, (ours, theirs) in enumerate(zip(found, single))]
    names = [weight.name for weight in model.weights]
    return [Fault("training", f"weight {i} ({names[i]}): {text}") for i, text in enumerate(wrong) if text]


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
                yield dataclasses.replace(program, outputs=[random_programs.Tensor(name, ())])
    for line in lines:  # A line of one tensor is left out: what reads it reads what it read.
        if len(line.made) == 1 and line.used and line.made[0] not in last:
            for source in line.used:
                yield dataclasses.replace(program, lines=_renamed(program.lines, line, line.made[0], source))


def _renamed(lines, without, old, new):
    def swap(text):
        return re.sub(rf"\b{old}\b", new, text)

    return [
        random_programs.Line(swap(line.text), line.made, tuple(new if name == old else name for name in line.used))
        for line in lines
        if line is not without
    ]


def run(keras, seeds, write, train_every=8, graph_every=3, program_of=random_models.write):
    """Compares the programs of seeds; `write` gets a dict for each."""
    for seed in seeds:
        program, start = program_of(seed), time.perf_counter()
        row = {"seed": seed, "keras": keras.__name__}
        with tempfile.TemporaryDirectory() as folder:
            try:
                faults = compare(keras, program, folder, train=seed % train_every == 0, graph=seed % graph_every == 0)
                row |= {"faults": [str(fault) for fault in faults]}
            except KerasRefuses as error:
                row["refused"] = str(error)
        write(row | {"seconds": round(time.perf_counter() - start, 3)})


def main(programs=lambda keras: random_models.write):
    """The command; programs: what gives a Keras module's function from a seed to a Program."""
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

    seeds = range(options.first, options.first + options.count)
    run(keras, seeds, write, program_of=programs(keras))
    compared = [row for row in rows if "faults" in row]
    wrong = sum(bool(row["faults"]) for row in compared)
    print(f"{len(compared)} compared, {len(rows) - len(compared)} that Keras refuses, {wrong} with faults")


if __name__ == "__main__":
    main()

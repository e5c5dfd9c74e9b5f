"""The scripts that measure training beside peers: every engine takes the same steps, and the page of a run."""

import dataclasses
import json
import os
import sys

import numpy as np
import pytest
from places import BENCHMARKS

import fastseq

if not BENCHMARKS.is_dir():
    pytest.skip("a source distribution holds no benchmarks", allow_module_level=True)
sys.path.insert(0, str(BENCHMARKS))
try:
    import peers
    import reference
    import training_cells
    import training_engines
    import training_keras
    import training_peers
    import training_report
    import training_tools
    import worker
finally:
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    """Engines import their modules by bare names when they start, as they do when they run."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def small(task):
    """The same graph with 3 rows in a batch, 6 steps, at most 10 inputs and 12 units; epochs of 8 rows.

    A transformer block has as many inputs as units.
    """
    # The vocabulary stays, so that ids seldom repeat: RMSprop of Keras on TensorFlow squares the gradients of an id
    # that comes twice one by one, where Keras on JAX and PyTorch square their sum.
    steps = tuple(dataclasses.replace(step, units=min(step.units, 12)) for step in task.cell.steps)
    most = 12 if task.cell.has("Transformer") else 10
    shape = (3, 6, *(min(n, most) for n in task.cell.shape[2:]))
    cell = dataclasses.replace(task.cell, shape=shape, steps=steps)
    return dataclasses.replace(task, cell=cell, samples=task.samples and 8)


def tasks():
    """One small task of every graph, by name."""
    kinds = {}
    for task in training_cells.all_tasks():
        key = (task.wrapped, task.samples, tuple(dataclasses.replace(s, units=0) for s in task.cell.steps))
        kinds.setdefault(key, task)
    return [pytest.param(small(task), id=task.name) for task in kinds.values()]


TASKS = tasks()
PEERS = [name for name in training_engines.ENGINES if name != "fastseq"]


def ways(name, task):
    try:
        return [make() for make in training_engines.ENGINES[name](1)(task)]
    except ImportError as error:
        pytest.skip(str(error))


def losses_of_fastseq(task):
    [way] = ways("fastseq", task)
    return way.losses(training_tools.CHECKED)


@pytest.mark.parametrize("task", TASKS)
def test_the_first_loss_is_numpys(task):
    """Over the first batch: that of an epoch is the mean over steps, of which each has other weights."""
    task = dataclasses.replace(task, samples=0)
    x, y = task.data()
    [predicted] = reference.float64(task.cell, [x])
    value = {
        "mse": lambda: np.mean((predicted - y) ** 2),
        "binary_crossentropy": lambda: -np.mean(y * np.log(predicted) + (1 - y) * np.log(1 - predicted)),
        "categorical_crossentropy": lambda: -np.mean(np.log((predicted * y).sum(-1))),
    }[task.loss]()
    assert losses_of_fastseq(task)[0] == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.tensorflow] if "TensorFlow" in n else []) for n in PEERS]
)
def test_engines_take_the_same_steps(name, task, monkeypatch):
    if "Keras" in name:
        keras = pytest.importorskip("keras")
        backend = {"Keras on TensorFlow": "tensorflow", "Keras on JAX": "jax", "Keras on PyTorch": "torch"}
        if backend[name.partition(",")[0]] != keras.backend.backend():
            pytest.skip("a process has one backend of Keras")
    if "TensorFlow" in name:
        # Other tests have started TensorFlow in this process, and its threads can no longer be chosen.
        threading = pytest.importorskip("tensorflow").config.threading
        for method in ("set_intra_op_parallelism_threads", "set_inter_op_parallelism_threads"):
            monkeypatch.setattr(threading, method, lambda threads: None)
    expected = losses_of_fastseq(task)
    assert expected[0] > expected[-1]
    for way in ways(name, task):
        found = way.losses(training_tools.CHECKED)
        assert training_peers.loss_error(found, expected) < training_peers.TOLERANCE / 10
        if task.samples:
            times = way.epochs(2)
            assert len(times) == 2 and min(times) > 0
        else:
            way.run(1)


@pytest.mark.parametrize("task", TASKS)
def test_fastseq_goes_on(task):
    [way] = ways("fastseq", task)
    first = way.losses(1)[0]
    if task.samples:
        assert training_tools.figure(way, 1e-3) > 0
    else:
        way.run(3)
    after = way.losses(1)[0]
    assert after < first
    if way.gradients is not None:
        way.gradients(2)
        changed = way.losses(2)
        # Gradients alone change no weights: the next loss is that of the step after `after`.
        [again] = ways("fastseq", task)
        again.losses(1)
        again.run(3)
        assert again.losses(3)[1:] == changed


def test_pytorch_may_use_fewer_threads():
    """And may script or compile a user's own layer, on as many."""
    pytest.importorskip("torch")
    tasks = [param.values[0] for param in TASKS]
    review = next(task for task in tasks if task.cell.ids)
    own = next(task for task in tasks if task.cell.has("OwnLSTM"))
    for task, count in ((tasks[0], 2), (review, 2), (own, 4)):
        found = [make().losses(2) for make in training_engines.ENGINES["PyTorch"](2)(task)]
        assert len(found) == count
        assert all(losses == pytest.approx(found[0], rel=1e-6) for losses in found)


def test_a_tail_of_an_epoch_counts_by_its_rows():
    """Batches of 3, 3 and 2 rows: the mean over rows, not over batches."""
    task = TASKS[0].values[0]
    assert [len(rows) for rows in task.batches(np.arange(8))] == [3, 3, 2]
    model = training_keras.compiled(fastseq, task)
    model.optimizer.learning_rate = 0.0
    x, y = task.data()
    [predicted] = reference.float64(task.cell, [x])
    loss = training_keras.fitted(fastseq, model, task).losses(1)[0]
    assert loss == pytest.approx(-np.mean(np.log((predicted * y).sum(-1))), rel=1e-6)


def test_tasks():
    found = {task.name: task for task in training_cells.all_tasks()}
    assert len(found) == len(training_cells.all_tasks())
    lstm = found["LSTM (64, 100, 256, 256)"]
    assert lstm.flops == 3 * 2 * 64 * 100 * 4 * 256 * 512
    # Of six products of 256 by 256 in forward and backward one is not needed.
    assert lstm.needed_flops == pytest.approx(lstm.flops * 5 / 6)
    assert {task.name for task in found.values() if task.memory} == {lstm.name, "GRU (64, 100, 256, 256)"}
    block = found["a user's transformer block (8, 64, 64)"]
    # Projections, the two wider layers, and scores and averages over every other timestep.
    assert block.flops == 3 * 2 * 8 * 64 * 64 * (12 * 64 + 2 * 64)
    for task in found.values():
        x, y = task.data()
        rows = 1000 if task.samples else task.cell.shape[0]
        assert x.shape == (rows, *task.cell.shape[1:]) and len(y) == rows
    assert found["GRU(16)-Dense(8, softmax)"].data()[1].shape == (1000, 64, 8)
    assert found["GRU(16), last step-Dense(8, softmax)"].data()[1].shape == (1000, 8)


def test_the_error_of_losses():
    """A gradient that is wrong by a twentieth shows, one that float32 rounds does not."""
    way = [1.0, 0.9, 0.85]
    assert training_peers.loss_error(way, way) == 0
    assert training_peers.loss_error([1.0, 0.905, 0.8575], way) == pytest.approx(0.05)
    assert training_peers.loss_error([1.0, np.nan, 0.85], way) == np.inf
    assert training_peers.loss_error([1.0, 0.9], way) == np.inf


class Worker:
    def __init__(self, losses, gradients=False):
        self.losses, self.has_gradients = losses, gradients
        self.times = iter([3.0, 1.0, 2.0])

    def ask(self, prepare=None, run=None, gradients=None):
        if prepare is not None:
            return {"unsupported": True} if self.losses is None else self.result()
        return {"median": 0.25} if gradients is not None else {"median": next(self.times)}

    def result(self):
        return {"losses": self.losses, "gradients": self.has_gradients}


def test_wrong_losses_get_no_figure(monkeypatch):
    monkeypatch.setattr(training_peers, "SETTLE", 0)
    right = [1.0, 0.9, 0.8]
    workers = {
        "right": Worker([right], gradients=True), "peer": Worker([right, right]), "none": Worker(None),
        "wrong": Worker([right, [1.0, 0.9, 0.81]]),
    }  # fmt: skip
    found = training_peers.measure(0, workers, right, 3, 0.1)
    assert set(found) == {"right", "peer", "wrong"}
    assert found["right"]["seconds"] == 2.0 and found["right"]["gradient_seconds"] == 0.25
    assert found["peer"]["seconds"] == 2.0 and "gradient_seconds" not in found["peer"]
    assert found["wrong"] == {"failed": "losses wrong by 0.05 of their way"}


def results():
    def at(seconds, **more):
        return {"seconds": seconds, "rounds": [seconds], "error": 1e-4, **more}

    epochs = {
        "cell": "GRU(16)-Dense(8, softmax)", "epochs": True, "engines": {"fastseq": at(0.01), "JAX": at(0.026)},
        "cold": {"fastseq": at(0.25), "JAX": at(6.0)},
    }  # fmt: skip
    step = {
        "cell": "LSTM (64, 100, 256, 256)", "epochs": False, "flops": 20e9, "needed_flops": 16e9,
        "engines": {"fastseq": at(0.06, gradient_seconds=0.05), "JAX": at(0.1), "PyTorch": at(0.09)},
        "memory": {"fastseq": 50 * 2**20, "PyTorch": 60 * 2**20},
    }  # fmt: skip
    bare = {"cell": "other", "epochs": False, "engines": {"fastseq": at(0.001), "JAX": {"failed": "no"}}}
    return {
        "threads": 2, "peak": 500.0, "machine": "a machine", "command": "peers.py --train", "missing": [],
        "versions": {"fastseq": "1", "JAX": "2"}, "cells": [epochs, step, bare],
    }  # fmt: skip


def test_page():
    page = training_report.markdown([results()])
    assert "## 2 threads" in page
    assert "| ms an epoch | fastseq | JAX | PyTorch | ratio | wanted |\n|---|---:|---:|---:|---:|---:|\n" in page
    assert "| GRU(16)-Dense(8, softmax) | 10 | **26** |  | 2.60 | 3, missed |" in page
    assert "| GRU(16)-Dense(8, softmax) | 0.25 | **6** |  | 24.00 | 20, met |" in page
    assert "| LSTM (64, 100, 256, 256) | 60 | 100 | **90** | 1.50 | 1.5, met |" in page
    assert "| other | 1 |  |  | | |" in page
    # 20 GFLOP in 50 ms are 400 GFLOP/s: 80% of 500, and 64% of what is needed.
    assert "| LSTM (64, 100, 256, 256) | 50 | 400 | 80% | 64% | 75%, met |" in page
    assert "| LSTM (64, 100, 256, 256) | 50 |  | 60 | at most PyTorch's, met |" in page
    assert "- other, JAX: no" in page
    unknown = training_report.markdown([{**results(), "peak": None}])
    assert "FMA peak" not in unknown and "24.00" in unknown


def test_readme(tmp_path):
    """`peers.py --train --readme` writes between its own markers and touches nothing else."""
    measured, readme = tmp_path / "training.json", tmp_path / "README.md"
    measured.write_text(json.dumps([results()]))
    readme.write_text(f"before\n{training_report.BEGIN}\nold\n{training_report.END}\nafter\n")
    peers.main(["--train", "--readme", str(measured), "--readme-file", str(readme)])
    text = readme.read_text()
    assert text.startswith(f"before\n{training_report.BEGIN}\na machine; 2 cores:\n") and text.endswith("\nafter\n")
    assert "| GRU(16)-Dense(8, softmax), an epoch | 10 ms | 26 ms, JAX | 2.60 |" in text and "old" not in text
    assert "from a new process to the end of the first epoch | 0.25 s | 6 s, JAX | 24.00 |" in text
    assert "| LSTM (64, 100, 256, 256), peak memory of a step | 50 MiB | 60 MiB, PyTorch | 1.20 |" in text
    readme.write_text("no markers")
    with pytest.raises(ValueError, match="training: begin"):
        peers.main(["--train", "--readme", str(measured), "--readme-file", str(readme)])


@pytest.mark.skipif(sys.platform != "linux", reason="processes are pinned")
def test_processes_of_their_own():
    """The first epoch of a process has the loss of an epoch here; memory and steps are answered as JSON."""
    cpus = set(sorted(os.sched_getaffinity(0))[:1])
    found = training_peers.cold(0, ["fastseq"], 1, cpus, 2)["fastseq"]
    assert found["seconds"] == pytest.approx(np.median(found["rounds"])) and len(found["rounds"]) == 2
    index = next(i for i, task in enumerate(training_cells.all_tasks()) if task.name == "LSTM (1, 100, 64, 64)")
    process = worker.Worker("fastseq", 1, cpus, script=training_peers.SCRIPT)
    answer = process.ask(prepare=index)
    task = training_cells.all_tasks()[index]
    assert answer == {"losses": [losses_of_fastseq(task)], "gradients": True}
    assert process.ask(run=1e-3)["median"] > 0 and process.ask(gradients=1e-3)["median"] > 0
    assert "failed" in process.ask(prepare=10**6)
    process.close()
    size = training_peers.memory(index, ["fastseq"], 1, cpus)
    # Five arrays of (100, 64) are kept of a forward pass, at the least.
    assert not size or size["fastseq"] >= 5 * 4 * 100 * 64

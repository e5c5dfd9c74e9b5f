"""The scripts that measure decoding beside peers: every engine's loop writes NumPy's tokens, and the page of a run."""

import dataclasses
import sys

import numpy as np
import pytest
from places import BENCHMARKS

if not BENCHMARKS.is_dir():
    pytest.skip("a source distribution holds no benchmarks", allow_module_level=True)
sys.path.insert(0, str(BENCHMARKS))
try:
    import decoding_engines
    import decoding_peers
    import decoding_tasks
    from engine_tools import Unsupported
finally:
    sys.path.remove(str(BENCHMARKS))


def small(task):
    """The same graph with at most 3 rows, a window of 12, 20 units and 6 tokens."""
    steps = [dataclasses.replace(step, units=min(step.units, 20)) for step in task.cell.steps]
    rows, window, inputs = (*task.cell.shape, None)[:3]
    shape = (min(rows, 3), min(window, 12)) + ((20,) if inputs else ())
    return dataclasses.replace(
        task, cell=dataclasses.replace(task.cell, shape=shape, steps=tuple(steps)), tokens=6
    )  # fmt: skip


TASKS = [pytest.param(small(task), id=task.name) for task in decoding_tasks.all_tasks()]


def _engine(name):
    marks = [pytest.mark.tensorflow] if decoding_peers.LOOPS[name][0] == "TensorFlow" else []
    return pytest.param(name, marks=marks)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", [_engine(name) for name in decoding_engines.ENGINES])
def test_every_loop_writes_the_same_tokens(name, task, monkeypatch):
    if decoding_peers.LOOPS[name][0] == "TensorFlow":
        # Other tests have started TensorFlow in this process, and its threads can no longer be chosen.
        threading = pytest.importorskip("tensorflow").config.threading
        for method in ("set_intra_op_parallelism_threads", "set_inter_op_parallelism_threads"):
            monkeypatch.setattr(threading, method, lambda threads: None)
    try:
        run, inputs, bring = decoding_engines.ENGINES[name](1)(task)
    except ImportError as error:
        pytest.skip(str(error))
    except Unsupported:
        pytest.skip("unsupported")
    for _ in range(2):  # a second run starts from the same states
        found = bring(run(*inputs))
        assert found.shape == (task.rows, task.tokens)
        np.testing.assert_array_equal(found, task.written())


def test_tasks():
    one, many, text = decoding_tasks.all_tasks()
    assert one.flops == 30 * 2 * (4 * 256 * 256 + 256 * 90) and many.flops == 64 * one.flops
    assert text.flops == 120 * text.cell.flops and (one.window, text.window) == (0, 40)
    assert one.weight_bytes == many.weight_bytes == 4 * (4 * 256 * 256 + 256 * 90) and text.weight_bytes == 0
    assert len(np.unique(one.written())) > 5


def test_a_near_choice_is_refused():
    task = small(decoding_tasks.all_tasks()[0])
    weights = task.cell.weights()
    weights[-1] = [np.zeros_like(array) for array in weights[-1]]
    object.__setattr__(task.cell, "weights", lambda: weights)
    with pytest.raises(ValueError, match="hangs on 0"):
        task.written()


def test_page():
    def at(seconds):
        return {"seconds": seconds, "rounds": [seconds]}

    row = {
        "cell": "a task", "flops": 2e6, "words": 0, "bytes": 1e6, "bandwidth": None,
        "engines": {"fastseq": at(1e-4), "JAX, a jitted step": at(4e-4), "Keras predict": at(1.5),
            "PyTorch": {"failed": "3 of 30 tokens differ"}},
    }  # fmt: skip
    results = {
        "threads": 1, "peak": 200.0, "machine": "a machine", "command": "decoding_peers.py", "missing": [],
        "versions": {"fastseq": "1"}, "cells": [row],
    }  # fmt: skip
    page = decoding_peers.markdown([results])
    assert "| fastseq | 0.1 ms |\n| Keras predict | 1,500 ms, 15,000 times |" in page
    assert "| JAX, a jitted step | 0.4 ms, 4 times |\n| PyTorch |  |" in page
    assert "fastseq is 4.00 times as fast as the best peer, JAX, a jitted step; at the FMA peak" in page
    assert "take 0.01 ms, 40.00 times less than that peer." in page
    assert "- a task, PyTorch: 3 of 30 tokens differ" in page
    row["bandwidth"] = 50.0
    assert "reading the weights for every token takes 0.02 ms, 20.00 times less" in decoding_peers.markdown([results])
    assert set(decoding_peers.LOOPS) == set(decoding_engines.ENGINES)


def test_wrong_tokens_are_found(tmp_path):
    """An engine that writes another token gets no figure."""
    task = small(decoding_tasks.all_tasks()[0])

    class Worker:
        def __init__(self, found):
            self.found = found

        def ask(self, prepare=None, check=None, run=None):
            if run is not None:
                return {"median": 0.5}
            np.savez(check, self.found)
            return {"ready": True}

    expected = task.written()
    wrong = expected.copy()
    wrong[0, 3] += 1
    workers = {"right": Worker(expected), "wrong": Worker(wrong), "short": Worker(expected[:, :2])}
    answers = decoding_peers.measure(task, 0, workers, 2, 0.1)
    assert answers["right"] == {"rounds": [0.5, 0.5], "seconds": 0.5}
    assert answers["wrong"] == {"failed": "1 of 6 tokens differ"}
    assert answers["short"] == {"failed": "wrote (1, 2) tokens"}

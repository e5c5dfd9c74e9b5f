"""The benchmark of streams beside their peers: every engine advances a cell rightly; the page; a whole small run."""

import json
import sys

import numpy as np
import pytest
from places import BENCHMARKS

if not BENCHMARKS.is_dir():
    pytest.skip("a source distribution holds no benchmarks", allow_module_level=True)


@pytest.fixture(scope="module", autouse=True)
def scripts():
    """The scripts import one another by bare names, as they do when they run."""
    before = set(sys.modules)
    sys.path.insert(0, str(BENCHMARKS))
    yield
    sys.path.remove(str(BENCHMARKS))
    for name in set(sys.modules) - before:
        if str(BENCHMARKS) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture(params=["LSTM", "GRU", "GRU-Dense", "speech"])
def cell(request):
    """A small one of each kind; of the recurrent layers alone three streams."""
    from cells import Cell, Step

    if request.param == "speech":
        kinds = Step("LSTM", 6), Step("LSTM", 3), Step("Dense", 5, activation="sigmoid")
        twin = Cell("by hand", (1, 1, 5), (Step("InstantNorm", hand_made=True), *kinds))
        return Cell("small", (1, 1, 5), (Step("InstantNorm"), *kinds), twin=twin)
    kind, *dense = request.param.split("-")
    steps = (Step(kind, 6), *(Step("Dense", 4, activation="softmax") for _ in dense))
    return Cell("small", (1 if dense else 3, 1, 5), steps)


@pytest.mark.parametrize("name, module", [
    ("fastseq", "fastseq"), ("ONNX Runtime", "onnxruntime"), ("JAX", "jax"), ("PyTorch", "torch"),
    pytest.param("TensorFlow", "tensorflow", marks=pytest.mark.tensorflow),
    pytest.param("LiteRT", "ai_edge_litert", marks=pytest.mark.tensorflow),
])  # fmt: skip
def test_outputs_of_every_way(name, module, cell, tmp_path, monkeypatch):
    package = pytest.importorskip(module)
    pytest.importorskip("onnx" if name == "ONNX Runtime" else module)
    if name == "TensorFlow":  # which takes the number of its threads only before it has begun
        for kind in ("intra", "inter"):
            monkeypatch.setattr(package.config.threading, f"set_{kind}_op_parallelism_threads", lambda n: None)
    import streaming_engines
    import streaming_peers
    from streaming_cells import check_inputs
    from worker import TOLERANCE

    ways = streaming_engines.ENGINES[name](1)(cell)
    path, x = tmp_path / "y.npz", check_inputs(cell)
    assert x.shape == (cell.shape[0], 20, 5)
    np.savez(path, *(way.outputs(x) for way in ways))
    found = streaming_peers.errors(path, cell)
    assert len(found) == len(ways) == (2 if name != "fastseq" or cell.twin else 3 if cell.shape[0] > 1 else 1)
    assert max(found) < 2e-6 < TOLERANCE
    for way in ways:
        way.load(x[:, 0].copy())
        if way.ticks == 1:  # the states stay from tick to tick
            assert (np.array(way.array(way.tick())) != np.array(way.array(way.tick()))).any()


def test_wrong_outputs_are_found(cell, tmp_path):
    import streaming_peers
    from reference import float64
    from streaming_cells import longer

    want = float64(longer(cell))[0]
    path = tmp_path / "y.npz"
    np.savez(path, want, np.zeros_like(want), want[:, 1:])
    assert streaming_peers.errors(path, cell) == [0.0, 1.0, np.inf]


def timed(engine, seconds, p99=None):
    return {"engine": engine, "seconds": seconds, "single": seconds, "p99": p99 or seconds, "error": 1e-7, "rounds": []}


def test_page():
    import streaming_peers

    pool = {
        "fastseq, pool.step(...)": timed("fastseq", 1e-3), "fastseq, model(x) each": timed("fastseq", 9e-4),
        "JAX": {"failed": "wrong by 1"},
    }  # fmt: skip
    results = {
        "threads": 1, "machine": "a machine", "command": "streaming_peers.py", "versions": {"fastseq": "1"},
        "missing": ["PyTorch"],
        "cells": [
            {"cell": "one", "ways": {"fastseq, step": timed("fastseq", 1e-6, 1.5e-6), "ORT": timed("ORT", 5e-6)}},
            {"cell": "many", "ways": pool},
        ],
    }  # fmt: skip
    page = streaming_peers.markdown(results)
    assert "| fastseq, step | 1.00 | 1.00 | 1.50 | 1.50 |\n| ORT | 5.00 | 5.00 | 5.00 | 1.00 |" in page
    assert "- JAX: wrong by 1" in page and "Not installed: PyTorch." in page
    assert page.count("The pool runs at 90% of the speed of a plain batch") == 1
    assert "\n\n\n" not in page


@pytest.mark.slow("4 s of a benchmark")
def test_a_whole_run(tmp_path):
    """fastseq in its process, over all cells, for a moment each."""
    import streaming_peers

    out = tmp_path / "run"
    streaming_peers.main(["--engines", "fastseq", "--rounds", "1", "--seconds", "0.01", "--out", str(out)])
    results = json.loads(out.with_suffix(".json").read_text())
    assert [row["cell"] for row in results["cells"]] == [cell.name for cell in streaming_peers.CELLS]
    assert [len(row["ways"]) for row in results["cells"]] == [1, 1, 3, 2]
    for row in results["cells"]:
        assert all(entry["p99"] >= entry["single"] > 0 < entry["seconds"] for entry in row["ways"].values())
    assert out.with_suffix(".md").read_text() == streaming_peers.markdown(results)

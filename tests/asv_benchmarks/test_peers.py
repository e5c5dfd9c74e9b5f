"""The benchmark scripts beside the library: cells, their float64 reference, tables, the README's block, C programs."""

import dataclasses
import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
from places import BENCHMARKS

import fastseq

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


def small(cell):
    """The same graph with at most 3 rows, 12 steps and 16 inputs; units as they are where they are few."""
    sentences = tuple(n // 6 for n in cell.sentences[:3])
    shape = [min(cell.shape[0], 3), cell.shape[1] and min(cell.shape[1], 12), *(min(n, 16) for n in cell.shape[2:])]
    steps = [
        step if step.kind == "RepeatVector" else dataclasses.replace(step, units=min(step.units, 20))
        for step in cell.steps
    ]
    twin = cell.twin and small(cell.twin)
    return dataclasses.replace(cell, shape=tuple(shape), steps=tuple(steps), sentences=sentences, twin=twin)


def run(engine, cell):
    """The engine's results on a cell, a list; skips where its package is absent, or where it cannot run the cell."""
    from engine_tools import Unsupported

    try:
        engine = engine(1)
    except ImportError as error:
        pytest.skip(str(error))
    try:
        call, inputs, bring = engine(cell)
    except Unsupported:
        pytest.skip("unsupported")
    except ImportError as error:
        pytest.skip(str(error))
    return [bring(call(x)) for x in inputs]


def agree(cell, found):
    from reference import float64

    expected, mask = float64(cell), cell.mask()
    assert len(found) == len(expected)
    for got, want in zip(found, expected):
        assert got.shape == want.shape
        if mask is not None:
            got, want = got[mask], want[mask]
        np.testing.assert_allclose(got, want, rtol=0, atol=2e-6 * max(1.0, np.abs(want).max()))


def cells():
    """One small cell of every graph there is, by name."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        from cells import all_cells
    finally:
        sys.path.remove(str(BENCHMARKS))
    kinds = {}
    for cell in all_cells():
        key = (cell.masked, tuple(dataclasses.replace(step, units=0) for step in cell.steps))
        kinds.setdefault(key, cell)
    return [pytest.param(small(cell), id=cell.name) for cell in kinds.values()]


CELLS = cells()
PEERS = [param for param in CELLS if not param.values[0].alone]


@pytest.mark.parametrize("cell", CELLS)
def test_reference_and_fastseq(cell):
    from engines_keras import fastseq_engine

    agree(cell, run(fastseq_engine, cell))


@pytest.mark.parametrize("cell", CELLS)
def test_all_steps_are_native(cell):
    """Of users' layers too; fastseq's other way of a cell has its weights, inputs and results."""
    from engines_keras import build, fastseq_engine

    x = cell.inputs()[0]
    for way in (cell, cell.twin):
        if way is not None:
            model = build(fastseq, way)
            model(x)
            assert all(step["op"] for step in model._programs.program(model, {"inputs": x}).steps)
    if cell.twin:
        agree(cell, run(fastseq_engine, cell.twin))


@pytest.mark.parametrize("cell", PEERS)
def test_reference_and_pytorch(cell):
    from engines_torch import torch_engine

    agree(cell, run(torch_engine, cell))


@pytest.mark.parametrize("cell", [param for param in PEERS if param.values[0].has("OwnLSTM")])
def test_reference_and_jax_alone(cell):
    """Each way in which JAX runs a user's own cell."""
    pytest.importorskip("jax")
    import users_jax

    x = np.ascontiguousarray(cell.inputs()[0].swapaxes(0, 1))
    for way in users_jax.ways(cell):
        agree(cell, [np.asarray(way(x)).swapaxes(0, 1)])


@pytest.mark.parametrize("cell", PEERS)
@pytest.mark.parametrize("name", ["onnxruntime_engine", "openvino_engine"])
def test_reference_and_onnx(cell, name):
    import engines_onnx

    pytest.importorskip("onnx")
    agree(cell, run(getattr(engines_onnx, name), cell))


def test_every_cell_of_the_table_builds():
    """Names are unique; weights fit the layers; flops by hand for one of each kind."""
    from cells import all_cells

    found = {cell.name: cell for cell in all_cells()}
    assert len(found) == len(all_cells())
    assert found["LSTM (1, 100, 64, 64)"].flops == 2 * 100 * 4 * 64 * 128
    assert found["bidirectional LSTM (1, 63, 24, 32)"].flops == 2 * 63 * 2 * 4 * 32 * 56
    assert found["Dense linear (1000, 64, 16, 8)"].flops == 2 * 64000 * 16 * 8
    recurrent = 40 * 4 * 128 * (228 + 256)
    text = found["Embedding-2 LSTM(128)-concat-attention-softmax (1, 40)"]
    assert text.flops == 2 * (recurrent + 2 * 40 * 356 + 356 * 465)
    assert [w.shape for own in text.weights() for w in own] == [
        (465, 100), (100, 512), (128, 512), (512,), (128, 512), (128, 512), (512,), (356, 1), (356, 465), (465,),
    ]  # fmt: skip
    sentences = next(cell for cell in found.values() if cell.sentences)
    assert [x.shape for x in sentences.inputs()] == [(1, n, 300) for n in sentences.sentences]
    assert 20 <= min(sentences.sentences) and max(sentences.sentences) <= 40
    assert sentences.flops == 2 * sum(sentences.sentences) * 2 * 4 * 300 * (600 + 900)
    products = 64 * 512 * 4 * 512
    assert found["MultiHeadAttention (1, 64, 512)"].flops == 2 * (products + 2 * 64 * 64 * 512)
    assert found["MultiHeadAttention causal (1, 64, 512)"].flops == 2 * (products + 64 * 64 * 512)
    own = found["own cell, layer-normalized LSTM (32, 100, 64, 64)"]
    assert own.flops == 2 * 32 * 100 * 4 * 64 * 128
    assert [w.shape for [*arrays] in own.weights() for w in arrays] == [(64, 256), (64, 256), (256,), (256,), (64,)]
    for cell in found.values():
        if cell.twin:
            assert [w.tobytes() for own in cell.weights() for w in own] == [
                w.tobytes() for own in cell.twin.weights() for w in own
            ]
    masked = found["LSTM right-padded (32, 100, 128, 128)"]
    assert masked.flops == 2 * masked.mask().sum() * 4 * 128 * 256


TWIN = "fastseq, in another way"


def results():
    """What a run leaves, made up: fastseq at 10 us against 20 and 15, then 30 against 15, then without a peer."""

    def row(name, words=0, **engines):
        return {"cell": name, "flops": 1e6, "words": words, "engines": engines}

    def at(seconds):
        return {"seconds": seconds, "rounds": [seconds], "error": 1e-7}

    return {
        "threads": 1, "peak": 200.0, "machine": "a machine", "isa": "avx2", "command": "peers.py", "missing": [],
        "versions": {"fastseq": "1", "JAX": "2"}, "not_held": ["ORT"],
        "cells": [
            row("LSTM (1, 1, 40, 64)", fastseq=at(10e-6), JAX=at(20e-6), ORT=at(15e-6)),
            row("words", words=30, fastseq=at(30e-6), JAX=at(15e-6), ORT={"failed": "wrong by 1"}),
            row("alone", fastseq=at(10e-6), **{TWIN: at(8e-6)}) | {"twin": "the other way"},
        ],
    }  # fmt: skip


def test_table():
    import report

    lines = report.table(results()).splitlines()
    assert lines[2] == "| LSTM (1, 1, 40, 64) | 10.0 | 20.0 | JAX | 2.00 | 100 | 50% | 25% | 15.0, ORT |"
    assert lines[3] == "| words | 30.0 (1,000,000 words/s) | 15.0 (2,000,000 words/s) | JAX | 0.50 | 33 | 17% | 33% | |"
    assert lines[5] == "Geometric mean of the ratios: 1.00, lowest 0.50; a peer is faster in 1 of 2 cells."
    assert len(lines) == 6
    lines = report.table({**results(), "not_held": []}).splitlines()
    assert lines[2] == "| LSTM (1, 1, 40, 64) | 10.0 | 15.0 | ORT | 1.50 | 100 | 50% | 33% |"


def test_page_names_what_failed_and_what_holds():
    import isa
    import report

    page = report.markdown([results()], isa.described("avx2", ["PyTorch", "ONNX Runtime"]))
    assert "- words, ORT: wrong by 1" in page
    assert "- PyTorch: `ONEDNN_MAX_CPU_ISA=AVX2`" in page and "ATEN_CPU_CAPABILITY=avx2" in page
    assert "- ONNX Runtime: has no switch" in page
    assert "Held to" not in report.markdown([results()])


def test_page_of_twins_and_own_cells():
    """fastseq in another way is no peer; of own cells every engine is shown."""
    import cells
    import report

    assert cells.TWIN == TWIN
    run = results()
    page = report.markdown([run])
    assert "| alone | 10.0 | the other way | 8.0 | 0.80 |" in page and "Every engine" not in page
    run["cells"] = run["cells"][:2]
    run["cells"][1]["cell"] = "own cell, words"
    page = report.markdown([run])
    assert "| us | fastseq | JAX |\n|---|---:|---:|\n| own cell, words | 30.0 | 15.0 |" in page
    assert "beside itself" not in page


def test_who_runs_a_cell():
    """fastseq runs all cells, its second process those with a twin, peers none that is fastseq's alone."""
    from cells import all_cells
    from worker import runs

    found = {cell.name: [runs(name, cell) for name in ("fastseq", TWIN, "JAX")] for cell in all_cells()}
    assert found["LSTM (1, 1, 40, 64)"] == [True, False, True]
    assert found["Embedding-2 LSTM(128)-concat-attention-softmax (64, 40)"] == [True, True, True]
    assert found["LSTM-h[:, -1] (32, 100, 128, 128)"] == [True, True, False]


def test_every_engine_has_a_line_for_avx2():
    import isa
    import peers
    import worker

    assert set(isa.HELD["avx2"]) == set(peers.ENGINES) == set(worker.PACKAGES)
    assert isa.environment("", "PyTorch") == {}
    assert isa.not_held("avx2", list(peers.ENGINES)) == ["TensorFlow XLA", "ONNX Runtime", "LiteRT"]


def test_readme_block(tmp_path):
    """--readme replaces what stands between the markers, nothing else, and the same way twice."""
    import peers
    import report

    measured, readme = tmp_path / "run.json", tmp_path / "README.md"
    measured.write_text(json.dumps([results(), {**results(), "threads": 2}]))
    readme.write_text(f"before\n\n{report.BEGIN}\nold \\1\n{report.END}\n\nafter\n")
    for _ in range(2):
        peers.main(["--readme", str(measured), "--readme-file", str(readme)])
        text = readme.read_text()
        assert text.startswith(f"before\n\n{report.BEGIN}\n") and text.endswith(f"\n{report.END}\n\nafter\n")
        assert "old" not in text and text.count("| LSTM (1, 1, 40, 64) | 10.0 | 20.0, JAX | 2.00 |") == 1
        assert "- 2 cores, 2 cells: geometric mean of the ratios 1.00, lowest 0.50; a peer is faster in 1." in text
    readme.write_text("no markers")
    with pytest.raises(ValueError, match="must hold"):
        peers.main(["--readme", str(measured), "--readme-file", str(readme)])
    assert readme.read_text() == "no markers"


def test_wrong_results_are_found(tmp_path):
    """An engine whose output differs, in value or in shape, gets no figure; masked steps do not count."""
    from worker import TOLERANCE, error_of

    want, path = np.full((2, 3, 4), 0.5), tmp_path / "y.npz"
    got = want.copy()
    got[0, 2] = 0
    np.savez(path, got)
    assert error_of(path, [want], None) == 1.0 > TOLERANCE
    assert error_of(path, [want], np.array([[True, True, False], [True] * 3])) == 0
    assert error_of(path, [want[0]], None) == np.inf


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
@pytest.mark.parametrize("flags", [[], ["-march=native"]])
@pytest.mark.parametrize("source", ["peak.c", "bandwidth.c"])
def test_c_programs(source, flags, tmp_path):
    import worker

    program = worker.compiled(source, tmp_path, [*flags, "-Wall", "-Werror"])
    assert program is not None
    assert float(subprocess.run([program, "65536"], capture_output=True, check=True, timeout=120).stdout) > 0


def test_limits_pages():
    """Small versions of what limits.py measures, and the page made of them."""
    import limits
    import limits_report

    cpus = sorted(limits.os.sched_getaffinity(0))[:1]
    found = {
        "machine": "a machine", "isa": fastseq.active_isa(), "version": "1",
        "bandwidth": limits.bandwidth(cpus, 0.001, units=(16,), steps=5),
        "whole_calls": limits.whole_calls(cpus, 0.001),
        "denormals": limits.denormals(cpus, 0.001, units=16, steps=20),
        "growth": limits.growth(cpus, 0.001, most_rows=4, most_steps=1000, units=4),
        "memory": [{"cell": "LSTM", "threads": 1, "beyond": 2048, "result": 2**20}],
        "allocations": [{"cell": "LSTM", "calls": 1.0, "bytes": 64.0, "result": 64}, {"cell": "GRU", "failed": "no"}],
    }  # fmt: skip
    page = limits_report.markdown(found)
    assert "| LSTM (1, 5, 16, 16) | 4 |" in page and "| GRU (1, 5, 16, 16) | 3 |" in page
    assert "| LSTM | 1 | 1.0 | 2 |" in page and "| LSTM | 1.00 | 64 | 64 |" in page and "| GRU | no | | |" in page
    assert limits.os.sched_getaffinity(0) >= set(cpus)


@pytest.mark.slow("4 s of a benchmark")
def test_allocations_are_counted():
    """A call that allocates its result and 100 KiB more is told apart from one that allocates its result only."""
    import limits

    if sys.platform != "linux" or shutil.which("cc") is None:
        pytest.skip("needs a C compiler and glibc")
    cpus = sorted(limits.os.sched_getaffinity(0))
    rows = limits.allocations(cpus)
    if "failed" in rows[0]:
        pytest.skip(rows[0]["failed"])
    for row in rows:
        held_by_numpy = row["result"] <= 1024
        assert row["result"] <= row["bytes"] + 1024 * held_by_numpy
        assert row["bytes"] < row["result"] + 1024


@pytest.mark.skipif(not pathlib.Path("/proc/self/clear_refs").exists(), reason="not Linux")
def test_memory_of_a_call_is_bounded():
    """Beyond its result a predict call holds less than one gate of (B, T): it has no gate buffer."""
    import limits

    row = limits.child("rss", ("LSTM", 16, 500, 128, 128), 1, sorted(limits.os.sched_getaffinity(0)))
    if "failed" in row:
        pytest.skip(row["failed"])
    assert row["result"] == 16 * 500 * 128 * 4
    assert row["beyond"] < row["result"] / 2

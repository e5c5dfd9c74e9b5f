"""Chains and sums beside bandwidth.c: what is computed is right, its bytes are counted, the page of a run."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from places import BENCHMARKS

import fastseq
from fastseq import ops

if not BENCHMARKS.is_dir():
    pytest.skip("a source distribution holds no benchmarks", allow_module_level=True)
sys.path.insert(0, str(BENCHMARKS))
try:
    import chains
    import worker
finally:
    sys.path.remove(str(BENCHMARKS))

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
CPUS = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return worker.compiled("bandwidth.c", tmp_path_factory.mktemp("bandwidth"), ["-march=native"])


@needs_compiler
@pytest.mark.parametrize("way", [(), (1, 0), (3, 1), (2, 1, "streamed"), (4, 1, "new"), (2, 1, "kept", 2)])
def test_every_way_of_bandwidth(program, way):
    command = [str(part) for part in (program, 1 << 16, *way)]
    assert float(subprocess.run(command, capture_output=True, check=True, timeout=120).stdout) > 0


@needs_compiler
@pytest.mark.parametrize("way", [(0,), (1 << 16, 0), (1 << 16, 5), (1 << 16, 1, 2), (1 << 16, 1, 1, "kept", 0)])
def test_bandwidth_refuses(program, way):
    assert subprocess.run([str(part) for part in (program, *way)], check=False, timeout=120).returncode == 1


@pytest.mark.parametrize("name", chains.CHAINS)
def test_chains_are_one_step(name, monkeypatch):
    """In both ways, with NumPy's numbers; a wrong one raises."""
    monkeypatch.setattr(chains, "KEPT", 0)
    calls = chains.chain_calls(name, 4096)
    np.testing.assert_array_equal(calls["in use"](), calls["new"]())
    count, function = chains.CHAINS[name]
    given = [fastseq.Input((chains.WIDTH,)) for _ in range(count)]
    model = fastseq.Model(given, function(ops.maximum, *given))
    x = [np.ones((4, chains.WIDTH), np.float32) for _ in range(count)]
    model(x)
    assert [step["op"] for step in model._programs.program(model, {"inputs": x}).steps] == ["elementwise"]
    with pytest.raises(RuntimeError, match="is wrong by"):
        chains.checked(name, calls["new"](), calls["new"]() + 0.1)


@pytest.mark.parametrize("name", chains.SUMS)
def test_sums(name):
    assert list(chains.sum_calls(name, 65536)) == ["in use"]


@needs_compiler
@pytest.mark.skipif(not CPUS, reason="not Linux")
def test_rows_and_page(monkeypatch, tmp_path, capsys):
    """A whole run over small arrays."""
    monkeypatch.setattr(chains.os, "sched_getaffinity", lambda of: set(CPUS[:1]))
    monkeypatch.setattr(chains, "CHAINS", {"a + b": chains.CHAINS["a + b"]})
    monkeypatch.setattr(chains, "KEPT", 0)
    monkeypatch.setattr(chains, "SUMS", {"sum over the last axis": chains.SUMS["sum over the last axis"]})
    out = tmp_path / "chains"
    chains.main(["--sizes", "1", "--rounds", "1", "--seconds", "0.001", "--out", str(out)])
    found = json.loads(out.with_suffix(".json").read_text())
    chain, total = found["rows"]
    assert chain["bytes"] == 3 << 22 and total["bytes"] == 1 << 22
    assert set(chain["share"]) == {"in use", "new"} and set(total["share"]) == {"in use"}
    for row in found["rows"]:
        for way, share in row["share"].items():
            assert share == pytest.approx(row["bytes"] / row["seconds"][way] / 1e9 / row["bandwidth"][way])
    page = chains.markdown(found)
    assert out.with_suffix(".md").read_text() == page and "## 1 core\n" in page
    assert page.count("| a + b | 1 M | 12 |") == page.count("| sum over the last axis | 1 M | 4 |") == 1

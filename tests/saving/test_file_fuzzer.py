"""A part of what tests/support/file_fuzzer.py does, and that it sees what it is there to see."""

import os
import random
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from places import SUPPORT

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it measures itself in /proc")
file_fuzzer = pytest.importorskip("file_fuzzer")


@pytest.mark.slow("3 s of damaged files")
def test_some_files():
    """Others than the first 2,000 of seed 0."""
    findings, outcomes = file_fuzzer.fuzz(0, 250, seed=1)
    assert findings == []
    assert sum(outcomes.values()) == 250 and {key.split()[0] for key in outcomes} == {
        "keras", "h5", "weights", "backup", "inputs",
    }  # fmt: skip
    for word in ("read", "refused"):
        assert sum(count for key, count in outcomes.items() if key.endswith(word)) > 60


class Misbehaving(file_fuzzer.Worker):
    """Reads nothing and does `deed` instead."""

    def __init__(self, folder, deed):
        class Files:
            def changed(self, rng, seed):
                return b"changed"

        class Seed:
            name, kind = "seed", "keras"

        self.files, self.seeds, self.seed, self.keep = Files(), [Seed()], 0, None
        self.folder, self.deed, self.outcomes = str(folder), deed, {}
        self.watch = file_fuzzer.Watch()
        self.watch.allowed = (self.folder, sys.prefix, sys.base_prefix, "/proc/")

    def _read(self, seed, path, rng):
        return self.deed(path)


left = []


def opens_another(path):
    with open("/etc/passwd") as file:
        file.read(1)
    return "read"


def leaves_it_open(path):
    left.append(open(path))
    return "read"


def forgets_it(path):
    open(path).read(1)
    return "read"


def raises(path):
    raise KeyError("units")


def imports(path):
    sys.modules.pop("idlelib", None)
    import idlelib  # noqa: F401

    return "read"


def starts_a_process(path):
    os.system("true")
    return "refused"


def allocates(path):
    return "read" if np.ones(80 << 20, np.uint8).sum() else "refused"


def never_ends(path):
    while True:
        random.random()


DEEDS = {
    opens_another: "open '/etc/passwd'", leaves_it_open: "a file stays open", forgets_it: "ResourceWarning: unclosed",
    raises: "KeyError: 'units' test_file_fuzzer.py:", imports: "import idlelib", starts_a_process: "os.system",
    allocates: "MiB of memory", never_ends: "no end after 1 s",
}  # fmt: skip


@pytest.mark.parametrize(("deed", "expected"), DEEDS.items(), ids=lambda item: getattr(item, "__name__", ""))
def test_what_it_sees(tmp_path, monkeypatch, deed, expected):
    monkeypatch.setattr(file_fuzzer, "CPU_SECONDS", 1)
    monkeypatch.setattr(file_fuzzer, "PEAK_BYTES", 50 << 20)
    worker = Misbehaving(tmp_path, deed)
    before = file_fuzzer.signal.signal(file_fuzzer.signal.SIGPROF, worker._give_up)
    try:
        assert any(expected in text for text in worker.run(0)), expected
        worker.deed = lambda path: "read"
        assert worker.run(1) == []
    finally:
        file_fuzzer.signal.signal(file_fuzzer.signal.SIGPROF, before)
        while left:
            left.pop().close()


@pytest.mark.slow("3 s of processes that end")
def test_crashes_and_silence(tmp_path, monkeypatch):
    """The process that reads ends, or says nothing more, and another one goes on with the file behind."""
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent("""
        import json, os, sys, time
        for index in range(int(sys.argv[2]), int(sys.argv[3])):
            print(index, flush=True)
            if index == 3:
                os.abort()
            if index == 5:
                time.sleep(600)
            if index == 6:
                print(json.dumps([6, "found"]), flush=True)
        print(json.dumps({"keras read": 2}), flush=True)
    """)
    )
    monkeypatch.setattr(file_fuzzer, "__file__", str(program))
    monkeypatch.setattr(file_fuzzer, "SILENCE_SECONDS", 3)
    findings, outcomes = file_fuzzer.fuzz(0, 8, say=lambda text: None)
    assert findings == [(3, "the process ended with -6"), (5, "no word for 3 s"), (6, "found")]
    assert outcomes == {"keras read": 2}


@pytest.mark.slow("2 s of damaged files")
def test_the_same_files_every_time():
    """In every process: what layers are called depends on how many were made before."""
    program = """
        import hashlib, random, warnings
        import fuzzed_files

        warnings.simplefilter("ignore")
        seeds, found = fuzzed_files.seeds(), []
        for index in range(100):
            rng = random.Random(f"0/{index}")
            found.append(fuzzed_files.changed(rng, rng.choice(seeds)))
        assert len(set(found)) > 90
        print(hashlib.sha256(b"".join([seed.data for seed in seeds] + found)).hexdigest())
    """
    folder = str(SUPPORT)
    first, second = (
        subprocess.run([sys.executable, "-c", textwrap.dedent(program)], cwd=folder, capture_output=True, text=True)
        for _ in range(2)
    )
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout

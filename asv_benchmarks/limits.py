"""Measures how close fastseq comes to the machine's limits, in one run, pinned; writes a JSON file and a Markdown page.

    python limits.py --out results/limits

Reading bandwidth beside the recurrent weights' own, memory beyond weights and result, allocations of a call, growth
with batch and time, states in the denormal range, and the cost of a whole call. No peers: that is peers.py.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import limits_report
import numpy as np
from engines import measured
from worker import HERE, compiled, machine

import fastseq
from fastseq import layers

GATES = {"LSTM": 4, "GRU": 3}
MEMORY = [("LSTM", 64, 1000, 256, 256), ("GRU", 64, 1000, 256, 256), ("LSTM", 1, 20000, 256, 256),
    ("GRU", 1000, 640, 15, 16)]  # fmt: skip
ALLOCATIONS = [("LSTM", 1, 1, 40, 64), ("LSTM", 1, 100, 256, 256), ("LSTM", 32, 100, 128, 128),
    ("GRU", 64, 100, 64, 64), ("SimpleRNN", 8, 100, 64, 64)]  # fmt: skip


def median(call, seconds):
    """Median seconds of a call over `seconds`, after a first one."""
    call()
    return measured(call, seconds)["median"]


@contextlib.contextmanager
def pinned(cpus, threads):
    """This thread on the first `threads` of `cpus`, and fastseq on as many threads."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(cpus[:threads]))
    try:
        with fastseq.num_threads(threads):
            yield
    finally:
        os.sched_setaffinity(0, before)


def normal(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def bandwidth(cpus, seconds, units=(256, 512, 1024), steps=100):
    """Rows: recurrent weights' bytes, GB/s of bandwidth.c on as many, GB/s of (1, steps, units, units)."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        program = compiled("bandwidth.c", folder, ["-march=native"])
        for kind in GATES:
            for width in units:
                size = GATES[kind] * width * width * 4
                measured = None
                if program is not None:
                    with pinned(cpus, 1):
                        measured = float(subprocess.run([program, str(size)], capture_output=True, check=True).stdout)
                x = normal(1, steps, width)
                layer = getattr(layers, kind)(width, return_sequences=True)
                product = layers.Dense(GATES[kind] * width)
                row = {"cell": f"{kind} (1, {steps}, {width}, {width})", "bytes": size, "bandwidth": measured}
                for threads in range(1, 1 + min(2, len(cpus))):
                    with pinned(cpus, threads):
                        row[f"seconds_{threads}"] = median(lambda: layer(x), seconds)  # noqa: B023
                        row[f"product_{threads}"] = median(lambda: product(x), seconds)  # noqa: B023
                # The first step starts from no state and needs no recurrent product.
                read = size * (steps - 1)
                row["whole"] = read / row["seconds_1"] / 1e9
                row["recurrent"] = read / (row["seconds_1"] - row["product_1"]) / 1e9
                rows.append(row)
    return rows


def child(mode, cell, threads, cpus, **environment):
    command = [sys.executable, str(HERE / "limits_memory.py"), mode, *map(str, cell), str(threads)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **environment},
        preexec_fn=lambda: os.sched_setaffinity(0, set(cpus[:threads])),
    )  # fmt: skip
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1]}
    return json.loads(done.stdout)


def memory(cpus):
    """Rows: bytes that a predict call's peak stands above its result and what was there before."""
    return [
        {"cell": f"{cell[0]} {cell[1:]}", "threads": threads, **child("rss", cell, threads, cpus)}
        for cell in MEMORY
        for threads in range(1, 1 + min(2, len(cpus)))
    ]


def allocations(cpus):
    """Rows: calls of the C allocator and their bytes per call of a model, after the first two."""
    with tempfile.TemporaryDirectory() as folder:
        library = compiled("allocations.c", folder, ["-shared", "-fPIC"])
        if library is None:
            return [{"cell": "all", "failed": "no C compiler with glibc"}]
        return [
            {"cell": f"{cell[0]} {cell[1:]}", **child("allocations", cell, 1, cpus, LD_PRELOAD=str(library))}
            for cell in ALLOCATIONS
        ]


def growth(cpus, seconds, most_rows=1024, most_steps=100_000, units=32):
    """Rows: seconds per row and step, for T = 100 with more and more rows and for few rows with more and more steps."""
    rows = []
    for kind in GATES:
        layer = getattr(layers, kind)(units, return_sequences=True)
        shapes = [(2**n, 100) for n in range(most_rows.bit_length()) if 2**n <= most_rows]
        shapes += [(b, 10**n) for b in (1, 8) for n in range(6) if 10**n <= most_steps and 10**n != 100]
        shapes = sorted(set(shapes))
        costs = {shape: [] for shape in shapes}
        with pinned(cpus, 1):
            for _ in range(3):  # whole rounds, so that a noisy moment is not one shape's alone
                for batch, steps in shapes:
                    x = normal(batch, steps, units)
                    costs[batch, steps].append(median(lambda: layer(x), seconds / 3) / (batch * steps))  # noqa: B023
        for (batch, steps), found in costs.items():
            rows.append({"kind": kind, "batch": batch, "steps": steps, "seconds": float(np.median(found))})
    return rows


def denormals(cpus, seconds, units=64, steps=1000):
    """Rows: a state that decays through the denormal range (from 1e-38) against one that starts at 1."""
    rows = []
    for kind in GATES:
        layer = getattr(layers, kind)(units, return_sequences=True)
        x = np.zeros((1, steps, 8), np.float32)
        layer(x)
        kernel, recurrent, bias = layer.get_weights()
        # A forget (LSTM) or update (GRU) gate of sigmoid(4) = 0.982 keeps most of the state, 1e-8 of it after 1000
        # steps; the small recurrent weights add less than that takes away.
        bias = np.zeros_like(bias)
        bias[..., slice(units, 2 * units) if kind == "LSTM" else slice(units)] = 4.0 if kind == "LSTM" else 2.0
        layer.set_weights([kernel, 0.01 * recurrent, bias])
        times = {"normal": [], "denormal": []}
        with pinned(cpus, 1):
            for _ in range(5):
                for name, value in (("normal", 1.0), ("denormal", 1e-38)):
                    state = [np.full((1, units), value, np.float32)] * (2 if kind == "LSTM" else 1)
                    call = lambda: layer(x, initial_state=state)  # noqa: B023, E731
                    times[name].append(median(call, seconds / 5))
        rows.append({"cell": f"{kind} (1, {steps}, 8, {units})", **{k: float(np.median(v)) for k, v in times.items()}})
    return rows


def whole_calls(cpus, seconds):
    """Rows: seconds of a call of a layer and of its model, and what each of four more small layers adds."""
    rows = []
    with pinned(cpus, 1):
        for name, layer, shape in (
            ("Dense (1, 1, 64, 32)", layers.Dense(32), (1, 1, 64)),
            ("LSTM (1, 1, 40, 64)", layers.LSTM(64, return_sequences=True), (1, 1, 40)),
            ("GRU (1, 1, 40, 64)", layers.GRU(64, return_sequences=True), (1, 1, 40)),
        ):
            x, model = normal(*shape), fastseq.Sequential([fastseq.Input(shape[1:]), layer])
            rows.append({"cell": name, "layer": median(lambda: layer(x), seconds),  # noqa: B023
                "model": median(lambda: model(x), seconds)})  # noqa: B023  # fmt: skip
        x = normal(1, 1, 8)
        one, five = (
            fastseq.Sequential([fastseq.Input((1, 8)), *(layers.Dense(8) for _ in range(n))]) for n in (1, 5)
        )  # fmt: skip
        times = [(median(lambda: one(x), seconds / 5), median(lambda: five(x), seconds / 5)) for _ in range(5)]
        first, last = np.median(times, axis=0)
        rows.append({"cell": "each of four more Dense(8)", "layer": float(last - first) / 4, "model": float(last)})
    return rows


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=0.5, help="of calls per figure")
    parser.add_argument("--out", default="limits", help="writes OUT.json and OUT.md")
    options = parser.parse_args(argv)
    cpus = sorted(os.sched_getaffinity(0))
    found = {"machine": machine(), "isa": fastseq.active_isa(), "version": fastseq.__version__}
    for name, figures in (
        ("bandwidth", lambda: bandwidth(cpus, options.seconds)),
        ("whole_calls", lambda: whole_calls(cpus, options.seconds)),
        ("denormals", lambda: denormals(cpus, options.seconds)),
        ("growth", lambda: growth(cpus, options.seconds)),
        ("memory", lambda: memory(cpus)),
        ("allocations", lambda: allocations(cpus)),
    ):
        print(name, file=sys.stderr, flush=True)
        found[name] = figures()
    Path(options.out + ".json").write_text(json.dumps(found, indent=1) + "\n")
    text = limits_report.markdown(found)
    Path(options.out + ".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()

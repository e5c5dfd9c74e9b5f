"""Measures fastseq and its peers side by side and writes a JSON file and a Markdown table.

    python peers.py --threads 1 2 --out results      (engines that are not installed are left out, and named)

Each engine runs in a process of its own, pinned to the first one or two CPUs this process may use. For every cell each
engine prepares the same weights, its output is checked against float64, and then the engines take turns, round after
round, so that a noisy moment hits all. A figure is the median over rounds of the median call.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from cells import all_cells
from engines import ENGINES

HERE = Path(__file__).parent
PACKAGES = {
    "TensorFlow XLA": "tensorflow_cpu",
    "TensorFlow": "tensorflow_cpu",
    "PyTorch": "torch",
    "ONNX Runtime": "onnxruntime",
}


def float64(cell):
    """The cell in NumPy float64, by the naive twins of the layers."""
    from fastseq import activations, layers

    y, mask = cell.inputs().astype("f8"), cell.mask()
    for step, weights in zip(cell.steps, cell.weights()):
        weights = [w.astype("f8") for w in weights]
        if step.kind == "Dense":
            y = activations.get(step.activation)(y @ weights[0] + weights[1])
            continue
        options = {"reset_after": step.kind == "GRU"} if step.kind.startswith("GRU") else {}
        outputs = []
        for i in range(1 + step.bidirectional):
            layer = getattr(layers, step.kind.split("_")[0])(step.units, go_backwards=bool(i), **options)
            found, _ = layer.reference(y, weights[3 * i : 3 * i + 3], mask)
            outputs.append(found[:, ::-1] if i else found)
        y = np.concatenate(outputs, axis=-1)
    return y


def peak_gflops(cpu):
    """FMA peak of one core in GFLOP/s, by peak.c; None without a compiler."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "peak")
        command = ["cc", "-O3", "-march=native", "-ffp-contract=fast", str(HERE / "peak.c"), "-o", str(program)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            return None
        pinned = subprocess.run(
            [program], capture_output=True, text=True, check=True, preexec_fn=lambda: os.sched_setaffinity(0, {cpu})
        )
        return float(pinned.stdout)


class Worker:
    """An engine's process; `ask` sends one command and waits for its answer."""

    def __init__(self, name, threads, cpus):
        environment = {
            **os.environ, "OMP_NUM_THREADS": str(threads), "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1",
            "JAX_PLATFORMS": "cpu", "FASTSEQ_NUM_THREADS": str(threads),
        }  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "engines.py"), name, str(threads)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment,
            preexec_fn=lambda: os.sched_setaffinity(0, cpus),
        )  # fmt: skip

    def ask(self, **command):
        try:
            self.process.stdin.write(json.dumps(command) + "\n")
            self.process.stdin.flush()
            for line in self.process.stdout:
                if line.startswith("@"):
                    return json.loads(line[1:])
        except BrokenPipeError:
            pass
        return {"failed": "the process ended"}

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=30)


def measure(cell, index, workers, rounds, seconds):
    """{engine: {"seconds": median, "error": largest difference from float64}} or {engine: {"failed": why}}."""
    expected, found = float64(cell), {}
    mask = cell.mask()
    with tempfile.TemporaryDirectory() as folder:
        for name, worker in workers.items():
            path = Path(folder, "y.npy")
            answer = worker.ask(prepare=index, check=str(path))
            if not answer.get("ready"):
                if not answer.get("unsupported"):
                    found[name] = answer
                continue
            difference = np.abs(np.load(path) - expected)
            # ONNX Runtime gives zeros for masked steps where Keras repeats: what counts are the others.
            error = float((difference if mask is None else difference[mask]).max())
            found[name] = {"error": error, "rounds": []} if error < 1e-4 else {"failed": f"wrong by {error:.3g}"}
    for _ in range(rounds):
        for name, entry in found.items():
            if "rounds" in entry:
                entry["rounds"].append(workers[name].ask(run=seconds)["median"])
    for entry in found.values():
        if "rounds" in entry:
            entry["seconds"] = float(np.median(entry["rounds"]))
    return found


def table(results):
    """The Markdown table of one thread count."""
    lines = [
        "| cell (B, T, I, H) | fastseq, us | best peer, us | | ratio | GFLOP/s | of the peak |",
        "|---|---:|---:|---|---:|---:|---:|",
    ]
    for row in results["cells"]:
        times = {name: e["seconds"] for name, e in row["engines"].items() if "seconds" in e}
        ours = times.pop("fastseq", None)
        if ours is None or not times:
            continue
        best = min(times, key=times.get)
        rate = row["flops"] / ours / 1e9
        peak = f"{100 * rate / (results['peak'] * results['threads']):.0f}%" if results["peak"] else ""
        lines.append(
            f"| {row['cell']} | {1e6 * ours:.1f} | {1e6 * times[best]:.1f} | {best} | {times[best] / ours:.2f} "
            f"| {rate:.0f} | {peak} |"
        )
    ratios = [float(line.split("|")[5]) for line in lines[2:]]
    if ratios:
        lines.append(
            f"\nGeometric mean of the ratios: {np.exp(np.mean(np.log(ratios))):.2f}, lowest {min(ratios):.2f}."
        )
    return "\n".join(lines)


def versions(names):
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(PACKAGES.get(name, name.lower()))
        except importlib.metadata.PackageNotFoundError:
            found[name] = "unknown"
    return found


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), choices=list(ENGINES))
    parser.add_argument("--cells", default="", help="only cells whose name contains this")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.1, help="of calls per engine, cell and round")
    parser.add_argument("--out", default="peers", help="writes OUT.json and OUT.md")
    options = parser.parse_args(argv)
    cpus = sorted(os.sched_getaffinity(0))
    everything, text = [], []
    for threads in options.threads:
        peak = peak_gflops(cpus[0])  # before the engines start: importing them takes seconds of both cores
        workers = {name: Worker(name, threads, set(cpus[:threads])) for name in options.engines}
        results = {
            "threads": threads, "peak": peak, "machine": platform.platform(),
            "versions": versions(options.engines), "cells": [],
        }  # fmt: skip
        for index, cell in enumerate(all_cells()):
            if options.cells not in cell.name:
                continue
            found = measure(cell, index, workers, options.rounds, options.seconds)
            results["cells"].append({"cell": cell.name, "flops": cell.flops, "engines": found})
            short = {n: f"{1e6 * e['seconds']:.1f}" if "seconds" in e else e["failed"] for n, e in found.items()}
            print(threads, cell.name, short, file=sys.stderr, flush=True)
        for worker in workers.values():
            worker.close()
        everything.append(results)
        measured = f"{peak:.0f} GFLOP/s" if peak else "unknown"
        text += [f"### {threads} thread{'s' if threads > 1 else ''}\n", table(results), ""]
        text += [f"FMA peak of one core in this run: {measured}. Versions: {results['versions']}.", ""]
        Path(options.out + ".json").write_text(json.dumps(everything, indent=1))
        Path(options.out + ".md").write_text("\n".join(text))
    print("\n".join(text))


if __name__ == "__main__":
    main()

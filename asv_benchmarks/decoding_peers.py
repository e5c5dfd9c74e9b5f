"""Measures whole decoding loops of fastseq and its peers side by side; writes a JSON file and a Markdown page.

    python decoding_peers.py --threads 1 2 --out results/decoding

Processes, turns and figures are those of peers.py; an engine gets a figure only if it writes the tokens that NumPy
writes in float64, all of them.
"""

import argparse
import json
import os
import shlex
import sys
import tempfile
from pathlib import Path

import numpy as np
import report
from decoding_engines import ENGINES
from decoding_tasks import all_tasks
from worker import Worker, compiled, in_turn, installed, machine, peak_gflops, sum_over, versions

# engine -> (its package's name in peers.py, what its loop is)
LOOPS = {
    "fastseq": ("fastseq", "`Decoder.greedy` or `generate`"),
    "Keras predict": ("TensorFlow", "the loop of Keras's examples: `predict` for every token"),
    "Keras predict_on_batch": ("TensorFlow", "the same with `predict_on_batch`"),
    "TensorFlow tf.function": ("TensorFlow", "the whole loop in one `tf.function`, with XLA or without"),
    "JAX, a jitted step": ("JAX", "a jitted step for every token, choice included"),
    "JAX, the whole loop jitted": ("JAX", "`lax.scan` over the steps, unrolled or not"),
    "ONNX Runtime, session.run": ("ONNX Runtime", "one-hot rows or the window in, probabilities out, choice in NumPy"),
    "ONNX Runtime, bound arrays": ("ONNX Runtime", "ids in and out, IO bindings made once, choice in the graph"),
    "ONNX Runtime, the loop in the graph": ("ONNX Runtime", "an ONNX `Loop` over the steps"),
    "PyTorch": ("PyTorch", "`inference_mode`, gates by hand over looked-up rows, `LSTM` or `LSTMCell`"),
}


def measure(task, index, workers, rounds, seconds):
    """{engine: {"seconds": median, "rounds": [...]}} or {engine: {"failed": why}}."""
    expected = task.written()

    def checked(path):
        with np.load(path) as file:
            found = file["arr_0"]
        if found.shape != expected.shape:
            return {"failed": f"wrote {found.shape} tokens"}
        wrong = int((found != expected).sum())
        return {"failed": f"{wrong} of {expected.size} tokens differ"} if wrong else {}

    return in_turn(index, checked, workers, rounds, seconds)


def table(results):
    """Markdown: a row for each engine, milliseconds of each task and how many times fastseq's they are."""
    rows = results["cells"]
    lines = ["| | " + " | ".join(row["cell"] for row in rows) + " |", "|---|" + "---:|" * len(rows)]
    for name in LOOPS:
        if any(name in row["engines"] for row in rows):
            lines.append(f"| {name} | " + " | ".join(_entry(row["engines"], name) for row in rows) + " |")
    return "\n".join(lines)


def _entry(engines, name):
    seconds, ours = (engines.get(key, {}).get("seconds") for key in (name, "fastseq"))
    if seconds is None:
        return ""
    time = f"{_short(1e3 * seconds)} ms"
    return time if name == "fastseq" or ours is None else f"{time}, {_short(seconds / ours)} times"


def _short(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def bandwidth(cpus, size):
    """GB/s at which these CPUs read `size` bytes again and again, each its share, by bandwidth.c; None without one."""
    with tempfile.TemporaryDirectory() as folder:
        program = compiled("bandwidth.c", folder, ["-march=native"])
        if program is None:
            return None
        command = [program, str(size // len(cpus))]
        return sum_over(cpus, command)


def limits(results):
    """Markdown lines: the best peer of each task, and the least time that any engine can take."""
    lines = []
    for row in results["cells"]:
        pair = report.compared(row, {"not_held": []})
        if pair is None:
            continue
        ours, best, theirs = pair
        line = f"- {row['cell']}: fastseq is {theirs / ours:.2f} times as fast as the best peer, {best}"
        if results["peak"]:
            least, why = row["flops"] / results["peak"] / 1e9, "at the FMA peak the products alone take"
            if row["bandwidth"] and row["bytes"] / row["bandwidth"] / 1e9 > least:
                least, why = row["bytes"] / row["bandwidth"] / 1e9, "reading the weights for every token takes"
            line += f"; {why} {_short(1e3 * least)} ms, {theirs / least:.2f} times less than that peer"
        lines.append(line + ".")
    return lines


def markdown(everything):
    """The whole page."""
    first = everything[0]
    lines = [
        "# Decoding: fastseq and its peers", "",
        f"One run of `python {first['command']}` on {first['machine']}; every engine in a process of its own, pinned, "
        "in turn, its loop written in the ways below, of which the one counts that is fastest for the task. Greedy, "
        "with random weights and no end, so that all engines write as many tokens; all of them write those that NumPy "
        "writes in float64. Medians over rounds.", "",
        "Versions: " + ", ".join(f"{name} {version}" for name, version in first["versions"].items()) + ".", "",
        *(f"- {name}: {text}." for name, (_, text) in LOOPS.items()), "",
    ]  # fmt: skip
    for results in everything:
        threads = results["threads"]
        lines += [f"## {threads} thread{'s' if threads > 1 else ''}", "", table(results), "", *limits(results), ""]
        if results["peak"]:
            lines += [f"FMA peak in this run, of as many cores at once: {results['peak']:.0f} GFLOP/s.", ""]
        failed = report.failures(results)
        if failed:
            lines += ["Without a figure:", "", *failed, ""]
    return "\n".join(lines)


def run(options):
    """One measurement for every thread count asked for; writes OUT.json and OUT.md after each."""
    cpus, everything = sorted(os.sched_getaffinity(0)), []
    engines = [name for name in options.engines if installed(LOOPS[name][0])]
    missing = [name for name in options.engines if name not in engines]
    if missing:
        print("not installed:", ", ".join(missing), file=sys.stderr)
    for threads in options.threads:
        if threads > len(cpus):
            sys.exit(f"--threads {threads}: this process may use {len(cpus)} CPUs.")
        peak = peak_gflops(cpus[:threads])
        workers = {name: Worker(name, threads, set(cpus[:threads]), script="decoding_engines.py") for name in engines}
        results = {
            "threads": threads, "peak": peak, "machine": machine(), "command": options.command, "cells": [],
            "versions": versions(dict.fromkeys(LOOPS[name][0] for name in engines)), "missing": missing,
        }  # fmt: skip
        everything.append(results)
        for index, task in enumerate(all_tasks()):
            if options.tasks not in task.name:
                continue
            found = measure(task, index, workers, options.rounds, options.seconds)
            row = {"cell": task.name, "flops": task.flops, "words": 0, "engines": found}
            row["bytes"] = task.tokens * task.weight_bytes
            row["bandwidth"] = bandwidth(cpus[:threads], task.weight_bytes) if task.weight_bytes else None
            results["cells"].append(row)
            short = {n: f"{1e3 * e['seconds']:.3g}" if "seconds" in e else e["failed"] for n, e in found.items()}
            print(threads, task.name, short, file=sys.stderr, flush=True)
            if peak:  # one measurement may meet a noisy moment
                results["peak"] = max(results["peak"], peak_gflops(cpus[:threads]))
        for worker in workers.values():
            worker.close()
        Path(options.out + ".json").write_text(json.dumps(everything, indent=1) + "\n")
        Path(options.out + ".md").write_text(markdown(everything))
    print(markdown(everything))


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), choices=list(ENGINES))
    parser.add_argument("--tasks", default="", help="only tasks whose name contains this")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.1, help="of calls per engine, task and round")
    parser.add_argument("--out", default="decoding", help="writes OUT.json and OUT.md")
    options = parser.parse_args(argv)
    options.command = shlex.join(["decoding_peers.py", *(sys.argv[1:] if argv is None else argv)])
    run(options)


if __name__ == "__main__":
    main()

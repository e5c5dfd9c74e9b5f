"""Measures streams beside what peers offer for the same, and writes a JSON file and a Markdown page.

    python streaming_peers.py --out results/streaming     (engines that are not installed are left out, and named)

One timestep a call, states kept from call to call, in the fastest way that each engine has. Each engine runs in a
process of its own, pinned to the first CPUs that this process may use; its outputs over 20 timesteps are checked
against float64; then all take turns, round after round. A figure is the median over rounds.
"""

import argparse
import json
import os
import shlex
import sys
import tempfile
from pathlib import Path

import numpy as np
from reference import float64
from streaming_cells import CELLS, longer
from streaming_engines import ENGINES
from worker import TOLERANCE, Worker, installed, machine, versions


def errors(path, cell):
    """For each way in a .npz the largest difference from float64 over the largest expected value."""
    want = float64(longer(cell))[0]
    with np.load(path) as file:
        found = [file[f"arr_{i}"] for i in range(len(file.files))]
    return [float(np.abs(y - want).max() / np.abs(want).max()) if y.shape == want.shape else np.inf for y in found]


def measure(index, workers, rounds, seconds):
    """{way: {"engine", "seconds", "single", "p99", "error"}} or {engine: {"failed": why}} for one cell."""
    found, turns = {}, []
    with tempfile.TemporaryDirectory() as folder:
        for engine, worker in workers.items():
            path = Path(folder, "y.npz")
            answer = worker.ask(prepare=index, check=str(path))
            if "ways" not in answer:
                found[engine] = answer
                continue
            for number, (way, error) in enumerate(zip(answer["ways"], errors(path, CELLS[index]), strict=True)):
                if error < TOLERANCE:
                    found[way] = {"engine": engine, "error": error, "rounds": []}
                    turns.append((way, worker, number))
                else:
                    found[way] = {"failed": f"wrong by {error:.3g}"}
    for _ in range(rounds):
        for way, worker, number in turns:
            answer = worker.ask(run=seconds, way=number)
            if "rounds" in found[way] and "median" in answer:
                found[way]["rounds"].append([answer[key] for key in ("median", "single", "p99")])
            else:
                found[way] = answer
    for entry in found.values():
        if "rounds" in entry:
            entry["seconds"], entry["single"], entry["p99"] = np.median(entry["rounds"], axis=0).tolist()
    return found


# ---- the page --------------------------------------------------------------------------------------------------------


def table(ways):
    """Markdown rows of one cell, fastseq's ways first; ratio: to fastseq's first way."""
    timed = {name: entry for name, entry in ways.items() if "seconds" in entry}
    ours = next((entry["seconds"] for entry in timed.values() if entry["engine"] == "fastseq"), None)
    lines = ["| | median, us | ratio | p99, us | p99 / median |", "|---|---:|---:|---:|---:|"]
    for name, entry in timed.items():
        ratio = f"{entry['seconds'] / ours:.2f}" if ours else ""
        lines.append(
            f"| {name} | {1e6 * entry['seconds']:.2f} | {ratio} | {1e6 * entry['p99']:.2f} "
            f"| {entry['p99'] / entry['single']:.2f} |"
        )
    return lines + ["", *(f"- {name}: {entry['failed']}" for name, entry in ways.items() if "failed" in entry)]


def pool_share(ways):
    """Speed of a tick of the pool over that of a plain batch of as many rows, or None."""
    timed = {name: entry["seconds"] for name, entry in ways.items() if "seconds" in entry}
    pool = next((seconds for name, seconds in timed.items() if "pool.step" in name), None)
    plain = next((seconds for name, seconds in timed.items() if "model(x)" in name), None)
    return plain / pool if pool and plain else None


def markdown(results):
    told = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    lines = [
        "# Streams beside their peers", "",
        f"One run of `python {results['command']}` on {results['machine']}; {results['threads']} thread"
        f"{'s' if results['threads'] > 1 else ''}, every engine in a process of its own, pinned, in turn; outputs over "
        "20 timesteps checked against float64. One timestep a call, states kept from call to call. A peer's input is "
        "in its place before the clock runs, fastseq is handed an array. p99 is that of single calls, the clock "
        "included, over their own median.", "",
        f"Versions: {told}.", "",
    ]  # fmt: skip
    if results["missing"]:
        lines += [f"Not installed: {', '.join(results['missing'])}.", ""]
    for row in results["cells"]:
        lines += [f"## {row['cell']}", "", *table(row["ways"]), ""]
        share = pool_share(row["ways"])
        if share:
            lines += [f"The pool runs at {100 * share:.0f}% of the speed of a plain batch of as many rows.", ""]
    return "\n".join(lines).replace("\n\n\n", "\n\n").rstrip() + "\n"


def run(options):
    cpus = set(sorted(os.sched_getaffinity(0))[: options.threads])
    if len(cpus) < options.threads:
        sys.exit(f"--threads {options.threads}: this process may use {len(cpus)} CPUs.")
    engines = [name for name in options.engines if installed(name)]
    missing = [name for name in options.engines if name not in engines]
    workers = {name: Worker(name, options.threads, cpus, script="streaming_engines.py") for name in engines}
    results = {
        "threads": options.threads, "machine": machine(), "command": options.command, "versions": versions(engines),
        "missing": missing, "cells": [],
    }  # fmt: skip
    for index, cell in enumerate(CELLS):
        ways = measure(index, workers, options.rounds, options.seconds)
        results["cells"].append({"cell": cell.name, "ways": ways})
        print(cell.name, *table(ways), sep="\n", file=sys.stderr, flush=True)
    for worker in workers.values():
        worker.close()
    Path(options.out + ".json").write_text(json.dumps(results, indent=1) + "\n")
    Path(options.out + ".md").write_text(markdown(results))


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), choices=list(ENGINES))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.3, help="of calls per way and round")
    parser.add_argument("--out", default="streaming", help="writes OUT.json and OUT.md")
    options = parser.parse_args(argv)
    options.command = shlex.join(["streaming_peers.py", *(sys.argv[1:] if argv is None else argv)])
    run(options)


if __name__ == "__main__":
    main()

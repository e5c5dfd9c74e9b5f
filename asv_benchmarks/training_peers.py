"""Measures training by fastseq and its peers side by side; writes a JSON file and a Markdown page.

    python peers.py --train --threads 2 --out results/training     (engines that are not installed are left out, named)
    python peers.py --train --readme results/training.json         (rewrites the README's table from a run)

Processes, turns and figures are those of peers.py. An engine gets a figure for a task only if the losses of its first
four steps, or epochs, from the same weights on the same data are those of PyTorch in float64.
"""

import argparse
import importlib.metadata
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import report
import training_report
from training_cells import all_tasks
from training_engines import ENGINES, REFERENCE
from worker import HERE, SETTLE, Worker, environment, installed, machine, peak_gflops, versions

# engine -> the package that has to be there, by its name in peers.py; all of Keras's need keras too
NEEDS = {name: name for name in ("fastseq", "PyTorch", "JAX")} | {
    "Keras on TensorFlow": "TensorFlow", "Keras on TensorFlow, jit_compile=True": "TensorFlow",
    "Keras on JAX": "JAX", "Keras on PyTorch": "PyTorch",
}  # fmt: skip
TOLERANCE = 0.01  # of the way that the loss goes in the steps compared: float32 gives 5e-4 or less
SCRIPT = "training_engines.py"


def loss_error(found, expected):
    """The largest difference of two lists of losses, over the way from the first expected one to the last."""
    if len(found) != len(expected) or not np.isfinite(found).all():
        return float("inf")
    return float(np.abs(np.subtract(found, expected)).max() / abs(expected[0] - expected[-1]))


def start(index, workers, expected):
    """{engine: {"error", "rounds": [], "gradients": bool} or {"failed": why}}, each ready to run the task."""
    found = {}
    for name, worker in workers.items():
        answer = worker.ask(prepare=index)
        if answer.get("unsupported"):
            continue
        if "losses" not in answer:
            found[name] = answer
            continue
        error = max(loss_error(losses, expected) for losses in answer["losses"])
        if error < TOLERANCE:
            found[name] = {"error": error, "rounds": [], "gradients": answer["gradients"]}
        else:
            found[name] = {"failed": f"losses wrong by {error:.3g} of their way"}
    return found


def measure(index, workers, expected, rounds, seconds):
    """`start` with "seconds", the median over rounds, and "gradient_seconds" where the engine tells them apart."""
    found = start(index, workers, expected)
    for _ in range(rounds):
        for name, entry in found.items():
            if "rounds" not in entry:
                continue
            for command, kept in (("run", "rounds"), ("gradients", "gradient_rounds")):
                if command == "gradients" and not entry["gradients"]:
                    continue
                time.sleep(SETTLE)
                answer = workers[name].ask(**{command: seconds})
                if "median" not in answer:
                    found[name] = answer
                    break
                entry.setdefault(kept, []).append(answer["median"])
    for entry in found.values():
        if "rounds" in entry:
            entry["seconds"] = float(np.median(entry["rounds"]))
        if "gradient_rounds" in entry:
            entry["gradient_seconds"] = float(np.median(entry["gradient_rounds"]))
    return found


def memory(index, names, threads, cpus):
    """{engine: bytes by which the first steps raise the peak of a fresh process's memory}."""
    found = {}
    for name in names:
        worker = Worker(name, threads, cpus, script=SCRIPT)
        answer = worker.ask(memory=index)
        worker.close()
        if "bytes" in answer:
            found[name] = answer["bytes"]
    return found


def cold_epoch(name, threads, cpus, index, way, path):
    """(seconds from the start of a process until its first epoch is done, its answer)."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, str(HERE / SCRIPT), name, str(threads), "--cold", str(index), str(way), path],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment(name, threads),
        preexec_fn=lambda: os.sched_setaffinity(0, cpus),
    )  # fmt: skip
    answer, seconds = {"failed": "the process ended"}, 0.0
    for line in process.stdout:
        if line.startswith("@"):
            seconds, answer = time.perf_counter() - began, json.loads(line[1:])
    process.wait()
    return seconds, answer


LONG = 5.0


def _again(entry):
    return "rounds" in entry and sum(map(sum, entry["rounds"])) < LONG


def cold(index, names, threads, cpus, rounds):
    """{engine: {"seconds": of its fastest way, "rounds": [[of each way] ...]}}; the engines take turns.

    rounds: at most; an engine is not started again once it has taken LONG seconds.
    """
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "data.npz"))
        x, y = all_tasks()[index].data()
        np.savez(path, x=x, y=y)
        for _ in range(rounds):
            for name in names:
                if not _again(found.get(name, {"rounds": []})):
                    continue
                times, way, ways = [], 0, 1
                while way < ways:
                    seconds, answer = cold_epoch(name, threads, cpus, index, way, path)
                    if "losses" not in answer:
                        found[name] = answer
                        break
                    times.append(seconds)
                    way, ways = way + 1, answer["ways"]
                else:
                    found.setdefault(name, {"rounds": []})["rounds"].append(times)
    for entry in found.values():
        if "rounds" in entry:
            entry["seconds"] = float(np.median(entry["rounds"], axis=0).min())
    return found


def expected_losses(indices, threads, cpus):
    """{index: losses of PyTorch in float64}."""
    worker, found = Worker(REFERENCE, threads, cpus, script=SCRIPT), {}
    for index in indices:
        answer = worker.ask(prepare=index)
        if "losses" not in answer:
            sys.exit(f"{REFERENCE}, which the engines are checked against: {answer}")
        found[index] = answer["losses"][0]
    worker.close()
    return found


def run(options):
    """One measurement for every thread count asked for; writes OUT.json and OUT.md after each task."""
    cpus, everything = sorted(os.sched_getaffinity(0)), []
    engines = [name for name in options.engines if installed(NEEDS[name])]
    missing = [name for name in options.engines if name not in engines]
    if missing:
        print("not installed:", ", ".join(missing), file=sys.stderr)
    tasks = {index: task for index, task in enumerate(all_tasks()) if options.cells in task.name}
    for threads in options.threads:
        if threads > len(cpus):
            sys.exit(f"--threads {threads}: this process may use {len(cpus)} CPUs.")
        own = set(cpus[:threads])
        peak = peak_gflops(cpus[:threads])
        expected = expected_losses(tasks, threads, own)
        workers = {name: Worker(name, threads, own, script=SCRIPT) for name in engines}
        results = {
            "threads": threads, "peak": peak, "machine": machine(), "command": options.command, "cells": [],
            "versions": versions(dict.fromkeys(NEEDS[name] for name in engines)) | keras_version(engines),
            "missing": missing,
        }  # fmt: skip
        everything.append(results)
        for index, task in tasks.items():
            row = {"cell": task.name, "epochs": bool(task.samples)}
            row["engines"] = measure(index, workers, expected[index], options.rounds, options.seconds)
            step = task.cell.steps[0]
            if not task.samples and len(task.cell.steps) == 1 and step.recurrent and not step.bidirectional:
                row |= {"flops": task.flops, "needed_flops": task.needed_flops}
            results["cells"].append(row)
            print(threads, task.name, short(row["engines"]), file=sys.stderr, flush=True)
            if peak:  # one measurement may meet a noisy moment
                results["peak"] = max(results["peak"], peak_gflops(cpus[:threads]))
            write(options.out, everything)
        for worker in workers.values():
            worker.close()
        for row, (index, task) in zip(results["cells"], tasks.items()):
            names = [name for name, entry in row["engines"].items() if "seconds" in entry]
            if task.samples:
                row["cold"] = cold(index, names, threads, own, options.cold_rounds)
            if task.memory:
                row["memory"] = memory(index, names, threads, own)
            print(threads, task.name, row.get("cold", row.get("memory", "")), file=sys.stderr, flush=True)
            write(options.out, everything)
    print(training_report.markdown(everything))


def short(engines):
    """{engine: milliseconds, or why there are none}."""
    return {name: f"{1e3 * e['seconds']:.3g}" if "seconds" in e else e["failed"] for name, e in engines.items()}


def keras_version(engines):
    return {"Keras": importlib.metadata.version("keras")} if any("Keras" in name for name in engines) else {}


def write(out, everything):
    Path(out + ".json").write_text(json.dumps(everything, indent=1) + "\n")
    Path(out + ".md").write_text(training_report.markdown(everything))


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [name for name in ENGINES if name != REFERENCE]
    parser.add_argument("--train", action="store_true", help="how peers.py comes here")
    parser.add_argument("--threads", type=int, nargs="+", default=[2])
    parser.add_argument("--engines", nargs="+", default=names, choices=names)
    parser.add_argument("--cells", default="", help="only tasks whose name contains this")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.2, help="of steps per engine, task and round")
    parser.add_argument("--cold-rounds", type=int, default=3, help="at most so many first epochs per engine")
    parser.add_argument("--out", default="training", help="writes OUT.json and OUT.md")
    parser.add_argument("--readme", metavar="JSON", help="measure nothing: rewrite the README's table from this file")
    parser.add_argument("--readme-file", type=Path, default=HERE.parent / "README.md")
    options = parser.parse_args(argv)
    if options.readme:
        block = training_report.readme_block(json.loads(Path(options.readme).read_text()))
        text = report.rewrite(options.readme_file.read_text(), block, training_report.BEGIN, training_report.END)
        options.readme_file.write_text(text)
        return
    options.command = shlex.join(["peers.py", *(sys.argv[1:] if argv is None else argv)])
    run(options)


if __name__ == "__main__":
    main()

"""Measures fastseq and its peers side by side and writes a JSON file and a Markdown table.

    python peers.py --threads 1 2 --out results/peers     (engines that are not installed are left out, and named)
    python peers.py --threads 1 2 --isa avx2 --out results/peers_avx2     (every engine held to AVX2 where it can be)
    python peers.py --readme results/peers.json           (rewrites the README's table from a run)
    python peers.py --train --threads 2 --out results/training     (training: training_peers.py, with its own options)

Each engine runs in a process of its own, pinned to the first one or two CPUs this process may use. For every cell each
engine prepares the same weights, its output is checked against float64, and then the engines take turns, round after
round, so that a noisy moment hits all. A figure is the median over rounds of the median call.
"""

import argparse
import json
import os
import shlex
import sys
from pathlib import Path

import isa as instruction_sets
import report
from cells import TWIN, all_cells
from engines import ENGINES
from worker import HERE, Worker, installed, machine, measure, peak_gflops, versions


def run(options):
    """One measurement for every thread count asked for; writes OUT.json and OUT.md after each."""
    cpus, everything = sorted(os.sched_getaffinity(0)), []
    engines = [name for name in options.engines if installed(name)]
    missing = [name for name in options.engines if name not in engines]
    if missing:
        print("not installed:", ", ".join(missing), file=sys.stderr)
    held = instruction_sets.described(options.isa, engines) if options.isa else []
    for threads in options.threads:
        if threads > len(cpus):
            sys.exit(f"--threads {threads}: this process may use {len(cpus)} CPUs.")
        peak = peak_gflops(cpus[:threads], options.isa)  # before the engines: importing them takes seconds
        chosen = [(index, cell) for index, cell in enumerate(all_cells()) if options.cells in cell.name]
        twins = [TWIN] if "fastseq" in engines and any(cell.twin for _, cell in chosen) else []
        workers = {name: Worker(name, threads, set(cpus[:threads]), options.isa) for name in [*engines, *twins]}
        results = {
            "threads": threads, "peak": peak, "machine": machine(), "isa": options.isa, "command": options.command,
            "versions": versions(engines), "missing": missing,
            "not_held": instruction_sets.not_held(options.isa, engines), "cells": [],
        }  # fmt: skip
        everything.append(results)
        for index, cell in chosen:
            found = measure(cell, index, workers, options.rounds, options.seconds)
            if len(results["cells"]) % 10 == 9 and results["peak"]:
                # One measurement may meet a noisy moment: 209 for 288 GFLOP/s in one run. The largest one counts.
                results["peak"] = max(results["peak"], peak_gflops(cpus[:threads], options.isa))
            twin = cell.twin.name if cell.twin else ""
            results["cells"].append(
                {"cell": cell.name, "flops": cell.flops, "words": sum(cell.sentences), "twin": twin, "engines": found}
            )
            short = {n: f"{1e6 * e['seconds']:.1f}" if "seconds" in e else e["failed"] for n, e in found.items()}
            print(threads, cell.name, short, file=sys.stderr, flush=True)
        for worker in workers.values():
            worker.close()
        Path(options.out + ".json").write_text(json.dumps(everything, indent=1) + "\n")
        Path(options.out + ".md").write_text(report.markdown(everything, held))
    print(report.markdown(everything, held))


def main(argv=None):
    if "--train" in (sys.argv[1:] if argv is None else argv):
        import training_peers

        training_peers.main(argv)
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), choices=list(ENGINES))
    parser.add_argument("--cells", default="", help="only cells whose name contains this")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.1, help="of calls per engine, cell and round")
    parser.add_argument("--isa", default="", choices=["", "avx2"], help="hold every engine to it, where it can be")
    parser.add_argument("--out", default="peers", help="writes OUT.json and OUT.md")
    parser.add_argument("--readme", metavar="JSON", help="measure nothing: rewrite the README's table from this file")
    parser.add_argument("--readme-file", type=Path, default=HERE.parent / "README.md")
    options = parser.parse_args(argv)
    if options.readme:
        block = report.readme_block(json.loads(Path(options.readme).read_text()))
        options.readme_file.write_text(report.rewrite(options.readme_file.read_text(), block))
        return
    options.command = shlex.join(["peers.py", *(sys.argv[1:] if argv is None else argv)])
    run(options)


if __name__ == "__main__":
    main()

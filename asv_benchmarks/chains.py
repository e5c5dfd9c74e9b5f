"""Measures chains of elementwise operations and sums over an axis beside the machine's bandwidth; JSON and Markdown.

    python chains.py --out results/chains     (two minutes)

Arrays are far larger than L2. What is read and written is counted once: the arrays that a chain takes and its result.
bandwidth.c, in turn with fastseq on the same cores, reads and writes as many arrays of the same size, in the way that
is fastest for it. Two ways of fastseq: a stream's step writes into an array in use (`out=`), a model's call into memory
that the system gives anew where a result is large, as to bandwidth.c in its third way. The best of all rounds counts.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from limits import pinned
from worker import compiled, machine

import fastseq
from fastseq import ops

WIDTH = 1024  # of a row of a chain's arrays
WANTED = 0.8  # of what bandwidth.c reaches
# Bytes up to which the C library keeps the memory of a result for the next one: glibc's highest mmap threshold.
KEPT = 32 << 20
# name -> (how many arrays it reads, a function of `maximum` and these)
CHAINS = {
    "a + b": (2, lambda maximum, a, b: a + b),
    "a * b + c": (3, lambda maximum, a, b, c: a * b + c),
    "a * b + c - d": (4, lambda maximum, a, b, c, d: a * b + c - d),
    "max(a * b + c - d, 0)": (4, lambda maximum, a, b, c, d: maximum(a * b + c - d, 0.0)),
    "2 * a": (1, lambda maximum, a: 2.0 * a),
    "max(2 * a + b - 1, 0)": (2, lambda maximum, a, b: maximum(2.0 * a + b - 1.0, 0.0)),
}
# name -> (shape of so many floats, the axis)
SUMS = {
    "sum over the first axis": (lambda n: (n // WIDTH, WIDTH), 0),
    "sum over the middle axis": (lambda n: (n // 65536, 256, 256), 1),
    "sum over the last axis": (lambda n: (n // WIDTH, WIDTH), 1),
}


def checked(name, got, want):
    """Raises where the figures would be of something else."""
    if not np.allclose(got, want, rtol=1e-4, atol=1e-5):
        raise RuntimeError(f"{name}: fastseq's result is wrong by {np.abs(got - want).max()}")


def chain_calls(name, floats):
    """{way: a call without arguments} of a chain over arrays of so many floats."""
    count, function = CHAINS[name]
    rng, shape = np.random.default_rng(0), (floats // WIDTH, WIDTH)
    arrays = [rng.random(shape, np.float32) for _ in range(count)]
    want = function(np.maximum, *arrays)
    x, y = arrays if count > 1 else arrays[0], np.empty(shape, np.float32)
    models = []
    for steps in ((None,), ()):  # a stream takes a timestep's array, (rows, width); the model's call the same
        given = [fastseq.Input((*steps, WIDTH)) for _ in range(count)]
        models.append(fastseq.Model(given, function(ops.maximum, *given)))
    stream = models[0].stream(shape[0])
    found = {"in use": lambda: stream.step(x, out=y)}
    if y.nbytes > KEPT:
        found["new"] = lambda: models[1](x)
    for call in found.values():
        checked(name, call(), want)
    return found


def sum_calls(name, floats):
    """As `chain_calls`. What a sum writes is little, in either way."""
    shape, axis = SUMS[name]
    x = np.random.default_rng(0).random(shape(floats), np.float32)
    call = lambda: ops.sum(x, axis=axis)  # noqa: E731
    checked(name, call(), x.sum(axis=axis, dtype="f8"))
    return {"in use": call}


def best(call, seconds):
    """Seconds of the fastest of all calls in so many seconds, of five at least."""
    fastest, calls, end = float("inf"), 0, time.perf_counter() + seconds
    while calls < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        result = call()
        fastest, calls = min(fastest, time.perf_counter() - start), calls + 1
        del result  # its memory goes back before the next call, outside the clock
    return fastest


def figures(name, floats, threads, program, rounds, seconds):
    """A row: the best rates of fastseq and of bandwidth.c in GB/s, by way, and fastseq's shares of them."""
    reads, writes = (CHAINS[name][0], 1) if name in CHAINS else (1, 0)
    calls = chain_calls(name, floats) if name in CHAINS else sum_calls(name, floats)
    size, kinds = 4 * floats, {"in use": ("kept", "streamed") if writes else ("kept",), "new": ("new",)}
    row = {"what": name, "floats": floats, "threads": threads, "bytes": size * (reads + writes), "seconds": {}}
    row |= {"bandwidth": {}, "share": {}}
    for way in list(calls) * rounds:
        row["seconds"][way] = min(row["seconds"].get(way, float("inf")), best(calls[way], seconds))
        for kind in kinds[way]:
            command = [str(part) for part in (program, size, reads, writes, kind, threads)]
            rate = float(subprocess.run(command, capture_output=True, check=True).stdout)
            row["bandwidth"][way] = max(row["bandwidth"].get(way, 0.0), rate)
    for way, taken in row["seconds"].items():
        row["share"][way] = row["bytes"] / taken / 1e9 / row["bandwidth"][way]
    return row


def measured(cpus, sizes, rounds, seconds):
    """Rows for one core and two, every size, chain and sum."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        program = compiled("bandwidth.c", folder, ["-march=native"])
        if program is None:
            sys.exit("bandwidth.c could not be compiled: chains.py needs a C compiler.")
        for threads in range(1, 1 + min(2, len(cpus))):
            for floats in sizes:
                for name in (*CHAINS, *SUMS):
                    with pinned(cpus, threads):
                        rows.append(figures(name, floats, threads, program, rounds, seconds))
                    print(_line(rows[-1]), file=sys.stderr, flush=True)
    return rows


def _line(row):
    cells = [row["what"], f"{row['floats'] / 2**20:g} M", f"{row['bytes'] / 2**20:.0f}"]
    for way in ("in use", "new"):
        if way in row["seconds"]:
            rate = row["bytes"] / row["seconds"][way] / 1e9
            cells += [f"{1e3 * row['seconds'][way]:.2f}", f"{rate:.1f}", f"{row['bandwidth'][way]:.1f}"]
            cells.append(f"{row['share'][way]:.0%}")
        else:
            cells += [""] * 4
    return f"| {' | '.join(cells)} |"


def markdown(found):
    """The page of a run."""
    lines = ["# Chains and sums beside the machine's bandwidth", "",
        f"One run of `python chains.py` on {found['machine']}; fastseq {found['version']}, {found['isa']} kernels, "
        "pinned. The bytes are those of the arrays that are read and of the result. bandwidth.c reads and writes as "
        "many arrays of that size in turn with fastseq, on as many cores; of stores into the caches and past them the "
        f"faster ones count. {WANTED:.0%} of it are wanted in memory in use (`stream.step(x, out=y)`; of a sum the "
        f"call, since its result is small). A model's call gives a new array, and above {KEPT >> 20} MiB the system "
        "clears its pages first, for bandwidth.c as well.", ""]  # fmt: skip
    for threads in sorted({row["threads"] for row in found["rows"]}):
        rows = [row for row in found["rows"] if row["threads"] == threads]
        lines += [f"## {threads} core{'s' if threads > 1 else ''}", "",
            "| | floats | MiB | memory in use, ms | GB/s | bandwidth.c | share | a new array, ms | GB/s | bandwidth.c "
            "| share |", "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
            *map(_line, rows), ""]  # fmt: skip
        least = min(rows, key=lambda row: row["share"]["in use"])
        below = sum(row["share"]["in use"] < WANTED for row in rows)
        lines += [f"Least in memory in use: {least['share']['in use']:.0%}, {least['what']} of "
            f"{least['floats'] / 2**20:g} M; below {WANTED:.0%}: {below} of {len(rows)}.", ""]  # fmt: skip
    return "\n".join(lines)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[4, 16], help="of an array, in 2^20 floats")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.2, help="of calls per row, way and round")
    parser.add_argument("--out", default="chains", help="writes OUT.json and OUT.md")
    options = parser.parse_args(argv)
    cpus = sorted(os.sched_getaffinity(0))
    found = {"machine": machine(), "isa": fastseq.active_isa(), "version": fastseq.__version__}
    found["rows"] = measured(cpus, [size << 20 for size in options.sizes], options.rounds, options.seconds)
    Path(options.out + ".json").write_text(json.dumps(found, indent=1) + "\n")
    Path(options.out + ".md").write_text(markdown(found))
    print(markdown(found))


if __name__ == "__main__":
    main()

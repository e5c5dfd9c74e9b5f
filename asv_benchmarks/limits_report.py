"""The Markdown page of limits.py."""

import numpy as np


def _rows(header, rows):
    columns = header.count("|") - 1
    return [header, "|" + "---|" + "---:|" * (columns - 1), *rows, ""]


def bandwidth(rows):
    lines = [
        "## Reading the recurrent weights", "",
        "Bandwidth: bandwidth.c reads as many bytes again and again on one core. Reached: the recurrent weights' "
        "bytes, once for every step but the first, over the time of the whole call, and over that time less the "
        "product of the inputs, measured as a Dense layer of the same size.", "",
    ]  # fmt: skip
    table = []
    for row in rows:
        limit = row["bandwidth"]
        shares = [f"{row[name]:.0f} ({100 * row[name] / limit:.0f}%)" if limit else f"{row[name]:.0f}"
            for name in ("whole", "recurrent")]  # fmt: skip
        two = f"{row['seconds_1'] / row['seconds_2']:.2f}" if "seconds_2" in row else ""
        measured = f"{limit:.0f}" if limit else "unknown"
        table.append(f"| {row['cell']} | {row['bytes'] / 1024:.0f} | {1e6 * row['seconds_1']:.1f} | {measured} "
            f"| {shares[0]} | {shares[1]} | {two} |")  # fmt: skip
    header = "| cell | weights, KiB | us | bandwidth, GB/s | reached, whole call | less the inputs | 1 thread / 2 |"
    return lines + _rows(header, table)


def whole_calls(rows):
    table = [f"| {row['cell']} | {1e6 * row['layer']:.2f} | {1e6 * row['model']:.2f} |" for row in rows]
    return ["## A whole call", "", *_rows("| cell | layer(x), us | model(x), us |", table)]


def denormals(rows):
    table = [
        f"| {row['cell']} | {1e6 * row['normal']:.1f} | {1e6 * row['denormal']:.1f} "
        f"| {row['denormal'] / row['normal']:.2f} |"
        for row in rows
    ]
    return ["## A state that decays through the denormal range", "",
        *_rows("| cell | from 1, us | from 1e-38, us | ratio |", table)]  # fmt: skip


def spread(rows, batch):
    """Largest over smallest cost of a step at this batch, from T = 100 on."""
    costs = [row["seconds"] for row in rows if row["batch"] == batch and row["steps"] >= 100]
    return max(costs) / min(costs)


def growth(rows):
    lines = [
        "## Growth with batch and time",
        "",
        "Nanoseconds for one step of one row, 32 inputs and units, one core.",
        "",
    ]
    for kind in dict.fromkeys(row["kind"] for row in rows):
        own = [row for row in rows if row["kind"] == kind]
        table = [f"| {row['batch']} | {row['steps']} | {1e9 * row['seconds']:.1f} |" for row in own]
        lines += _rows(f"| {kind}, B | T | ns |", table)
        several = [b for b in dict.fromkeys(row["batch"] for row in own) if sum(row["batch"] == b for row in own) > 1]
        told = ", ".join(f"{spread(own, batch):.2f} with B = {batch}" for batch in several)
        by_rows = [row["seconds"] for row in own if row["steps"] == 100]
        worst = max(np.array(by_rows[1:]) / np.array(by_rows[:-1]), default=1.0)
        lines += [f"From T = 100 on, the largest cost is {told} times the smallest. At T = 100, twice the rows cost at "
            f"most {2 * worst:.2f} times as much.", ""]  # fmt: skip
    return lines


def memory(rows):
    table = [
        f"| {row['cell']} | {row['threads']} | {row.get('failed') or f'''{row['result'] / 2**20:.1f}'''} "
        f"| {'' if 'failed' in row else f'''{row['beyond'] / 2**10:.0f}'''} |"
        for row in rows
    ]
    text = (
        "Resident memory at its peak in one predict call, above what was there before (weights, inputs) and the result."
    )
    return ["## Memory of a call", "", text, "", *_rows("| cell | threads | result, MiB | beyond it, KiB |", table)]


def allocations(rows):
    table = [
        f"| {row['cell']} | {row['failed']} | | |" if "failed" in row else
        f"| {row['cell']} | {row['calls']:.2f} | {row['bytes']:.0f} | {row['result']} |"
        for row in rows
    ]  # fmt: skip
    text = (
        "Calls of the C allocator per call of the model, counted by allocations.c over 100 calls. NumPy keeps results "
        "of up to 1 KiB, and Python its small objects, in pools of their own."
    )
    header = "| cell | allocations | their bytes | bytes of the result |"
    return ["## What a call allocates", "", text, "", *_rows(header, table)]


def markdown(found):
    """The page of everything that limits.py measured."""
    lines = ["# fastseq and the machine's limits", "",
        f"One run of `python limits.py` on {found['machine']}; fastseq {found['version']}, {found['isa']} kernels, "
        "pinned.",
        ""]  # fmt: skip
    for section in (bandwidth, whole_calls, denormals, growth, memory, allocations):
        lines += section(found[section.__name__])
    return "\n".join(lines)

"""Tables out of what peers.py measured: Markdown of everything, and the block in the README."""

import re

import numpy as np
from cells import TWIN

BEGIN, END = "<!-- peers: begin -->", "<!-- peers: end -->"
# Rows of the README's table: small and large, plain and masked, whole models; all cells are in results/peers.md.
README_CELLS = [
    "LSTM (1, 1, 40, 64)", "LSTM (1, 100, 256, 256)", "LSTM (64, 100, 256, 256)", "LSTM (128, 50, 512, 512)",
    "LSTM (32, 50, 1024, 1024)", "GRU (1, 100, 256, 256)", "GRU (1000, 64, 15, 16)", "Dense linear (1000, 64, 16, 8)",
    "Dense linear (1, 1, 64, 32)", "bidirectional LSTM (1, 63, 24, 32)", "GRU left-padded (32, 100, 128, 128)",
    "2 bidirectional LSTM (1, 20 to 40, 300, 300), 20 sentences",
    "Embedding-2 LSTM(128)-concat-attention-softmax (1, 40)", "LSTM(64)-RepeatVector-LSTM(64)-Dense(8) (1, 50, 8)",
]  # fmt: skip


def compared(row, results):
    """(seconds of fastseq, name of the best peer, its seconds), or None where one of them has no figure.

    In a run held to an instruction set, an engine that nothing holds is no peer.
    """
    times = {name: entry["seconds"] for name, entry in row["engines"].items() if "seconds" in entry}
    for name in results["not_held"]:
        times.pop(name, None)
    times.pop(TWIN, None)
    ours = times.pop("fastseq", None)
    if ours is None or not times:
        return None
    best = min(times, key=times.get)
    return ours, best, times[best]


def _time(seconds, row):
    words = f" ({row['words'] / seconds:,.0f} words/s)" if row.get("words") else ""
    return f"{1e6 * seconds:.1f}{words}"


def ratios(results):
    """{cell: seconds of the best peer / seconds of fastseq} of one thread count."""
    found = {row["cell"]: compared(row, results) for row in results["cells"]}
    return {cell: pair[2] / pair[0] for cell, pair in found.items() if pair}


def summary(results):
    """(geometric mean of the ratios, the lowest one, how many are below 1)."""
    values = list(ratios(results).values())
    return float(np.exp(np.mean(np.log(values)))), min(values), sum(value < 1 for value in values)


def table(results):
    """The Markdown table of one thread count."""
    lines = [
        "| cell (B, T, I, H) | fastseq, us | best peer, us | | ratio | GFLOP/s | of the peak | peer, of the peak |",
        "|---|---:|---:|---|---:|---:|---:|---:|",
    ]
    free = results["not_held"]
    if free:
        lines = [lines[0] + " not held, us |", lines[1] + "---:|"]

    def of_peak(rate):
        return f"{100 * rate / results['peak']:.0f}%" if results["peak"] else ""

    for row in results["cells"]:
        pair = compared(row, results)
        if pair is None:
            continue
        ours, best, theirs = pair
        rate, peer_rate = row["flops"] / ours / 1e9, row["flops"] / theirs / 1e9
        lines.append(
            f"| {row['cell']} | {_time(ours, row)} | {_time(theirs, row)} | {best} | {theirs / ours:.2f} "
            f"| {rate:.0f} | {of_peak(rate)} | {of_peak(peer_rate)} |"
        )
        if free:
            others = [(row["engines"][n]["seconds"], n) for n in free if "seconds" in row["engines"].get(n, {})]
            lines[-1] += f" {_time(min(others)[0], row)}, {min(others)[1]} |" if others else " |"
    if len(lines) > 2:
        mean, lowest, behind = summary(results)
        lines.append(
            f"\nGeometric mean of the ratios: {mean:.2f}, lowest {lowest:.2f}; a peer is faster in {behind} of "
            f"{len(lines) - 2} cells."
        )
    return "\n".join(lines)


def twins(results):
    """Markdown lines: cells that fastseq ran in two ways, none where there are none."""
    lines = []
    for row in results["cells"]:
        times = [row["engines"].get(name, {}).get("seconds") for name in ("fastseq", TWIN)]
        if None not in times:
            ours, other = times
            lines.append(
                f"| {row['cell']} | {1e6 * ours:.1f} | {row['twin']} | {1e6 * other:.1f} | {other / ours:.2f} |"
            )
    header = ["| cell | us | in another way | us | ratio |", "|---|---:|---|---:|---:|"]
    return [*header, *lines] if lines else []


OWN = "own cell"


def own_cells(results):
    """Markdown lines: every engine's time for cells with a user's own cell, none where there are none."""
    rows = [row for row in results["cells"] if row["cell"].startswith(OWN)]
    names = list(dict.fromkeys(name for row in rows for name, entry in row["engines"].items() if "seconds" in entry))
    lines = ["| us | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for row in rows:
        times = [row["engines"].get(name, {}).get("seconds") for name in names]
        lines.append(f"| {row['cell']} | " + " | ".join("" if t is None else f"{1e6 * t:.1f}" for t in times) + " |")
    return lines if names else []


def failures(results):
    """Markdown lines: engines that failed on a cell or gave a wrong result, and why."""
    return [
        f"- {row['cell']}, {name}: {entry['failed']}"
        for row in results["cells"]
        for name, entry in row["engines"].items()
        if "failed" in entry
    ]


def markdown(everything, held=()):
    """The whole page. held: lines that say what held each engine to an instruction set, none without --isa."""
    first = everything[0]
    lines = [
        "# fastseq and its peers", "",
        f"One run of `python {first['command']}` on {first['machine']}; every engine in a process of its own, pinned, "
        "in turn, each called in the way that is fastest for it; outputs checked against float64. Below 1.0 in the "
        "ratio a peer is faster. The figures of every engine are in the JSON file beside this page.", "",
    ]  # fmt: skip
    versions = ", ".join(f"{name} {version}" for name, version in first["versions"].items())
    lines += [f"Versions: {versions}.", ""]
    if held:
        lines += [f"Held to {first['isa']} by:", "", *held, ""]
        lines += ["Engines that nothing holds are not among the peers; the last column shows the best of them.", ""]
    for results in everything:
        threads = results["threads"]
        measured = f"{results['peak']:.0f} GFLOP/s" if results["peak"] else "unknown"
        lines += [f"## {threads} thread{'s' if threads > 1 else ''}", "", table(results), ""]
        lines += [f"FMA peak in this run, of as many cores at once: {measured}.", ""]
        for told, part in (
            ("fastseq beside itself, in turn:", twins(results)), ("Every engine, of own cells:", own_cells(results)),
        ):  # fmt: skip
            if part:
                lines += [told, "", *part, ""]
        failed = failures(results)
        if failed:
            lines += ["Without a figure:", "", *failed, ""]
    return "\n".join(lines)


def readme_block(everything):
    """What the README shows: chosen rows on one core, and sums over all cells for every thread count measured."""
    one = everything[0]
    lines = [
        f"{one['machine']}. Microseconds a call on {one['threads']} core{'s' if one['threads'] > 1 else ''}:", "",
        "| (B, T, I, H) | fastseq | best peer | ratio |", "|---|---:|---:|---:|",
    ]  # fmt: skip
    for row in one["cells"]:
        pair = compared(row, one)
        if row["cell"] not in README_CELLS or pair is None:
            continue
        ours, best, theirs = pair
        rate = row["flops"] / ours / 1e9
        share = rate / one["peak"] if one["peak"] else 0
        note = f", {100 * share:.0f}% of the FMA peak" if share >= 0.85 else ""
        lines.append(
            f"| {row['cell']}{note} | {_time(ours, row)} | {_time(theirs, row)}, {best} | {theirs / ours:.2f} |"
        )
    lines.append("")
    for results in everything:
        threads, (mean, lowest, behind) = results["threads"], summary(results)
        lines.append(
            f"- {threads} core{'s' if threads > 1 else ''}, {len(ratios(results))} cells: geometric mean of the ratios "
            f"{mean:.2f}, lowest {lowest:.2f}; a peer is faster in {behind}."
        )
    lines += ["", "Versions: " + ", ".join(f"{name} {version}" for name, version in one["versions"].items()) + "."]
    return "\n".join(lines)


def rewrite(text, block, begin=BEGIN, end=END):
    """The README's text with `block` between its two markers. Raises ValueError unless each stands there once."""
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise ValueError(f"The README must hold {begin} and, after it, {end}, once each.")
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    return pattern.sub(lambda _: f"{begin}\n{block}\n{end}", text)

"""Tables out of what training_peers.py measured: the Markdown page, and the block in the README."""

from report import failures

BEGIN, END = "<!-- training: begin -->", "<!-- training: end -->"
# (what the task's name begins with, whether it is the first epoch of a process, how many times the best peer's speed)
TARGETS = [
    ("GRU(16)", True, 20), ("GRU(16)", False, 3), ("LSTM (64, 100, ", False, 1.5), ("GRU (64, 100, ", False, 1.5),
    ("LSTM (1, 100, 64, 64)", False, 5), ("own cell", False, 1.5), ("a user's transformer block (8, ", False, 1.5),
    ("a user's transformer block (32, ", False, 1),
]  # fmt: skip
PEAK_TARGET, PEAK_UNITS = 0.75, "256, 256)"
MEMORY_PEER = "PyTorch"


def target(name, first=False):
    return next((times for start, cold, times in TARGETS if cold == first and name.startswith(start)), None)


def best_peer(figures):
    """(fastseq's figure, the best peer, its figure), or None where one is missing. figures: {engine: number}."""
    peers = {name: value for name, value in figures.items() if name != "fastseq"}
    if "fastseq" not in figures or not peers:
        return None
    best = min(peers, key=peers.get)
    return figures["fastseq"], best, peers[best]


def seconds(engines, what="seconds"):
    return {name: entry[what] for name, entry in engines.items() if what in entry}


def _short(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(title, rows, engines, scale, goal=lambda name: None):
    """Rows are (task, {engine: figure}); engines in columns, then fastseq's ratio to the best peer and what is wanted.

    scale: what figures are multiplied by. The best peer is in bold.
    """
    wanted = any(goal(name) for name, _ in rows)
    lines = [
        f"| {title} | " + " | ".join(engines) + " | ratio |" + " wanted |" * wanted,
        "|---|" + "---:|" * (len(engines) + 1 + wanted),
    ]
    for task, figures in rows:
        pair = best_peer(figures)
        shown = [_short(scale * figures[name]) if name in figures else "" for name in engines]
        if pair:
            at = engines.index(pair[1])
            shown[at] = f"**{shown[at]}**"
        line = f"| {task} | " + " | ".join(shown) + f" | {pair[2] / pair[0]:.2f} |" if pair else ""
        if not pair:
            line = f"| {task} | " + " | ".join(shown) + " | |"
        if wanted:
            times = goal(task)
            line += f" {times:g}{_verdict(pair is not None and pair[2] / pair[0] >= times)} |" if times else " |"
        lines.append(line)
    return lines


def _verdict(met):
    return ", met" if met else ", missed"


def peak_lines(results):
    """Forward and backward without the optimizer, of tasks that are one recurrent layer, and shares of the FMA peak."""
    if not results["peak"]:
        return []
    lines = [
        "| forward and backward | ms | GFLOP/s | of the peak | without gradients by the input | wanted |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for row in results["cells"]:
        time = row["engines"].get("fastseq", {}).get("gradient_seconds")
        if time is None or "flops" not in row:
            continue
        share, needed = (row[key] / time / 1e9 / results["peak"] for key in ("flops", "needed_flops"))
        wanted = f"{PEAK_TARGET:.0%}{_verdict(share >= PEAK_TARGET)}" if row["cell"].endswith(PEAK_UNITS) else ""
        lines.append(
            f"| {row['cell']} | {_short(1e3 * time)} | {row['flops'] / time / 1e9:.0f} | {share:.0%} | {needed:.0%} "
            f"| {wanted} |"
        )
    return lines if len(lines) > 2 else []


def memory_lines(results, engines):
    """MiB by which the first steps of a process raise its peak."""
    rows = [row for row in results["cells"] if row.get("memory")]
    if not rows:
        return []
    lines = ["| peak, MiB | " + " | ".join(engines) + " | wanted |", "|---|" + "---:|" * (len(engines) + 1)]
    for row in rows:
        found = row["memory"]
        shown = [_short(found[name] / 2**20) if name in found else "" for name in engines]
        least, ours = found.get(MEMORY_PEER), found.get("fastseq")
        verdict = "" if None in (least, ours) else f"at most {MEMORY_PEER}'s{_verdict(ours <= least)}"
        lines.append(f"| {row['cell']} | " + " | ".join(shown) + f" | {verdict} |")
    return lines


def sections(results):
    """(heading, what it says, lines of its table) of one thread count, those that have lines."""
    named = dict.fromkeys(name for row in results["cells"] for name in row["engines"])
    engines = [name for name in named if any("seconds" in row["engines"].get(name, {}) for row in results["cells"])]
    epochs = [(row["cell"], seconds(row["engines"])) for row in results["cells"] if row["epochs"]]
    first = [(row["cell"], seconds(row["cold"])) for row in results["cells"] if row.get("cold")]
    steps = [(row["cell"], seconds(row["engines"])) for row in results["cells"] if not row["epochs"]]
    found = [
        (
            "Epochs of fit", "1,000 sequences of 64 timesteps and 15 inputs in shuffled batches of 128, rmsprop, "
            "categorical crossentropy, accuracy; the median over epochs after the first.",
            table("ms an epoch", epochs, engines, 1e3, target) if epochs else [],
        ),
        (
            "The first epoch of a process", "From the start of the process: Python, importing the library, making and "
            "compiling the model, one epoch.",
            table("seconds", first, engines, 1, lambda name: target(name, True)) if first else [],
        ),
        (
            "Steps", "Forward, backward and the RMSprop update of one batch (B, T, I, H). The loss is the mean squared "
            "error over the outputs of all timesteps; binary crossentropy of the last one for the Embedding.",
            table("ms a step", steps, engines, 1e3, target) if steps else [],
        ),
        (
            "Share of the FMA peak", "fastseq's forward and backward without the optimizer. Operations are three times "
            "those of the forward products, 3 * 2 * B * T * G * H * (I + H) with G gates; the gradients by the input, "
            "2 * B * T * G * H * I of these, are not needed for a step, and the last share leaves them out. "
            + (f"Peak in this run, of as many cores: {results['peak']:.0f} GFLOP/s." if results["peak"] else ""),
            peak_lines(results),
        ),
        (
            "Memory", "By how much the first three steps of a process, compiling included, raise the peak of its "
            "resident memory above what it held before them.", memory_lines(results, engines),
        ),
    ]  # fmt: skip
    return [section for section in found if section[2]]


def markdown(everything):
    """The whole page."""
    first = everything[0]
    lines = [
        "# Training: fastseq and its peers", "",
        f"One run of `python {first['command']}` on {first['machine']}; every engine in a process of its own, pinned, "
        "in turn; medians over rounds. An engine has a figure only if the losses of its first four steps or epochs are "
        "those of PyTorch in float64 to a hundredth of their way. The ratio is that of the best peer, in bold, to "
        "fastseq.", "",
        "PyTorch alone: modules of torch.nn, time first, RMSprop in five calls over all weights at once (fewer than "
        "torch.optim's), on one thread where that is faster; a user's own cell scripted, the transformer block by "
        "torch.compile, where they are faster. JAX alone: one jitted step with the input's products "
        "ahead of `lax.scan` and donated buffers, or the whole epoch jitted, whichever is faster. Keras: `fit` and "
        "`train_on_batch` as a user calls them, with jit_compile as Keras chooses it (XLA on JAX, none on TensorFlow "
        "and PyTorch) and, on TensorFlow, set to True; on PyTorch that took more than 100 s to compile and was left "
        "out.", "",
        "Versions: " + ", ".join(f"{name} {version}" for name, version in first["versions"].items()) + ".", "",
    ]  # fmt: skip
    for results in everything:
        threads = results["threads"]
        lines += [f"## {threads} thread{'s' if threads > 1 else ''}", ""]
        for heading, text, body in sections(results):
            lines += [f"### {heading}", "", text, "", *body, ""]
        failed = failures(results)
        if failed:
            lines += ["Without a figure:", "", *failed, ""]
    return "\n".join(lines)


def readme_block(everything):
    """What the README shows, of the last thread count: fastseq and the best peer of each task."""
    results = everything[-1]
    lines = [
        f"{results['machine']}; {results['threads']} core{'s' if results['threads'] > 1 else ''}:", "",
        "| | fastseq | best peer | ratio |", "|---|---:|---:|---:|",
    ]  # fmt: skip

    def add(title, figures, scale, unit):
        pair = best_peer(figures)
        if pair:
            ours, best, theirs = pair
            times = [f"{_short(scale * value)} {unit}" for value in (ours, theirs)]
            lines.append(f"| {title} | {times[0]} | {times[1]}, {best} | {theirs / ours:.2f} |")

    for row in results["cells"]:
        add(f"{row['cell']}, {'an epoch' if row['epochs'] else 'a step'}", seconds(row["engines"]), 1e3, "ms")
    for row in results["cells"]:
        add(f"{row['cell']}, from a new process to the end of the first epoch", seconds(row.get("cold", {})), 1, "s")
    for row in results["cells"]:
        chosen = {name: size for name, size in row.get("memory", {}).items() if name in ("fastseq", MEMORY_PEER)}
        add(f"{row['cell']}, peak memory of a step", chosen, 2**-20, "MiB")
    lines += ["", "Versions: " + ", ".join(f"{name} {version}" for name, version in results["versions"].items()) + "."]
    return "\n".join(lines)

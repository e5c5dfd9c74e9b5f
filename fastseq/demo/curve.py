"""The loss curve of a training run as a picture: SVG by itself, other formats with matplotlib where that is there."""

from pathlib import Path

from fastseq.demo import svg
from fastseq.errors import missing_package

TITLE, X_LABEL, Y_LABEL = "The date model's loss", "epoch", "crossentropy of a character (nats)"
LABELS = {"loss": "texts it is trained on", "val_loss": "unseen texts, after the epoch"}


def default_ending():
    """The ending of a picture that was given no name: .png where matplotlib is installed, else .svg."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        return ".svg"
    return ".png"


def check(path):
    """Raises ImportError where matplotlib is needed and missing, ValueError for an ending that it does not write."""
    if _is_svg(path):
        return
    try:
        import matplotlib.figure  # noqa: F401
        from matplotlib.backends.backend_agg import FigureCanvasAgg
    except ImportError as error:
        raise missing_package("matplotlib", f"{path}: a picture that is no .svg", error) from error

    known = FigureCanvasAgg.get_supported_filetypes()
    if Path(path).suffix[1:].lower() not in known:
        raise ValueError(f"{path}: a picture's name must end in one of .{', .'.join(sorted(known))}")


def _is_svg(path):
    return Path(path).suffix.lower() == ".svg"


def draw(history, path):
    """Draws the losses of `history`, as `fit` returns it with validation, to a file; `check` says which can be."""
    if _is_svg(path):
        series = {label: history[name] for name, label in LABELS.items()}
        Path(path).write_text(svg.line_chart(series, TITLE, X_LABEL, Y_LABEL), encoding="utf-8")
        return
    from matplotlib.figure import Figure  # without pyplot: no display is asked for, no backend chosen

    epochs = range(1, len(history["loss"]) + 1)
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.add_subplot()
    for name, label in LABELS.items():
        axes.semilogy(epochs, history[name], "o-", markersize=3, label=label)
    axes.set(title=TITLE, xlabel=X_LABEL, ylabel=Y_LABEL)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)

"""The loss curve of a training run as a picture. Needs matplotlib (the extra `plot`)."""

from pathlib import Path

INSTALL = 'which is not installed: pip install "fastseq[plot]"'


def can_draw():
    """Whether matplotlib is installed."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        return False
    return True


def check(path):
    """Raises ImportError without matplotlib, ValueError for a file name whose ending it does not write."""
    if not can_draw():
        raise ImportError(f"{path}: the loss curve is drawn with matplotlib, {INSTALL}")
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    known = FigureCanvasAgg.get_supported_filetypes()
    if Path(path).suffix[1:].lower() not in known:
        raise ValueError(f"{path}: a picture's name must end in one of .{', .'.join(sorted(known))}")


def draw(history, path):
    """Draws the losses of `history`, as `fit` returns it with validation, to a file of any format of matplotlib's."""
    from matplotlib.figure import Figure  # without pyplot: no display is asked for, no backend chosen

    epochs = range(1, len(history["loss"]) + 1)
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.add_subplot()
    axes.semilogy(epochs, history["loss"], "o-", markersize=3, label="texts it is trained on")
    axes.semilogy(epochs, history["val_loss"], "o-", markersize=3, label="unseen texts, after the epoch")
    axes.set(title="The date model's loss", xlabel="epoch", ylabel="crossentropy of a character (nats)")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)

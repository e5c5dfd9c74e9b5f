"""Gradients of the steps that normalize (program/normalization.py)."""

from fastseq.native.kinds import LAYER_NORM_ROWS
from fastseq.program.normalization import channel_sums


def layer_norm_rule(b, step):
    f = step["fields"]
    rows, n = f["rows"], f["n"]
    dx, blocks = b.p.new(f["x"].shape), -(-rows // LAYER_NORM_ROWS)
    wanted = [f[name] is not None and b.wants(f[name]) for name in ("gamma", "beta")]
    d_gamma, d_beta = (b.p.new((blocks, n)) if one else None for one in wanted)
    b.step(
        "layer_norm_backward", x=f["x"], gamma=f["gamma"], trace=f["trace"], dy=b.of(f["y"]), dx=dx, d_gamma=d_gamma,
        d_beta=d_beta, rows=rows, n=n, rms=f["rms"],
    )  # fmt: skip
    b.add(f["x"], dx)
    for name, partial in (("gamma", d_gamma), ("beta", d_beta)):
        if partial is not None:
            b.add(f[name], b.p.reduce("sum", partial, [0]))


def batch_norm_rule(b, step):
    """Of gamma and beta, and of x: where mean and variance are those of x itself, through these too."""
    f, p = step["fields"], b.p
    wants_gamma, wants_beta = (f[name] is not None and b.wants(f[name]) for name in ("gamma", "beta"))
    # A value for each place along the middle axis. Without a last one: a walk over rows of one element takes 30 times
    # as long.
    shape, each = (
        ((f["outer"], f["n"], f["inner"]), (f["n"], 1)) if f["inner"] > 1 else ((f["outer"], f["n"]), (f["n"],))
    )
    x, dy, of_batch = f["x"].reshaped(shape), b.of(f["y"]).reshaped(shape), step.get("of_batch")
    inverse = p.elementwise("rsqrt", p.elementwise("add", f["variance"].reshaped((f["n"],)), f["epsilon"]))
    if of_batch or wants_gamma or wants_beta:
        d_beta, along = _sums(p, dy, x, f["mean"])
        d_gamma = p.elementwise("multiply", along, inverse)
    if wants_beta:
        b.add(f["beta"], d_beta)
    if wants_gamma:
        b.add(f["gamma"], d_gamma)
    if not b.wants(f["x"]):
        return
    if of_batch:
        share = 1.0 / max(1, f["outer"] * f["inner"])
        first, second = (p.elementwise("multiply", total, share) for total in (d_beta, d_gamma))
        normal = p.elementwise("subtract", x, f["mean"].reshaped(each))
        normal = p.elementwise("multiply", normal, p.elementwise("multiply", inverse, second).reshaped(each))
        dy = p.elementwise("subtract", p.elementwise("subtract", dy, first.reshaped(each)), normal)
    scale = inverse if f["gamma"] is None else p.elementwise("multiply", inverse, f["gamma"].reshaped((f["n"],)))
    b.add(f["x"], p.elementwise("multiply", dy, scale.reshaped(each)))


def _sums(p, dy, x, mean):
    """The sums of dy, and of dy * (x - mean), for each place along axis 1."""
    if len(dy.shape) == 2:
        return channel_sums(p, dy, x, None, mean)
    apart = p.elementwise("subtract", x, mean.reshaped((x.shape[1], 1)))
    return p.reduce("sum", dy, [0, 2]), p.reduce("sum", p.elementwise("multiply", dy, apart), [0, 2])

"""Gradients of the steps that normalize (program/normalization.py)."""

from fastseq.native.kinds import LAYER_NORM_ROWS


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
    f = step["fields"]
    # A value for each place along the middle axis. Without a last one: a walk over rows of one element takes 30 times as
    # long.
    one = f["inner"] == 1
    shape, each, others = (
        ((f["outer"], f["n"]), (f["n"],), [0]) if one else ((f["outer"], f["n"], f["inner"]), (f["n"], 1), [0, 2])
    )
    dy = b.of(f["y"])
    x, dy, mean, variance = f["x"].reshaped(shape), dy.reshaped(shape), f["mean"].reshaped(each), f["variance"]
    p, of_batch = b.p, step.get("of_batch")
    inverse = p.elementwise("rsqrt", p.elementwise("add", variance.reshaped(each), f["epsilon"]))
    normal = p.elementwise("multiply", p.elementwise("subtract", x, mean), inverse)
    wants_gamma, wants_beta = (f[name] is not None and b.wants(f[name]) for name in ("gamma", "beta"))
    d_beta = p.reduce("sum", dy, others) if wants_beta or of_batch else None
    d_gamma = p.reduce("sum", p.elementwise("multiply", dy, normal), others) if wants_gamma or of_batch else None
    if wants_beta:
        b.add(f["beta"], d_beta)
    if wants_gamma:
        b.add(f["gamma"], d_gamma)
    if not b.wants(f["x"]):
        return
    scale = inverse if f["gamma"] is None else p.elementwise("multiply", inverse, f["gamma"].reshaped(each))
    if of_batch:
        share = 1.0 / max(1, f["outer"] * f["inner"])
        first, second = (p.elementwise("multiply", total.reshaped(each), share) for total in (d_beta, d_gamma))
        left = p.elementwise("subtract", dy, first)
        dy = p.elementwise("subtract", left, p.elementwise("multiply", normal, second))
    b.add(f["x"], p.elementwise("multiply", dy, scale))

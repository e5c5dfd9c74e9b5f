"""Steps that normalize: rows by their own mean and variance, channels by given ones."""

from fastseq.program import gradient_rules
from fastseq.program.slots import product

gradient_rules.register("layer_norm", "gradients.normalization:layer_norm_rule")
gradient_rules.register("batch_norm", "gradients.normalization:batch_norm_rule")


def layer_norm(p, x, axes, gamma, beta, epsilon, rms=False):
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, a new slot.

    axes: how many of the last axes are normalized together; gamma, beta: Slots of their sizes, or None; rms: whether
    the mean counts as 0. Where the program keeps what gradients need, what each row was normalized by.
    """
    before = len(x.shape) - axes
    rows, n = product(x.shape[:before]), product(x.shape[before:])
    y, trace = p.new(x.shape), p.new((rows, 3)) if p.traces else None
    p.step(
        "layer_norm", x=x, gamma=gamma, beta=beta, y=y, trace=trace, rows=rows, n=n, rms=int(rms),
        epsilon=float(epsilon),
    )  # fmt: skip
    return y


def batch_norm(p, x, axis, statistics, gamma, beta, epsilon, of_batch=False):
    """x * scale + shift with those of each place along an axis, a new slot.

    statistics: Slots of the mean and the variance, (n,), to which no gradient goes; gamma, beta: Slots, or None.
    of_batch: whether the statistics are those of all of `x`: then the gradient by `x` goes through them.
    """
    outer, n, inner = (product(part) for part in (x.shape[:axis], x.shape[axis : axis + 1], x.shape[axis + 1 :]))
    mean, variance = statistics
    y = p.new(x.shape)
    p.step(
        "batch_norm", x=x, mean=mean, variance=variance, gamma=gamma, beta=beta, y=y, outer=outer, n=n, inner=inner,
        epsilon=float(epsilon),
    )  # fmt: skip
    p.steps[-1]["of_batch"] = of_batch
    return y

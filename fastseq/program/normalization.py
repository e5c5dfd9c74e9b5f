"""Steps that normalize: rows by their own mean and variance, channels by given ones."""

from fastseq.native.kinds import LAYER_NORM_ROWS
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


def channel_sums(p, a, b=None, a_centre=None, b_centre=None):
    """(the sums of a - a_centre over the rows of (rows, n), those of that times b - b_centre); new slots (n,).

    The second is None without `b`. Blocks of rows are summed in float32, and these in float64, whatever the threads.
    """
    rows, n = a.shape
    blocks = -(-rows // LAYER_NORM_ROWS)
    sums, products = p.new((blocks, n)), None if b is None else p.new((blocks, n))
    p.step("channel_sums", a=a, b=b, a_centre=a_centre, b_centre=b_centre, sums=sums, products=products, rows=rows, n=n)
    p.steps[-1]["flat"] = True  # whoever asks for the sums knows the gradient as a whole
    return tuple(None if part is None else p.reduce("sum", part, [0]) for part in (sums, products))


def batch_moments(p, x):
    """(mean, variance) of the columns of x (rows, n), without gradients; new slots.

    The mean is rounded; what is left behind it is taken off the variance, and added to the mean.
    """
    share = 1.0 / max(1, x.shape[0])
    rough = p.elementwise("multiply", channel_sums(p, x)[0], share)
    left, squares = (p.elementwise("multiply", total, share) for total in channel_sums(p, x, x, rough, rough))
    variance = p.elementwise("subtract", squares, p.elementwise("square", left))
    return p.elementwise("add", rough, left), p.elementwise("maximum", variance, 0.0)

"""Gradients of convolutions over time: of the input by the transposed map, of weights by products over all outputs."""

from fastseq.gradients import elementwise
from fastseq.gradients.products import source_of, weight_product
from fastseq.native.kinds import ACTIVATION_KINDS
from fastseq.program import convolutions, packing_steps
from fastseq.program.convolutions import Window
from fastseq.program.slots import strides_of


def _gradient_of_sum(b, f):
    """The gradient of what went into the step's activation: a Slot whose timesteps stand where y's do."""
    dy = b.of(f["y"])
    if f["activation"] == ACTIVATION_KINDS["linear"]:
        return dy
    inside = b.p.new(f["y"].shape)  # only where the step makes all of y
    b.step("activation_backward", y=f["y"], dy=dy, dx=inside, count=inside.size, kind=f["activation"])
    return inside


def _window(f):
    return Window(f["taps"], f["stride"], f["gap"], f["before"])


def conv1d_rule(b, step):
    f, source = step["fields"], source_of(b, step, "w")
    kernel, bias = source["kernel"], source["bias"]
    if not f["batch"] * f["timesteps"]:
        return
    dy = _gradient_of_sum(b, f)
    if b.wants(kernel):
        d_kernel = b.p.new(kernel.shape)
        for group in range(f["groups"]):
            _kernel_gradient(b, f, dy, d_kernel, group)
        b.add(kernel, d_kernel)
    if bias is not None and b.wants(bias):
        b.add(bias, _bias_gradient(b, f, dy, f["groups"] * f["units"]))
    if not b.wants(f["x"]):
        return
    x, groups, dx = f["x"], f["groups"], b.p.new(f["x"].shape)
    gradient = _closed(b, f, dy, groups * f["units"])
    for phase in convolutions.transposed(_window(f), f["length"], f["timesteps"]):
        if phase.count:
            turned = convolutions.turned(b.p, kernel, phase.taps, groups)
            weights = convolutions.weights_of(b.p, turned, None, groups)
            convolutions.conv1d(
                b.p, gradient, dx.at(phase.first * x.shape[2]), weights, phase.window, groups, phase.count,
                spread=(f["length"] * x.shape[2], f["stride"] * x.shape[2]),
            )  # fmt: skip
    b.add(x, dx)


def _closed(b, f, dy, channels):
    """dy (B, T', channels) in one piece."""
    shape = (f["batch"], f["timesteps"], channels)
    if [f["y_row"], f["y_time"]] == strides_of(shape)[:2]:
        return dy.reshaped(shape)
    return b.p.contiguous_copy(dy, shape, (f["y_row"], f["y_time"], 1))


def _bias_gradient(b, f, dy, channels):
    """(channels,): the sums of dy, beside a product of one row that nobody wants: in the order of a Dense's."""
    sums = b.p.new((channels,))
    weight_product(
        b, b.p.new((1, channels)), sums, a=dy, b=dy, n0=f["batch"], n1=f["timesteps"], m=1, n=channels,
        a0=f["y_row"], a1=f["y_time"], b0=f["y_row"], b1=f["y_time"], c_stride=channels,
    )  # fmt: skip
    return sums


def _kernel_gradient(b, f, dy, d_kernel, group):
    """The part of d_kernel (k, C / groups, filters) of one group.

    Where a window is one piece of memory, one product has all its taps, for the outputs whose windows stand in x whole;
    what a tap has beside these, at the sequence's ends, is added to it.
    """
    window, (taps, inputs, filters) = _window(f), d_kernel.shape
    x, shift = f["x"].at(group * inputs), group * f["units"]

    def product(first, end, tap, m, accumulate=False):
        begin = (first * window.stride + tap * window.gap - window.before) * f["x_time"]
        weight_product(
            b, packing_steps.part(d_kernel, tap * inputs * filters + shift, (m, filters)),
            a=x.at(begin if end > first else 0), b=dy.at(first * f["y_time"] + shift), n0=f["batch"], n1=end - first,
            m=m, n=f["units"], a0=f["x_row"], a1=window.stride * f["x_time"], b0=f["y_row"], b1=f["y_time"],
            c_stride=filters, accumulate=int(accumulate),
        )  # fmt: skip

    parts = [window.outputs_of(tap, f["length"], f["timesteps"]) for tap in range(taps)]
    first, end = max(low for low, _ in parts), min(high for _, high in parts)
    if window.gap * f["x_time"] != inputs or end - first < (f["timesteps"] + 1) // 2:
        for tap, (low, high) in enumerate(parts):
            product(low, high, tap, inputs)
        return
    product(first, end, 0, taps * inputs)
    for tap, (low, high) in enumerate(parts):
        for begin, stop in ((low, min(first, high)), (max(end, low), high)):
            if stop > begin:
                product(begin, stop, tap, inputs, accumulate=True)


# ---- each channel by itself ------------------------------------------------------------------------------------------


def depthwise_conv1d_rule(b, step):
    f = step["fields"]
    batch, channels, window = f["batch"], f["units"], _window(f)
    x, w, bias = f["x"], f["w"], f["bias"]
    if not batch * f["timesteps"]:
        return
    dy = _closed(b, f, _gradient_of_sum(b, f), channels)
    if b.wants(w):
        b.add(w, _taps_gradient(b, f, dy))
    if bias is not None and b.wants(bias):
        b.add(bias, b.sum_over(dy, dy.shape, (False, False, True)).reshaped((channels,)))
    if not b.wants(x):
        return
    dx = b.p.new(x.shape)
    for phase in convolutions.transposed(window, f["length"], f["timesteps"]):
        if phase.count:
            taps = phase.taps
            turned = (
                b.p.contiguous_copy(w.at(taps[0] * channels), (len(taps), channels), (taps.step * channels, 1))
                if taps else b.p.new((0, channels))
            )  # fmt: skip
            convolutions.depthwise(
                b.p, dy, dx.at(phase.first * channels), turned, None, phase.window, phase.count,
                spread=(f["length"] * channels, f["stride"] * channels),
            )  # fmt: skip
    b.add(x, dx)


def _taps_gradient(b, f, dy):
    """(taps, channels): for each tap the sums of x times dy."""
    batch, channels, window = f["batch"], f["units"], _window(f)
    rows = []
    for tap in range(window.taps):
        first, end = window.outputs_of(tap, f["length"], f["timesteps"])
        if first == end:
            rows.append(b.zeros(channels))
            continue
        sizes, time = (batch, end - first, channels), first * window.stride + tap * window.gap - window.before
        product = elementwise.binary(
            b, "multiply", (1, 1, *sizes),
            (f["x"].at(time * channels).reshaped(sizes), (0, 0, f["x_row"], window.stride * channels, 1)),
            (dy.at(first * channels).reshaped(sizes), (0, 0, f["timesteps"] * channels, channels, 1)),
        )  # fmt: skip
        rows.append(b.sum_over(product, sizes, (False, False, True)).reshaped((1, channels)))
    return b.p.concatenate([row.reshaped((1, channels)) for row in rows], 0)

"""Convolutions over time in the peers table: the cells, and how ONNX and PyTorch say them, channels first.

A step has `size` taps, `dilation` timesteps apart, and `padding`, "same" or "causal". "DepthwiseConv1D" has one output
for each channel.
"""

from functools import partial

import numpy as np

KINDS = ("Conv1D", "DepthwiseConv1D")
# (B, T, C, filters), taps, dilation, padding
CONVOLUTIONS = [
    ((1, 128, 8, 8), 3, 1, "same"), ((1, 128, 64, 64), 3, 1, "causal"), ((1, 128, 256, 256), 9, 1, "same"),
    ((1, 1000, 64, 64), 3, 8, "causal"), ((1, 1000, 256, 256), 3, 1, "same"), ((1, 4000, 16, 16), 9, 1, "same"),
    ((1, 4000, 32, 32), 5, 2, "causal"), ((32, 128, 64, 64), 5, 1, "same"), ((32, 128, 256, 256), 3, 4, "causal"),
    ((32, 1000, 32, 32), 9, 1, "same"), ((32, 1000, 8, 8), 3, 4, "causal"),
]  # fmt: skip
DEPTHWISE = [
    ((1, 128, 64, 64), 3, 1, "same"), ((1, 1000, 256, 256), 9, 1, "same"), ((1, 4000, 8, 8), 9, 1, "same"),
    ((32, 128, 256, 256), 3, 4, "same"), ((32, 1000, 64, 64), 5, 1, "same"),
]  # fmt: skip


def cells(cell, step, label):
    """The rows of the table, made by `Cell`, `Step` and a function that writes shapes."""
    found = []
    for kind, shapes in (("Conv1D", CONVOLUTIONS), ("DepthwiseConv1D", DEPTHWISE)):
        for shape, size, dilation, padding in shapes:
            steps = (step(kind, shape[3], size=size, dilation=dilation, padding=padding),)
            name = f"{kind} {padding} {label(shape[:3], shape[3])} k {size}"
            found.append(cell(name + (f" dilation {dilation}" if dilation > 1 else ""), shape[:3], steps))
    return found


def shapes(step, width):
    """Of the kernel and the bias, as Keras has them."""
    if step.kind == "Conv1D":
        return (step.size, width, step.units), (step.units,)
    return (step.size, width, 1), (width,)


def sides(step):
    """Zeros before and behind the sequence."""
    span = (step.size - 1) * step.dilation
    return (span, 0) if step.padding == "causal" else (span // 2, span - span // 2)


def layer(library, step):
    made, options = library.layers, {"dilation_rate": step.dilation, "padding": step.padding}
    if step.kind == "Conv1D":
        return made.Conv1D(step.units, step.size, **options)
    return made.DepthwiseConv1D(step.size, **options)


def reference(step, x, kernel, bias):
    """In NumPy: a product for each tap."""
    padded = np.pad(x, ((0, 0), sides(step), (0, 0)))
    y = np.zeros((*x.shape[:2], len(bias)), x.dtype) + bias
    for tap in range(step.size):
        part = padded[:, tap * step.dilation : tap * step.dilation + x.shape[1]]
        y += part @ kernel[tap] if step.kind == "Conv1D" else part * kernel[tap, :, 0]
    return y


def _filters_first(step, kernel):
    """(filters, C, k), or (C, 1, k)."""
    return np.ascontiguousarray(kernel.transpose(2, 1, 0) if step.kind == "Conv1D" else kernel.transpose(1, 2, 0))


def onnx_step(graph, step, x, kernel, bias):
    """Adds the node: (B, C, T) -> (B, filters, T)."""
    weights = [graph.constant(_filters_first(step, kernel)), graph.constant(bias)]
    groups = 1 if step.kind == "Conv1D" else len(bias)
    return graph.add("Conv", x, *weights, dilations=[step.dilation], pads=list(sides(step)), group=groups)


def torch_step(torch, step, kernel, bias):
    """A function (B, C, T) -> (B, filters, T)."""
    weights = [torch.tensor(_filters_first(step, kernel)), torch.tensor(bias)]
    options = {"dilation": step.dilation, "groups": 1 if step.kind == "Conv1D" else len(bias)}
    before, behind = sides(step)
    convolve, pad = torch.nn.functional.conv1d, torch.nn.functional.pad
    if before == behind:
        return lambda x: convolve(x, *weights, padding=before, **options)
    return lambda x: convolve(pad(x, (before, behind)), *weights, **options)


def channels_first(x):
    return np.ascontiguousarray(x.swapaxes(1, 2))


swapped = partial(np.swapaxes, axis1=1, axis2=2)

"""Convolutions over time as native steps: windows, what stands outside of a sequence, and weights for the kernels.

A transposed convolution is a convolution too: for each of `stride` phases of its outputs, one with some of the taps.
Layers take it from here, and the gradient of a convolution by its input.
"""

from math import gcd
from typing import NamedTuple

import numpy as np

from fastseq.native.kinds import ACTIVATION_KINDS
from fastseq.program import gradient_rules, packing
from fastseq.program.slots import strides_of

gradient_rules.register("conv1d", "gradients.convolutions:conv1d_rule")
gradient_rules.register("depthwise_conv1d", "gradients.convolutions:depthwise_conv1d_rule")


class Window(NamedTuple):
    """What output t reads: the timesteps t stride + tap gap - before, for each of `taps` taps."""

    taps: int
    stride: int = 1
    gap: int = 1
    before: int = 0

    def outputs_of(self, tap, length, timesteps):
        """(first, end) of the outputs of `timesteps` for which this tap stands in a sequence of `length`."""
        shift = tap * self.gap - self.before
        first = max(0, -(shift // self.stride))
        return first, max(first, min(timesteps, (length - 1 - shift) // self.stride + 1))


class Phase(NamedTuple):
    """Outputs first, first + stride, ..., `count` of them, of a transposed convolution; taps: those of the kernel that
    they read, in the order in which the window has them."""

    first: int
    count: int
    taps: range
    window: Window


def transposed(window, length, timesteps):
    """The phases of the transposed map of `window`: from the `timesteps` outputs back to the `length` inputs.

    Input i gets, for every tap j and output t with t stride + j gap - before = i, output t times tap j.
    """
    taps, stride, gap, before = window
    common = gcd(stride, gap)
    apart, steps = stride // common, gap // common  # from one tap of a phase to its next, and the outputs between them
    phases = []
    for rest in range(stride):
        first = (rest - before) % stride
        tap = next((j for j in range(min(taps, apart)) if (j * gap - rest) % stride == 0), taps)
        found = range(tap, taps, apart)
        latest = (first + before - tap * gap) // stride if found else 0  # the output that input `first` has at `tap`
        inner = Window(len(found), 1, steps, max(0, len(found) - 1) * steps - latest)
        phases.append(Phase(first, max(0, -(-(length - first) // stride)), found[::-1], inner))
    return phases


# ---- steps -----------------------------------------------------------------------------------------------------------


def earlier(p, x, count):
    """For a layer whose `memory` is "inputs": (B, count, C) that a stream got before x (B, T, C), which it then keeps
    the last `count` of; None where there is no stream, and so only zeros stand before x."""
    if p.states is None:
        return None
    batch, time, channels = x.shape
    (before,), _ = p.states.begin(p, [np.zeros((batch, count, channels), np.float32)])
    (later,) = p.states.last
    old, row = max(0, count - time), count * channels
    if old:
        p.copy(before.at(time * channels), later, (batch, old * channels), (row, 1), (row, 1))
    new = count - old
    p.copy(
        x.at((time - new) * channels), later.at(old * channels), (batch, new * channels), (time * channels, 1), (row, 1)
    )
    return before


def _windowed(p, x, y, window, outside, spread):
    """The fields of both operations that say where windows and outputs stand. spread: (y_row, y_time) or None."""
    batch, length, channels = x.shape
    row, time = ([0, 0] if outside is None else strides_of(outside.shape)[:2]) if channels else [0, 0]
    y_row, y_time = strides_of(y.shape)[:2] if spread is None else spread
    return {
        "x": x, "y": y, "batch": batch, "length": length, "taps": window.taps, "stride": window.stride,
        "gap": window.gap, "before": window.before, "x_row": length * channels, "x_time": channels,
        "outside": p.constant(np.zeros(max(1, channels), np.float32)) if outside is None else outside,
        "out_row": row, "out_time": time, "y_row": y_row, "y_time": y_time,
    }  # fmt: skip


def conv1d(p, x, y, weights, window, groups=1, timesteps=None, outside=None, spread=None, activation=("linear", ())):
    """Adds the step y (B, T', groups * units) = activation(convolution of x (B, T, groups * inputs) + bias).

    weights: the fields `w`, `bias`, of `pack` or `weights_of`; outside: what `earlier` gives; timesteps, spread: how
    many outputs there are, and their strides (y_row, y_time), where y is not just these; activation: a kernel's
    (activations.native_spec), of single elements.
    """
    name, parameters = activation
    p0, p1, p2 = [*parameters, 0.0, 0.0, 0.0][:3]
    p.step(
        "conv1d", **_windowed(p, x, y, window, outside, spread), **weights, groups=groups,
        inputs=x.shape[2] // groups, units=y.shape[2] // groups,
        timesteps=y.shape[1] if timesteps is None else timesteps,
        activation=ACTIVATION_KINDS[name], p0=p0, p1=p1, p2=p2,
    )  # fmt: skip


def depthwise(p, x, y, w, bias, window, timesteps=None, outside=None, spread=None, activation=("linear", ())):
    """The same for each channel by itself: x (B, T, C), y (B, T', C), w (taps, C), bias (C,) or None."""
    name, parameters = activation
    p0, p1, p2 = [*parameters, 0.0, 0.0, 0.0][:3]
    p.step(
        "depthwise_conv1d", **_windowed(p, x, y, window, outside, spread), w=w, bias=bias, units=x.shape[2],
        timesteps=y.shape[1] if timesteps is None else timesteps,
        activation=ACTIVATION_KINDS[name], p0=p0, p1=p1, p2=p2,
    )  # fmt: skip


# ---- weights ---------------------------------------------------------------------------------------------------------


def pack(kernel, bias, groups=1):
    """The fields `w`, `bias` of a conv1d step. kernel: (k, C / groups, filters) float32; bias: (filters,) or None."""
    units = kernel.shape[2] // groups
    matrix = kernel.reshape(-1, groups, units)
    parts = [
        packing.pack_dense(matrix[:, group], None if bias is None else bias[group * units : (group + 1) * units])
        for group in range(groups)
    ]
    if groups == 1:
        return parts[0]
    return {name: packing.aligned(np.concatenate([part[name] for part in parts])) for name in ("w", "bias")}


def weights_of(p, kernel, bias, groups=1):
    """The same in a program for training, packed in every run. kernel, bias: Slots, or None for no bias."""
    taps, inputs, filters = kernel.shape
    units = filters // groups
    of_kernel = packing.pack_fields(taps * inputs, units, filters, beside=packing.GROUP_PANELS)
    of_bias = packing.pack_fields(1, units, filters)
    size, width = packing.packed_size(of_kernel), packing.packed_size(of_bias)
    w, packed_bias = p.new((groups * size,)), p.new((groups * width,))
    for group in range(groups):
        p.step("pack", x=kernel.at(group * units), y=w.at(group * size), **of_kernel)
        if bias is not None:
            p.step("pack", x=bias.at(group * units), y=packed_bias.at(group * width), **of_bias)
    if bias is None:
        packed_bias = p.constant(packing.aligned(np.zeros(groups * width, np.float32)))
    p.packed_from[id(w.buffer)] = {"kernel": kernel, "bias": bias}
    return {"w": w, "bias": packed_bias}


def turned(p, kernel, taps, groups=1):
    """(len(taps), filters / groups, C): these taps of a kernel (k, C / groups, filters), a Slot, with inputs and
    outputs in each other's place. taps: a range."""
    _, inputs, filters = kernel.shape
    units, tap = filters // groups, inputs * filters
    if not taps:
        return p.new((0, units, groups * inputs))
    shape, strides = (len(taps), units, groups, inputs), (taps.step * tap, 1, units, filters)
    return p.contiguous_copy(kernel.at(taps[0] * tap), shape, strides).reshaped((len(taps), units, groups * inputs))

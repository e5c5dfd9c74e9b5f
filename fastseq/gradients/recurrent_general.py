"""Gradients of recurrent layers that run on the general kernel: dropout of the state, dropout by gate, softmax gates.

Back through time is one native step. What a gate's weights were multiplied with has that gate's dropout factors in it,
so their gradients are one product for each gate; without factors, one for all.
"""

from fastseq.gradients.elementwise import binary
from fastseq.gradients.products import times_transposed
from fastseq.gradients.recurrent import _WALK
from fastseq.native.kinds import CELL_KINDS, GENERAL_BACKWARD_SCRATCH
from fastseq.program import packing, packing_steps

_GRU, _RESET_BEFORE = CELL_KINDS["gru"], CELL_KINDS["gru_reset_before"]


def _times_factors(b, array, shape, strides, factors, masks, gate):
    """A new (B, T, n): `array` by its strides, times the factors (masks, B, n) of a gate."""
    batch, time, width = shape
    first = (gate if masks > 1 else 0) * batch * width
    left = array, [strides[0], strides[1], 0, 0, 1]
    return binary(b, "multiply", [batch, time, 1, 1, width], left, (factors.at(first), [width, 0, 0, 0, 1]))


def _pieces(factors, masks, gates):
    """[(first gate, number of gates)] that share a product: all at once, where no factors tell them apart."""
    return [(gate, 1) for gate in range(gates)] if factors is not None and masks > 1 else [(0, gates)]


def general_rule(b, step):
    f = step["fields"]
    cell, batch, time, inputs, units = (f[name] for name in ("cell", "batch", "timesteps", "inputs", "units"))
    kernel, recurrent_kernel, bias = f["kernel"], f["recurrent_kernel"], f["bias"]
    if not batch:
        return
    inside = kernel.shape[1]
    columns = 4 * units if cell == _GRU else inside  # gates of dz: the candidate's recurrent sum has a place of its own
    h, h_row, h_time = (f["y"], f["y_row"], f["y_time"]) if f["states"] is None else (f["states"], time * units, units)
    dz = b.p.new((batch, time, columns))
    # In the order of the walk, as the states are; in memory dz stands as x does.
    backwards = f["x_time"] < 0
    dz_first, dz_time = ((time - 1) * columns, -columns) if backwards else (0, columns)
    dh0 = b.p.new((batch, units)) if f["h0"] is not None else None
    dc0 = b.p.new((batch, units)) if f["c0"] is not None else None
    reset_h = b.p.new((batch, time, units)) if cell == _RESET_BEFORE else None
    width = packing.panels(units) * packing.PANEL
    b.step(
        "recurrent_general_backward", **{name: f[name] for name in (*_WALK, "cell", "h_dropout", "h_masks")},
        dy=b.of(f["y"]), dhn=b.of(f["hn"]), dcn=b.of(f["cn"]), trace=f["trace"], h=h, h0=f["h0"],
        w_h=packing_steps.transposed(b.p, recurrent_kernel, inside, units, inside), dz=dz.at(dz_first),
        reset_h=reset_h, dh0=dh0, dc0=dc0, scratch=b.p.new((batch, GENERAL_BACKWARD_SCRATCH, width)), dy_row=f["y_row"],
        dy_time=f["y_time"], h_row=h_row, h_time=h_time, dz_row=time * columns, dz_time=dz_time,
    )  # fmt: skip
    for slot, gradient in ((f["h0"], dh0), (f["c0"], dc0)):
        if slot is not None:
            b.add(slot, gradient)
    x = f["x"].at(-(time - 1) * inputs) if backwards else f["x"]
    if b.wants(kernel):
        d_kernel = b.p.new(kernel.shape)
        for gate, count in _pieces(f["x_dropout"], f["x_masks"], inside // units):
            a, size = x, (batch, time, inputs)
            if f["x_dropout"] is not None:
                a = _times_factors(b, x, size, (time * inputs, inputs), f["x_dropout"], f["x_masks"], gate)
            b.step("product_tn", a=a, b=dz.at(gate * units), c=d_kernel.at(gate * units), n0=1, n1=batch * time,
                   m=inputs, n=count * units, a1=inputs, b1=columns, c_stride=inside)  # fmt: skip
        b.add(kernel, d_kernel)
    if b.wants(recurrent_kernel):
        _recurrent_kernel(b, f, dz.at(dz_first), dz_time, columns, (h, h_row, h_time), reset_h)
    if bias is not None and b.wants(bias):
        _bias(b, bias, dz, batch * time, columns, inside)
    if b.wants(f["x"]):
        _inputs(b, f, x, dz, columns)


def _recurrent_kernel(b, f, dz, dz_time, columns, states, reset_h):
    """The gradient of the recurrent kernel: dz, first in the order of the walk, after the states before each step."""
    cell, batch, time, units, factors = (f[name] for name in ("cell", "batch", "timesteps", "units", "h_dropout"))
    recurrent_kernel = f["recurrent_kernel"]
    inside = recurrent_kernel.shape[1]
    d_recurrent = b.p.new(recurrent_kernel.shape)
    pieces = _pieces(factors, f["h_masks"], inside // units)
    if cell == _RESET_BEFORE:
        b.step("product_tn", a=reset_h, b=dz.at(2 * units), n0=batch, n1=time, a0=time * units, a1=units,
               b0=time * columns, b1=dz_time, m=units, n=units, c=d_recurrent.at(2 * units),
               c_stride=inside)  # fmt: skip
        pieces = [(gate, min(count, 2)) for gate, count in pieces if gate < 2]
    elif cell == _GRU:
        pieces = [(gate, count) for gate, count in pieces if count == 1] or [(0, 2), (2, 1)]
    for gate, count in pieces:
        at = 3 if cell == _GRU and gate == 2 else gate
        (h, h_row, h_time), h0 = states, f["h0"]
        if factors is not None:
            h = _times_factors(b, h, (batch, time, units), (h_row, h_time), factors, f["h_masks"], gate)
            h_row, h_time = time * units, units
        if factors is not None and h0 is not None:
            h0 = _times_factors(b, h0, (batch, 1, units), (units, 0), factors, f["h_masks"], gate)
        after = {"m": units, "n": count * units, "c": d_recurrent.at(gate * units), "c_stride": inside}
        first = dz_time + at * units if time > 1 else 0
        b.step("product_tn", a=h, b=dz.at(first), n0=batch, n1=time - 1, a0=h_row, a1=h_time, b0=time * columns,
               b1=dz_time, **after)  # fmt: skip
        if h0 is not None:
            b.step("product_tn", a=h0, b=dz.at(at * units), n0=1, n1=batch, a1=units, b1=time * columns,
                   accumulate=1, **after)  # fmt: skip
    b.add(recurrent_kernel, d_recurrent)


def _bias(b, bias, dz, rows, columns, inside):
    d_bias = b.p.new(bias.shape)
    sums = {"k0": 1, "k1": 1, "xk2": 1, "r0": 1, "r1": 1, "r2": rows, "xr2": columns}
    b.step("reduce_sum", x=dz, y=d_bias, k2=inside, **sums)
    if len(bias.shape) == 2:
        # The second row belongs to the product with the state: it equals the first, except for the candidate.
        units = inside // 3
        b.p.copy(d_bias, d_bias.at(inside), (2 * units,), (1,), (1,))
        b.step("reduce_sum", x=dz.at(3 * units), y=d_bias.at(5 * units), k2=units, **sums)
    b.add(bias, d_bias)


def _inputs(b, f, x, dz, columns):
    """The gradient of the inputs, gate by gate where each had factors of its own."""
    kernel, factors, units = f["kernel"], f["x_dropout"], f["units"]
    shape = (f["batch"], f["timesteps"], f["inputs"])
    rows, inside = shape[0] * shape[1], kernel.shape[1]
    if factors is None:
        b.add(x, times_transposed(b, dz, kernel, rows, columns))
        return
    for gate, count in _pieces(factors, f["x_masks"], inside // units):
        dx = b.p.new(shape)
        w = packing_steps.transposed(b.p, kernel.at(gate * units), count * units, shape[2], inside)
        b.step("dense", x=dz.at(gate * units), w=w, bias=packing_steps.zeros(b.p, shape[2]), y=dx, rows=rows,
               inputs=count * units, units=shape[2], x_stride=columns, y_stride=shape[2])  # fmt: skip
        apart = (shape[1] * shape[2], shape[2])
        b.add(x, _times_factors(b, dx, shape, apart, factors, f["x_masks"], gate))

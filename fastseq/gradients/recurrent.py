"""Gradients of the recurrent layers: back through time, then one product for each kernel of weights."""

from fastseq import packing, weight_steps
from fastseq.gradients.products import source_of, times_transposed, weight_product

# Of the product with the state: columns of the recurrent kernel, where in dz the gradients of their sums stand, and how
# many gates these are. A GRU that resets after keeps the candidate's apart; one that resets before multiplies r h.
_STATE_PRODUCTS = {
    "lstm": [(0, 0, 4)],
    "gru": [(0, 0, 2), (2, 3, 1)],
    "gru_reset_before": [(0, 0, 2)],
    "simple_rnn": [(0, 0, 1)],
}
_WALK = ("batch", "timesteps", "units", "mask", "mask_row", "mask_time", "sequences", "zero_masked")
_WALK += ("activation", "a0", "a1", "a2", "recurrent_activation", "r0", "r1", "r2")


def _transposed(b, operation, recurrent_kernel):
    """The fields `w_h`, `w_c` of the backward operation: packing.pack_recurrent_backward in steps."""
    units, columns = recurrent_kernel.shape
    if operation != "gru_reset_before":
        return {"w_h": weight_steps.transposed(b.p, recurrent_kernel, columns, units, columns), "w_c": None}
    return {
        "w_h": weight_steps.transposed(b.p, recurrent_kernel, 2 * units, units, columns),
        "w_c": weight_steps.transposed(b.p, recurrent_kernel.at(2 * units), units, units, columns),
    }


def _recurrent(b, step):
    operation, f = step["op"], step["fields"]
    source = source_of(b, step, "w_x")
    kernel, recurrent_kernel = source["kernel"], source["recurrent"]
    batch, time, inputs, units = f["batch"], f["timesteps"], f["inputs"], f["units"]
    if not batch:
        return
    inside = kernel.shape[1]  # columns of dz that the inputs' product gave
    columns = 4 * units if operation == "gru" else inside
    h, h_row, h_time = (f["y"], f["y_row"], f["y_time"]) if f["states"] is None else (f["states"], time * units, units)
    dz = b.p.new((batch, time, columns))
    # In the order of the walk, as the states are; in memory dz stands as x does.
    backwards = f["x_time"] < 0
    dz_first, dz_time = ((time - 1) * columns, -columns) if backwards else (0, columns)
    # A state that a step begins with, and its gradient where it is wanted.
    dh0 = b.p.new((batch, units)) if f["h0"] is not None else None
    dc0 = b.p.new((batch, units)) if f["c0"] is not None else None
    reset_h = b.p.new((batch, time, units)) if operation == "gru_reset_before" else None
    b.step(
        f"{operation}_backward", **{name: f[name] for name in _WALK}, dy=b.of(f["y"]), dhn=b.of(f["hn"]),
        dcn=b.of(f["cn"]), trace=f["trace"], h=h, h0=f["h0"], **_transposed(b, operation, recurrent_kernel),
        dz=dz.at(dz_first), reset_h=reset_h, dh0=dh0, dc0=dc0,
        scratch=b.p.new((2, batch, packing.recurrent_width(operation, units))),
        dy_row=f["y_row"], dy_time=f["y_time"], h_row=h_row, h_time=h_time, dz_row=time * columns, dz_time=dz_time,
    )  # fmt: skip
    for slot, gradient in ((f["h0"], dh0), (f["c0"], dc0)):
        if slot is not None:
            b.add(slot, gradient)
    x = f["x"].at(-(time - 1) * inputs) if backwards else f["x"]
    if any(slot is not None and b.wants(slot) for slot in source.values()):
        d_bias = _input_weights(b, source, x, dz, batch * time, columns)
        d_recurrent = b.p.new(recurrent_kernel.shape)
        for column, at, count in _STATE_PRODUCTS[operation]:
            after = {"m": units, "n": count * units, "c_stride": inside}
            c = d_recurrent.at(column * units)
            # The candidate's second bias is added to the product with the state: its sums come with that product.
            own_sums = d_bias.at(5 * units) if at == 3 and d_bias is not None else None
            first = dz_first + dz_time + at * units if time > 1 else 0
            weight_product(b, c, own_sums, a=h, b=dz.at(first), n0=batch, n1=time - 1, a0=h_row, a1=h_time,
                           b0=time * columns, b1=dz_time, **after)  # fmt: skip
            start = dz.at(dz_first + at * units)  # of the first step, whose state before it is h0 or zeros
            if f["h0"] is not None:
                b.step("product_tn", c=c, sums=own_sums, a=f["h0"], b=start, n0=1, n1=batch, a1=units,
                       b1=time * columns, accumulate=1, **after)  # fmt: skip
            elif own_sums is not None:
                b.step("reduce_sum", x=start, y=own_sums, k0=1, k1=1, k2=units, xk2=1, r0=1, r1=1, r2=batch,
                       xr2=time * columns, accumulate=1)  # fmt: skip
        if reset_h is not None:
            weight_product(b, d_recurrent.at(2 * units), a=reset_h, b=dz.at(dz_first + 2 * units), n0=batch, n1=time,
                           a0=time * units, a1=units, b0=time * columns, b1=dz_time, m=units, n=units,
                           c_stride=inside)  # fmt: skip
        b.add(recurrent_kernel, d_recurrent)
        if d_bias is not None:
            b.add(source["bias"], d_bias)
    if b.wants(f["x"]):
        b.add(x, times_transposed(b, dz, kernel, batch * time, columns))


def _input_weights(b, source, x, dz, rows, columns):
    """Adds the gradient of the kernel; returns that of the bias, but for what a second row has of its own, or None."""
    kernel, bias = source["kernel"], source["bias"]
    inputs, inside = kernel.shape
    d_kernel = b.p.new(kernel.shape)
    d_bias = None if bias is None else b.p.new(bias.shape)
    weight_product(b, d_kernel, d_bias, a=x, b=dz, n0=1, n1=rows, m=inputs, n=inside, a1=inputs, b1=columns,
                   c_stride=inside)  # fmt: skip
    b.add(kernel, d_kernel)
    if bias is not None and len(bias.shape) == 2:
        # A GRU's second row, of the product with the state: as the first, but for the candidate.
        b.p.copy(d_bias, d_bias.at(inside), (inside // 3 * 2,), (1,), (1,))
    return d_bias


RULES = dict.fromkeys(_STATE_PRODUCTS, _recurrent)

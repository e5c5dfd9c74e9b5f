"""Gradients of the recurrent layers: back through time, then one product for each kernel of weights."""

from fastseq.gradients.products import source_of, times_transposed, weight_product
from fastseq.program import packing, packing_steps

# Products with the state: (first gate in the recurrent kernel, first gate in dz, number of gates). A GRU that resets
# after the product keeps the candidate's sum apart in dz. In one that resets before, the candidate's product is of r h.
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
        return {"w_h": packing_steps.transposed(b.p, recurrent_kernel, columns, units, columns), "w_c": None}
    return {
        "w_h": packing_steps.transposed(b.p, recurrent_kernel, 2 * units, units, columns),
        "w_c": packing_steps.transposed(b.p, recurrent_kernel.at(2 * units), units, units, columns),
    }


class _WayBack:
    """One layer's way back through time, and the products that follow it. Of a step with at least one row."""

    def __init__(self, b, step):
        self._b, self._operation, self._f = b, step["op"], step["fields"]
        f = self._f
        self._source = source_of(b, step, "w_x")
        recurrent_kernel = self._source["recurrent"]
        batch, time, units = f["batch"], f["timesteps"], f["units"]
        inside = recurrent_kernel.shape[1]  # columns of dz that the inputs' product gave
        self._columns = columns = 4 * units if self._operation == "gru" else inside
        # States after each step, with the strides of rows and of steps.
        self._h = (f["y"], f["y_row"], f["y_time"])
        if f["states"] is not None:
            self._h = (f["states"], time * units, units)
        self._dz = b.p.new((batch, time, columns))
        # In the order of the walk, as the states are; in memory dz stands as x does.
        self._backwards = f["x_time"] < 0
        self._dz_first, self._dz_time = ((time - 1) * columns, -columns) if self._backwards else (0, columns)
        # A state that a step begins with, and its gradient where it is wanted.
        self._dh0 = b.p.new((batch, units)) if f["h0"] is not None else None
        self._dc0 = b.p.new((batch, units)) if f["c0"] is not None else None
        self._reset_h = b.p.new((batch, time, units)) if self._operation == "gru_reset_before" else None
        h, h_row, h_time = self._h
        self._fields = {
            **{name: f[name] for name in _WALK}, **_transposed(b, self._operation, recurrent_kernel),
            "dy": b.of(f["y"]), "dhn": b.of(f["hn"]), "dcn": b.of(f["cn"]), "trace": f["trace"], "h": h, "h0": f["h0"],
            "dz": self._dz.at(self._dz_first), "reset_h": self._reset_h, "dh0": self._dh0, "dc0": self._dc0,
            "scratch": b.p.new((2, batch, packing.recurrent_width(self._operation, units))),
            "dy_row": f["y_row"], "dy_time": f["y_time"], "h_row": h_row, "h_time": h_time,
            "dz_row": time * columns, "dz_time": self._dz_time,
        }  # fmt: skip

    def back(self, with_next=False):
        self._b.step(f"{self._operation}_backward", with_next=with_next, **self._fields)

    def follow(self):
        b, f, kernel = self._b, self._f, self._source["kernel"]
        for slot, gradient in ((f["h0"], self._dh0), (f["c0"], self._dc0)):
            if slot is not None:
                b.add(slot, gradient)
        rows = f["batch"] * f["timesteps"]
        x = f["x"].at(-(f["timesteps"] - 1) * f["inputs"]) if self._backwards else f["x"]
        if any(slot is not None and b.wants(slot) for slot in self._source.values()):
            d_bias = _input_weights(b, self._source, x, self._dz, rows, self._columns)
            self._recurrent_kernel(d_bias)
            if d_bias is not None:
                b.add(self._source["bias"], d_bias)
        if b.wants(f["x"]):
            b.add(x, times_transposed(b, self._dz, kernel, rows, self._columns))

    def _recurrent_kernel(self, d_bias):
        """The gradient of the recurrent kernel and, in d_bias, of a bias that is added to the product with it."""
        b, dz = self._b, self._dz
        batch, time, units, h0 = (self._f[name] for name in ("batch", "timesteps", "units", "h0"))
        d_recurrent = b.p.new(self._source["recurrent"].shape)
        (h, h_row, h_time), dz_row = self._h, time * self._columns
        stride = d_recurrent.shape[1]
        for column, at, count in _STATE_PRODUCTS[self._operation]:
            after = {"m": units, "n": count * units, "c_stride": stride}
            c = d_recurrent.at(column * units)
            # The candidate's second bias is added to the product with the state: its sums come with that product.
            sums = d_bias.at(5 * units) if at == 3 and d_bias is not None else None
            first = self._dz_first + self._dz_time + at * units if time > 1 else 0
            weight_product(b, c, sums, a=h, b=dz.at(first), n0=batch, n1=time - 1, a0=h_row, a1=h_time, b0=dz_row,
                           b1=self._dz_time, **after)  # fmt: skip
            start = dz.at(self._dz_first + at * units)  # the first step: the state before it is h0, or zeros
            if h0 is not None:
                b.step("product_tn", c=c, sums=sums, a=h0, b=start, n0=1, n1=batch, a1=units, b1=dz_row, accumulate=1,
                       **after)  # fmt: skip
            elif sums is not None:
                b.step("reduce_sum", x=start, y=sums, k0=1, k1=1, k2=units, xk2=1, r0=1, r1=1, r2=batch, xr2=dz_row,
                       accumulate=1)  # fmt: skip
        if self._reset_h is not None:
            weight_product(b, d_recurrent.at(2 * units), a=self._reset_h, b=dz.at(self._dz_first + 2 * units), n0=batch,
                           n1=time, a0=time * units, a1=units, b0=dz_row, b1=self._dz_time, m=units, n=units,
                           c_stride=stride)  # fmt: skip
        b.add(self._source["recurrent"], d_recurrent)


def recurrent_rule(b, step):
    if step["fields"]["batch"]:
        walk = _WayBack(b, step)
        walk.back()
        walk.follow()


def is_pair(*steps):
    """Whether all are of the recurrent operations here, so that `both` may be used."""
    return all(step["op"] in _STATE_PRODUCTS and step["fields"]["batch"] for step in steps)


def both(b, step, beside):
    """Two layers' walks back at the same time, then what follows each."""
    first, second = _WayBack(b, step), _WayBack(b, beside)
    first.back(with_next=True)
    second.back()
    first.follow()
    second.follow()


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
        # A GRU's second row belongs to the product with the state: it equals the first, except for the candidate.
        b.p.copy(d_bias, d_bias.at(inside), (inside // 3 * 2,), (1,), (1,))
    return d_bias

"""Gradients of Dense's products and of products of two arrays."""

from fastseq.errors import UnsupportedError
from fastseq.native.kinds import ACTIVATION_KINDS, PRODUCT_COLUMNS, PRODUCT_ROWS
from fastseq.program import packing_steps
from fastseq.program.products import matmul_step
from fastseq.program.slots import strides_of


def source_of(b, step, name):
    """What the packed weights in the field `name` were packed from."""
    found = b.p.packed_from.get(id(step["fields"][name].buffer)) if hasattr(step["fields"][name], "buffer") else None
    if found is None:
        raise UnsupportedError(f"Layer '{step['name']}' cannot be trained: its weights are packed ahead.")
    return found


def times_transposed(b, dy, kernel, rows, stride):
    """(rows, I): dy (rows, N), rows `stride` apart, times the transposed of `kernel`, a Slot (I, N)."""
    inputs, units = kernel.shape
    dx = b.p.new((rows, inputs))
    w = packing_steps.transposed(b.p, kernel, units, inputs, units)
    b.step("dense", x=dy, w=w, bias=packing_steps.zeros(b.p, inputs), y=dx, rows=rows, inputs=units, units=inputs,
           x_stride=stride, y_stride=inputs)  # fmt: skip
    return dx


def weight_product(backward, c, sums=None, **fields):
    """Adds the product_tn step that gives `c`, and `sums`, Slots.

    Many rows go in pieces, whose results are added up: for a small c so that there is something to do for threads, for
    a large one so that a thread gets the rows that it made before. Where two cores share no cache, a step of
    LSTM (64,100,256,256): 44 -> 39.6 ms; where they share one it costs 1%. The number of pieces, and so the bits,
    depends on shapes alone.
    """
    m, n, stride = fields["m"], fields["n"], fields["c_stride"]
    parts = -(-n // PRODUCT_COLUMNS) if n > PRODUCT_COLUMNS else -(-m // PRODUCT_ROWS)  # fs_product_parts
    splits = min(fields["n0"] * fields["n1"] // 1024, max(2, 16 // max(1, parts)))
    if splits < 2 or fields.get("accumulate"):
        backward.step("product_tn", c=c, sums=sums, **fields)
        return
    partial, whole = backward.p.new((splits, m, n)), c
    partial_sums = None if sums is None else backward.p.new((splits, n))
    backward.step("product_tn", c=partial, sums=partial_sums, splits=splits, **{**fields, "c_stride": n})
    if stride != n:
        whole = backward.p.new((m, n))
    _add_up(backward, partial, whole)
    if stride != n:
        backward.p.copy(whole, c, (m, n), (n, 1), (stride, 1))
    if sums is not None:
        _add_up(backward, partial_sums, sums)


def _add_up(backward, partial, y):
    count, size = partial.shape[0], partial.size // partial.shape[0]
    backward.step("reduce_sum", x=partial, y=y, k0=1, k1=1, k2=size, xk2=1, r0=1, r1=1, r2=count, xr2=size)


def dense_rule(b, step):
    f = step["fields"]
    source = source_of(b, step, "w")
    kernel, bias = source["kernel"], source["bias"]
    rows, inputs, units = f["rows"], f["inputs"], f["units"]
    if not rows:
        return
    dy, stride = b.of(f["y"]), f["y_stride"]
    if f["activation"] != ACTIVATION_KINDS["linear"]:
        # Only where one product makes all of y.
        inside = b.p.new((rows, units))
        b.step("activation_backward", y=f["y"], dy=dy, dx=inside, count=inside.size, kind=f["activation"])
        dy = inside
    if b.wants(kernel) or (bias is not None and b.wants(bias)):
        d_kernel, d_bias = b.p.new(kernel.shape), b.p.new((units,))
        weight_product(b, d_kernel, d_bias, a=f["x"], b=dy, n0=1, n1=rows, m=inputs, n=units,
               a1=f["x_stride"], b1=stride, c_stride=units)  # fmt: skip
        b.add(kernel, d_kernel)
        if bias is not None:
            b.add(bias, d_bias)
    if b.wants(f["x"]):
        dx = times_transposed(b, dy, kernel, rows, stride)
        b.add_strided(f["x"], (rows, inputs), (f["x_stride"], 1), dx)


def matmul_rule(b, step):
    f = step["fields"]
    m, k, n = f["m"], f["k"], f["n"]
    batch = [f[f"n{i}"] for i in range(3)]
    strides = {name: [f[f"{name}{i}"] for i in range(3)] for name in "aby"}
    dy = b.of(f["y"])
    if b.wants(f["a"]):
        da = b.p.new((*batch, m, k))
        matmul_step(b.p, dy, f["b"], da, batch, (m, n, k), [*strides["y"], f["ym"], f["yn"]],
                    [*strides["b"], f["bn"], f["bk"]], strides_of(da.shape))  # fmt: skip
        b.add_strided(f["a"], da.shape, [*strides["a"], f["am"], f["ak"]], da)
    if not b.wants(f["b"]):
        return
    db = b.p.new((*batch, k, n))
    if batch == [1, 1, 1] and f["ak"] == f["yn"] == 1 and m:
        # A long sum over rows, as for a weight's gradient.
        weight_product(b, db, a=f["a"], b=dy, n0=1, n1=m, m=k, n=n, a1=f["am"], b1=f["ym"], c_stride=n)
    else:
        matmul_step(b.p, f["a"], dy, db, batch, (k, m, n), [*strides["a"], f["ak"], f["am"]],
                    [*strides["y"], f["ym"], f["yn"]], strides_of(db.shape))  # fmt: skip
    b.add_strided(f["b"], db.shape, [*strides["b"], f["bk"], f["bn"]], db)

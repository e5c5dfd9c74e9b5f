"""Recurrent layers over ids: what the input product gives for an id is looked up, not computed in every step.

A step begins from bias + x W. Where x is a row of an Embedding's table, or a one-hot row, there are only as many such
sums as there are ids. They are computed once, by the kernel that computes them elsewhere, so the bits are the same.
"""

import numpy as np

from fastseq.layers.dense_steps import dense_steps
from fastseq.program import packing
from fastseq.program.builder import Builder
from fastseq.program.program import Program

# Bytes of sums that are made for a table, once. Looking them up was faster at every size tried, at 32 MB too (8,000
# ids, 128 inputs, 256 units, 64 rows of 40 steps: 18% less time; 2,000 ids, 64 inputs, 128 units: 28%).
_MOST_BYTES = 16 << 20


def looked_up_inputs(cell, sequences, go_backwards):
    """The fields of a recurrent step that say where its inputs come from, beyond those for plain inputs.

    cell: a cell.Gates; sequences: Slot (B, T, I).
    """
    if sequences.lookup is None:
        return {"ids": None}
    ids, table = sequences.lookup
    if table is not None and len(table) * packing.panels(cell.units) * packing.PANEL * cell.gates * 4 > _MOST_BYTES:
        return {"ids": None}
    packed = cell._packed
    kept = packed.get("input sums")
    if kept is None or kept[0] is not table:
        kernel, bias = cell.kernel._value, packing.input_bias(cell.kernel.shape[1], cell._bias_array())
        sums = kernel + bias if table is None else _products(table, kernel, bias)
        fields = None
        # A product with a one-hot row makes NaN of zero times infinity, whatever the id; sums of one row do not.
        if table is not None or np.isfinite(sums).all():
            w_x = packing.pack_input_sums(cell.cell, sums, getattr(cell, "reset_after", False))
            fields = {"w_x": w_x, "inputs": len(sums)}
        kept = packed["input sums"] = (table, fields)
    if kept[1] is None:
        return {"ids": None}
    time = ids.shape[1]
    strides = {"x_row": time, "x_time": -1 if go_backwards else 1}
    return {"x": None, "ids": ids.at(time - 1) if go_backwards else ids, **strides, **kept[1]}


def _products(table, kernel, bias):
    """table (n, I) kernel (I, N) + bias (N,), by the dense kernel."""
    p = Builder()
    x, y = p.input(table.shape, "float32"), p.new((len(table), len(bias)))
    products = [(0, table.shape[1], packing.pack_dense(kernel, bias))]
    dense_steps(p, x, y, products, len(table), len(bias), None)
    return Program(p, [x], [y]).run([np.ascontiguousarray(table)])[0]

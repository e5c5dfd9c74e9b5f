"""Weights in programs for training: packed by native steps from where the optimizer changes them, in every run.

Beside each packed array stands what it was packed from (Builder.packed_from): gradients go there, in Keras's layout.
"""

import numpy as np

from fastseq.native import _native
from fastseq.native.kinds import ACTIVATION_KINDS, GENERAL_TRACED, OPERATIONS
from fastseq.program import packing
from fastseq.program.slots import Slot

# Activations whose slope the backward operations find from their value alone.
FROM_VALUE = ("linear", "tanh", "sigmoid", "exponential")


def part(slot, first, shape):
    """The contiguous piece of `slot` from element `first` on, in a shape of its own."""
    return Slot(slot.buffer, shape, slot.dtype, slot.offset + first * slot.itemsize)


def pack(p, matrix, rows, units, row_length, **how):
    """A new slot of a part of `matrix`, packed; arguments as packing.pack_fields has them."""
    fields = packing.pack_fields(rows, units, row_length, **how)
    packed = p.new((packing.packed_size(fields),))
    p.step("pack", x=matrix, y=packed, **fields)
    return packed


def transposed(p, matrix, columns, rows, row_length):
    """Columns of a (rows, row_length) matrix, packed for a dense product with their transposed."""
    return pack(p, matrix, columns, rows, row_length, beside=packing.GROUP_PANELS, transposed=True)


def zeros(p, units):
    """The bias of a product without one."""
    return p.constant(packing.aligned(np.zeros(packing.panels(units) * packing.PANEL, np.float32)))


def dense(p, kernel, bias):
    """The fields `w`, `bias` of a dense step. kernel: Slot (I, N); bias: Slot (N,) or None."""
    inputs, units = kernel.shape
    w = pack(p, kernel, inputs, units, units, beside=packing.GROUP_PANELS)
    p.packed_from[id(w.buffer)] = {"kernel": kernel, "bias": bias}
    return {"w": w, "bias": zeros(p, units) if bias is None else pack(p, bias, 1, units, units)}


def block(p, variable, view):
    """A contiguous copy of a part of a weight: `view` is made of the variable's array by slices and transpositions."""
    whole = variable._held()
    assert np.shares_memory(view, whole) or not view.size
    first = (view.ctypes.data - whole.ctypes.data) // whole.itemsize if view.size else 0
    strides = [stride // whole.itemsize for stride in view.strides]
    return p.contiguous_copy(p.weight(variable).at(first), view.shape, strides)


def _joined(p, pieces):
    """Slots one after the other in a new one."""
    whole = p.new((sum(piece.size for piece in pieces),))
    start = 0
    for piece in pieces:
        p.copy(piece, whole.at(start), (piece.size,), (1,), (1,))
        start += piece.size
    return whole


def _gru_bias(p, bias, units):
    """(2, 3 H) -> (4 H,): the sums of z and r, then the candidate's two."""
    sums = p.binary("add", part(bias, 0, (2 * units,)), part(bias, 3 * units, (2 * units,)))
    return _joined(p, [sums, part(bias, 2 * units, (units,)), part(bias, 5 * units, (units,))])


def recurrent(p, operation, kernel, recurrent_kernel, bias):
    """The fields `w_x`, `w_h`, `w_c`, `bias` of a recurrent step, from Slots as Keras keeps them; bias may be None."""
    inputs, units, columns = kernel.shape[0], recurrent_kernel.shape[0], kernel.shape[1]
    gates = columns // units
    source = {"kernel": kernel, "recurrent": recurrent_kernel, "bias": bias}
    if bias is None:
        shape = (2, columns) if operation == "gru" else (columns,)
        bias = p.constant(np.zeros(shape, np.float32))
    # A bias is a matrix of one row.
    matrices = [(kernel, inputs), (recurrent_kernel, units), (bias, 1)]
    w_c = None
    if operation == "simple_rnn":
        w_x, w_h, packed_bias = (
            pack(p, slot, rows, units, units, beside=packing.GROUP_PANELS, filled=True) for slot, rows in matrices
        )  # fmt: skip
    elif operation == "gru_reset_before":

        def two(slot, rows):
            gated = pack(p, slot, rows, units, columns, gates=2, beside=packing.GROUP_PANELS // 2, filled=True)
            return gated, pack(p, slot.at(2 * units), rows, units, columns, beside=packing.GROUP_PANELS, filled=True)

        w_h, w_c = two(recurrent_kernel, units)
        w_x, packed_bias = (_joined(p, two(slot, rows)) for slot, rows in (matrices[0], matrices[2]))
    else:
        w_x, w_h = (pack(p, slot, rows, units, columns, gates=gates) for slot, rows in matrices[:2])
        four = _gru_bias(p, bias, units) if operation == "gru" else bias
        packed_bias = pack(p, four, 1, units, 4 * units, gates=4)
    p.packed_from[id(w_x.buffer)] = source
    return {"w_x": w_x, "w_h": w_h, "w_c": w_c, "bias": packed_bias}


def _states(p, fields):
    """The slot of all states of a walk with such fields; None where y has them, or nothing is traced.

    It stands for the last one only without sequences, and masked steps may show something else than the state.
    """
    masked = fields["mask"] is not None and (fields["zero_masked"] or fields["h0"] is not None)
    in_y = fields["sequences"] and not masked
    return None if in_y or not p.traces else p.new((fields["batch"], fields["timesteps"], fields["units"]))


def general(p, cell, operation, fields):
    """Fields of a `recurrent_general` step that reads its weights anew and keeps what its backward operation needs."""
    weights = {"kernel": cell.kernel, "recurrent_kernel": cell.recurrent_kernel, "bias": cell.bias}
    trace = (fields["batch"], fields["timesteps"], GENERAL_TRACED[operation], fields["units"])
    return {
        **{name: None if weight is None else p.weight(weight) for name, weight in weights.items()},
        "trace": p.new(trace) if p.traces else None, "states": _states(p, fields),
    }  # fmt: skip


def recurrent_step(p, cell, operation, fields):
    """What adds a recurrent step that keeps what its backward operation needs, where the builder traces.

    cell: a layers.recurrent.cell.Gates; fields: its walk's, without weights, scratch and trace.
    """
    bias = None if cell.bias is None else p.weight(cell.bias)
    fields |= recurrent(p, operation, p.weight(cell.kernel), p.weight(cell.recurrent_kernel), bias)
    batch, time, inputs, units = (fields[name] for name in ("batch", "timesteps", "inputs", "units"))
    kinds = [ACTIVATION_KINDS[name] for name in FROM_VALUE]
    needs_trace = p.traces and (operation != "simple_rnn" or fields["activation"] not in kinds)
    scratch = _native.recurrent_scratch(OPERATIONS[operation][0], batch, time, inputs, units)
    fields |= {
        "ids": None, "finite_kernel": 0, "scratch": p.new((scratch,)),
        "trace": p.new(packing.trace_shape(operation, batch, time, units)) if needs_trace else None,
        "states": _states(p, fields),
    }  # fmt: skip
    return lambda with_next=False: p.step(operation, with_next=with_next, **fields)

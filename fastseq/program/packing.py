"""THE gate order: weights as Keras keeps them, rearranged for the kernels. Nothing else knows either layout.

Keras keeps gates side by side, each of H units: LSTM i f c o, GRU z r h. The kernels take panels of 16 units: for each
panel and each k the gates' 16 weights stand in a row, [P][K][G][16], units that do not fill a panel padded with zeros.
"""

import numpy as np

from fastseq.native.kinds import CELL_PANELS, GATES, PANEL, TRACED

# A cache line: a vector of weights that lies across two of them takes two reads (15% of a call with one row).
ALIGNMENT = 64


def panels(units):
    return -(-units // PANEL)


def aligned(array):
    """A contiguous float32 copy of `array` that starts on a cache line."""
    buffer = np.empty(array.size * 4 + ALIGNMENT, np.uint8)
    start = -buffer.ctypes.data % ALIGNMENT
    copy = buffer[start : start + array.size * 4].view(np.float32).reshape(array.shape)
    copy[...] = array
    return copy


def _gate_panels(matrix, gates):
    """(K, gates * H) as Keras keeps it -> a view [P][K][gates][16]."""
    rows, units = matrix.shape[0], matrix.shape[1] // gates
    padded = np.zeros((rows, gates, panels(units) * PANEL), np.float32)
    padded[:, :, :units] = matrix.reshape(rows, gates, units)
    return padded.reshape(rows, gates, -1, PANEL).transpose(2, 0, 1, 3)


def pack_gates(matrix, gates):
    """(K, gates * H) as Keras keeps it -> float32 [P][K][gates][16]."""
    return aligned(_gate_panels(matrix, gates))


def _gate_groups(matrix, gates):
    """(K, gates * H) -> [groups][K][4][16]: with gates 1 four panels side by side, with gates 2 two.

    There are a multiple of four panels, the last ones all zeros.
    """
    packed = _gate_panels(matrix, gates)
    beside = 4 // gates
    packed = np.pad(packed, ((0, -len(packed) % 4), (0, 0), (0, 0), (0, 0)))
    rows = packed.shape[1]
    grouped = packed.reshape(-1, beside, rows, gates, PANEL).transpose(0, 2, 1, 3, 4)
    return grouped.reshape(-1, rows, 4, PANEL)


def pack_gate_groups(matrix, gates):
    """`_gate_groups` for the kernels."""
    return aligned(_gate_groups(matrix, gates))


def pack_groups(matrix):
    """(K, N) -> groups of 4 panels, each [K][4][16], one after the other in a flat array; the last has what is left."""
    packed = _gate_panels(matrix, 1)
    groups = [packed[i : i + 4, :, 0].transpose(1, 0, 2).ravel() for i in range(0, len(packed), 4)]
    return aligned(np.concatenate(groups) if groups else np.zeros(0, np.float32))


def pack_dense(kernel, bias):
    """A Dense layer's (I, N) kernel and (N,) bias or None -> the arrays `w`, `bias` of the dense op."""
    units = kernel.shape[1]
    padded = np.zeros(panels(units) * PANEL, np.float32)
    if bias is not None:
        padded[:units] = bias
    return {"w": pack_groups(kernel), "bias": aligned(padded)}


def _pack_bias(rows, units):
    """Up to four rows of (H,) -> [P][4][16]."""
    padded = np.zeros((4, units), np.float32)
    padded[: len(rows)] = rows
    return pack_gates(padded.reshape(1, -1), 4)


def pack_recurrent(cell, kernel, recurrent_kernel, bias, reset_after=False):
    """Keras's weights -> the arrays `w_x`, `w_h`, `w_c`, `bias` of a recurrent op.

    kernel (I, G H); recurrent_kernel (H, G H); bias None, (G H,), or (2, G H) for a GRU that resets after the product.
    """
    units, gates = recurrent_kernel.shape[0], GATES[cell]
    zeros = np.zeros(gates * units, np.float32)
    if cell == "simple_rnn":
        bias = zeros if bias is None else bias
        return {
            "w_x": pack_gate_groups(kernel, 1),
            "w_h": pack_gate_groups(recurrent_kernel, 1),
            "w_c": None,
            "bias": pack_gate_groups(bias.reshape(1, -1), 1),
        }
    if cell == "lstm":
        rows = (zeros if bias is None else bias).reshape(4, units)
    elif reset_after:
        given, inner = (zeros, zeros) if bias is None else bias
        z, r, h = given.reshape(3, units)
        inner_z, inner_r, inner_h = inner.reshape(3, units)
        rows = [z + inner_z, r + inner_r, h, inner_h]
    else:
        return _pack_reset_before(kernel, recurrent_kernel, zeros if bias is None else bias)
    return {
        "w_x": pack_gates(kernel, gates),
        "w_h": pack_gates(recurrent_kernel, gates),
        "w_c": None,
        "bias": _pack_bias(rows, units),
    }


def input_bias(recurrent_kernel, bias):
    """(G H,) what a step adds to its inputs' product, of the bias as Keras keeps it, or None."""
    if bias is None:
        return np.zeros(recurrent_kernel.shape[1], np.float32)
    if bias.ndim == 1:
        return bias
    given, inner = bias  # a GRU that resets after its product has the candidate's recurrent bias apart
    split = len(given) // 3 * 2
    return np.concatenate([given[:split] + inner[:split], given[split:]])


def pack_input_sums(cell, sums, reset_after=False):
    """Input sums by id, (n, G H), bias and all, gate after gate -> the array `w_x` of a recurrent op with ids.

    As for a kernel of n inputs, but with n as the first axis: an id's sums are one piece of memory.
    """
    if cell == "simple_rnn":
        parts = [_gate_groups(sums, 1)]
    elif cell == "lstm" or reset_after:
        parts = [_gate_panels(sums, GATES[cell])]
    else:
        split = sums.shape[1] // 3 * 2
        parts = [_gate_groups(sums[:, :split], 2), _gate_groups(sums[:, split:], 1)]
    return aligned(np.concatenate([part.swapaxes(0, 1).ravel() for part in parts]))


def _pack_reset_before(kernel, recurrent_kernel, bias):
    """z and r of two panels side by side, then the candidates of four: the two phases of a step."""
    split = 2 * recurrent_kernel.shape[0]

    def both(matrix):
        return aligned(np.concatenate([
            pack_gate_groups(matrix[:, :split], 2).ravel(), pack_gate_groups(matrix[:, split:], 1).ravel()
        ]))  # fmt: skip

    return {
        "w_x": both(kernel),
        "w_h": pack_gate_groups(recurrent_kernel[:, :split], 2),
        "w_c": pack_gate_groups(recurrent_kernel[:, split:], 1),
        "bias": both(bias.reshape(1, -1)),
    }


# ---- for training ----------------------------------------------------------------------------------------------------


def recurrent_width(operation, units):
    """W: the units of a recurrent operation, filled up to whole blocks of panels."""
    multiple = CELL_PANELS[operation]
    return -(-panels(units) // multiple) * multiple * PANEL


def trace_shape(operation, batch, timesteps, units):
    """The shape of the array `trace` of a recurrent operation and of its backward one."""
    return timesteps, batch, recurrent_width(operation, units) // PANEL, TRACED[operation], PANEL


def pack_recurrent_backward(operation, recurrent_kernel):
    """Keras's (H, G H) recurrent kernel -> the arrays `w_h`, `w_c` of the operation's backward one."""
    if operation != "gru_reset_before":
        return {"w_h": pack_groups(recurrent_kernel.T), "w_c": None}
    split = 2 * recurrent_kernel.shape[0]
    return {"w_h": pack_groups(recurrent_kernel[:, :split].T), "w_c": pack_groups(recurrent_kernel[:, split:].T)}


def pack_fields(rows, units, row_length, *, gates=1, beside=1, filled=False, transposed=False):
    """Arguments of the native `pack` beside its arrays, for a part of a matrix whose rows are `row_length` long.

    It takes (rows, gates * units), gates side by side; with `transposed` the matrix holds that as columns. `beside`
    panels make a group; `filled`: there are whole groups only. pack_gates is beside=1, pack_gate_groups beside=4 //
    gates with filled groups of four panels, pack_groups beside=4.
    """
    count = panels(units)
    along, across = (1, row_length) if transposed else (row_length, 1)
    return {
        "rows": rows, "gates": gates, "units": units,
        "panels": -(-count // 4) * 4 if filled else count, "beside": beside,
        "x_k": along, "x_gate": units * across, "x_unit": across,
    }  # fmt: skip


def packed_size(fields):
    """Floats that `pack` writes with arguments of `pack_fields`."""
    return fields["rows"] * fields["panels"] * fields["gates"] * PANEL

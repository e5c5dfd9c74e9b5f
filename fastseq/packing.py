"""THE gate order: weights as Keras keeps them, rearranged for the kernels. Nothing else knows either layout.

Keras keeps gates side by side, each of H units: LSTM i f c o, GRU z r h. The kernels take panels of 16 units: for each
panel and each k the gates' 16 weights stand in a row, [P][K][G][16], units that do not fill a panel padded with zeros.
"""

import numpy as np

PANEL = 16
GATES = {"lstm": 4, "gru": 3, "simple_rnn": 1}


def panels(units):
    return -(-units // PANEL)


def pack_gates(matrix, gates):
    """(K, gates * H) as Keras keeps it -> float32 [P][K][gates][16]."""
    rows, units = matrix.shape[0], matrix.shape[1] // gates
    padded = np.zeros((rows, gates, panels(units) * PANEL), np.float32)
    padded[:, :, :units] = matrix.reshape(rows, gates, units)
    return np.ascontiguousarray(padded.reshape(rows, gates, -1, PANEL).transpose(2, 0, 1, 3))


def pack_groups(matrix, full=False):
    """(K, N) -> groups of 4 panels, each [K][4][16], one after the other in one flat array.

    The last group holds only the panels it needs, or with `full` 4 like the others.
    """
    units = matrix.shape[1]
    count = panels(units)
    count = -(-count // 4) * 4 if full else count
    packed = pack_gates(np.pad(matrix, ((0, 0), (0, count * PANEL - units))), 1)  # [count][K][1][16]
    groups = [packed[i : i + 4, :, 0].transpose(1, 0, 2).ravel() for i in range(0, count, 4)]
    return np.concatenate(groups) if groups else np.zeros(0, np.float32)


def pack_dense(kernel, bias):
    """A Dense layer's (I, N) kernel and (N,) bias or None -> the arrays `w`, `bias` of the dense op."""
    units = kernel.shape[1]
    padded = np.zeros(panels(units) * PANEL, np.float32)
    if bias is not None:
        padded[:units] = bias
    return {"w": pack_groups(kernel), "bias": padded}


def _pack_bias(rows, units):
    """Up to four rows of (H,) -> [P][4][16]."""
    padded = np.zeros((4, panels(units) * PANEL), np.float32)
    for target, row in zip(padded, rows):
        target[:units] = row
    return np.ascontiguousarray(padded.reshape(4, -1, PANEL).transpose(1, 0, 2))


def pack_recurrent(cell, kernel, recurrent_kernel, bias, reset_after=False):
    """Keras's weights -> the arrays `w_x`, `w_h`, `w_c`, `bias` of a recurrent op.

    kernel (I, G H); recurrent_kernel (H, G H); bias None, (G H,), or (2, G H) for a GRU that resets after the product.
    """
    units, gates = recurrent_kernel.shape[0], GATES[cell]
    zeros = np.zeros(gates * units, np.float32)
    if cell == "simple_rnn":
        rows = np.zeros(-(-panels(units) // 4) * 4 * PANEL, np.float32)
        rows[:units] = zeros if bias is None else bias
        return {
            "w_x": pack_groups(kernel, full=True),
            "w_h": pack_groups(recurrent_kernel, full=True),
            "w_c": None,
            "bias": rows,
        }
    packed = {"w_x": pack_gates(kernel, gates), "w_h": pack_gates(recurrent_kernel, gates), "w_c": None}
    if cell == "lstm":
        packed["bias"] = _pack_bias((zeros if bias is None else bias).reshape(4, units), units)
    elif reset_after:
        given, inner = (zeros, zeros) if bias is None else bias
        z, r, h = given.reshape(3, units)
        inner_z, inner_r, inner_h = inner.reshape(3, units)
        packed["bias"] = _pack_bias([z + inner_z, r + inner_r, h, inner_h], units)
    else:
        packed["w_h"] = pack_gates(recurrent_kernel[:, : 2 * units], 2)
        packed["w_c"] = pack_gates(recurrent_kernel[:, 2 * units :], 1)
        packed["bias"] = _pack_bias((zeros if bias is None else bias).reshape(3, units), units)
    return packed

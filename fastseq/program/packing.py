"""THE gate order: weights as Keras keeps them, rearranged for the kernels. Nothing else knows either layout.

Keras keeps gates side by side, each of H units: LSTM i f c o, GRU z r h. The kernels take panels of 16 units: for each
panel and each k the gates' 16 weights stand in a row, [P][K][G][16], units that do not fill a panel padded with zeros.
"""

from typing import NamedTuple

import numpy as np

from fastseq.native.kinds import CELL_PANELS, GATES, GROUP_PANELS, PANEL, TRACED

# A cache line: a vector of weights that lies across two of them takes two reads (15% of a call with one row).
ALIGNMENT = 64


def panels(units):
    return -(-units // PANEL)


def room(size):
    """An array of `size` float32 of any value that starts on a cache line."""
    buffer = np.empty(size * 4 + ALIGNMENT, np.uint8)
    start = -buffer.ctypes.data % ALIGNMENT
    return buffer[start : start + size * 4].view(np.float32)


def aligned(array):
    """A contiguous float32 copy of `array` that starts on a cache line."""
    copy = room(array.size).reshape(array.shape)
    copy[...] = array
    return copy


# ---- forms -----------------------------------------------------------------------------------------------------------


class Piece(NamedTuple):
    """A part of a weight, and how it is packed: every value of the part stands in the packed array once.

    It has `rows` rows of `gates` gates of `units` units, side by side; a row begins `row_length` values behind the one
    before, the first one at value `first` of the weight. `beside` panels of 16 units make a group,
    [rows][beside][gates][16]; filled: there are whole groups, and a multiple of four panels, only. The rest of the
    panels is zeros.

    A *form* of a weight is a tuple with a tuple of pieces for each array that it is packed into, where its pieces stand
    one after the other. Together the pieces have every value of the weight once, so that a form can be unpacked.
    """

    first: int
    rows: int
    units: int
    row_length: int
    gates: int = 1
    beside: int = 1
    filled: bool = False

    @property
    def panels(self):
        count = panels(self.units)
        return -(-count // GROUP_PANELS) * GROUP_PANELS if self.filled else count

    @property
    def size(self):
        """Values in the packed array, zeros included."""
        return self.rows * self.panels * self.gates * PANEL

    def fields(self):
        """Arguments of the native `pack`, beside its arrays."""
        return pack_fields(
            self.rows, self.units, self.row_length, gates=self.gates, beside=self.beside, filled=self.filled
        )


def size_of(pieces):
    """Values of the array that these pieces are packed into."""
    return sum(piece.size for piece in pieces)


def dense_form(inputs, units, count=1):
    """Of a Dense layer's kernel (inputs, units), or of `count` of them one after the other: an array for each."""
    return tuple((Piece(i * inputs * units, inputs, units, units, beside=GROUP_PANELS),) for i in range(count))


def recurrent_forms(cell, inputs, units, reset_after):
    """Of a kernel (inputs, G H), which gives the array `w_x`, and of a recurrent one, which gives `w_h` and `w_c`."""
    gates = GATES[cell]
    columns = gates * units
    if cell == "simple_rnn":
        whole = Piece(0, inputs, units, columns, beside=GROUP_PANELS, filled=True)
    elif cell == "lstm" or reset_after:
        whole = Piece(0, inputs, units, columns, gates=gates)
    else:
        # z and r of two panels side by side, then the candidates of four: the two phases of a step.
        gated = Piece(0, inputs, units, columns, gates=2, beside=GROUP_PANELS // 2, filled=True)
        candidate = Piece(2 * units, inputs, units, columns, beside=GROUP_PANELS, filled=True)
        return ((gated, candidate),), ((gated._replace(rows=units),), (candidate._replace(rows=units),))
    return ((whole,),), ((whole._replace(rows=units),),)


def _views(piece, packed, start, matrix):
    """Pairs of a view of the packed array, from value `start` on, and of the weight: the same values in either."""
    rows, gates, units, beside = piece.rows, piece.gates, piece.units, piece.beside
    count, rest = divmod(units, PANEL)
    width = gates * PANEL  # of a panel's row
    across = (4 * piece.row_length, 4 * units, 4)  # from row to row, gate to gate, unit to unit of the weight

    def pair(shape, at, strides, first, apart):
        there = np.ndarray(shape, np.float32, packed, 4 * (start + at), strides)
        return there, np.ndarray(shape, np.float32, matrix, 4 * (piece.first + first), apart)

    groups = count // beside
    if groups:
        row = 4 * beside * width
        shape, strides = (groups, beside, rows, gates, PANEL), (row * rows, 4 * width, row, 4 * PANEL, 4)
        yield pair(shape, 0, strides, 0, (4 * beside * PANEL, 4 * PANEL, *across))
    # The group that is filled in part: whole panels, and one of fewer units.
    done = groups * beside
    at, row = done * width * rows, 4 * min(beside, piece.panels - done) * width
    if count > done:
        shape, strides = (count - done, rows, gates, PANEL), (4 * width, row, 4 * PANEL, 4)
        yield pair(shape, at, strides, done * PANEL, (4 * PANEL, *across))
    if rest:
        at += (count - done) * width
        yield pair((rows, gates, rest), at, (row, 4 * PANEL, 4), count * PANEL, across)


def pack(matrix, form):
    """The arrays of a weight, C-contiguous float32, in a form. The naive twin of PackedValue.pack."""
    arrays = []
    for pieces in form:
        packed, start = room(size_of(pieces)), 0
        for piece in pieces:
            if piece.panels * PANEL != piece.units:
                packed[start : start + piece.size] = 0
            for there, here in _views(piece, packed, start, matrix) if piece.size else ():
                there[...] = here
            start += piece.size
        arrays.append(packed)
    return arrays


def unpack(arrays, form, shape):
    """The weight, of `shape`, that `pack` made `arrays` of."""
    matrix = np.empty(shape, np.float32)
    for packed, pieces in zip(arrays, form):
        start = 0
        for piece in pieces:
            for there, here in _views(piece, packed, start, matrix) if piece.size else ():
                here[...] = there
            start += piece.size
    return matrix


# ---- what steps read -------------------------------------------------------------------------------------------------


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
    beside = GROUP_PANELS // gates
    packed = np.pad(packed, ((0, -len(packed) % GROUP_PANELS), (0, 0), (0, 0), (0, 0)))
    rows = packed.shape[1]
    grouped = packed.reshape(-1, beside, rows, gates, PANEL).transpose(0, 2, 1, 3, 4)
    return grouped.reshape(-1, rows, GROUP_PANELS, PANEL)


def pack_gate_groups(matrix, gates):
    """`_gate_groups` for the kernels."""
    return aligned(_gate_groups(matrix, gates))


def pack_groups(matrix):
    """(K, N) -> groups of 4 panels, each [K][4][16], one after the other in a flat array; the last has what is left."""
    packed = _gate_panels(matrix, 1)
    groups = [
        packed[i : i + GROUP_PANELS, :, 0].transpose(1, 0, 2).ravel() for i in range(0, len(packed), GROUP_PANELS)
    ]
    return aligned(np.concatenate(groups) if groups else np.zeros(0, np.float32))


def pack_dense(kernel, bias):
    """A Dense layer's (I, N) kernel and (N,) bias or None -> the arrays `w`, `bias` of the dense op."""
    (w,) = pack(np.ascontiguousarray(kernel, np.float32), dense_form(*kernel.shape))
    return {"w": w, "bias": dense_bias(kernel.shape[1], bias)}


def dense_bias(units, bias):
    """A Dense layer's (N,) bias or None -> the array `bias` of the dense op."""
    padded = np.zeros(panels(units) * PANEL, np.float32)
    if bias is not None:
        padded[:units] = bias
    return aligned(padded)


def _pack_bias(rows, units):
    """Up to four rows of (H,) -> [P][4][16]."""
    padded = np.zeros((4, units), np.float32)
    padded[: len(rows)] = rows
    return pack_gates(padded.reshape(1, -1), 4)


def pack_recurrent(cell, kernel, recurrent_kernel, bias, reset_after=False):
    """Keras's weights -> the arrays `w_x`, `w_h`, `w_c`, `bias` of a recurrent op.

    kernel (I, G H); recurrent_kernel (H, G H); bias None, (G H,), or (2, G H) for a GRU that resets after the product.
    """
    units = recurrent_kernel.shape[0]
    kernels = kernel, recurrent_kernel
    forms = recurrent_forms(cell, kernel.shape[0], units, reset_after)
    x, h = (pack(np.ascontiguousarray(matrix, np.float32), form) for matrix, form in zip(kernels, forms))
    return {**recurrent_weights(x, h), "bias": recurrent_bias(cell, units, bias, reset_after)}


def recurrent_weights(x, h):
    """The arrays `w_x`, `w_h`, `w_c` of a recurrent op, by the arrays of both kernels in `recurrent_forms`."""
    return {"w_x": x[0], "w_h": h[0], "w_c": h[1] if len(h) > 1 else None}


def recurrent_bias(cell, units, bias, reset_after=False):
    """Keras's bias, as for `pack_recurrent`, -> the array `bias` of a recurrent op."""
    zeros = np.zeros(GATES[cell] * units, np.float32)
    if cell == "simple_rnn":
        return pack_gate_groups((zeros if bias is None else bias).reshape(1, -1), 1)
    if cell == "lstm":
        rows = (zeros if bias is None else bias).reshape(4, units)
    elif reset_after:
        given, inner = (zeros, zeros) if bias is None else bias
        z, r, h = given.reshape(3, units)
        inner_z, inner_r, inner_h = inner.reshape(3, units)
        rows = [z + inner_z, r + inner_r, h, inner_h]
    else:
        bias, split = (zeros if bias is None else bias).reshape(1, -1), 2 * units
        gated, candidate = pack_gate_groups(bias[:, :split], 2), pack_gate_groups(bias[:, split:], 1)
        return aligned(np.concatenate([gated.ravel(), candidate.ravel()]))
    return _pack_bias(rows, units)


def input_bias(columns, bias):
    """(G H,) what a step adds to its inputs' product, of the bias as Keras keeps it, or None. columns: G H."""
    if bias is None:
        return np.zeros(columns, np.float32)
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
    panels make a group; `filled`: there are whole groups only. pack_gates is beside=1, pack_gate_groups GROUP_PANELS //
    gates with filled groups, pack_groups GROUP_PANELS.
    """
    count = panels(units)
    along, across = (1, row_length) if transposed else (row_length, 1)
    return {
        "rows": rows, "gates": gates, "units": units,
        "panels": -(-count // GROUP_PANELS) * GROUP_PANELS if filled else count, "beside": beside,
        "x_k": along, "x_gate": units * across, "x_unit": across,
    }  # fmt: skip


def packed_size(fields):
    """Floats that `pack` writes with arguments of `pack_fields`."""
    return fields["rows"] * fields["panels"] * fields["gates"] * PANEL

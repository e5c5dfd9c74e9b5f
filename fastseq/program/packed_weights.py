"""Weights in the layouts of kernels, for programs that do not train: each is packed once, by all threads, and unpacked
where somebody wants it as Keras has it. packing.py knows the layouts; tensors/variable.py when a weight is kept packed.
"""

import numpy as np

from fastseq.program import packing
from fastseq.program.builder import Builder
from fastseq.program.program import Program

# Bytes from which on the native step packs. Making its program takes 0.1 ms, in which NumPy packs 160 KB.
_NATIVE = 1 << 20
_COPIED_AT_ONCE = 1 << 16  # values that are looked at together: 256 KiB, a part of a core's L2 cache


class PackedValue:
    """A weight in a packed form, which has each of its values once.

    Args:
        arrays: list of C-contiguous float32 arrays, one for each of the form's; they are only read, so that they may be
            read-only, and lie in memory that somebody else owns (a mapped file, shared memory).
        form: as packing.Piece says.
        shape: of the weight.

    Raises:
        ValueError: where an array does not have the form's size, or is of another kind.
    """

    __slots__ = ("arrays", "form", "shape")

    def __init__(self, arrays, form, shape):
        for array, pieces in zip(arrays, form, strict=True):
            if array.dtype != np.float32 or not array.flags.c_contiguous or not array.flags.aligned:
                raise ValueError(
                    f"A packed weight is a C-contiguous float32 array, got one of {array.dtype} {array.shape}."
                )
            if array.size != packing.size_of(pieces):
                raise ValueError(f"A packed weight has {packing.size_of(pieces)} values here, got {array.size}.")
        self.arrays, self.form, self.shape = list(arrays), form, tuple(shape)

    def unpacked(self):
        """The weight as Keras has it, a new array of the same bits."""
        return packing.unpack(self.arrays, self.form, self.shape)

    @staticmethod
    def pack(matrix, form):
        """The arrays, a list, of a weight, a float32 array, in a form."""
        matrix = np.ascontiguousarray(matrix)
        return packing.pack(matrix, form) if matrix.nbytes < _NATIVE else _pack_natively(matrix, form)


def _pack_natively(matrix, form):
    """packing.pack as one native call, without the GIL."""
    p = Builder()
    x = p.input(matrix.shape, "float32")
    outputs = [p.new((packing.size_of(pieces),)) for pieces in form]
    for y, pieces in zip(outputs, form):
        start = 0
        for piece in pieces:
            p.step("pack", x=x.at(piece.first), y=y.at(start), **piece.fields())
            start += piece.size
    return Program(p, [x], outputs).run((matrix,), tuple(packing.room(slot.size) for slot in outputs))


def dense(kernel, bias):
    """The arrays `w`, `bias` of a dense step. kernel: Variable (I, N); bias: (N,) or None."""
    (w,) = kernel.packed(packing.dense_form(*kernel.shape), PackedValue)
    return {"w": w, "bias": packing.dense_bias(kernel.shape[1], bias)}


def recurrent(cell, kernel, recurrent_kernel, bias, reset_after):
    """The arrays `w_x`, `w_h`, `w_c`, `bias` of a recurrent step, as packing.pack_recurrent; the kernels: Variables."""
    units = recurrent_kernel.shape[0]
    forms = packing.recurrent_forms(cell, kernel.shape[0], units, reset_after)
    # One after the other: of the second kernel there is nothing packed yet when what the first was packed from goes.
    x, h = (variable.packed(form, PackedValue) for variable, form in zip((kernel, recurrent_kernel), forms))
    bias = packing.recurrent_bias(cell, units, bias, reset_after)
    return {**packing.recurrent_weights(x, h), "bias": bias}


def are_finite(arrays):
    """Whether arrays hold neither NaN nor infinities; None among them is left out. Nothing of their size is made."""
    arrays = [array.reshape(-1) for array in arrays if array is not None]
    if sum(map(len, arrays)) <= _COPIED_AT_ONCE:
        return all(np.isfinite(array).all() for array in arrays)
    with np.errstate(invalid="ignore"):
        return all(_is_finite(array) for array in arrays)


def _is_finite(values):
    # A NaN is the smallest and largest of all; the second of two looks at a block finds it in the cache.
    blocks = (values[start : start + _COPIED_AT_ONCE] for start in range(0, len(values), _COPIED_AT_ONCE))
    return all(np.isfinite(end) for block in blocks for end in (block.min(), block.max()))

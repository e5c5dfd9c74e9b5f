"""Dataspaces (IV.A.2.b) and datatypes (IV.A.2.d): shapes, and the types of numbers and texts that are read."""

import struct

import numpy as np

from fastseq.errors import FileFormatError

_FIXED_POINT, _FLOATING_POINT, _STRING, _OPAQUE, _VARIABLE_LENGTH = 0, 1, 3, 5, 9
# bit offset, precision, exponent position and size, mantissa position and size, exponent bias
_IEEE = {
    2: (0, 16, 10, 5, 0, 10, 15),
    4: (0, 32, 23, 8, 0, 23, 127),
    8: (0, 64, 52, 11, 0, 52, 1023),
}
_BFLOAT16 = (0, 16, 7, 8, 0, 7, 127)
# libhdf5 allows 32 dimensions and Keras uses 6.
_MAX_RANK = 32
_NULL = 2


def shape_of(message):
    """The shape that a dataspace message says, or None for one without values (h5py.Empty).

    Raises FileFormatError for one of another version or rank.
    """
    version, rank, _, kind = struct.unpack_from("<BBBB", message)
    if version not in (1, 2) or rank > _MAX_RANK:
        raise FileFormatError(f"it has a shape of {rank} dimensions, in version {version}")
    if version == 2 and kind == _NULL:
        return None
    return struct.unpack_from(f"<{rank}Q", message, 8 if version == 1 else 4)


def number_type(message, says_bfloat16):
    """NumPy dtype of a datatype message, "bfloat16", or None for anything but plain numbers.

    says_bfloat16: called for two opaque bytes, which is how Keras stores bfloat16 (beside an attribute that says so).
    """
    kind, bits, size = _head(message)
    order = ">" if bits & 1 else "<"
    if kind == _FIXED_POINT and size in (1, 2, 4, 8):
        if struct.unpack_from("<HH", message, 8) == (0, 8 * size):
            return np.dtype(f"{order}{'i' if bits & 8 else 'u'}{size}")
    elif kind == _FLOATING_POINT and size in _IEEE and not bits & 64:
        layout = struct.unpack_from("<HHBBBBI", message, 8)
        if layout == _IEEE[size]:
            return np.dtype(f"{order}f{size}")
        if layout == _BFLOAT16 and order == "<":
            return "bfloat16"
    elif kind == _OPAQUE and size == 2 and says_bfloat16():
        return "bfloat16"
    return None


def text_size(message):
    """Bytes of each text of a datatype of fixed length, 0 for texts of variable length, None for other types."""
    kind, bits, size = _head(message)
    if kind == _STRING and size > 0:
        return size
    return 0 if kind == _VARIABLE_LENGTH and bits & 15 == 1 else None


def _head(message):
    """(class, first 8 bits of its flags, size in bytes)."""
    head, bits, _, _, size = struct.unpack_from("<BBBBI", message)
    return head & 15, bits, size

"""Filters of chunks (IV.A.2.l): gzip, shuffle and Fletcher's checksum, undone."""

import struct
import zlib

import numpy as np

from fastseq.errors import FileFormatError

_DEFLATE, _SHUFFLE, _FLETCHER32 = 1, 2, 3
# A chunk's mask of filters that were left out has 32 bits.
_MOST = 32


def parse(messages):
    """Numbers of the filters that a dataset's chunks went through, in order. messages: its filter messages.

    Raises FileFormatError for a filter that is not read.
    """
    if not messages:
        return ()
    if len(messages) > 1:
        raise FileFormatError("it is damaged: a dataset has two lists of filters")
    (message,) = messages
    version, count = struct.unpack_from("<BB", message)
    if version not in (1, 2) or count > _MOST:
        raise FileFormatError(f"a dataset has {count} filters, in version {version}")
    at, found = 8 if version == 1 else 2, []
    for _ in range(count):
        # Number, length of its name (in version 2 of unregistered filters only), flags, count of values; name, values.
        (number,) = struct.unpack_from("<H", message, at)
        named = version == 1 or number >= 256
        name_size = struct.unpack_from("<H", message, at + 2)[0] if named else 0
        at += 4 if named else 2
        (values,) = struct.unpack_from("<2xH", message, at)
        at += 4
        at += (name_size + 7) // 8 * 8 if version == 1 else name_size
        at += 4 * (values + values % 2 if version == 1 else values)
        if number not in (_DEFLATE, _SHUFFLE, _FLETCHER32):
            raise FileFormatError(f"a dataset uses filter {number}; gzip, shuffle and fletcher32 are read")
        found.append(number)
    return tuple(found)


def undo(data, filters, mask, size, item_size):
    """A chunk's bytes with its filters undone, the last one first; exactly `size` of them.

    mask: bit n is set where filter n was left out. item_size: bytes of a value.
    """
    for index in range(len(filters) - 1, -1, -1):
        if mask & (1 << index):
            continue
        kind = filters[index]
        if kind == _DEFLATE:
            # 4 bytes more for a checksum that an earlier filter may have put behind the chunk.
            data = zlib.decompressobj().decompress(data, size + 5)
            if len(data) > size + 4:
                raise FileFormatError(f"a compressed chunk expands to more than its {size} bytes")
        elif kind == _SHUFFLE:
            whole = len(data) - len(data) % item_size
            planes = np.frombuffer(data, np.uint8, whole).reshape(item_size, -1)
            data = planes.T.tobytes() + data[whole:]
        else:
            _check_fletcher32(data)
            data = data[:-4]
    if len(data) != size:
        raise FileFormatError(f"a chunk holds {len(data)} bytes where its shape needs {size}")
    return data


def _check_fletcher32(data):
    """Raises FileFormatError where the last 4 bytes are not Fletcher's checksum of the others (16-bit words)."""
    if len(data) < 4:
        raise FileFormatError("a chunk's checksum is missing")
    words = np.frombuffer(data[:-4] + bytes(len(data) % 2), "<u2").astype(np.uint64)
    # Each word counts once in the first sum and, in the second, once per word from it to the end.
    weights = np.arange(len(words), 0, -1, dtype=np.uint64) % 65535
    sums = int(words.sum()) % 65535, int((weights * words).sum()) % 65535
    if sums != tuple(word % 65535 for word in struct.unpack(">HH", data[-4:])):
        raise FileFormatError("a chunk's checksum is wrong")

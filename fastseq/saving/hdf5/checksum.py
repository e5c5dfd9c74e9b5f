"""The checksum at the end of the newer structures (version 2 headers, B-trees, fractal heaps): Jenkins's lookup3.

http://burtleburtle.net/bob/c/lookup3.c, `hashlittle` with 0 to begin with. In Python it takes 0.2 us a byte; Keras's
own files have none of these structures.
"""

import struct

from fastseq.errors import FileFormatError

_MASK = 0xFFFFFFFF
# What checking a byte charges to a budget of bytes, so that checking ends as soon as reading does.
_COST = 8


def lookup3(data):
    """The checksum of bytes, a 32-bit number."""
    a = b = c = (0xDEADBEEF + len(data)) & _MASK
    if not data:
        return c
    # All but the last 1 to 12 bytes in threes of words.
    most = (len(data) - 1) // 12 * 12
    for x, y, z in struct.iter_unpack("<III", data[:most]):
        a, b, c = a + x, b + y, (c + z) & _MASK
        a = ((a - c) ^ (c << 4 | c >> 28)) & _MASK
        c += b
        b = ((b - a) ^ (a << 6 | a >> 26)) & _MASK
        a += c
        c = ((c - b) ^ (b << 8 | b >> 24)) & _MASK
        b += a
        a = ((a - c) ^ (c << 16 | c >> 16)) & _MASK
        c += b
        b = ((b - a) ^ (a << 19 | a >> 13)) & _MASK
        a += c
        c = ((c - b) ^ (b << 4 | b >> 28)) & _MASK
        b += a
    x, y, z = struct.unpack("<III", data[most:].ljust(12, b"\0"))
    a, b, c = (a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK
    c = ((c ^ b) - (b << 14 | b >> 18)) & _MASK
    a = ((a ^ c) - (c << 11 | c >> 21)) & _MASK
    b = ((b ^ a) - (a << 25 | a >> 7)) & _MASK
    c = ((c ^ b) - (b << 16 | b >> 16)) & _MASK
    a = ((a ^ c) - (c << 4 | c >> 28)) & _MASK
    b = ((b ^ a) - (a << 14 | a >> 18)) & _MASK
    return ((c ^ b) - (b << 24 | b >> 8)) & _MASK


def check(handle, data, what):
    """Raises FileFormatError where the last 4 bytes of `data` are not the checksum of the others. what: its name."""
    handle.spend(_COST * len(data))
    if len(data) < 4 or lookup3(data[:-4]) != int.from_bytes(data[-4:], "little"):
        raise FileFormatError(f"it is damaged: the checksum of {what} is wrong")

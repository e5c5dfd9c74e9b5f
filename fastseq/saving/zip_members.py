"""The members of a zip (PKWARE's APPNOTE 6.3): the directory, the bytes of one member, and a stored member in place.

Names in brackets are the specification's. What Keras and NumPy write is read: stored and deflated members, zip64.
Python's zipfile does as much and more, and needs 8 ms for its imports (shutil, pathlib, bz2, lzma ...), a tenth of what
a process takes to load a small model; it also takes what other errors say for the end of an archive.
"""

import binascii
import struct
import zlib

from fastseq.configs.limits import Section
from fastseq.errors import FileFormatError

STORED, DEFLATED = 0, 8
# [4.4.4] encrypted, patch data, strongly encrypted; names in UTF-8.
_UNREADABLE, _UTF8 = 0x1 | 0x20 | 0x40, 0x800
_END, _END64, _END64_AT, _ENTRY, _LOCAL = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"PK\x01\x02", b"PK\x03\x04"
# In the place of a number that a field of zip64 holds: this, in two and in four bytes.
_ELSEWHERE2, _ELSEWHERE4 = 0xFFFF, 0xFFFFFFFF
_LONGEST_COMMENT = 0xFFFF
# What is in memory at a time while a checksum is made: half of a core's L2 cache, or less.
_BLOCK = 1 << 18


class Member:
    """An entry of the directory: name, whether it can be read, method, sizes stored and whole, checksum, place."""

    __slots__ = ("crc", "method", "name", "offset", "readable", "size", "stored")

    def __init__(self, name, flags, method, crc, stored, size, offset):
        self.name, self.readable, self.method, self.crc = name, not flags & _UNREADABLE, method, crc
        self.stored, self.size, self.offset = stored, size, offset


def read_directory(handle):
    """A list of the Members. handle: limits.Metered, whose budget the directory is charged to.

    Raises FileFormatError, or struct.error or UnicodeDecodeError, where it is none.
    """
    start, size, count = _end(handle)
    data = handle.read_at(start, size)
    members, at = [], 0
    while at < size:
        # [4.3.12] versions, flags, method, time, checksum, sizes, lengths of name, extra and comment, disk, place.
        fields = struct.unpack_from("<4s4xHH4xIIIHHHH6xI", data, at)
        signature, flags, method, crc, stored, whole, name_size, extra_size, comment_size, disk, offset = fields
        at += 46
        end = at + name_size + extra_size
        if signature != _ENTRY or end + comment_size > size or disk not in (0, _ELSEWHERE2):
            raise FileFormatError("its directory is damaged")
        name = _decoded(data[at : at + name_size], flags)
        whole, stored, offset = _zip64(data[at + name_size : end], whole, stored, offset)
        members.append(Member(name, flags, method, crc, stored, whole, offset))
        at = end + comment_size
    if len(members) & 0xFFFF != count & 0xFFFF:
        raise FileFormatError(f"its directory has {len(members)} entries and says {count}")
    return members


def _decoded(name, flags):
    # What follows a zero byte is no part of a name, as zipfile has it.
    return name.split(b"\0", 1)[0].decode("ascii" if name.isascii() else "utf-8" if flags & _UTF8 else "cp437")


def _end(handle):
    """(start, size, count of entries) of the directory, by the record at the end of the file [4.3.16]."""
    tail = handle.peek(handle.size - 22, 22) if handle.size >= 22 else b""
    begin = handle.size - 22
    if tail[:4] != _END or tail[20:] != b"\0\0":
        begin = max(handle.size - 22 - _LONGEST_COMMENT, 0)
        tail = handle.peek(begin, handle.size - begin)
        found = tail.rfind(_END)
        begin, tail = begin + found, tail[found : found + 22] if found >= 0 else b""
    if len(tail) < 22:
        raise FileFormatError("it has no directory at its end")
    disk, its_disk, _, count, size, start = struct.unpack("<4xHHHHII2x", tail)
    if (disk, its_disk) != (0, 0):
        raise FileFormatError("it is one of several files")
    if _ELSEWHERE4 in (size, start) or count == _ELSEWHERE2:
        place = handle.peek(begin - 20, 20) if begin >= 20 else b""
        if place[:4] == _END64_AT:
            # [4.3.15], then [4.3.14]: the same fields, wider.
            (begin,) = struct.unpack_from("<Q", place, 8)
            record = handle.read_at(begin, 56)
            if record[:4] != _END64:
                raise FileFormatError("its directory is damaged")
            count, size, start = struct.unpack_from("<QQQ", record, 32)
    if start + size > begin:
        raise FileFormatError("its directory is damaged")
    return start, size, count


def _zip64(extra, *numbers):
    """The numbers, each replaced where it stands in the extra field of zip64 [4.5.3]."""
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, at)
        at += 4
        if kind == 1:
            wide = iter(struct.unpack_from(f"<{min(size, len(extra) - at) // 8}Q", extra, at))
            return [next(wide, number) if number == _ELSEWHERE4 else number for number in numbers]
        at += size
    return numbers


def read(handle, member):
    """The bytes of a member, which expand to `member.size` and no more, and have its checksum.

    The caller has checked both of its sizes. Raises FileFormatError, or struct.error or zlib.error, else.
    """
    data = handle.read_exactly(_start(handle, member), member.stored)
    if member.method == DEFLATED:
        stream = zlib.decompressobj(-zlib.MAX_WBITS)
        data = stream.decompress(data, member.size + 1)
        if not stream.eof:
            raise FileFormatError(f"it expands to more or less than the {member.size} bytes it says")
    if len(data) != member.size:
        raise FileFormatError(f"it has {len(data)} and not the {member.size} bytes it says")
    _check_sum(member, binascii.crc32(data))
    return data


def section(handle, member):
    """A limits.Section of a stored member, which has its checksum; read once for that, and never as a whole.

    The caller has checked both of its sizes. Raises FileFormatError or struct.error else.
    """
    found = Section(handle, _start(handle, member), member.size)
    checksum = 0
    while block := found.read(_BLOCK):
        checksum = binascii.crc32(block, checksum)
    _check_sum(member, checksum)
    found.seek(0)
    return found


def _check_sum(member, checksum):
    if checksum != member.crc:
        raise FileFormatError("its checksum is wrong")


def _start(handle, member):
    """Where the bytes of a member begin, behind the header that stands before them."""
    # [4.3.7] versions, flags ... lengths of name and extra, which may be another extra than the directory's.
    head = handle.read_exactly(member.offset, 30)
    name_size, extra_size = struct.unpack_from("<HH", head, 26)
    if head[:4] != _LOCAL:
        raise FileFormatError("it does not stand where the directory says")
    name = handle.read_exactly(member.offset + 30, name_size)
    if _decoded(name, head[7] << 8) != member.name:
        raise FileFormatError("it has another name where it stands than in the directory")
    return member.offset + 30 + name_size + extra_size

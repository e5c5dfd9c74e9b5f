"""Where the chunks of a dataset stand: a version 1 tree, or what layouts of version 4 have in its place (VII).

An index is read as Chunk tuples by corner; an extensible array, the index of a dataset that can grow along one axis, is
not read.
"""

import itertools
import math
import struct
from typing import NamedTuple

from fastseq.errors import FileFormatError
from fastseq.saving.hdf5 import btree, checksum
from fastseq.saving.hdf5.superblock import UNDEFINED

_SINGLE, _IMPLICIT, _FIXED_ARRAY, _EXTENSIBLE_ARRAY, _TREE = 1, 2, 3, 4, 5
# III.A.2: records of chunks, without filters and with them.
_PLAIN_CHUNKS, _FILTERED_CHUNKS = 10, 11
_FILTERED_SINGLE = 2
# What Python takes for a chunk beside its entry.
_OVERHEAD = 256


class Chunk(NamedTuple):
    address: int
    size: int
    mask: int


class Grid(NamedTuple):
    """How a dataset is cut: shape, shape of a chunk, count of chunks along each axis, bytes of a chunk unfiltered."""

    shape: tuple
    chunk: tuple
    counts: tuple
    size: int

    def corners(self):
        """Where the chunks begin, in the order of their numbers."""
        return itertools.product(*(range(0, n * step, step) for n, step in zip(self.counts, self.chunk)))


def of_tree(handle, address, grid):
    """dict corner -> Chunk, from a version 1 tree (III.A.1)."""
    rank = len(grid.chunk)
    # Size, filters that were left out, corner with a zero for the item, address.
    entry = struct.Struct(f"<II{rank + 1}QQ")
    places = {}
    for entries in btree.leaves(handle, address, btree.CHUNKS, entry.size - 8):
        for size, mask, *corner, _, place in entry.iter_unpack(entries):
            _add(handle, places, tuple(corner), Chunk(place, size, mask))
    return places


def _add(handle, places, corner, chunk):
    handle.spend(_OVERHEAD)
    if corner in places:
        raise FileFormatError(f"it is damaged: a chunk of a dataset stands twice, at {corner}")
    places[corner] = chunk


def of_index(handle, message, at, flags, grid, filtered):
    """dict corner -> Chunk, from byte `at` of a layout message of version 4: kind, its parameters, address."""
    kind, at = message[at], at + 1
    if kind == _SINGLE and flags & _FILTERED_SINGLE:
        size, mask, address = struct.unpack_from("<QIQ", message, at)
        found = [Chunk(address, size, mask)]
    elif kind in (_SINGLE, _IMPLICIT):
        (address,) = struct.unpack_from("<Q", message, at)
        count = math.prod(grid.counts)
        handle.spend(_OVERHEAD * count)
        found = [] if address == UNDEFINED else [Chunk(address + n * grid.size, grid.size, 0) for n in range(count)]
    elif kind == _FIXED_ARRAY:
        found = _fixed_array(handle, struct.unpack_from("<xQ", message, at)[0], grid, filtered)
    elif kind == _TREE:
        return _of_records(handle, struct.unpack_from("<6xQ", message, at)[0], grid, filtered)
    else:
        what = "can grow along an axis (an extensible array)" if kind == _EXTENSIBLE_ARRAY else f"have index {kind}"
        raise FileFormatError(f"a dataset has chunks that {what}, unknown here; save it with a fixed shape")
    return dict(zip(grid.corners(), found)) if len(found) == math.prod(grid.counts) else {}


def _of_records(handle, address, grid, filtered):
    """III.A.2, kinds 10 and 11: address, with filters size and mask, numbers of the chunk along each axis."""
    if address == UNDEFINED:
        return {}
    places, rank = {}, len(grid.chunk)
    for record in btree.records(handle, address, _FILTERED_CHUNKS if filtered else _PLAIN_CHUNKS):
        start = len(record) - 8 * rank
        if start < 8:
            raise FileFormatError("it is damaged: a tree of chunks has records of another rank")
        numbers = struct.unpack_from(f"<{rank}Q", record, start)
        chunk = _entry(record[:start], grid, filtered)
        _add(handle, places, tuple(n * step for n, step in zip(numbers, grid.chunk)), chunk)
    return places


def _entry(entry, grid, filtered):
    """Address and, with filters, size (of as many bytes as there are) and mask."""
    address = int.from_bytes(entry[:8], "little")
    if not filtered:
        return Chunk(address, grid.size, 0)
    return Chunk(address, int.from_bytes(entry[8:-4], "little"), int.from_bytes(entry[-4:], "little"))


def _fixed_array(handle, address, grid, filtered):
    """VII.C: a header and a block of as many entries as there are chunks, where they are many in pages."""
    if address == UNDEFINED:
        return []
    # Signature, version, owner, bytes of an entry, bits of a page's count, count of entries, address, checksum.
    head = handle.read_at(address, 28)
    signature, version, _, width, page_bits, count, block = struct.unpack_from("<4sBBBBQQ", head)
    if signature != b"FAHD" or version != 0 or not (12 < width <= 20 if filtered else width == 8) or page_bits > 32:
        raise FileFormatError(f"it is damaged: no array of chunks stands at byte {address}")
    checksum.check(handle, head, "an array of chunks")
    if count != math.prod(grid.counts):
        raise FileFormatError(f"a dataset of {math.prod(grid.counts)} chunks has an array of {count}")
    handle.spend(_OVERHEAD * count)
    page = 1 << page_bits
    pages = -(-count // page) if count > page else 0
    # Signature, version, owner, the header's address; which pages are there; entries, if not in pages; checksum.
    size = 14 + -(-pages // 8) + (0 if pages else count * width) + 4
    data = handle.read_at(block, size)
    if data[:4] != b"FADB":
        raise FileFormatError(f"it is damaged: no array of chunks stands at byte {block}")
    checksum.check(handle, data, "an array of chunks")
    parts = [data[14:-4]]
    if pages:
        parts, block = [], block + size
        for first in range(0, count, page):
            part = handle.read_at(block, min(page, count - first) * width + 4)
            checksum.check(handle, part, "an array of chunks")
            parts.append(part[:-4])
            block += len(part)
    entries = b"".join(parts)
    return [_entry(entries[at : at + width], grid, filtered) for at in range(0, count * width, width)]

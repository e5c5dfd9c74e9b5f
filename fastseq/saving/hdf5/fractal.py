"""Fractal heaps (III.G): where new-style objects with many members or attributes keep them.

Their space is a table of blocks: rows 0 and 1 have blocks of the same size, each further row of twice that of the row
above. An object is named by where it begins in that space, counted with the heads of the blocks.
"""

import struct

from fastseq.errors import FileFormatError
from fastseq.saving.hdf5 import btree, checksum
from fastseq.saving.hdf5.superblock import UNDEFINED

_MANAGED, _HUGE, _TINY = 0, 1, 2
# III.A.2: records of huge objects that are looked up by number, not filtered.
_HUGE_BY_NUMBER = 1
_CHECKED = 2
# What Python takes for an object beside its bytes.
_OVERHEAD = 64


class FractalHeap:
    """Objects by the names that a tree's records give them."""

    def __init__(self, handle, address):
        # III.G, to the letter: 22 fields without those of filters, and a checksum.
        head = handle.read_at(address, 146)
        signature, version, self._id_size, filters, self._flags, most = struct.unpack_from("<4sBHHBI", head)
        if signature != b"FRHP" or version != 0:
            raise FileFormatError(f"it is damaged: no heap stands at byte {address}")
        if filters:
            raise FileFormatError("it keeps a list of members or attributes compressed; h5py writes none so")
        checksum.check(handle, head, "a heap")
        (self._huge,) = struct.unpack_from("<Q", head, 22)
        fields = struct.unpack_from("<HQQHHQH", head, 110)
        self._width, self._smallest, self._largest, bits, _, self._root, self._rows = fields
        sizes = (self._width, self._smallest, self._largest)
        if any(size < 1 or size & (size - 1) for size in sizes) or self._largest < self._smallest or bits > 64:
            raise FileFormatError(f"it is damaged: a heap has blocks of {sizes} bytes")
        self._handle, self._address = handle, address
        self._offset_size = (bits + 7) // 8
        # The bytes that hold a length: of the largest block, or of the largest object where that needs fewer.
        bits = self._largest.bit_length() - 1
        self._length_size = min((bits + 7) // 8, (max(most, 1).bit_length() + 7) // 8)
        self._direct_rows = bits - (self._smallest.bit_length() - 1) + 2
        self._blocks = {}
        self._huge_places = None

    def get(self, name):
        """The bytes of the object that a record names."""
        if len(name) != self._id_size or name[0] & 0xC0:
            raise FileFormatError("it is damaged: an object of a heap has no usable name")
        kind = name[0] >> 4 & 3
        if kind == _MANAGED:
            return self._managed(name)
        if kind == _HUGE:
            return self._huge_object(name[1:])
        if kind == _TINY and self._id_size <= 17 and (name[0] & 15) < self._id_size - 1:
            return name[1 : 2 + (name[0] & 15)]
        raise FileFormatError("it is damaged: an object of a heap is of no known kind")

    # ---- managed objects: in blocks of the table -----------------------------------------------------------------

    def _managed(self, name):
        end = 1 + self._offset_size
        offset = int.from_bytes(name[1:end], "little")
        length = int.from_bytes(name[end : end + self._length_size], "little")
        block = self._block_of(offset)
        data = self._blocks.get(block)
        if data is None:
            data = self._blocks[block] = self._read_direct(*block)
        at = offset - block[0]
        if at < self._head_size(direct=True) or at + length > len(data):
            raise FileFormatError("it is damaged: an object runs over the end of its heap")
        self._handle.spend(_OVERHEAD + length)
        return data[at : at + length]

    def _block_of(self, offset):
        """(where it begins, address, size) of the direct block that holds `offset` of the heap's space."""
        address, rows, start = self._root, self._rows, 0
        if rows == 0:
            return 0, address, self._smallest
        while True:
            inside = offset - start
            # Row 0 begins at 0, row r at the width times the size of its blocks.
            row = (inside // (self._width * self._smallest)).bit_length()
            size = self._smallest << max(row - 1, 0)
            column = (inside - (self._width * size if row else 0)) // size
            if row >= rows:
                raise FileFormatError("it is damaged: an object lies behind the end of its heap")
            place = self._pointer(address, rows, row * self._width + column, start)
            start += (self._width * size if row else 0) + column * size
            if place == UNDEFINED:
                raise FileFormatError("it is damaged: a block of a heap is missing")
            if row < self._direct_rows:
                return start, place, size
            # A block of blocks: its rows together have the size of this place, which is smaller at every step down.
            address, rows = place, size.bit_length() - (self._width * self._smallest).bit_length() + 1
            if rows < 1:
                raise FileFormatError("it is damaged: a block of a heap has no rows")

    def _head_size(self, direct):
        """Bytes of a block's head: signature, version, the heap's address, its offset and, in some, a checksum."""
        return 13 + self._offset_size + (4 if direct and self._flags & _CHECKED else 0)

    def _check_head(self, data, signature, start):
        offset = int.from_bytes(data[13 : 13 + self._offset_size], "little")
        if data[:13] != signature + struct.pack("<BQ", 0, self._address) or offset != start:
            raise FileFormatError("it is damaged: a block is not one of its heap")

    def _read_direct(self, start, address, size):
        data = self._handle.read_at(address, size)
        self._check_head(data, b"FHDB", start)
        if self._flags & _CHECKED:
            # It stands behind the head, and was computed with zeros in its place.
            at = self._head_size(direct=False)
            checksum.check(self._handle, data[:at] + bytes(4) + data[at + 4 :] + data[at : at + 4], "a heap's block")
        return data

    def _pointer(self, address, rows, number, start):
        """The address that stands at place `number` in the table of an indirect block of `rows` rows."""
        data = self._blocks.get((start, address))
        if data is None:
            at = self._head_size(direct=False)
            data = self._handle.read_at(address, at + 8 * self._width * rows + 4)
            self._check_head(data, b"FHIB", start)
            checksum.check(self._handle, data, "a heap's table")
            self._blocks[start, address] = data
        at = self._head_size(direct=False) + 8 * number
        return int.from_bytes(data[at : at + 8], "little") if at + 12 <= len(data) else UNDEFINED

    # ---- huge objects: each at a place of its own --------------------------------------------------------------------

    def _huge_object(self, name):
        if len(name) >= 16:
            address, length = struct.unpack_from("<QQ", name)
            return self._handle.read_at(address, length)
        if self._huge_places is None:
            self._huge_places = {}
            for record in btree.records(self._handle, self._huge, _HUGE_BY_NUMBER):
                address, length, number = struct.unpack("<QQQ", record)
                self._huge_places[number] = address, length
        place = self._huge_places.get(int.from_bytes(name[:8], "little"))
        if place is None:
            raise FileFormatError("it is damaged: a large object of a heap is missing")
        return self._handle.read_at(*place)

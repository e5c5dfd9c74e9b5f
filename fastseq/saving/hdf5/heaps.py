"""Local heaps (III.D): the names of an old group's members; global heaps (III.E): texts of variable length."""

import struct

from fastseq.errors import FileFormatError

# What Python takes for a text beside its bytes.
_OVERHEAD = 64


class LocalHeap:
    """The names of one group's members."""

    def __init__(self, handle, address):
        # Signature, version, size of the names, what is free, their address.
        signature, version, size, _, place = struct.unpack("<4sB3xQQQ", handle.read_at(address, 32))
        if signature != b"HEAP" or version != 0:
            raise FileFormatError(f"it is damaged: no names stand at byte {address}")
        self._handle = handle
        self._data = handle.read_at(place, size)

    def text(self, offset):
        """The bytes from `offset` to the next zero."""
        end = self._data.find(b"\0", offset) if offset < len(self._data) else -1
        if end < 0:
            raise FileFormatError("it is damaged: a name runs over the end of its group's names")
        self._handle.spend(_OVERHEAD + end - offset)
        return self._data[offset:end]


class GlobalHeaps:
    """The texts of variable length of a file, which stand in collections all over it."""

    def __init__(self, handle):
        self.handle = handle
        self._collections = {}

    def text(self, reference):
        """What 16 bytes refer to: a length, the address of a collection, and a number in it."""
        length, address, number = struct.unpack("<IQI", reference)
        if length == 0:
            return b""
        if address not in self._collections:
            self._collections[address] = self._read(address)
        data, places = self._collections[address]
        start, size = places.get(number, (0, -1))
        if length > size:
            raise FileFormatError(f"it is damaged: a text of {length} bytes is not where it should stand")
        # Thousands of references may lead to one text.
        self.handle.spend(length)
        return data[start : start + length]

    def _read(self, address):
        """(bytes of a collection, dict number -> (start, size))."""
        signature, version, size = struct.unpack("<4sB3xQ", self.handle.read_at(address, 16))
        if signature != b"GCOL" or version != 1 or size < 16:
            raise FileFormatError(f"it is damaged: no texts stand at byte {address}")
        data = self.handle.read_at(address + 16, size - 16)
        places, at = {}, 0
        while at + 16 <= len(data):
            # Number, references, size. Numbers begin with 1; free space has number 0.
            number, _, length = struct.unpack_from("<HH4xQ", data, at)
            if number == 0:
                break
            start, at = at + 16, at + 16 + (length + 7) // 8 * 8
            if number in places or at > len(data):
                raise FileFormatError(f"it is damaged: the texts at byte {address} have no order")
            places[number] = start, length
        return data, places

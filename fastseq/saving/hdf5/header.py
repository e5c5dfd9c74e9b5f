"""Object headers (IV.A.1): the messages that say what a group or a dataset is, and where its parts stand."""

import struct

from fastseq.errors import FileFormatError
from fastseq.saving.hdf5 import checksum

# IV.A.2: the kinds of messages that are read; the others say nothing that matters here (times, fill values ...).
DATASPACE, LINK_INFO, DATATYPE, LINK, EXTERNAL_FILES, LAYOUT = 0x01, 0x02, 0x03, 0x06, 0x07, 0x08
GROUP_INFO, FILTERS, ATTRIBUTE, CONTINUATION, SYMBOL_TABLE, ATTRIBUTE_INFO = 0x0A, 0x0B, 0x0C, 0x10, 0x11, 0x15
_KEPT = frozenset((DATASPACE, LINK_INFO, DATATYPE, LINK, EXTERNAL_FILES, LAYOUT, GROUP_INFO, FILTERS, ATTRIBUTE,
                   SYMBOL_TABLE, ATTRIBUTE_INFO))  # fmt: skip
_GROUP_KINDS = (SYMBOL_TABLE, LINK_INFO, LINK, GROUP_INFO)
_SHARED = 2
# The head of a message: kind, size, flags; in version 2 with the number that it was made as, where that is kept.
_HEADS = {1: struct.Struct("<HHB3x"), 2: struct.Struct("<BHB"), "2 ordered": struct.Struct("<BHB2x")}
# Most headers are no longer: one read gets them whole.
_FIRST = 512
# What Python takes for a message beside its bytes.
_OVERHEAD = 64


class Header:
    """The messages of one object: `messages`, dict kind -> list of bytes; `shared`, the kinds that stand elsewhere."""

    def __init__(self, handle, address):
        self.messages, self.shared = {}, set()
        self._handle = handle
        self._blocks = {address}
        self._todo = []
        head = handle.peek(address, _FIRST)
        if head[:4] == b"OHDR":
            self._read_version_2(address, head)
        elif head[:1] == b"\x01":
            self._read_version_1(address, head)
        else:
            raise FileFormatError(f"it is damaged: no object header stands at byte {address}")

    @property
    def is_dataset(self):
        return DATASPACE in self.messages or DATASPACE in self.shared

    @property
    def is_group(self):
        return any(kind in self.messages for kind in _GROUP_KINDS)

    def all(self, kind):
        """The messages of a kind; where one of them stands elsewhere (a shared message), FileFormatError."""
        if kind in self.shared:
            raise FileFormatError(f"a part of it (message {kind}) is shared with other objects; h5py writes none so")
        return self.messages.get(kind, ())

    def _read_version_1(self, address, head):
        """IV.A.1.a: version, count of messages, references, size of the first block; blocks of messages."""
        count, size = struct.unpack_from("<xxH4xI", head)
        block = head[16 : 16 + size] if 16 + size <= len(head) else self._handle.read_at(address + 16, size)
        while True:
            count = self._read_messages(block, _HEADS[1], count)
            if not self._todo or count <= 0:
                return
            block = self._handle.read_at(*self._todo.pop(0))

    def _read_version_2(self, address, head):
        """IV.A.1.b: signature, version, flags, what the flags say, size of the first block, messages, checksum."""
        version, flags = struct.unpack_from("<BB", head, 4)
        if version != 2:
            raise FileFormatError(f"it is damaged: an object header has version {version}")
        start = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        start += width
        whole = start + int.from_bytes(head[start - width : start], "little") + 4
        block = head[:whole] if whole <= len(head) else self._handle.read_at(address, whole)
        head = _HEADS["2 ordered" if flags & 4 else 2]
        while True:
            checksum.check(self._handle, block, "an object header")
            self._read_messages(block[start:-4], head, len(block))
            if not self._todo:
                return
            block, start = self._handle.read_at(*self._todo.pop(0)), 4
            if block[:4] != b"OCHK":
                raise FileFormatError("it is damaged: an object header goes on where nothing does")

    def _read_messages(self, block, head, count):
        """Reads up to `count` messages of a block and gives how many are left. head: struct of a message's head."""
        at, step, unpack = 0, head.size, head.unpack_from
        while at + step <= len(block) and count > 0:
            kind, size, flags = unpack(block, at)
            start, at = at + step, at + step + size
            if at > len(block):
                raise FileFormatError("it is damaged: a message of an object header is larger than the header")
            count -= 1
            if kind == CONTINUATION:
                self._continue(block[start:at])
            elif kind in _KEPT:
                if flags & _SHARED:
                    self.shared.add(kind)
                else:
                    self._handle.spend(_OVERHEAD)
                    self.messages.setdefault(kind, []).append(block[start:at])
        return count

    def _continue(self, message):
        """IV.A.2.q: address and size of another block."""
        address, size = struct.unpack_from("<QQ", message)
        if address in self._blocks:
            raise FileFormatError("it is damaged: an object header runs in circles")
        self._blocks.add(address)
        self._todo.append((address, size))

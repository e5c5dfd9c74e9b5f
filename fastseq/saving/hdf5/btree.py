"""B-trees: version 1 (III.A.1) for members of old groups and for chunks, version 2 (III.A.2) for dense storage.

Both are walked node by node, each node once: a tree that leads back to a node of its own is refused.
"""

import struct

from fastseq.errors import FileFormatError
from fastseq.saving.hdf5 import checksum
from fastseq.saving.hdf5.superblock import UNDEFINED

GROUPS, CHUNKS = 0, 1
# What Python takes for an entry or record beside its bytes.
_OVERHEAD = 64


def leaves(handle, address, kind, key_size):
    """Yields the bytes of the entries (key, address of 8 bytes) of each lowest node of a version 1 tree, in order.

    kind: GROUPS or CHUNKS; key_size: bytes of a key. A tree without an address has no nodes.
    """
    todo, seen = [(address, None)] if address != UNDEFINED else [], set()
    entry = struct.Struct(f"<{key_size}xQ")
    while todo:
        address, expected = todo.pop()
        _once(seen, address)
        # Signature, kind, level, count of entries, neighbours.
        head = handle.read_at(address, 24)
        signature, its_kind, level, count = struct.unpack_from("<4sBBH", head)
        if signature != b"TREE" or its_kind != kind or expected not in (None, level):
            raise FileFormatError(f"it is damaged: no node of a tree stands at byte {address}")
        entries = handle.read_at(address + 24, count * entry.size)
        if level == 0:
            yield entries
        else:
            handle.spend(_OVERHEAD * count)
            todo.extend((child, level - 1) for (child,) in reversed(list(entry.iter_unpack(entries))))


def _once(seen, address):
    if address in seen:
        raise FileFormatError("it is damaged: a tree in it runs in circles")
    seen.add(address)


class _Level:
    """The nodes of one level of a version 2 tree: how many records fit, and how their counts are written."""

    def __init__(self, node_size, record_size, below):
        # Bytes of a pointer to a node below: its address, how many records it has, how many are below it.
        pointer = 0 if below is None else 8 + below.count_width + below.total_width
        self.most = (node_size - 10 - pointer) // (record_size + pointer)
        self.total = self.most if below is None else (self.most + 1) * below.total + self.most
        self.count_width = _width(max(self.most, 1))
        self.total_width = 0 if below is None else _width(max(self.total, 1))
        self.below = below


def _width(limit):
    """Bytes that hold numbers up to `limit`."""
    return (limit.bit_length() + 7) // 8


def records(handle, address, kind):
    """Yields the records of a version 2 tree, bytes each, in order. kind: its type by the specification."""
    # Signature, version, kind, size of nodes and records, depth, how full; root, its records, all records; checksum.
    head = handle.read_at(address, 38)
    signature, version, its_kind, node_size, record_size, depth = struct.unpack_from("<4sBBIHH", head)
    if signature != b"BTHD" or version != 0 or its_kind != kind:
        raise FileFormatError(f"it is damaged: no tree of kind {kind} stands at byte {address}")
    checksum.check(handle, head, "a tree")
    root, count, total = struct.unpack_from("<QHQ", head, 16)
    if record_size == 0 or depth > 16:
        raise FileFormatError(f"it is damaged: a tree has {depth} levels of records of {record_size} bytes")
    level = None
    for _ in range(depth + 1):
        level = _Level(node_size, record_size, level)
        if level.most < 1:
            raise FileFormatError(f"it is damaged: a tree has nodes of {node_size} bytes")
    todo, seen = [(root, count, level)] if root != UNDEFINED else [], set()
    while todo:
        item = todo.pop()
        if isinstance(item, bytes):
            total -= 1
            yield item
            continue
        _once(seen, item[0])
        todo.extend(reversed(_read_node(handle, *item, kind, record_size)))
    if total != 0:
        raise FileFormatError(f"it is damaged: {abs(total)} records of a tree are missing or too many")


def _read_node(handle, address, count, level, kind, record_size):
    """The records of a node, and between them what to read of the nodes below: (address, count, level)."""
    if count > level.most:
        raise FileFormatError(f"it is damaged: a node of a tree has {count} records, {level.most} fit")
    below = level.below
    widths = (8, below.count_width, below.total_width) if below else ()
    size = 6 + count * record_size + ((count + 1) * sum(widths) if below else 0) + 4
    node = handle.read_at(address, size)
    if node[:6] != (b"BTIN" if below else b"BTLF") + bytes([0, kind]):
        raise FileFormatError(f"it is damaged: no node of a tree stands at byte {address}")
    checksum.check(handle, node, "a node of a tree")
    handle.spend(_OVERHEAD * count)
    found = [node[at : at + record_size] for at in range(6, 6 + count * record_size, record_size)]
    if not below:
        return found
    whole, at = [], 6 + count * record_size
    for index in range(count + 1):
        child = int.from_bytes(node[at : at + 8], "little")
        its_count = int.from_bytes(node[at + 8 : at + 8 + widths[1]], "little")
        whole.append((child, its_count, below))
        whole.extend(found[index : index + 1])
        at += sum(widths)
    return whole

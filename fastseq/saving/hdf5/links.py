"""The members of a group: symbol tables (old style: III.B, III.C) and link messages (IV.A.2.g), few or in a heap."""

import struct

from fastseq.errors import FileFormatError
from fastseq.saving.hdf5 import btree, header
from fastseq.saving.hdf5.heaps import LocalHeap
from fastseq.saving.hdf5.superblock import UNDEFINED

_HARD, _SOFT, _EXTERNAL = 0, 1, 64
_SOFT_ENTRY = 2
# III.A.2: records of links by the hash of their names.
_LINKS_BY_NAME = 5


def read_links(handle, found):
    """dict name -> address of the member's object header, or for a soft link the path that it says, str.

    found: the group's header.Header. In the order in which members were made where the file says it, else by name.
    Raises FileFormatError where two members have one name, and for an external link.
    """
    links = []
    for message in found.all(header.SYMBOL_TABLE):
        links.extend(_symbols(handle, *struct.unpack_from("<QQ", message)))
    for message in found.all(header.LINK):
        links.append(_parse_link(message))
    for message in found.all(header.LINK_INFO):
        links.extend(_dense(handle, message))
    if all(order is not None for order, _, _ in links):
        links.sort(key=lambda link: link[0])
    else:
        links.sort(key=lambda link: link[1])
    members = {name.decode("utf-8"): target for _, name, target in links}
    if len(members) != len(links):
        raise FileFormatError("it is damaged: a group has two members of one name")
    return members


def _symbols(handle, tree, heap):
    """(None, name, target) of the members in symbol table nodes."""
    names = LocalHeap(handle, heap)
    for entries in btree.leaves(handle, tree, btree.GROUPS, key_size=8):
        # Between the addresses stand keys, which are not needed.
        for (address,) in struct.iter_unpack("<8xQ", entries):
            # III.B: signature, version, count of entries; III.C: name, object header, kind, scratch space.
            signature, version, count = struct.unpack("<4sBxH", handle.read_at(address, 8))
            if signature != b"SNOD" or version != 1:
                raise FileFormatError(f"it is damaged: no members stand at byte {address}")
            for name, target, kind, value in struct.iter_unpack("<QQI4xI12x", handle.read_at(address + 8, 40 * count)):
                if kind == _SOFT_ENTRY:
                    target = names.text(value).decode("utf-8")
                yield None, names.text(name), target


def _parse_link(message):
    """(number in order of making or None, name, target) of a link message."""
    version, flags = struct.unpack_from("<BB", message)
    if version != 1:
        raise FileFormatError(f"it is damaged: a link message has version {version}")
    at, kind, order = 2, _HARD, None
    if flags & 8:
        kind, at = message[at], at + 1
    if flags & 4:
        (order,) = struct.unpack_from("<Q", message, at)
        at += 8
    if flags & 16:
        at += 1  # the name's alphabet: what is not ASCII is UTF-8
    width = 1 << (flags & 3)
    size = int.from_bytes(message[at : at + width], "little")
    at += width
    name, at = message[at : at + size], at + size
    if kind == _HARD:
        return order, name, struct.unpack_from("<Q", message, at)[0]
    if kind == _SOFT:
        (size,) = struct.unpack_from("<H", message, at)
        return order, name, message[at + 2 : at + 2 + size].decode("utf-8")
    what = "an external link" if kind == _EXTERNAL else f"a link of kind {kind}"
    raise FileFormatError(f"it holds {what}; a model file may not point at other files")


def _dense(handle, message):
    """IV.A.2.c, the link info message: version, flags, perhaps the next number, addresses of a heap and of its tree."""
    version, flags = struct.unpack_from("<BB", message)
    if version != 0:
        raise FileFormatError(f"it is damaged: a group has links of version {version}")
    heap, tree = struct.unpack_from("<QQ", message, 10 if flags & 1 else 2)
    if heap == UNDEFINED:
        return
    # Imported here, as few files have so many members.
    from fastseq.saving.hdf5.fractal import FractalHeap

    found = FractalHeap(handle, heap)
    for record in btree.records(handle, tree, _LINKS_BY_NAME):
        yield _parse_link(found.get(record[4:]))

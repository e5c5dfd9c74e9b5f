"""Structures of HDF5 that want time or memory, made byte by byte: each is refused, soon and with a reason."""

import io
import random
import struct
import tracemalloc

import file_mutations
import h5py
import hdf5_walk
import numpy as np
import pytest
from hang_guard import must_end

from fastseq.configs import limits
from fastseq.errors import FileFormatError
from fastseq.saving.hdf5 import H5File, attributes, btree, checksum, chunks, filters, header, heaps, links
from fastseq.saving.hdf5.fractal import FractalHeap
from fastseq.saving.hdf5.superblock import UNDEFINED


def metered(data):
    handle = limits.Metered(io.BytesIO(data), "m.h5")
    handle.allow(limits.GROUP_READS, limits.GROUP_BYTES)
    return handle


def checked(data):
    return data + struct.pack("<I", checksum.lookup3(data))


class refused:
    """`with refused(match)`: FileFormatError comes out, and no more than 200 MiB are taken meanwhile."""

    def __init__(self, match):
        self.raises, self.guard = pytest.raises(FileFormatError, match=match), must_end()

    def __enter__(self):
        self.guard.__enter__()
        tracemalloc.start()
        return self.raises.__enter__()

    def __exit__(self, *exception):
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 200 << 20
        return self.raises.__exit__(*exception) and not self.guard.__exit__(None, None, None)


def test_checksum():
    """The values that Jenkins's own program prints."""
    assert checksum.lookup3(b"") == 0xDEADBEEF
    assert checksum.lookup3(b"Four score and seven years ago") == 0x17770551


# ---- object headers --------------------------------------------------------------------------------------------------


def version_1(*messages, count=None):
    body = b"".join(struct.pack("<HHB3x", kind, len(data), flags) + data for kind, flags, data in messages)
    return struct.pack("<BxHII4x", 1, len(messages) if count is None else count, 1, len(body)) + body


def version_2(*messages):
    body = b"".join(struct.pack("<BHB", kind, len(data), flags) + data for kind, flags, data in messages)
    return checked(b"OHDR" + struct.pack("<BBI", 2, 2, len(body)) + body)


def goes_on(address, size):
    return header.CONTINUATION, 0, struct.pack("<QQ", address, size)


@pytest.mark.parametrize("count", [2, 0xFFFF])
def test_headers_that_run_in_circles(count):
    with refused("in circles"):
        header.Header(metered(version_1(goes_on(16, 24), count=count)), 0)
    block = b"OCHK" + struct.pack("<BHB", *(header.CONTINUATION, 16, 0)) + struct.pack("<QQ", 200, 28)
    data = version_2(goes_on(200, 28)).ljust(200, b"\0") + checked(block)
    with refused("in circles"):
        header.Header(metered(data), 0)


def test_headers_that_are_not_there():
    for data in (b"", b"\1", b"OHDR", b"OHDR\3\0" + bytes(99), version_2(goes_on(5, 9))):
        with pytest.raises((FileFormatError, struct.error)):
            header.Header(metered(data), 0)
    with refused("bytes should stand"):
        header.Header(metered(version_1(goes_on(2**64 - 8, 2**64 - 8), count=2)), 0)
    with refused("larger than the header"):
        header.Header(metered(version_1((1, 0, b"")).replace(b"\1\0\0\0\0", b"\1\0\xff\xff\0")), 0)


def test_millions_of_messages():
    messages = [(header.ATTRIBUTE, 0, b"")] * 60_000
    handle = metered(version_1(*messages, goes_on(0, 2**20)))
    handle.allow(limits.HEADER_READS, limits.HEADER_BYTES)
    with refused("far larger"):
        header.Header(handle, 0)


def test_shared_messages():
    found = header.Header(metered(version_1((header.ATTRIBUTE, 2, bytes(16)), (header.LINK, 2, bytes(16)))), 0)
    for read in (attributes.read_attributes, links.read_links):
        with refused("shared with other objects"):
            read(metered(b""), found)


# ---- trees, names and texts ------------------------------------------------------------------------------------------


def node(kind, level, *entries):
    """A version 1 node whose keys are zeros of 8 bytes."""
    head = b"TREE" + struct.pack("<BBHQQ", kind, level, len(entries), UNDEFINED, UNDEFINED)
    return head + b"".join(struct.pack("<QQ", 0, address) for address in entries)


def test_trees_that_run_in_circles():
    for level in (1, 255):
        with refused("in circles"):
            list(btree.leaves(metered(node(0, level, 0)), 0, btree.GROUPS, 8))
    two = node(0, 1, 100, 100).ljust(100, b"\0") + node(0, 0)
    with refused("in circles"):
        list(btree.leaves(metered(two), 0, btree.GROUPS, 8))
    down = node(0, 2, 100).ljust(100, b"\0") + node(0, 0)
    with refused("no node of a tree"):
        list(btree.leaves(metered(down), 0, btree.GROUPS, 8))
    assert list(btree.leaves(metered(b""), UNDEFINED, btree.GROUPS, 8)) == []


def test_trees_of_overlapping_nodes():
    """Each is another node to the byte, so that none is met twice, and each has as many children as can be."""
    data = bytearray(3 << 20)
    places = list(range(0, 1 << 20, 24))
    for place in places:
        data[place : place + 8] = b"TREE" + struct.pack("<BBH", 0, 9, 0xFFFF)
    with refused("far larger|no node|in circles"):
        list(btree.leaves(metered(bytes(data)), 0, btree.GROUPS, 8))


def test_members_that_stand_twice():
    """One table of members named a million times by its group's tree."""
    names = b"HEAP" + struct.pack("<B3xQQQ", 0, 16, 1, 32) + b"name\0".ljust(16, b"\0")
    table = b"SNOD" + struct.pack("<BxH", 1, 1) + struct.pack("<QQI20x", 0, 0, 0)
    for count, reason in ((2, "two members of one name"), (60_000, "two members|far larger")):
        data = names + table + node(0, 0, *[len(names)] * count)
        message = struct.pack("<QQ", len(names) + len(table), 0)
        found = header.Header(metered(version_1((header.SYMBOL_TABLE, 0, message))), 0)
        with refused(reason):
            links.read_links(metered(data), found)


def test_names_that_overlap():
    """A million names of a megabyte each, all of them in one megabyte."""
    names = b"HEAP" + struct.pack("<B3xQQQ", 0, 1 << 20, 1, 32) + b"x" * (1 << 20)
    heap = heaps.LocalHeap(metered(names[:-1] + b"\0"), 0)
    with refused("far larger"):
        [heap.text(start) for start in range(1 << 20)]
    for data, start in ((names, 5), (names, 1 << 20), (names, 2**63)):
        with refused("runs over the end"):
            heaps.LocalHeap(metered(data), 0).text(start)
    with refused("bytes should stand"):
        heaps.LocalHeap(metered(b"HEAP" + struct.pack("<B3xQQQ", 0, 2**62, 1, 32)), 0)


def collection(*texts):
    body = b"".join(struct.pack("<HHIQ", number + 1, 1, 0, len(text)) + text.ljust(-(-len(text) // 8) * 8, b"\0")
                    for number, text in enumerate(texts))  # fmt: skip
    return b"GCOL" + struct.pack("<B3xQ", 1, 16 + len(body)) + body


VARIABLE = struct.pack("<BBBBI", 0x19, 1, 0, 0, 16)


def space(*shape):
    return struct.pack(f"<BBBB{len(shape)}Q", 2, len(shape), 0, 1, *shape)


def test_one_text_that_is_named_thousands_of_times():
    data = collection(b"x" * (1 << 20))
    handle = metered(data)
    handle.allow(limits.HEADER_READS, limits.HEADER_BYTES + len(data))
    attribute = attributes.Attribute(VARIABLE, space(4000), struct.pack("<IQI", 1 << 20, 0, 1) * 4000)
    with refused("far larger"):
        attribute.value(heaps.GlobalHeaps(handle))


def test_texts_that_are_not_there():
    found = heaps.GlobalHeaps(metered(collection(b"one", b"two")))
    assert found.text(struct.pack("<IQI", 3, 0, 2)) == b"two" and found.text(bytes(16)) == b""
    for reference in ((4, 0, 2), (3, 0, 3), (3, 0, 0), (3, 5, 1), (3, 2**64 - 1, 1)):
        with refused("damaged"):
            found.text(struct.pack("<IQI", *reference))
    twice = collection(b"one", b"two").replace(b"\2\0\1\0", b"\1\0\1\0")
    for data in (twice, collection(b"one").replace(b"\3" + bytes(7), b"\xff" * 8), b"GCOL\1" + bytes(30)):
        with refused("damaged"):
            heaps.GlobalHeaps(metered(data)).text(struct.pack("<IQI", 3, 0, 1))


# ---- attributes ------------------------------------------------------------------------------------------------------


def test_attributes_of_nothing_and_of_everything():
    found = heaps.GlobalHeaps(metered(bytes(100)))
    empty_text, number = struct.pack("<BBBBI", 0x13, 0, 0, 0, 0), struct.pack("<BBBBIHH", 0x10, 0, 0, 0, 4, 0, 32)
    assert attributes.Attribute(empty_text, space(2**40), b"").value(found) is None
    assert attributes.Attribute(number, space(2**40, 0), b"").value(found) == []
    assert attributes.Attribute(number, space(), bytes(4)).value(found) == 0
    for shape in ((2**40,), (2**32, 2**32), (3,)):
        for kind in (VARIABLE, number):
            with refused("claims"):
                attributes.Attribute(kind, space(*shape), bytes(8)).value(found)
    with refused("255 dimensions"):
        attributes.Attribute(number, struct.pack("<BBBB", 2, 255, 0, 1) + bytes(8 * 255), b"").value(found)


# ---- dense storage ---------------------------------------------------------------------------------------------------


def heap_of(objects, id_size=7, width=4, smallest=512, largest=65536, rows=0, root=146, flags=0, bits=32, filters=0):
    """A fractal heap at byte 0 with one block of objects behind its head, and their names."""
    head = struct.pack("<4sBHHBI", b"FRHP", 0, id_size, filters, flags, 4096) + bytes(8) + struct.pack("<Q", UNDEFINED)
    head = head.ljust(110, b"\0") + struct.pack("<HQQHHQH", width, smallest, largest, bits, 1, root, rows)
    block, names = b"FHDB" + struct.pack("<BQI", 0, 0, 0), []
    for item in objects:
        names.append(struct.pack("<BIH", 0, len(block), len(item)))
        block += item
    return checked(head) + block.ljust(smallest if smallest < 1 << 20 else 0, b"\0"), names


def test_heaps():
    data, names = heap_of([b"one", b"three"])
    assert [FractalHeap(metered(data), 0).get(name) for name in names] == [b"one", b"three"]
    for change in ({"width": 0}, {"width": 3}, {"smallest": 0}, {"largest": 256}, {"bits": 999}, {"filters": 1}):
        with refused("damaged|compressed"):
            FractalHeap(metered(heap_of([b"one"], **change)[0]), 0)
    for change in ({"smallest": 2**62, "largest": 2**62}, {"rows": 0xFFFF}, {"root": UNDEFINED}, {"root": 0}):
        with refused("damaged"):
            FractalHeap(metered(heap_of([b"one"], **change)[0]), 0).get(names[0])
    for name in (b"", bytes(7), b"\0" + b"\xff" * 6, b"\x40" + names[0][1:], b"\x30" + bytes(6), b"\x10" + bytes(6),
                 b"\x2f" + bytes(6), struct.pack("<BIH", 0, 500, 100), struct.pack("<BIH", 0, 2, 3)):  # fmt: skip
        with refused("damaged"):
            FractalHeap(metered(data), 0).get(name)


def test_an_object_that_is_named_a_million_times():
    data, names = heap_of([b"x" * 4000], smallest=8192)
    found = FractalHeap(metered(data), 0)
    with refused("far larger"):
        [found.get(names[0]) for _ in range(1_000_000)]


def tree(kind, node_size, record_size, depth, root, count, total):
    return checked(struct.pack("<4sBBIHHBBQHQ", b"BTHD", 0, kind, node_size, record_size, depth, 100, 40, root, count,
                               total))  # fmt: skip


def test_newer_trees():
    records = [bytes([n]) * 11 for n in range(3)]
    leaf = checked(b"BTLF\0\5" + b"".join(records))
    assert list(btree.records(metered(tree(5, 512, 11, 0, 38, 3, 3) + leaf), 0, 5)) == records
    for head, reason in (
        (tree(5, 512, 0, 0, 38, 3, 3), "0 bytes"),
        (tree(5, 512, 11, 0xFFFF, 38, 3, 3), "levels"),
        (tree(5, 4, 11, 0, 38, 3, 3), "nodes of 4 bytes"),
        (tree(5, 32, 11, 0, 38, 3, 3), "fit"),
        (tree(5, 512, 11, 0, 38, 3, 4), "missing"),
        (tree(5, 512, 11, 0, 38, 3, 2), "too many"),
        (tree(5, 2**32 - 1, 11, 0, 38, 0xFFFF, 0xFFFF), "bytes should stand"),
        (tree(8, 512, 11, 0, 38, 3, 3), "no tree of kind 5"),
        (tree(5, 512, 11, 1, 38, 3, 3), "no node of a tree"),
        (tree(5, 512, 11, 0, UNDEFINED, 0, 3), "missing"),
    ):
        with refused(reason):
            list(btree.records(metered(head + leaf + bytes(100)), 0, 5))


def test_newer_trees_that_run_in_circles():
    inner = checked(b"BTIN\0\5" + bytes(11) + struct.pack("<QB", 38, 1) * 2)
    with refused("in circles"):
        list(btree.records(metered(tree(5, 512, 11, 1, 38, 1, 3) + inner), 0, 5))


def refusals(data):
    try:
        return hdf5_walk.walk(data)
    except FileFormatError:
        return 1000


@pytest.mark.parametrize("mark", [b"OHDR", b"FRHP", b"BTHD", b"BTLF", b"BTIN", b"FHDB", b"FHIB", b"FAHD", b"FADB"])
def test_every_checksum_counts(monkeypatch, mark):
    """A structure of the newer versions whose checksum is another is refused, whatever else it says."""
    data = max((data for name, data in hdf5_walk.files().items() if "latest" in name), key=lambda data: mark in data)
    before, right = refusals(data), checksum.lookup3
    monkeypatch.setattr(checksum, "lookup3", lambda part: right(part) ^ (part[:4] == mark))
    assert refusals(data) > before


# ---- chunks ----------------------------------------------------------------------------------------------------------


def test_chunks_of_one_number():
    """Sixteen million chunks that are said to be there, none of which is."""
    for version in ("earliest", "latest"):
        memory = io.BytesIO()
        with h5py.File(memory, "w", libver=version) as file:
            file.create_dataset("x", (4000, 4000), "f4", chunks=(1, 1), compression="gzip")
        with H5File(memory.getvalue()) as file, refused("0 others are there|far larger"):
            file.root.dataset("x").read((4000, 4000))
    grid = chunks.Grid((4000, 4000), (1, 1), (4000, 4000), 4)
    with refused("far larger"):
        chunks.of_index(metered(b""), b"\2" + bytes(8), 0, 0, grid, False)


def test_a_chunk_that_stands_twice():
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        file.create_dataset("x", data=np.arange(6, dtype="f"), chunks=(3,))
    data = memory.getvalue()
    key = struct.pack("<IIQQ", 12, 0, 3, 0)
    assert data.count(key) == 1
    with H5File(data.replace(key, struct.pack("<IIQQ", 12, 0, 0, 0))) as file, refused("stands twice"):
        file.root.dataset("x").read((6,))


@pytest.mark.parametrize(
    "message",
    [b"\1\xff" + bytes(6), b"\2\x20" + b"\1\0" * 64, b"\1\2" + bytes(6) + b"\1\0\xff\xff", b"\3\1", b""],
)
def test_lists_of_filters(message):
    with pytest.raises((FileFormatError, struct.error)):
        filters.parse([message])


# ---- anything --------------------------------------------------------------------------------------------------------


def numbers_of(rng, data, at, size):
    marks = (b"TREE", b"SNOD", b"HEAP", b"FHDB", b"FHIB", b"BTLF", b"BTIN", b"OHDR", b"GCOL", b"OCHK")
    here = int.from_bytes(data[at : at + size], "little")
    return rng.choice((*file_mutations.NUMBERS, at, rng.randrange(len(data)), rng.randrange(256), here + 1, here - 1,
                       data.find(rng.choice(marks))))  # fmt: skip


def test_damage_behind_the_checksums(monkeypatch):
    """The structures below do not rely on them: whoever changes a file on purpose makes them right."""
    monkeypatch.setattr(checksum, "check", lambda handle, data, what: None)
    files, rng, changed = list(hdf5_walk.files().values()), random.Random(0), 0
    for _ in range(600):
        data = rng.choice(files)
        copy = bytearray(data)
        for _ in range(rng.choice((1, 1, 2, 4))):
            size = rng.choice((1, 1, 2, 2, 4, 8, 8))
            at = rng.randrange(len(copy) - size)
            copy[at : at + size] = (numbers_of(rng, data, at, size) % 2 ** (8 * size)).to_bytes(size, "little")
        with must_end():
            changed += refusals(bytes(copy)) > 1
    assert changed > 50

"""The zip reader beside Python's zipfile: the same members, and nothing but FileFormatError on what is none."""

import io
import tracemalloc
import zipfile

import numpy as np
import pytest

from fastseq.errors import FileFormatError
from fastseq.saving.keras_zip import Archive

TEXT = b"some text, and more of it " * 400
CONTENTS = {"config.json": TEXT, "empty": b"", "a/b.h5": bytes(range(256)) * 40, "ü/ß.txt": b"x", "x" * 300: b"long"}


class Stream(io.RawIOBase):
    """A file that cannot go back: what is written has its sizes behind it."""

    def __init__(self):
        self.data = bytearray()

    def writable(self):
        return True

    def write(self, data):
        self.data += data
        return len(data)


def zipped(method=zipfile.ZIP_STORED, stream=False, wide=False, comment=b"", contents=CONTENTS):
    file = Stream() if stream else io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.comment = comment
        for name, data in contents.items():
            with archive.open(name, "w", force_zip64=wide) as member:
                member.write(data)
    return bytes(file.data) if stream else file.getvalue()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("comment", [b"", b"a comment", b"PK\5\6" * 3, b"x" * 65535])
def test_reads_what_zipfile_writes(method, stream, wide, comment):
    data = zipped(method, stream, wide, comment)
    if comment.startswith(b"PK"):
        # It looks like an end of its own, with no directory: what zipfile takes it for, too.
        with pytest.raises(FileFormatError, match="zip file"):
            Archive("m.zip", data)
        return
    with Archive("m.zip", data) as archive:
        assert list(archive._members) == list(CONTENTS)
        assert {name: archive.read(name) for name in CONTENTS} == CONTENTS
        assert archive.read("no such member") is None


@pytest.mark.slow("3 s of files")
@pytest.mark.parametrize("count", [65534, 65535, 65536])
def test_as_many_members_as_zip64_is_for(count):
    """And a directory that is as large as that."""

    class Large(Archive):
        _directory_bytes = 64 << 20

    data = zipped(contents={str(number): b"" for number in range(count)})
    with Large("m.zip", data) as archive:
        assert len(archive._members) == count and archive.read(str(count - 1)) == b""


def test_places_beyond_four_bytes(tmp_path):
    """A file with a hole of 5 GB, in which zipfile writes wide sizes, and wide places in the directory."""
    path = tmp_path / "m.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("first", TEXT)
        archive.fp.seek(5 << 30)
        archive.start_dir = archive.fp.tell()
        archive.writestr("second", TEXT)
    with Archive(path) as archive:
        assert archive.read("first") == archive.read("second") == TEXT


def changed(data, mark, offset, value, size=2):
    data, place = bytearray(data), data.rindex(mark) + offset
    data[place : place + size] = value.to_bytes(size, "little")
    return bytes(data)


ONE = zipped(contents={"config.json": TEXT})
PACKED = zipped(zipfile.ZIP_DEFLATED, contents={"config.json": TEXT})
END, ENTRY, LOCAL = b"PK\5\6", b"PK\1\2", b"PK\3\4"


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"", "no directory"),
        (b"PK\3\4", "no directory"),
        (ONE[:-1], "no directory|damaged"),
        (changed(ONE, END, 4, 1), "one of several"),
        (changed(ONE, END, 10, 2), "has 1 entries and says 2"),
        (changed(ONE, END, 12, 2**31, 4), "damaged"),
        (changed(ONE, END, 16, 2**31, 4), "damaged"),
        (changed(ONE, END, 16, 0xFFFFFFFF, 4), "damaged"),
        (changed(ONE, ENTRY, 0, 0, 4), "damaged"),
        (changed(ONE, ENTRY, 28, 0xFFFF), "damaged"),
        (changed(ONE, ENTRY, 32, 1), "damaged"),
        (changed(ONE, ENTRY, 34, 3), "damaged"),
        (changed(ONE, ENTRY, 28, 3), "damaged|entries|buffer"),
    ],
)
def test_directories_that_are_none(data, reason):
    with pytest.raises(FileFormatError, match=f"not a readable zip file: .*{reason}") as caught:
        Archive("m.zip", data)
    assert caught.value.path == "m.zip"


@pytest.mark.parametrize(
    "data, reason",
    [
        (changed(ONE, ENTRY, 8, 1), "encrypted or packed"),
        (changed(ONE, ENTRY, 8, 0x40), "encrypted or packed"),
        (changed(ONE, ENTRY, 10, 12), "encrypted or packed"),
        (changed(ONE, ENTRY, 16, 5, 4), "checksum is wrong"),
        (changed(ONE, ENTRY, 20, 2**31, 4), "is truncated"),
        (changed(ONE, ENTRY, 24, 5, 4), "is stored in"),
        (changed(ONE, ENTRY, 42, 5, 4), "does not stand"),
        (changed(ONE, ENTRY, 42, 2**32 - 2, 4), "truncated"),
        (changed(ONE, LOCAL, 26, 5), "another name"),
        (changed(ONE, LOCAL, 28, 0xFFFF), "truncated|checksum"),
        (changed(ONE, LOCAL, 30, 0x58, 1), "another name"),
        (changed(PACKED, ENTRY, 24, 5, 4), "more or less"),
        (changed(PACKED, ENTRY, 24, len(TEXT) + 1, 4), "has 10400 and not the 10401"),
        (changed(PACKED, ENTRY, 20, 9, 4), "more or less"),
        (changed(PACKED, ENTRY, 10, 0), "is stored in"),
        (changed(PACKED, b"config.json" + PACKED[41:44], 11, 0xFFFFFF, 3), "damaged"),
    ],
)
def test_members_that_are_none(data, reason):
    with Archive("m.zip", data) as archive, pytest.raises(FileFormatError, match=reason) as caught:
        archive.read("config.json")
    assert caught.value.path == "m.zip"


def test_names_end_where_python_ends_them():
    """zipfile, too, takes what follows a zero for no part of the name."""
    data = ONE.replace(b"config.json", b"config\0json")
    with Archive("m.zip", data) as archive, zipfile.ZipFile(io.BytesIO(data)) as theirs:
        assert list(archive._members) == theirs.namelist() == ["config"]


def test_damage_anywhere():
    """What is read is what was written; and zipfile reads what is read."""
    rng, read = np.random.default_rng(0), 0
    for _ in range(3000):
        data = bytearray(PACKED if rng.random() < 0.5 else zipped(contents={"a": b"12345", "b": TEXT[:99]}))
        for _ in range(rng.choice([1, 1, 2, 4])):
            data[rng.integers(len(data))] = rng.choice([0, 1, 8, 0x50, 255, rng.integers(256)])
        try:
            with Archive("m.zip", bytes(data)) as archive:
                found = {name: archive.read(name) for name in archive._members}
        except FileFormatError:
            continue
        read += 1
        try:
            with zipfile.ZipFile(io.BytesIO(bytes(data))) as theirs:
                assert {name: theirs.read(name) for name in found} == found
        except NotImplementedError:  # a version or a flag that says nothing of what is there
            pass
    assert read > 300


def test_a_bomb_is_no_larger_than_it_says():
    """A stream that expands to 100 MB, and says it has 5 bytes."""
    bomb = changed(zipped(zipfile.ZIP_DEFLATED, contents={"config.json": bytes(100 << 20)}), ENTRY, 24, 5, 4)
    tracemalloc.start()
    with Archive("m.zip", bomb) as archive, pytest.raises(FileFormatError, match="more or less than the 5 bytes"):
        archive.read("config.json")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 << 20

"""Large weights that a .keras file stores are read where they stand, and nothing is believed that is false."""

import io
import os
import zipfile

import pytest
from saving_files import DATA

import fastseq
from fastseq.configs import limits
from fastseq.errors import FileFormatError
from fastseq.saving import keras_zip, zip_members

FILE = DATA / "keras3.keras"
MEMBER = "model.weights.h5"


@pytest.fixture(autouse=True)
def all_are_large(monkeypatch):
    monkeypatch.setattr(keras_zip, "_IN_PLACE", 0)


def changed(change=None, method=zipfile.ZIP_STORED):
    """The bytes of the file, its members packed by `method`; change(data, place): a bytearray, where weights begin."""
    memory = io.BytesIO()
    with zipfile.ZipFile(FILE) as whole, zipfile.ZipFile(memory, "w", method) as copy:
        for name in whole.namelist():
            copy.writestr(name, whole.read(name))
    data = bytearray(memory.getvalue())
    if change is not None:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            content = archive.read(MEMBER)
        change(data, data.index(content))
    return bytes(data)


def weights(source):
    return [array.tobytes() for array in fastseq.load_model(source).get_weights()]


def test_it_is_what_is_read_in_memory(monkeypatch, tmp_path):
    sections = []
    whole = zip_members.section
    monkeypatch.setattr(zip_members, "section", lambda *given: sections.append(given) or whole(*given))
    found = [weights(FILE), weights(changed()), weights(io.BytesIO(changed()))]
    assert len(sections) == 3
    with open(FILE, "rb") as file:
        found.append(weights(file))
    found.append(weights(changed(method=zipfile.ZIP_DEFLATED)))
    assert len(sections) == 4  # what is packed has to be unpacked
    model = fastseq.load_model(FILE)
    model.set_weights([weight + 1 for weight in model.get_weights()])
    model.load_weights(FILE)
    found.append([array.tobytes() for array in model.get_weights()])
    monkeypatch.setattr(keras_zip, "_IN_PLACE", 1 << 40)
    before = len(sections)
    expected = weights(FILE)
    assert len(sections) == before and all(each == expected for each in found)


def test_an_archive_without_a_name():
    """As old pickles hold one."""
    with keras_zip.KerasArchive(None, changed()) as archive, archive.weights() as file:
        assert file.path == "<bytes>" and isinstance(file._raw, limits.Section)
        assert file.root.keys()


def test_loaded_weights_are_the_models_own():
    """No array of a model is a view of a file's bytes, which could change or would stay in memory."""
    data = bytearray(changed())
    model = fastseq.load_model(data)
    before = [array.tobytes() for array in model.get_weights()]
    data[:] = bytes(len(data))
    assert [array.tobytes() for array in model.get_weights()] == before
    for weight in model.weights:
        assert weight._value.flags.writeable and weight._value.flags.c_contiguous and weight._value.flags.aligned


@pytest.mark.parametrize("place", [0, 1000, -1])
def test_a_wrong_byte_is_found(place):
    def change(data, start):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = archive.getinfo(MEMBER).file_size
        data[start + place % size] ^= 1

    with pytest.raises(FileFormatError, match="checksum is wrong"):
        fastseq.load_model(changed(change))


def test_a_member_that_would_end_behind_the_file():
    def change(data, start):
        # In the directory, where sizes stand twice: stored, and whole.
        entry = data.rindex(MEMBER.encode()) - 46
        for at in (20, 24):
            data[entry + at : entry + at + 4] = (len(data) - 10).to_bytes(4, "little")

    with pytest.raises(FileFormatError, match="truncated"):
        fastseq.load_model(changed(change))


def test_a_file_that_shrinks_while_it_is_read(tmp_path):
    path = tmp_path / "m.keras"
    path.write_bytes(changed())
    with keras_zip.KerasArchive(path) as archive:
        with archive.weights() as file:
            os.truncate(path, 2000)
            # What Python has read ahead, 128 KB at most, may still be there.
            name = next(iter(file.root.keys()))
            try:
                file.root.group(name).keys()
            except FileFormatError as error:
                assert "truncated" in str(error)


def test_a_section_is_a_file_of_its_own():
    memory = io.BytesIO(bytes(range(100)))
    section = limits.Section(limits.Metered(memory, "x"), 10, 50)
    assert section.seek(0, 2) == 50 and section.read() == b"" and section.readinto(memoryview(bytearray(3))) == 0
    assert section.seek(48) == 48 and section.read(10) == bytes([58, 59])
    assert section.seek(-1, 1) == 49 and section.read() == bytes([59])
    target = bytearray(4)
    section.seek(0)
    assert section.readinto(memoryview(target)) == 4 and bytes(target) == bytes([10, 11, 12, 13])
    section.close()
    assert not memory.closed
    for start, size in ((60, 41), (-1, 5), (101, 0)):
        with pytest.raises(FileFormatError, match="truncated"):
            limits.Section(limits.Metered(memory, "x"), start, size)

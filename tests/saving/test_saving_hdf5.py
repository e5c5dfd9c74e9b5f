"""The HDF5 reader: the same values as libhdf5, and nothing but FileFormatError on damaged bytes."""

import io

import h5py
import numpy as np
import pytest
from hang_guard import must_end
from saving_files import DATA, damaged

from fastseq.errors import FileFormatError
from fastseq.saving.hdf5 import H5File

X = np.random.default_rng(0).standard_normal((37, 50)).astype(np.float32)


def h5(fill, **options):
    memory = io.BytesIO()
    with h5py.File(memory, "w", **options) as file:
        fill(file)
    return memory.getvalue()


@pytest.mark.parametrize("path", sorted(DATA.glob("*.h5")), ids=lambda path: path.name)
def test_reads_what_libhdf5_reads(path):
    checked = 0
    with h5py.File(path) as expected, H5File(path) as file:

        def compare(name, item):
            nonlocal checked
            if isinstance(item, h5py.Dataset):
                values = file.root.dataset(name).read(item.shape)
                assert values.dtype == item.dtype
                np.testing.assert_array_equal(values, item[()])
                checked += 1
                return
            group = file.root.group(name)
            assert set(group.keys()) == set(item.keys())
            for key in item.attrs:
                theirs = item.attrs[key]
                theirs = theirs.tolist() if isinstance(theirs, np.ndarray) else theirs
                theirs = (
                    [x.decode() if isinstance(x, bytes) else x for x in theirs] if isinstance(theirs, list) else theirs
                )
                assert group.attribute(key) == theirs

        expected.visititems(compare)
    assert checked > 5


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "gzip"},
        {"compression": "gzip", "shuffle": True, "fletcher32": True},
        {"chunks": (10, 7)},
        {"chunks": (1, 50), "fletcher32": True},
        {"shuffle": True, "chunks": (37, 50)},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2", "<i4", ">i8", "u1"])
def test_storage_and_dtypes(options, dtype):
    values = (X * 20).astype(dtype)
    with H5File(h5(lambda file: file.create_dataset("x", data=values, **options))) as file:
        read = file.root.dataset("x").read(values.shape)
    assert read.dtype == values.dtype.newbyteorder("=")
    np.testing.assert_array_equal(read, values)


@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 0, 2), (2, 3, 4, 5)])
def test_shapes(shape):
    values = np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)
    with H5File(h5(lambda file: file.create_dataset("x", data=values))) as file:
        np.testing.assert_array_equal(file.root.dataset("x").read(shape), values)


def test_newer_layout_of_groups_and_attributes():
    def fill(file):
        for index in range(40):
            file.create_group(f"layers/layer_{index}")["0"] = np.float32(index)
        file.attrs["layer_names"] = [f"layer_{index}".encode() for index in range(40)]
        file.attrs["text"] = "ü" * 1000

    with H5File(h5(fill, libver="latest")) as file:
        assert sorted(file.root.group("layers").keys()) == sorted(f"layer_{index}" for index in range(40))
        assert file.root.attribute_list("layer_names") == [f"layer_{index}" for index in range(40)]
        assert file.root.attribute("text") == "ü" * 1000
        assert [float(file.root.dataset(f"layers/layer_{i}/0").read(())) for i in range(40)] == list(range(40))


def test_bfloat16_as_keras_stores_it():
    def fill(file):
        halves = (X.view(np.uint32) >> 16).astype("<u2").view("V2")
        file.create_dataset("x", data=halves).attrs["dtype"] = "bfloat16"
        file.create_dataset("y", data=halves)

    with H5File(h5(fill)) as file:
        expected = (X.view(np.uint32) & 0xFFFF0000).view(np.float32)
        np.testing.assert_array_equal(file.root.dataset("x").read(X.shape), expected)
        with pytest.raises(FileFormatError, match="plain numbers"):
            file.root.dataset("y")


def test_list_attributes_in_parts():
    def fill(file):
        file.attrs["names0"], file.attrs["names1"] = [b"a", b"b"], [b"c"]
        file.attrs["empty"] = np.zeros(0)
        file.attrs["number"] = 3

    with H5File(h5(fill)) as file:
        assert file.root.attribute_list("names") == ["a", "b", "c"]
        assert file.root.attribute_list("empty") == []
        assert file.root.attribute_list("missing") == []
        with pytest.raises(FileFormatError, match="not a list of names"):
            file.root.attribute_list("number")


def test_missing_and_misplaced_objects():
    def fill(file):
        file["group/data"] = X

    with H5File(h5(fill)) as file:
        assert file.root.dataset("group/nothing") is None
        assert file.root.group("nothing/at/all") is None
        assert file.root.dataset("group/data/deeper") is None
        with pytest.raises(FileFormatError, match="dataset where a group"):
            file.root.group("group/data")
        with pytest.raises(FileFormatError, match="group where weights"):
            file.root.dataset("group")
        for name in ("group/../group/data", "/group", "group//data", "."):
            with pytest.raises(FileFormatError, match="not a valid name"):
                file.root.dataset(name)


def test_shape_is_checked_before_reading():
    def fill(file):
        file.create_dataset("bomb", shape=(10**9, 10**9), dtype="f4", chunks=(1000, 1000), compression="gzip")

    with H5File(h5(fill)) as file:
        with pytest.raises(FileFormatError, match=r"has shape \(1000000000, 1000000000\), the model wants \(3, 2\)"):
            file.root.dataset("bomb").read((3, 2))


@pytest.mark.parametrize(
    "dtype", ["S5", "c8", [("a", "f4")], h5py.string_dtype(), h5py.ref_dtype, "V4", "bool"], ids=str
)
def test_only_plain_numbers(dtype):
    with H5File(h5(lambda file: file.create_dataset("x", shape=(3,), dtype=dtype))) as file:
        with pytest.raises(FileFormatError, match=r"plain numbers|damaged"):
            file.root.dataset("x").read((3,))


def test_declared_but_never_written():
    with H5File(h5(lambda file: file.create_dataset("x", shape=(3,), dtype="f4"))) as file:
        with pytest.raises(FileFormatError, match="never written"):
            file.root.dataset("x").read((3,))
    with H5File(h5(lambda file: file.create_dataset("x", shape=(30,), dtype="f4", chunks=(10,)))) as file:
        with pytest.raises(FileFormatError, match=r"3 chunks should make up a dataset, 0|damaged"):
            file.root.dataset("x").read((30,))


def test_truncated_anywhere():
    data = h5(lambda file: file.create_dataset("x", data=X))
    for end in range(0, len(data), 97):
        with pytest.raises(FileFormatError):
            with H5File(data[:end]) as file:
                file.root.dataset("x").read(X.shape)


@pytest.mark.parametrize("kind", ["old", "new", "compressed"])
def test_damaged_bytes(kind):
    values = X[:6, :5]

    def fill(file):
        options = {"compression": "gzip", "shuffle": True, "chunks": (2, 5)} if kind == "compressed" else {}
        for index in range(12):
            group = file.create_group(f"layers/layer_{index}/vars")
            group.attrs["name"] = f"name_{index}"
            group.create_dataset("0", data=values, **options)
        file.attrs["layer_names"] = [b"first", b"second"]

    data = h5(fill, libver="latest" if kind == "new" else "earliest")
    outcomes = {"read": 0, "refused": 0}
    for copy in damaged(data, seed=1, count=400):
        with must_end():
            try:
                with H5File(copy) as file:
                    file.root.attribute_list("layer_names")
                    for index in range(12):
                        group = file.root.group(f"layers/layer_{index}/vars")
                        if group is not None and group.dataset("0") is not None:
                            assert group.dataset("0").read(values.shape).shape == values.shape
                outcomes["read"] += 1
            except FileFormatError:
                outcomes["refused"] += 1
    assert min(outcomes.values()) > 20, outcomes


def test_header_that_continues_in_itself():
    """A continuation message that points at itself would be read for ever."""
    data = bytearray(h5(lambda file: file.create_group("g").attrs.update({f"a{i}": "x" * 60 for i in range(20)})))
    # Every 8 bytes that could be an address are pointed at the superblock, at the object headers, and at themselves.
    for position in range(0, len(data) - 8, 8):
        copy = bytearray(data)
        copy[position : position + 8] = position.to_bytes(8, "little")
        with must_end():
            try:
                with H5File(bytes(copy)) as file:
                    if (group := file.root.group("g")) is not None:
                        group.attribute("a0")
            except FileFormatError:
                pass

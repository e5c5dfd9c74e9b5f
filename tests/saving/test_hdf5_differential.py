"""The HDF5 reader beside libhdf5: whatever h5py writes of groups, attributes and datasets is read the same."""

import io

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastseq.errors import FileFormatError
from fastseq.saving.hdf5 import H5File

# As bounds of versions of the format that libhdf5 may write.
VERSIONS = ["earliest", "v108", "v110", "latest"]


def h5(fill, version="earliest", **options):
    memory = io.BytesIO()
    bounds = version if version in ("earliest", "latest") else (version, version)
    with h5py.File(memory, "w", libver=bounds, **options) as file:
        fill(file)
    return memory.getvalue()


def plain(value):
    """An attribute of h5py's as the reader gives it."""
    if isinstance(value, h5py.Empty):
        return None
    if isinstance(value, np.ndarray):
        return [] if value.size == 0 else [plain(item) for item in value]
    value = value.item() if isinstance(value, np.generic) else value
    return value.split(b"\0", 1)[0].decode() if isinstance(value, bytes) else value


def same(data, names_only=False):
    """How many groups, datasets and attributes were compared."""
    counts = [0, 0, 0]
    with h5py.File(io.BytesIO(data)) as theirs, H5File(data) as file:
        todo = [(theirs, file.root)]
        while todo:
            group, ours = todo.pop()
            assert ours.keys() == list(group.keys())
            counts[0] += 1
            for key in group.attrs:
                assert ours.attribute(key) == plain(group.attrs[key]), key
                counts[2] += 1
            assert ours.attribute("no such attribute", 7) == 7
            assert ours.group("no such group") is None
            for key in [] if names_only else group:
                if isinstance(group[key], h5py.Group):
                    todo.append((group[key], ours.group(key)))
                    continue
                expected, found = group[key][()], ours.dataset(key).read(group[key].shape)
                assert found.dtype == expected.dtype.newbyteorder("=")
                np.testing.assert_array_equal(found, expected)
                counts[1] += 1
    return counts


# ---- groups ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("members", [0, 1, 8, 9, 33, 400, 6000])
def test_groups_of_all_sizes(version, members, ordered):
    """Compact and dense links, symbol tables and trees of several levels, heaps of one block and of tables."""

    def fill(file):
        group = file.create_group("layers", track_order=ordered)
        target = file.create_group("target")
        rng = np.random.default_rng(members)
        for number in rng.permutation(members):
            # Links of one target: what a group is made of, at a hundredth of the time.
            group[f"{'name' * (number % 7)}{number}ü"] = target

    data = h5(fill, version)
    with H5File(data) as file, h5py.File(io.BytesIO(data)) as theirs:
        keys = file.root.group("layers").keys()
        assert keys == list(theirs["layers"].keys()) and len(keys) == members
        for key in keys[:50]:
            assert file.root.group("layers").group(key).keys() == []


@pytest.mark.parametrize("version", VERSIONS)
def test_soft_links_are_listed_and_refused(version):
    def fill(file):
        file["there/x"] = np.float32(1)
        file["there/y"] = h5py.SoftLink("/there/x")

    with H5File(h5(fill, version)) as file:
        assert file.root.group("there").keys() == ["x", "y"]
        assert file.root.dataset("there/x").read(()) == 1
        with pytest.raises(FileFormatError, match="'/there/y' is a soft link"):
            file.root.dataset("there/y")


@pytest.mark.parametrize("others", [0, 20])
def test_external_links(others):
    def fill(file):
        file["x"] = h5py.ExternalLink("/etc/hostname", "/x")
        for number in range(others):
            file[f"y{number}"] = np.float32(1)

    with H5File(h5(fill, "latest")) as file, pytest.raises(FileFormatError, match="an external link"):
        file.root.keys()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_committed_type_is_no_group(version):
    def fill(file):
        file["t"] = np.dtype("f4")
        file.create_dataset("x", (3,), file["t"])
        file.attrs.create("a", 1.0, dtype=file["t"])
        file.attrs["b"] = 2.0

    with H5File(h5(fill, version)) as file:
        assert file.root.attribute("a") is None and file.root.attribute("b") == 2
        with pytest.raises(FileFormatError, match="'/t' is neither a group nor a dataset"):
            file.root.group("t")
        with pytest.raises(FileFormatError, match="a shared one"):
            file.root.dataset("x")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("size", [512, 2048])
def test_user_blocks_are_refused(version, size):
    data = h5(lambda file: file.create_group("x"), version, userblock_size=size)
    for file in (data, data[size:]):
        with pytest.raises(FileFormatError, match=r"user block|not an HDF5 file|truncated"):
            H5File(file)


# ---- attributes ------------------------------------------------------------------------------------------------------

TEXTS = ["", "x", "layer_1/kernel:0", "ü" * 1000, "a\tb\n"]


def attributes(attrs, many):
    for number, text in enumerate(TEXTS):
        attrs[f"text{number}"] = text
        attrs[f"bytes{number}"] = np.bytes_(text.encode() or b"\0")
        attrs[f"fixed{number}"] = np.array(text.encode(), f"S{len(text.encode()) + 3}")
        attrs.create(f"utf8{number}", text.encode(), dtype=h5py.string_dtype("utf-8", len(text.encode()) + 1))
    attrs["texts"] = TEXTS
    attrs["names"] = [text.encode() for text in TEXTS if text]
    attrs["matrix"] = np.array([[b"a", b"bc"], [b"d", b""]])
    attrs["text matrix"] = np.array([["a", "bc", "d"], ["", "e", "f"]], h5py.string_dtype())
    attrs["none"] = np.zeros(0)
    attrs["none of many"] = np.zeros((1000, 0, 1000), "S3")
    attrs["null"] = h5py.Empty("f4")
    for dtype in ("<f2", "<f4", ">f4", "<f8", ">f8", "i1", "<i2", ">i4", "<i8", "u1", ">u2", "<u8"):
        attrs[f"number {dtype}"] = np.array(3, dtype)
        attrs[f"numbers {dtype}"] = np.array([[1, 2, 3], [4, 5, 6]], dtype)
    for number in range(many):
        attrs[f"many{number}"] = f"value {number}"


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("many", [0, 700])
def test_attributes(version, many, ordered):
    def fill(file):
        attributes(file.attrs, many)
        group = file.create_group("g", track_order=ordered)
        attributes(group.attrs, many)
        group.create_group("few").attrs["name"] = "x"

    assert same(h5(fill, version, track_order=ordered))[2] > 2 * (50 + many)


@pytest.mark.parametrize("size", [3000, 5000, 60_000, 70_000, 200_000])
def test_large_attributes(size):
    """In a heap's block, and from 4 KB on, of new-style objects with many, at a place of their own."""

    def fill(file):
        for number in range(12):
            file.attrs[f"a{number}"] = np.bytes_(b"%d" % number * size)
            file.attrs[f"n{number}"] = [b"x%d" % i for i in range(size // 8 + number)]

    assert same(h5(fill, "latest"))[2] == 24


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("dtype", [h5py.ref_dtype, [("a", "f4")], "bool", "c8", "V3", h5py.vlen_dtype("f4")], ids=str)
def test_attributes_of_other_types(version, dtype):
    def fill(file):
        kind, space = h5py.h5t.py_create(np.dtype(dtype), logical=True), h5py.h5s.create_simple((2,))
        h5py.h5a.create(file.id, b"other", kind, space)
        file.attrs["text"] = "x"

    with H5File(h5(fill, version)) as file:
        assert file.root.attribute("other") is None
        assert file.root.attribute("other", "default") == "default"
        assert file.root.attribute("text") == "x"


@pytest.mark.parametrize("version", VERSIONS)
def test_lists_that_keras_writes_in_parts(version):
    names = [f"a_rather_long_name_of_a_layer_{number}" for number in range(5000)]

    def fill(file):
        for number, part in enumerate(np.array_split(np.array([name.encode() for name in names]), 4)):
            file.attrs[f"layer_names{number}"] = part

    with H5File(h5(fill, version)) as file:
        assert file.root.attribute_list("layer_names") == names


# ---- datasets --------------------------------------------------------------------------------------------------------


def chunked(file, name, values, early=False, **options):
    """A dataset whose space may be taken at once, which makes its chunks stand one behind the other."""
    dataset = file.create_dataset(name, values.shape, values.dtype, **options)
    if early:
        creation = dataset.id.get_create_plist()
        creation.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        del file[name]
        kind, space = h5py.h5t.py_create(values.dtype), h5py.h5s.create_simple(values.shape)
        dataset = h5py.Dataset(h5py.h5d.create(file.id, name.encode(), kind, space, creation))
    dataset[...] = values


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "options",
    [
        {"chunks": (40, 30)},
        {"chunks": (40, 30), "compression": "gzip"},
        {"chunks": (7, 11)},
        {"chunks": (7, 11), "early": True},
        {"chunks": (7, 11), "compression": "gzip", "shuffle": True, "fletcher32": True},
        {"chunks": (1, 1)},
        {"chunks": (1, 1), "fletcher32": True},
        {"chunks": (7, 11), "maxshape": (None, None)},
        {"chunks": (2, 1), "maxshape": (None, None), "compression": "gzip", "compression_opts": 9},
    ],
    ids=str,
)
def test_chunks(version, options):
    """Trees and, in the newest version, one chunk, chunks in a row, arrays in pages and trees of version 2."""
    values = np.random.default_rng(1).standard_normal((40, 30)).astype(np.float32)

    def fill(file):
        chunked(file, "x", values, **options)
        file["y"] = values.astype(">i2")

    assert same(h5(fill, version))[1] == 2


def test_chunks_of_a_dataset_that_can_grow():
    """Along one axis: the only index that is not read, but for the older versions' trees."""
    values = np.arange(30, dtype=np.float32)

    def fill(file):
        file.create_dataset("x", data=values, chunks=(7,), maxshape=(None,))

    assert same(h5(fill))[1] == 1
    with H5File(h5(fill, "latest")) as file, pytest.raises(FileFormatError, match="extensible array"):
        file.root.dataset("x").read((30,))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("size", [1, 100, 10_000])
def test_values_in_the_header(version, size):
    values = np.arange(size, dtype=np.float32)

    def fill(file):
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple(values.shape)
        h5py.Dataset(h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F32LE, space, creation))[...] = values

    assert same(h5(fill, version))[1] == 1


# ---- anything --------------------------------------------------------------------------------------------------------

NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=12).filter(
    lambda name: name not in (".", "..")
)
DTYPES = st.sampled_from(["<f2", "<f4", ">f4", "<f8", ">f8", "i1", "<i2", ">i4", "<i8", "u1", ">u2", "<u8"])
SHAPES = st.lists(st.integers(0, 9), max_size=4).map(tuple)
VALUES = st.one_of(
    st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=200),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.lists(st.binary(min_size=1, max_size=9).filter(lambda value: value.isalnum()), min_size=1, max_size=9),
)
STORAGE = st.fixed_dictionaries({}, optional={
    "chunks": st.just(True), "compression": st.just("gzip"), "shuffle": st.booleans(), "fletcher32": st.booleans(),
})  # fmt: skip
GROUPS = st.recursive(
    st.dictionaries(NAMES, st.tuples(DTYPES, SHAPES, STORAGE), max_size=3),
    lambda inner: st.dictionaries(NAMES, inner, max_size=12),
    max_leaves=20,
)


def fill_group(group, tree, attributes, ordered):
    for key, value in attributes.items():
        group.attrs[key] = value
    for name, item in tree.items():
        if isinstance(item, dict):
            fill_group(group.create_group(name, track_order=ordered), item, attributes, ordered)
            continue
        dtype, shape, storage = item
        values = (np.arange(np.prod(shape, dtype=int)) % 100).reshape(shape).astype(dtype)
        group.create_dataset(name, data=values, **(storage if 0 not in shape and shape else {}))


@pytest.mark.slow("5 s of files that h5py writes")
@settings(max_examples=150)
@given(GROUPS, st.dictionaries(NAMES, VALUES, max_size=12), st.sampled_from(VERSIONS), st.booleans())
def test_any_file(tree, attributes, version, ordered):
    same(h5(lambda file: fill_group(file, tree, attributes, ordered), version, track_order=ordered))

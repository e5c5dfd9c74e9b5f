"""`fastseq predict` on damaged and unfit inputs: one line that names the file, status 2, and nothing is unpickled."""

import os
import pickle
import warnings
import zipfile

import numpy as np
import pytest
from hang_guard import must_end
from saving_files import damaged

import fastseq
from fastseq import cli, layers
from fastseq.cli import commands


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    series = fastseq.Sequential([fastseq.Input((4, 3), name="x"), layers.LSTM(2)])
    words = fastseq.Sequential([fastseq.Input((4,), dtype="int32", name="x"), layers.Embedding(5, 3), layers.LSTM(2)])
    a, b = fastseq.Input((3,), name="a"), fastseq.Input((3,), name="b")
    for name, model in (("series", series), ("words", words), ("two", fastseq.Model([a, b], layers.Add()([a, b])))):
        model.save(folder / f"{name}.keras")
    return folder


def predict(model, path):
    return cli.main(["predict", str(model), str(path)])


def write(path, array):
    """The array as the file's ending says."""
    if path.suffix == ".npz":
        np.savez(path, x=array)
    elif path.suffix == ".npy":
        np.save(path, array, allow_pickle=True)
    else:
        np.savetxt(path, array.reshape(len(array), -1), delimiter=",")


def refused(capsys, model, path):
    with must_end(), warnings.catch_warnings():
        warnings.simplefilter("error")
        status = predict(model, path)
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    assert err.startswith("fastseq: error: ") and err.count("\n") == 1 and os.path.basename(path) in err, err
    return err


def header(text, data=b"", version=b"\x01\x00"):
    text = text.ljust(117) + b"\n"
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text + data


class Evil:
    def __reduce__(self):
        return os.mkdir, ("evil",)


HEADERS = {
    "no end": header(b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4, 3"),
    "brackets": header(b"(" * 110),
    "signs": header(b"-" * 110 + b"1"),
    "many signs": header(b"-" * 9000 + b"1"),
    "no text": header(b"\xff\xfe{'descr"),
    "zeros": header(bytes(100)),
    "a set": header(b"{'descr', 1}"),
    "a call": header(b"__import__('os').mkdir('evil')"),
    "43 TB": header(b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 4, 3), }"),
    "more than an integer": header(b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000000000000, 3), }"),
    "a negative size": header(b"{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 4, 3), }", b"abcd"),
    "no dtype": header(b"{'descr': 'bogus', 'fortran_order': False, 'shape': (2, 4, 3), }"),
    "half a dtype": header(b"{'descr': ['a'], 'fortran_order': False, 'shape': (2, 4, 3), }", bytes(96)),
    "no order": header(b"{'descr': '<f4', 'fortran_order': 5, 'shape': (2, 4, 3), }", bytes(96)),
    "another version": header(b"{}", version=b"\x09\x00"),
    "cut in the mark": b"\x93NUMPY",
    "cut in the header": header(b"{")[:50],
    "cut in the values": header(b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4, 3), }", bytes(20)),
    "a pickle": pickle.dumps(Evil()),
    "a page": b"<!DOCTYPE html>",
}


@pytest.mark.parametrize("ending", [".npy", ".npz", "in .npz"])
@pytest.mark.parametrize("content", HEADERS.values(), ids=HEADERS)
def test_damaged_headers(capsys, tmp_path, monkeypatch, models, content, ending):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"x{ending[-4:]}"
    if ending == "in .npz":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", content)
    else:
        path.write_bytes(content)
    refused(capsys, models / "series.keras", path)
    assert os.listdir(tmp_path) == [path.name]


GOOD = np.ones((2, 4, 3), "f")
ARRAYS = {
    "objects": np.array([Evil()]),
    "text": np.full((2, 4, 3), "1"),
    "bytes": np.full((2, 4, 3), b"1"),
    "complex": GOOD.astype(complex),
    "dates": GOOD.astype("M8[s]"),
    "records": np.zeros((2, 4, 3), [("a", "<f4")]),
    "nothing known": np.zeros((2, 4, 3), "V4"),
}


@pytest.mark.parametrize("ending", [".npy", ".npz"])
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_arrays_of_something_else(capsys, tmp_path, monkeypatch, models, array, ending):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"x{ending}"
    write(path, array)
    refused(capsys, models / "series.keras", path)
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf, 1e30, -np.inf])
@pytest.mark.parametrize("ending", [".npy", ".npz", ".csv"])
def test_ids_are_whole_numbers(capsys, tmp_path, models, value, ending):
    path = tmp_path / f"x{ending}"
    ids = np.array([[1, 2, 3, value], [1, 2, 3, 4.0]])
    write(path, ids)
    assert "x takes whole numbers (int32)" in refused(capsys, models / "words.keras", path)
    ids[0, 3] = 4
    np.save(path.with_suffix(".npy"), ids)
    assert predict(models / "words.keras", path.with_suffix(".npy")) == 0


def patched(path, offset, value):
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + offset] = value
    path.write_bytes(data)


ZIPS = {
    "another compression": lambda path: patched(path, 10, 1),
    "encrypted": lambda path: patched(path, 8, 1),
    "packed, it says": lambda path: patched(path, 10, 8),
    "a wrong checksum": lambda path: patched(path, 16, 1),
    "another size": lambda path: patched(path, 24, 1),
    "no zip": lambda path: path.write_bytes(b"PK\x03\x04 not whole"),
    "empty": lambda path: path.write_bytes(b"PK\x05\x06" + bytes(18)),
    "no array": lambda path: zipfile.ZipFile(path, "w").writestr("x", b"hello"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("damage", ZIPS.values(), ids=ZIPS)
def test_damaged_archives(capsys, tmp_path, models, damage):
    np.savez(tmp_path / "x.npz", x=GOOD)
    damage(tmp_path / "x.npz")
    refused(capsys, models / "series.keras", tmp_path / "x.npz")


@pytest.mark.parametrize(
    "text",
    [b"", b"a,b\n", b"1,2\n3\n", b"1,2\n3,y\n", b"\xff\xfe\x00\x01", b"1,2,3\n", b"\0,\0\n", b"9" * 999, b"#\n"],
)
def test_tables(capsys, tmp_path, models, text):
    (tmp_path / "x.csv").write_bytes(text)
    refused(capsys, models / "series.keras", tmp_path / "x.csv")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_what_is_no_file(capsys, tmp_path, models):
    os.mkfifo(tmp_path / "pipe.npy")
    (tmp_path / "folder.npy").mkdir()
    for name in ("pipe.npy", "folder.npy"):
        assert "not a file" in refused(capsys, models / "series.keras", tmp_path / name)


@pytest.mark.parametrize("ending", [".npy", ".npz", ".csv"])
def test_damage_of_every_kind(capsys, tmp_path, models, ending):
    """A prediction, or one line and status 2."""
    path = tmp_path / f"x{ending}"
    write(path, GOOD)
    ends = set()
    for copy in damaged(path.read_bytes(), seed=7, count=300):
        path.write_bytes(copy)
        with must_end(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            status = predict(models / "series.keras", path)
        err = capsys.readouterr().err
        assert (status == 0 and err == "") or (status == 2 and err.count("\n") == 1), err
        ends.add(status)
    assert ends == {0, 2}


def test_other_files_for_a_model(capsys, tmp_path):
    """What load_model says of them is said in one line."""
    np.save(tmp_path / "x.npy", GOOD)
    for name in ("ckpt.index", "ckpt.data-00000-of-00001"):
        (tmp_path / name).write_bytes(bytes(9))
    (tmp_path / "lfs.keras").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n")
    for model, words in (("ckpt", "TensorFlow checkpoint"), ("lfs.keras", "git lfs pull"), ("x.npy", "NumPy array")):
        assert predict(tmp_path / model, tmp_path / "x.npy") == 2
        err = capsys.readouterr().err
        assert words in err and err.count("\n") == 1 and err.startswith("fastseq: error: ")


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="files are counted in /proc")
def test_no_file_stays_open(capsys, tmp_path, models):
    """np.load leaves an archive open that it cannot read; something may hold its error."""
    (tmp_path / "x.npz").write_bytes(b"PK\x03\x04 not whole")
    before, held = len(os.listdir("/proc/self/fd")), []
    for _ in range(5):
        with pytest.raises(commands.UsageError) as caught:
            commands.read_inputs(str(tmp_path / "x.npz"), fastseq.load_model(models / "series.keras"))
        held.append(caught.value)
    assert len(os.listdir("/proc/self/fd")) == before

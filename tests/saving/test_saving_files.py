"""Stored files of Keras 2 and 3 against the outputs of the Keras that wrote them; writing; damaged files."""

import os
import signal
import time
import zipfile

import h5py
import numpy as np
import pytest
from hang_guard import must_end
from saving_files import (
    BIAS,
    DATA,
    KERNEL,
    check_reference,
    damaged,
    dense,
    h5_model,
    input_layer,
    keras_file,
    sequential,
    weights,
)

import fastseq
from fastseq import layers
from fastseq.errors import FileFormatError
from fastseq.saving import write


def stack():
    return fastseq.Sequential(
        [
            fastseq.Input((6, 3)),
            layers.Bidirectional(layers.LSTM(4, return_sequences=True), name="both_ways"),
            layers.GRU(5, return_sequences=True, name="gru_layer"),
            layers.LSTM(2, return_sequences=True, name="lstm_layer"),
            layers.Dense(3, name="out"),
        ]
    )


@pytest.mark.parametrize(
    "file, name",
    [("keras2.h5", "keras2"), ("keras2.keras", "keras2"), ("keras2_cudnn.h5", "keras2_cudnn"),
     ("keras3.h5", "keras3"), ("keras3.keras", "keras3")],
)  # fmt: skip
def test_models_of_keras_2_and_3(file, name):
    check_reference(fastseq.load_model(DATA / file), name)


@pytest.mark.parametrize("file", ["keras3.weights.h5", "keras3.h5", "keras3.keras"])
def test_weights_of_keras_3(file):
    model = fastseq.load_model(DATA / "keras3.keras")
    expected = model.get_weights()
    model.set_weights([np.zeros_like(w) for w in expected])
    model.load_weights(DATA / file)
    for got, wanted in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("file", ["keras2_weights.h5", "keras2_cudnn_weights.h5", "keras2_cudnn.h5"])
def test_weights_of_keras_2(file):
    model = stack()
    model.load_weights(DATA / file)
    check_reference(model, "keras2_cudnn")


def test_weights_by_name():
    model = stack()
    kept = model.get_layer("out").get_weights()
    model.get_layer("out").name = "other"
    model.load_weights(DATA / "keras2_weights.h5", by_name=True)
    for got, wanted in zip(model.get_layer("other").get_weights(), kept):
        np.testing.assert_array_equal(got, wanted)
    model.get_layer("other").name = "out"
    model.load_weights(DATA / "keras2_weights.h5", by_name=True)
    check_reference(model, "keras2_cudnn")


def test_by_name_without_a_match_warns():
    model = fastseq.Sequential([fastseq.Input((3,)), layers.Dense(2, name="nowhere")])
    with pytest.warns(UserWarning, match=r"No layer.*nowhere"):
        model.load_weights(DATA / "keras2_weights.h5", by_name=True)


def test_by_name_needs_the_older_format():
    model = fastseq.load_model(DATA / "keras3.keras")
    for file in ("keras3.keras", "keras3.weights.h5"):
        with pytest.raises(ValueError, match="by_name"):
            model.load_weights(DATA / file, by_name=True)


def test_mismatch_names_everything_and_changes_nothing():
    model = stack()
    wide = fastseq.Sequential(
        [fastseq.Input((6, 3)), *[layer for layer in model.layers[:3]], layers.Dense(4, name="out")]
    )
    before = wide.get_weights()
    with pytest.raises(FileFormatError, match=r"keras2_weights.h5', layer 'out': weight 'kernel'.*\(2, 3\).*\(2, 4\)"):
        wide.load_weights(DATA / "keras2_weights.h5")
    for got, wanted in zip(wide.get_weights(), before, strict=True):
        np.testing.assert_array_equal(got, wanted)
    with pytest.warns(UserWarning, match="'out'"):
        wide.load_weights(DATA / "keras2_weights.h5", skip_mismatch=True)
    stacked = stack()
    stacked.load_weights(DATA / "keras2_weights.h5")
    for got, wanted in zip(wide.layers[2].get_weights(), stacked.layers[2].get_weights(), strict=True):
        np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(wide.layers[3].get_weights()[0], before[-2])


def test_skip_mismatch_in_keras_3_weights(tmp_path):
    path = keras_file(tmp_path / "m.keras")
    model = fastseq.Sequential([fastseq.Input((4,)), layers.Dense(2)])
    kept = model.get_weights()
    with pytest.raises(FileFormatError, match=r"layer 'dense.*weight 'kernel'.*\(3, 2\)"):
        model.load_weights(path)
    with pytest.warns(UserWarning, match="keeps its weights"):
        model.load_weights(path, skip_mismatch=True)
    np.testing.assert_array_equal(model.get_weights()[0], kept[0])


def test_objects_to_skip(tmp_path):
    model = fastseq.load_model(keras_file(tmp_path / "m.keras"))
    model.set_weights([KERNEL + 1, BIAS + 1])
    model.load_weights(tmp_path / "m.keras", objects_to_skip=[model.layers[0]])
    np.testing.assert_array_equal(model.get_weights()[0], KERNEL + 1)
    model.load_weights(tmp_path / "m.keras")
    np.testing.assert_array_equal(model.get_weights()[0], KERNEL)
    with pytest.raises(ValueError, match="objects_to_skip"):
        model.load_weights(h5_model(tmp_path / "m.h5", sequential()), objects_to_skip=[])


def test_compile_config_is_kept_as_data(tmp_path):
    settings = {"optimizer": {"module": "os", "class_name": "system", "config": {}}, "loss": "mse"}
    config = {**sequential(), "compile_config": settings}
    path = keras_file(tmp_path / "m.keras", config)
    with pytest.warns(UserWarning, match="not compiled: The class 'system' of module 'os' is not known"):
        assert fastseq.load_model(path).compile_config == settings
    assert fastseq.load_model(path, compile=False).compile_config is None
    path = h5_model(tmp_path / "m.h5", sequential(), training=settings)
    assert fastseq.load_model(path).compile_config == settings


# ---- writing -----------------------------------------------------------------------------------------------------


def test_round_trip(tmp_path):
    model = fastseq.load_model(DATA / "keras3.keras")
    model.save(tmp_path / "m.keras")
    check_reference(fastseq.load_model(tmp_path / "m.keras"), "keras3")
    model.save_weights(tmp_path / "m.weights.h5")
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    model.load_weights(tmp_path / "m.weights.h5")
    check_reference(model, "keras3")


def test_written_files_look_like_keras_s(tmp_path):
    """The same groups and datasets as Keras wrote for the same model."""
    model = fastseq.load_model(DATA / "keras3.keras")
    model.save_weights(tmp_path / "m.weights.h5")

    def layout(path):
        found = {}
        with h5py.File(path) as file:
            file.visititems(lambda name, item: found.update({name: getattr(item, "shape", None)}))
        return found

    assert layout(tmp_path / "m.weights.h5") == layout(DATA / "keras3.weights.h5")
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        assert archive.namelist() == ["metadata.json", "config.json", "model.weights.h5"]


def test_save_is_all_or_nothing(tmp_path, monkeypatch):
    model = fastseq.load_model(keras_file(tmp_path / "m.keras"))
    path = tmp_path / "out.keras"
    model.save(path)
    good = path.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", fail)
    with pytest.raises(OSError, match="disk full"):
        model.save(path)
    assert path.read_bytes() == good
    assert sorted(os.listdir(tmp_path)) == ["m.keras", "out.keras"]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no POSIX timers")
def test_an_interrupt_leaves_the_old_file_or_the_new_one(tmp_path):
    """And nothing beside it, at whatever moment a handler raises."""
    path = tmp_path / "file"

    def fill(value):
        write.replace(path, lambda file: [file.write(value) for _ in range(10)])

    class Stop(BaseException):
        """No OSError, as TimeoutError is, which functions of os.path take for an answer."""

    def stop(*_):
        raise Stop

    took = 1.0
    for _ in range(100):
        begun = time.monotonic()
        fill(b"old")
        took = min(took, time.monotonic() - begun)
    before, ends = signal.signal(signal.SIGALRM, stop), set()
    try:
        for moment in np.linspace(0.01, 1.5, 2000):
            fill(b"old")
            try:
                signal.setitimer(signal.ITIMER_REAL, moment * took)
                fill(b"new")
                signal.setitimer(signal.ITIMER_REAL, 0)
            except Stop:
                ends.add(path.read_bytes())
            assert os.listdir(tmp_path) == ["file"], moment
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert ends == {b"old" * 10, b"new" * 10}


def test_a_timeout_of_a_handler_is_not_lost(tmp_path, monkeypatch):
    """It is an OSError, as what removes the file beside may raise, which is there no more."""
    whole = os.unlink

    def unlink(path):
        try:
            whole(path)
        finally:
            raise TimeoutError

    monkeypatch.setattr(os, "unlink", unlink)
    with pytest.raises(TimeoutError):
        write.replace(tmp_path / "file", lambda file: file.write(b"x"))
    assert os.listdir(tmp_path) == ["file"]


def test_save_arguments(tmp_path):
    model = fastseq.load_model(keras_file(tmp_path / "m.keras"))
    for name in ("m.weights.h5", "m.pb", "m"):
        with pytest.raises(ValueError, match="keras"):
            model.save(tmp_path / name)
    with pytest.raises(ValueError, match=r"weights\.h5"):
        model.save_weights(tmp_path / "m.h5")
    with pytest.raises(ValueError, match="zipped"):
        model.save(tmp_path / "n.keras", zipped=False)
    with pytest.raises(FileExistsError):
        model.save(tmp_path / "m.keras", overwrite=False)
    with pytest.raises(ValueError, match="no weights yet"):
        fastseq.Sequential([layers.Dense(2)]).save(tmp_path / "n.keras")
    assert sorted(os.listdir(tmp_path)) == ["m.keras"]


def test_save_without_h5py_says_what_to_install(tmp_path, monkeypatch):
    model = fastseq.load_model(keras_file(tmp_path / "m.keras"))
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(ImportError, match=r"needs h5py, which is not installed: pip install h5py$"):
        model.save(tmp_path / "n.keras")


# ---- broken files ------------------------------------------------------------------------------------------------


def test_files_that_are_no_models(tmp_path):
    for content in (b"", b"x", b"PK\x03\x04", b"PK\x05\x06" + bytes(18), b"\x89HDF\r\n\x1a\n", os.urandom(1000)):
        path = tmp_path / "m.keras"
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=r"m\.keras"):
            fastseq.load_model(path)
    with pytest.raises(FileFormatError, match="folder"):
        fastseq.load_model(tmp_path)
    with pytest.raises(FileNotFoundError):
        fastseq.load_model(tmp_path / "nothing.keras")
    with pytest.raises(FileFormatError, match="weights only"):
        fastseq.load_model(DATA / "keras2_weights.h5")
    with pytest.raises(FileFormatError, match="weights only"):
        fastseq.load_model(DATA / "keras3.weights.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = KERNEL
    with pytest.raises(FileFormatError, match="no Keras weights"):
        stack().load_weights(tmp_path / "other.h5")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme", "hello")
    with pytest.raises(FileFormatError, match=r"config\.json"):
        fastseq.load_model(tmp_path / "other.zip")


def test_missing_weights_name_the_layer(tmp_path):
    def without_bias(group):
        group["0"] = KERNEL

    def misnumbered(group):
        group["0"], group["2"] = KERNEL, BIAS

    for fill, reason in (
        (without_bias, "2 weights .kernel, bias. where the file has 1"),
        (misnumbered, "'bias' is missing"),
    ):
        with pytest.raises(FileFormatError, match=f"layer 'dense': .*{reason}"):
            fastseq.load_model(keras_file(tmp_path / "m.keras", h5=weights(fill)))
    model = sequential(input_layer(), dense(), dense("more"))
    with pytest.raises(FileFormatError, match="layer 'more': its 2 weights are missing"):
        fastseq.load_model(keras_file(tmp_path / "m.keras", model))
    with pytest.raises(FileFormatError, match=r"1 layers with weights \(dense\), the model has 2 \(dense, more\)"):
        fastseq.load_model(h5_model(tmp_path / "m.h5", model))


@pytest.mark.parametrize("file", ["keras3.keras", "keras2.h5"])
def test_truncated_files(tmp_path, file):
    data = (DATA / file).read_bytes()
    path = tmp_path / file
    for end in np.linspace(0, len(data) - 1, 60, dtype=int):
        path.write_bytes(data[:end])
        with pytest.raises(FileFormatError, match=file):
            fastseq.load_model(path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["keras", "deflated", "h5"])
def test_damaged_files(tmp_path, kind):
    """Every outcome is a model that runs or an error that names the file; none takes long."""
    path = tmp_path / "m.file"
    if kind == "h5":
        h5_model(path, sequential())
    else:
        keras_file(path, compression=zipfile.ZIP_STORED if kind == "keras" else zipfile.ZIP_DEFLATED)
    data = path.read_bytes()
    x = np.ones((1, 3), np.float32)
    outcomes = {"loaded": 0, "refused": 0}
    for copy in damaged(data, seed=2, count=300):
        path.write_bytes(copy)
        with must_end():
            try:
                model = fastseq.load_model(path)
                model(x if model.input_shape == (None, 3) else np.ones((1, *model.input_shape[1:]), np.float32))
                outcomes["loaded"] += 1
            except FileFormatError as error:
                assert "m.file" in str(error)
                outcomes["refused"] += 1
    assert outcomes["refused"] > 100, outcomes

"""Files whose names were joined as Windows joins them: Keras 2.12 to 2.15 wrote one group `layers\\lstm\\cell`."""

import io
import zipfile

import h5py
import numpy as np
import pytest
from saving_files import (
    BIAS,
    DATA,
    KERNEL,
    all_joined,
    as_on_windows,
    check_reference,
    dense,
    h5_model,
    input_layer,
    joined_in_turn,
    keras_file,
    sequential,
)

import fastseq
from fastseq import layers
from fastseq.errors import FileFormatError


def rewritten(source, target, spell=all_joined):
    """The `.keras` or `.weights.h5` file `source` as `target`, with its groups spelled by `spell`."""
    if source.name.endswith(".h5"):
        target.write_bytes(as_on_windows(source.read_bytes(), spell))
        return target
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w") as copy:
        for name in archive.namelist():
            data = archive.read(name)
            copy.writestr(name, as_on_windows(data, spell) if name.endswith(".h5") else data)
    return target


@pytest.mark.parametrize("spell", [all_joined, joined_in_turn])
@pytest.mark.parametrize("file", ["keras2", "keras3"])
def test_files_of_both_versions(tmp_path, file, spell):
    path = rewritten(DATA / f"{file}.keras", tmp_path / "m.keras", spell)
    with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as weights:
        found = []
        weights.visit(found.append)
        assert sum("\\" in name for name in found) > 5
    model = fastseq.load_model(path)
    check_reference(model, file)
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    model.load_weights(path)
    check_reference(model, file)


def test_weights_of_keras_3(tmp_path):
    path = rewritten(DATA / "keras3.weights.h5", tmp_path / "m.weights.h5")
    model = fastseq.load_model(DATA / "keras3.keras")
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    model.load_weights(path)
    check_reference(model, "keras3")
    with pytest.raises(FileFormatError, match=r"weights only: build the model.*layers: \w+, \w+") as caught:
        fastseq.load_model(path)
    assert "\\" not in caught.value.reason


def test_optimizers_and_models_in_models(tmp_path):
    inner = fastseq.Sequential([fastseq.Input((5, 4)), layers.Dense(4), layers.LSTM(4)], name="inner")
    inner.compile("adam", "mse")
    model = fastseq.Sequential(
        [fastseq.Input((5, 4)), layers.Bidirectional(layers.GRU(2, return_sequences=True)), inner]
    )
    model.compile("adam", "mse")
    for part, x in ((inner, np.ones((2, 5, 4), "f")), (model, np.ones((2, 5, 4), "f"))):
        part.fit(x, np.zeros((2, 4), "f"), verbose=0)
    model.save(tmp_path / "m.keras")
    found = fastseq.load_model(rewritten(tmp_path / "m.keras", tmp_path / "w.keras"))
    pairs = [(model, found), (model.layers[1], found.layers[1])]
    for ours, theirs in pairs:
        assert len(theirs.optimizer.variables) > 6 and int(theirs.optimizer.iterations) == 1
        for a, b in zip(ours.optimizer.variables, theirs.optimizer.variables, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())
    for a, b in zip(model.get_weights(), found.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def one_dense(kernel):
    model = fastseq.Sequential([fastseq.Input((3,)), layers.Dense(2, name="dense")])
    model.set_weights([kernel, BIAS])
    return model


def weights_at(*groups):
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        for name, kernel in groups:
            group = file.create_group(name)
            group["0"], group["1"] = kernel, BIAS
    return memory.getvalue()


def test_two_spellings_of_one_path_are_refused(tmp_path):
    path = keras_file(
        tmp_path / "m.keras", h5=weights_at(("layers/dense/vars", KERNEL), ("layers\\dense/vars", KERNEL + 1))
    )
    message = r"layer 'dense': it has two groups for the same weights, '/layers/dense/vars' and '/layers\\dense/vars'"
    with pytest.raises(FileFormatError, match=message):
        fastseq.load_model(path)
    model = one_dense(KERNEL)
    with pytest.raises(FileFormatError, match="two groups"):
        model.load_weights(path)
    np.testing.assert_array_equal(model.get_weights()[0], KERNEL)


def test_one_group_under_two_names_is_no_contradiction(tmp_path):
    memory = io.BytesIO(weights_at(("layers/dense/vars", KERNEL)))
    with h5py.File(memory, "r+") as file:
        file["layers\\dense"] = file["layers/dense"]
    model = fastseq.load_model(keras_file(tmp_path / "m.keras", h5=memory.getvalue()))
    np.testing.assert_array_equal(model.get_weights()[0], KERNEL)


def test_spellings_that_lead_in_circles_end(tmp_path):
    """Fibonacci's number of ways to spell a path of 60 names through one group that holds itself."""
    entry = sequential()
    for depth in range(30):
        entry = sequential(input_layer(), {**entry, "config": {**entry["config"], "name": f"m{depth}"}})
    memory = io.BytesIO(weights_at(("layers/sequential/x", KERNEL)))
    with h5py.File(memory, "r+") as file:
        del file["layers/sequential/x"]
        for name in ("layers", "sequential", "layers\\sequential", "sequential\\layers"):
            for group in (file, file["layers"]):
                if name not in group:
                    group[name] = file["layers"]
    with pytest.raises(FileFormatError, match="missing"):
        fastseq.load_model(keras_file(tmp_path / "m.keras", entry, h5=memory.getvalue()))


def test_missing_weights_say_what_is_there(tmp_path):
    path = keras_file(tmp_path / "m.keras", h5=weights_at(("layers\\other_class/vars", KERNEL)))
    with pytest.raises(FileFormatError, match="beside it there are other_class"):
        fastseq.load_model(path)


@pytest.mark.parametrize("name", ["a\\b", "layers\\dense"])
@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_layers_with_a_backslash_in_their_own_name(tmp_path, name, ending):
    model = fastseq.Sequential(
        [fastseq.Input((3,)), layers.Dense(3, name=name), layers.Dense(3, name="a"), layers.Dense(3, name="b")]
    )
    model.save(tmp_path / f"m{ending}")
    found = fastseq.load_model(tmp_path / f"m{ending}")
    assert [layer.name for layer in found.layers] == [name, "a", "b"]
    for a, b in zip(model.get_weights(), found.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_older_weights_of_layers_with_a_slash_in_their_name(tmp_path):
    path = h5_model(tmp_path / "m.h5", sequential(input_layer(), dense()))
    with h5py.File(path, "r+") as file:
        file.move("model_weights/dense", "model_weights/block/one")
        file["model_weights"].attrs["layer_names"] = [b"block/one"]
    model = one_dense(KERNEL + 1)
    model.load_weights(path)
    np.testing.assert_array_equal(model.get_weights()[0], KERNEL)


@pytest.mark.tensorflow
def test_files_of_keras_2_itself(tmp_path):
    tf_keras = pytest.importorskip("tf_keras")
    make = tf_keras.layers
    inner = tf_keras.Sequential([make.Dense(4), make.LSTM(3, return_sequences=True)], name="inner")
    model = tf_keras.Sequential([
        make.Input((5, 3)), make.Bidirectional(make.GRU(4, return_sequences=True)), make.LSTM(4, return_sequences=True),
        make.LSTM(4, return_sequences=True), make.TimeDistributed(make.Dense(4)), inner,
        make.RNN([make.LSTMCell(3), make.GRUCell(2)]), make.Dense(2),
    ])  # fmt: skip
    x = np.random.default_rng(0).standard_normal((3, 5, 3)).astype("f")
    expected = model.predict(x, verbose=0)
    model.save(tmp_path / "m.keras")
    model.save_weights(tmp_path / "m.weights.h5")
    found = fastseq.load_model(rewritten(tmp_path / "m.keras", tmp_path / "w.keras"))
    np.testing.assert_allclose(found.predict(x), expected, rtol=0, atol=1e-6)
    found.set_weights([np.zeros_like(weight) for weight in found.get_weights()])
    found.load_weights(rewritten(tmp_path / "m.weights.h5", tmp_path / "w.weights.h5"))
    np.testing.assert_allclose(found.predict(x), expected, rtol=0, atol=1e-6)

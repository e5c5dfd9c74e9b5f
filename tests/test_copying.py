"""copy.deepcopy, copy.copy and pickle of models: their own weights, compiled as they were, and nothing that is code."""

import copy
import json
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import fastseq
from fastseq import layers
from fastseq.saving import copying

pytest.importorskip("h5py")
X = np.random.default_rng(0).standard_normal((20, 6, 4)).astype("f")
Y = np.random.default_rng(1).standard_normal((20, 3)).astype("f")


def sequential():
    return fastseq.Sequential([layers.Input((6, 4)), layers.Bidirectional(layers.GRU(3)), layers.Dense(3)])


def functional():
    inputs = layers.Input((6, 4))
    shared = layers.Dense(3)
    return fastseq.Model(inputs, layers.Add()([shared(layers.LSTM(4)(inputs)), shared(layers.GRU(4)(inputs))]))


def pickled(model):
    return pickle.loads(pickle.dumps(model))


@pytest.mark.parametrize("way", [copy.deepcopy, pickled])
@pytest.mark.parametrize("make", [sequential, functional])
@pytest.mark.parametrize("state", ["not compiled", "compiled", "trained"])
def test_a_copy_goes_its_own_way(make, way, state):
    model = make()
    if state != "not compiled":
        model.compile(fastseq.optimizers.Adam(0.01), "mse", metrics=["mae"])
        model.optimizer.build(model.trainable_variables)
    if state == "trained":
        model.fit(X, Y, epochs=2, verbose=0)
    other = way(model)
    assert type(other) is type(model) and other.name == model.name and other.compiled == model.compiled
    np.testing.assert_array_equal(other.predict(X), model.predict(X))
    before = model.predict(X)
    if state == "not compiled":
        other.set_weights([weight + 1 for weight in other.get_weights()])
    else:
        assert int(other.optimizer.iterations) == int(model.optimizer.iterations)
        history = other.fit(X, Y, shuffle=False, verbose=0).history
    assert np.abs(other.predict(X) - before).max() > 1e-4
    np.testing.assert_array_equal(model.predict(X), before)
    if state != "not compiled":
        # With the same moments: the same steps.
        assert model.fit(X, Y, shuffle=False, verbose=0).history == history
        np.testing.assert_array_equal(model.predict(X), other.predict(X))


@pytest.mark.tensorflow
@pytest.mark.parametrize("way", [copy.deepcopy, pickled])
def test_copies_go_on_as_in_keras(way):
    keras = pytest.importorskip("keras")
    logs = []
    for library in (fastseq, keras):
        model = library.Sequential([
            library.Input((6, 4)), library.layers.GRU(3, name="cells"), library.layers.Dense(3, name="end")
        ])  # fmt: skip
        rng = np.random.default_rng(2)
        model.set_weights([rng.standard_normal(np.shape(weight)) / 2 for weight in model.get_weights()])
        model.compile(library.optimizers.Adam(0.01), "mse", metrics=["mae"])
        model.fit(X, Y, shuffle=False, verbose=0)
        other = way(model)
        logs.append([other.fit(X, Y, epochs=2, shuffle=False, verbose=0).history, model.evaluate(X, Y, verbose=0)])
        assert int(other.optimizer.iterations) == 3 and int(model.optimizer.iterations) == 1
    assert list(logs[0][0]) == list(logs[1][0])
    for name, values in logs[1][0].items():
        np.testing.assert_allclose(logs[0][0][name], values, rtol=1e-5)
    np.testing.assert_allclose(logs[0][1], logs[1][1], rtol=1e-5)


def test_a_copy_in_another_process():
    model = sequential()
    code = (
        "import pickle, sys; m = pickle.load(sys.stdin.buffer); sys.stdout.buffer.write(pickle.dumps(m.get_weights()))"
    )
    found = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(model), capture_output=True, check=True)
    for own, other in zip(model.get_weights(), pickle.loads(found.stdout), strict=True):
        np.testing.assert_array_equal(own, other)


def test_one_model_in_two_places_is_one_model():
    model = sequential()
    for first, second in (copy.deepcopy([model, model]), pickled([model, model])):
        assert first is second and first is not model


def test_a_shallow_copy_has_the_same_layers():
    model = sequential()
    model.compile("adam", "mse")
    other = copy.copy(model)
    assert other is not model and type(other) is type(model) and vars(other) == vars(model)
    assert all(own is same for own, same in zip(model.layers, other.layers, strict=True))
    other.fit(X, Y, verbose=0)
    np.testing.assert_array_equal(model.predict(X), other.predict(X))


class Doubled(layers.Layer):
    def call(self, x):
        return 2 * x

    def backward(self, gradient, x):
        return 2 * gradient


def error(y_true, y_pred):
    return (y_true - y_pred) ** 2


@pytest.mark.filterwarnings("ignore:.*was not taken over")
def test_what_is_not_registered():
    """A deep copy has it from the model; a pickle, which another process may read, cannot."""
    model = fastseq.Sequential([layers.Input((4,)), Doubled(name="twice"), layers.Dense(3)])
    model.compile("sgd", "mse", metrics=[error])
    x = X[:, 0]
    other = copy.deepcopy(model)
    assert type(other.layers[0]) is Doubled and other.compiled
    expected = model.fit(x, Y, shuffle=False, verbose=0).history
    assert "error" in expected and other.fit(x, Y, shuffle=False, verbose=0).history == expected
    with pytest.raises(ValueError, match=r"'twice'.*Doubled.*register_keras_serializable"):
        pickled(model)
    with fastseq.saving.custom_object_scope({"Doubled": Doubled, "error": error}):
        assert type(pickled(model).layers[0]) is Doubled


def test_a_model_without_weights_yet_says_so():
    for way in (copy.deepcopy, pickled):
        with pytest.raises(ValueError, match="has no weights yet"):
            way(fastseq.Sequential([layers.Dense(3)]))


def test_bytes_are_data(tmp_path):
    """They are read as a file is: what a config names is looked up, and nothing else."""
    path = tmp_path / "model.keras"
    path.write_bytes(copying.to_bytes(sequential()))
    assert fastseq.load_model(path).predict(X).shape == (20, 3)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    config["config"]["layers"][-1] |= {"module": "subprocess", "class_name": "Popen", "registered_name": None}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**members, "config.json": json.dumps(config)}.items():
            archive.writestr(name, content)
    with pytest.raises(ValueError, match="Popen"):
        copying.from_bytes(path.read_bytes())
    for wrong in (b"", b"PK\x03\x04", path.read_bytes()[:500]):
        with pytest.raises(fastseq.FileFormatError):
            copying.from_bytes(wrong)

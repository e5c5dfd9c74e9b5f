"""Pickles as data: what they hold and are refused for, those of fastseq 0.1, and other processes that read them."""

import concurrent.futures
import copy
import json
import multiprocessing
import pickle
import pickletools
import subprocess
import sys
import warnings

import numpy as np
import pytest
from places import DATA

import fastseq
from fastseq import layers
from fastseq.errors import FileFormatError, UnsupportedError
from fastseq.saving import copying, get_custom_objects, register_keras_serializable

X = np.random.default_rng(0).standard_normal((8, 5, 4)).astype("f")
Y = np.random.default_rng(1).standard_normal((8, 3)).astype("f")


def model():
    made = fastseq.Sequential([layers.Input((5, 4)), layers.Bidirectional(layers.GRU(3)), layers.Dense(3)])
    made.compile("adam", "mse", metrics=["mae"])
    made.fit(X, Y, verbose=0)
    return made


@pytest.fixture
def unregistered_afterwards():
    before = dict(get_custom_objects())
    yield
    get_custom_objects().clear()
    get_custom_objects().update(before)


# ---- what they hold --------------------------------------------------------------------------------------------------


def arrays_of(own):
    return [variable._value for variable in (*own.weights, *own.optimizer.variables)]


def test_weights_and_the_optimizers_variables_go_out_of_band():
    own, buffers = model(), []
    data = pickle.dumps(own, protocol=5, buffer_callback=buffers.append)
    views = [np.frombuffer(buffer.raw(), np.uint8) for buffer in buffers]
    for array in arrays_of(own):
        assert any(np.shares_memory(array, view) and array.nbytes == view.nbytes for view in views)  # nothing copied
    assert len(pickle.dumps(own, protocol=5)) - len(data) >= sum(view.nbytes for view in views)
    for given in (buffers, [bytes(buffer) for buffer in buffers], [bytearray(buffer) for buffer in buffers]):
        other = pickle.loads(data, buffers=given)
        np.testing.assert_array_equal(other(X), own(X))
        before = own(X)
        other.fit(X, Y, verbose=0)  # into memory of its own, where they were read-only and where they are the model's
        np.testing.assert_array_equal(own(X), before)
        assert np.abs(other(X) - before).max() > 1e-5


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol(protocol):
    own = model()
    other = pickle.loads(pickle.dumps(own, protocol))
    assert other.fit(X, Y, verbose=0).history == own.fit(X, Y, verbose=0).history


def globals_in(data):
    """What a pickle names of modules, as pairs."""
    words, found = [], set()
    for code, argument, _ in pickletools.genops(data):
        if code.name in ("SHORT_BINUNICODE", "BINUNICODE"):
            words.append(argument)
        elif code.name == "GLOBAL":
            found.add(tuple(argument.split(" ")))
        elif code.name == "STACK_GLOBAL":
            found.add(tuple(words[-2:]))
    return found


@register_keras_serializable(package="pickled")
class Doubled(layers.Layer):
    def call(self, x):
        return 2 * x

    def backward(self, gradient, x):
        return 2 * gradient


@register_keras_serializable(package="pickled")
def error(y_true, y_pred):
    return (y_true - y_pred) ** 2


def test_no_class_by_name_but_registered_ones():
    own = model()
    of_numpy = {name for name in globals_in(pickle.dumps(own, 2)) if name[0].split(".")[0] in ("numpy", "_codecs")}
    assert globals_in(pickle.dumps(own, 2)) - of_numpy == {("fastseq.saving.copying", "restored")}
    own = fastseq.Sequential([layers.Input((5, 4)), Doubled(), layers.GRU(3)])
    own.compile("sgd", "mse", metrics=[error])
    named = {(__name__, "Doubled"), (__name__, "error"), ("fastseq.saving.copying", "restored")}
    assert globals_in(pickle.dumps(own, 2)) - of_numpy == named
    for item in (own.layers[-1], own.optimizer, own.weights[0]):
        assert globals_in(pickle.dumps(item, 2)) - of_numpy == {("fastseq.saving.copying", "restored")}


def test_a_registered_class_without_an_address_is_found_by_its_name(unregistered_afterwards):
    @register_keras_serializable(package="pickled")
    class Local(Doubled):
        pass

    data = pickle.dumps(fastseq.Sequential([layers.Input((5, 4)), Local(name="inside")]))
    assert type(pickle.loads(data).layers[0]) is Local
    del get_custom_objects()["pickled>Local"]
    with pytest.raises(ValueError, match=r"'inside'.*'Local'.*register_keras_serializable"):
        pickle.loads(data)


# ---- what they are refused for ---------------------------------------------------------------------------------------


def changed(**entries):
    state = copying.state_of(model())
    return {**state, **entries}


def with_config(change):
    state = copying.state_of(model())
    config = json.loads(state["config"])
    change(config)
    return {**state, "config": json.dumps(config)}


def foreign_class(config):
    config["config"]["layers"][-1] |= {"module": "subprocess", "class_name": "Popen", "registered_name": None}


def foreign_function(config):
    config["config"]["layers"][-1]["config"]["activation"] = {
        "module": "os", "class_name": "function", "config": "system", "registered_name": "function",
    }  # fmt: skip


def foreign_optimizer(config):
    config["compile_config"]["optimizer"] |= {"module": "antigravity", "class_name": "Adams", "registered_name": None}


def array_of_a_pickle(config):
    value = {"class_name": "__carried_array__", "config": 3}
    initializer = {"module": "keras.initializers", "class_name": "Constant", "config": {"value": value}}
    config["config"]["layers"][-1]["config"]["kernel_initializer"] = {**initializer, "registered_name": None}


def lambda_layer(config):
    config["config"]["layers"][-1] |= {"class_name": "Lambda", "module": "keras.layers"}


@pytest.mark.parametrize(
    "change, words",
    [
        (foreign_class, "Popen"),
        (foreign_function, "system"),
        (lambda_layer, "never runs code"),
        (array_of_a_pickle, "__carried_array__"),
    ],
)
def test_a_foreign_name_in_the_config_raises_as_in_load_model(change, words):
    with pytest.raises(ValueError, match=words):
        copying.restored(with_config(change))


def test_a_foreign_name_in_what_compile_was_told_is_warned_of_as_in_load_model():
    with pytest.warns(UserWarning, match="loaded, but not compiled.*Adams"):
        other = copying.restored(with_config(foreign_optimizer))
    assert not other.compiled and "antigravity" not in sys.modules
    assert other(X).shape == (8, 3)


def test_a_later_version_is_named():
    later = changed(version=copying.VERSION + 1, fastseq="9.9")
    with pytest.raises(FileFormatError, match=r"version 2, made by fastseq 9\.9; fastseq .* up to version 1: update"):
        copying.restored(later)


@pytest.mark.parametrize("entries", [{"version": 0}, {"version": "1"}, {"version": None}, {"kind": "module"}])
def test_what_is_no_state(entries):
    for state in (changed(**entries), {}, None, []):
        with pytest.raises(FileFormatError, match="no state of a layer"):
            copying.restored(state)


def test_weights_that_are_others():
    state = copying.state_of(model())
    state["layers"]["/1"] = {**state["layers"]["/1"], "weights": [np.zeros((6, 4), "f"), np.zeros(3, "f")]}
    with pytest.raises(FileFormatError, match=r"layer 'dense.*': its weights have the shapes \[\(6, 3\), \(3,\)\]"):
        copying.restored(state)
    state = copying.state_of(model())
    state["layers"]["/7"] = state["layers"].pop("/1")
    with pytest.raises(FileFormatError, match="in no layer that its config makes"):
        copying.restored(state)
    state = copying.state_of(model())
    del state["layers"]["/1"]
    with pytest.raises(FileFormatError, match="not among those that were copied"):
        copying.restored(state)


def test_a_config_that_asks_for_more_than_there_is():
    def huge(config):
        config["config"]["layers"][-1]["config"]["units"] = 10**9

    with pytest.raises(ValueError, match="larger than the whole file"):
        copying.restored(with_config(huge))


def test_an_object_without_a_config_is_refused():
    class Plain:
        def __call__(self, y_true, y_pred):
            return y_true - y_pred

    own = model()
    own.compile("sgd", "mse", metrics=[Plain()])
    with pytest.raises(UnsupportedError, match=r"Plain: only instances with a get_config\(\)"):
        pickle.dumps(own)
    assert copy.deepcopy(own)._trainer._told[1][0] is own._trainer._told[1][0]


# ---- fastseq 0.1 -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sequential", "functional", "custom"])
def test_pickles_of_0_1(name, unregistered_afterwards):
    """made by tests/data/make_pickles.py"""
    register_keras_serializable(package="old")(type("Doubled", (Doubled,), {}))
    own = pickle.loads((DATA / f"pickle_0_1_{name}.pickle").read_bytes())
    with np.load(DATA / "pickle_0_1.npz") as found:
        np.testing.assert_array_equal(own.predict(X), found[name])
        assert own.compiled == (f"{name}_loss" in found)
        if own.compiled:
            loss = own.fit(X, Y, batch_size=4, shuffle=False, verbose=0).history["loss"]
            np.testing.assert_array_equal(loss, found[f"{name}_loss"])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(own)).predict(X), own.predict(X))


# ---- other processes -------------------------------------------------------------------------------------------------

BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("h5py", "pyfive", "scipy"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
import copy, pickle
import numpy as np
import fastseq
from fastseq import layers

x, y = np.ones((4, 5, 4), "f"), np.ones((4, 3), "f")
inputs = layers.Input((5, 4))
model = fastseq.Model(inputs, layers.Dense(3)(layers.Bidirectional(layers.LSTM(3, dropout=0.5))(inputs)))
model.compile("adam", "mse", metrics=["mae"])
model.fit(x, y, verbose=0)
for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), pickle.loads(pickle.dumps(model, 2))):
    assert (other.predict(x, verbose=0) == model.predict(x, verbose=0)).all()
    assert other.fit(x, y, verbose=0).history == copy.deepcopy(model).fit(x, y, verbose=0).history
for item in (model.layers[1], model.optimizer, model.weights[0], model.history):
    copy.deepcopy(item), pickle.loads(pickle.dumps(item))
try:
    model.save("m.keras")
except ImportError as error:
    print(error)
"""


def test_without_hdf5_and_without_scipy(tmp_path):
    run = subprocess.run([sys.executable, "-c", BLOCKED], capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip().endswith("needs h5py, which is not installed: pip install h5py")


MODULE = """
import fastseq
from fastseq.saving import register_keras_serializable


@register_keras_serializable(package="elsewhere")
class Tripled(fastseq.layers.Layer):
    def call(self, x):
        return 3 * x
"""


def test_processes_that_are_spawned(tmp_path, monkeypatch, unregistered_afterwards):
    """A process that has not imported the module of a registered class does it, as pickle does for any class."""
    (tmp_path / "a_users_module.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    from a_users_module import Tripled

    own = fastseq.Sequential([layers.Input((5, 4)), Tripled(), layers.GRU(3)])
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as pool:
        np.testing.assert_array_equal(pool.submit(own.predict, X).result(timeout=120), own.predict(X))
        back = pool.submit(copy.copy, own).result(timeout=120)
    np.testing.assert_array_equal(back.predict(X), own.predict(X))


def test_joblib(tmp_path):
    joblib = pytest.importorskip("joblib")
    own = model()
    for options in ({}, {"compress": 3}):
        joblib.dump(own, tmp_path / "m.joblib", **options)
        other = joblib.load(tmp_path / "m.joblib")
        np.testing.assert_array_equal(other.predict(X), own.predict(X))
    joblib.dump(own, tmp_path / "m.joblib")
    mapped = joblib.load(tmp_path / "m.joblib", mmap_mode="r")
    assert mapped.fit(X, Y, verbose=0).history == other.fit(X, Y, verbose=0).history
    # What joblib.Memory goes by.
    assert joblib.hash(copy.deepcopy(own)) == joblib.hash(own) != joblib.hash(mapped)


def test_joblib_parallel():
    """Arrays of more than max_nbytes come to the workers as read-only maps of a file."""
    joblib = pytest.importorskip("joblib")
    own = model()
    with joblib.Parallel(n_jobs=2, max_nbytes=16) as parallel:
        parts = parallel(joblib.delayed(own.predict)(part, verbose=0) for part in (X[:4], X[4:]))
        trained = parallel(joblib.delayed(fitted)(own) for _ in range(2))
    np.testing.assert_array_equal(np.concatenate(parts), own.predict(X))
    for each in trained:
        np.testing.assert_array_equal(each.predict(X), fitted(copy.deepcopy(own)).predict(X))


SCRIPT = """
import joblib
import numpy as np
import fastseq
from fastseq import layers

@fastseq.saving.register_keras_serializable(package="script")
class Doubled(layers.Layer):
    def call(self, x):
        return 2 * x

def fitted(model, x, y):
    model.fit(x, y, verbose=0)
    return model

if __name__ == "__main__":
    x, y = np.ones((4, 5, 4), "f"), np.ones((4, 3), "f")
    model = fastseq.Sequential([layers.Input((5, 4)), Doubled(), layers.GRU(3)])
    model.compile("adam", "mse")
    [found] = joblib.Parallel(n_jobs=2)([joblib.delayed(fitted)(model, x, y)])
    assert type(found.layers[0]) is Doubled
    assert (found.predict(x, verbose=0) == fitted(model, x, y).predict(x, verbose=0)).all()
"""


def test_a_class_of_a_script_goes_to_workers_and_back(tmp_path):
    """It comes to them by value, and is registered there as it was here."""
    pytest.importorskip("joblib")
    (tmp_path / "script.py").write_text(SCRIPT)
    run = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stderr


def fitted(own):
    own.fit(X, Y, batch_size=4, verbose=0)
    return own


@pytest.mark.parametrize("missing", [True, False])
def test_a_damaged_state_is_refused_as_a_file_is(missing):
    """Whatever part is missing, or is something else."""
    model = fastseq.Sequential([layers.Input((3, 2)), layers.GRU(2, stateful=False), layers.Dense(1)])
    model.compile("adam", "mse")
    for key in copying.state_of(model):
        for value in (None,) if missing else (None, 3, "x", [], {}, [3], {"x": None}):
            state = dict(copying.state_of(model))
            state[key] = value
            if missing:
                del state[key]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    copying.restored(state)
                except ValueError:  # FileFormatError is one
                    pass

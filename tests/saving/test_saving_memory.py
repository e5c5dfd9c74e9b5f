"""Out of memory is no damaged file: MemoryError comes out as MemoryError, and OSError as OSError, from every place."""

import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import zipfile
import zlib

import numpy as np
import pytest
from saving_files import DATA

import fastseq
from fastseq import callbacks, layers


class Failing:
    """Calls of `name` in `module` count as places; the one at `moment` raises `error`."""

    def __init__(self, monkeypatch, error):
        self.error, self.moment, self.count = error, None, 0
        self.patch = monkeypatch.setattr

    def at(self, module, name):
        whole = getattr(module, name)

        def call(*args, **kwargs):
            self.count += 1
            if self.count == self.moment:
                raise self.error
            return whole(*args, **kwargs)

        self.patch(module, name, call)

    def moments(self, run):
        """Every moment of `run()`, or 15 of them; `run` is called once for nothing."""
        self.count, self.moment = 0, None
        run()
        places = np.unique(np.linspace(1, self.count, 15).astype(int))
        for moment in places:
            self.count, self.moment = 0, moment
            yield moment
        self.moment = None


class Handle:
    """A binary file whose methods can be replaced."""

    def __init__(self, file):
        self.seek, self.read, self.readinto = file.seek, file.read, file.readinto


def everywhere(failing):
    """Allocations of all kinds: what reading a file calls of zip, zlib, NumPy, json and HDF5."""
    from fastseq.configs import limits
    from fastseq.saving import zip_members
    from fastseq.saving.hdf5 import attributes, file, filters, header, links, storage, superblock
    from fastseq.tensors import variable, weight_budget

    class Numbers:
        """NumPy for one module of ours, so that NumPy's own calls stay what they are."""

        def __getattr__(self, name):
            return getattr(np, name)

    whole = limits.Metered.__init__

    def with_a_handle_of_ours(self, handle, path, content=None):
        whole(self, handle, path, content)
        self._handle = Handle(handle)
        failing.at(self._handle, "read")
        failing.at(self._handle, "readinto")

    failing.patch(limits.Metered, "__init__", with_a_handle_of_ours)
    if isinstance(failing.error, OSError):
        return
    failing.at(json, "loads")
    failing.at(zip_members, "read_directory")
    failing.at(zip_members, "read")
    failing.at(zip_members, "section")
    failing.at(zip_members.binascii, "crc32")
    failing.at(zlib, "decompressobj")
    failing.at(superblock, "read_root")
    failing.at(header.Header, "__init__")
    failing.at(links, "read_links")
    failing.at(attributes, "read_attributes")
    for module in (attributes, file, filters, storage, weight_budget, variable):
        failing.patch(module, "np", Numbers())
        for name in ("frombuffer", "empty", "zeros", "array"):
            setattr(module.np, name, getattr(np, name))
            failing.at(module.np, name)


ERRORS = [MemoryError("no more"), OSError(errno.EIO, "a broken disk"), KeyboardInterrupt()]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    "file", ["keras3.keras", "in place.keras", "keras3.h5", "keras2.keras", "keras2.h5", "deflated.keras"]
)
def test_load_model(tmp_path, monkeypatch, file, error):
    path = DATA / file
    if file == "in place.keras":
        path = DATA / "keras3.keras"
        monkeypatch.setattr("fastseq.saving.keras_zip._IN_PLACE", 0)
    if file == "deflated.keras":
        path = tmp_path / file
        with zipfile.ZipFile(DATA / "keras3.keras") as whole, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as copy:
            for name in whole.namelist():
                copy.writestr(name, whole.read(name))
    failing = Failing(monkeypatch, error)
    everywhere(failing)
    for moment in failing.moments(lambda: fastseq.load_model(path)):
        with pytest.raises(type(error)) as caught:
            fastseq.load_model(path)
        assert caught.value is error, moment


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("file", ["keras3.keras", "keras3.weights.h5", "keras3.h5"])
def test_load_weights(monkeypatch, file, error):
    model = fastseq.load_model(DATA / "keras3.keras")
    model.set_weights([weight + 1 for weight in model.get_weights()])
    before = model.get_weights()
    failing = Failing(monkeypatch, error)
    everywhere(failing)
    for moment in failing.moments(lambda: model.load_weights(DATA / file)):
        failing.moment = None
        model.set_weights(before)
        failing.count, failing.moment = 0, moment
        with pytest.raises(type(error)) as caught:
            model.load_weights(DATA / file)
        assert caught.value is error, moment
        for a, b in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("file", ["keras3.keras", "keras3.weights.h5", "keras3.h5"])
def test_weights_are_set_all_or_none(monkeypatch, file):
    """The last allocations of all are those of the weights' own arrays."""
    from fastseq.tensors import variable

    model = fastseq.load_model(DATA / "keras3.keras", compile=False)
    model.set_weights([weight + 1 for weight in model.get_weights()])
    before = model.get_weights()
    failing = Failing(monkeypatch, MemoryError("no more"))
    failing.at(variable.Variable, "assign")
    for moment in range(1, len(before) + 1):
        failing.count, failing.moment = 0, moment
        with pytest.raises(MemoryError):
            model.load_weights(DATA / file)
        for a, b in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(a, b)
    assert failing.count == len(before)


# The handler may raise in what runs where nothing can be raised: a callback of the collector, a __del__.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no POSIX timers")
@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_an_interrupt_leaves_the_old_weights_or_the_new_ones(tmp_path, ending):
    """And, from .keras, the optimizer's state that goes with them, at whatever moment a handler raises."""
    model = fastseq.Sequential([fastseq.Input((3,)), *[layers.Dense(3) for _ in range(12)]])
    model.compile("adam", "mse")
    x = np.ones((4, 3), "f")
    model.fit(x, x, verbose=0)
    files = tmp_path / f"0{ending}", tmp_path / f"1{ending}"
    for path in files:
        model.fit(x, x, verbose=0)
        model.save(path)

    class Stop(BaseException):
        """No OSError, as TimeoutError is: os.path.isfile takes that for a file that is not there."""

    def stop(*_):
        raise Stop

    def values():
        state = [variable.numpy() for variable in model.optimizer.variables] if ending == ".keras" else []
        return [part.tobytes() for part in (*model.get_weights(), *state)]

    known, took = [], 1.0
    for path in files:
        for _ in range(3):
            begun = time.monotonic()
            model.load_weights(path)
            took = min(took, time.monotonic() - begun)
        known.append(values())
    assert known[0] != known[1]
    before, ends = signal.signal(signal.SIGALRM, stop), []
    try:
        for moment in np.linspace(0.5, 1.2, 300):
            model.load_weights(files[0])
            try:
                signal.setitimer(signal.ITIMER_REAL, moment * took)
                model.load_weights(files[1])
                signal.setitimer(signal.ITIMER_REAL, 0)
            except Stop:
                ends.append(known.index(values()))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert 0 in ends


class Hungry(layers.Layer):
    def __init__(self, where="init", **kwargs):
        super().__init__(**kwargs)
        self.where = where
        if where == "init":
            raise MemoryError("hungry")

    def build(self, input_shape):
        if self.where == "build":
            raise MemoryError("hungry")
        super().build(input_shape)

    def call(self, inputs):
        return inputs

    def compute_output_shape(self, input_shape):
        return input_shape


@pytest.mark.parametrize("where", ["init", "build"])
@pytest.mark.parametrize("nested", [False, True])
def test_layers(where, nested):
    """Which layer it was is not looked for: making the layers again would take the same memory."""
    entry = {"module": "x", "class_name": "Hungry", "config": {"name": "h", "where": where}}
    first = {"module": "keras.layers", "class_name": "InputLayer", "config": {"name": "i", "batch_shape": [None, 3]}}
    config = {"module": "keras", "class_name": "Sequential", "config": {"name": "m", "layers": [first, entry]}}
    if nested:
        config = {**config, "config": {"name": "outer", "layers": [first, config]}}
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive, zipfile.ZipFile(DATA / "keras3.keras") as whole:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", whole.read("model.weights.h5"))
    with pytest.raises(MemoryError, match="hungry"):
        fastseq.load_model(memory, custom_objects={"Hungry": Hungry})


def test_compiling_and_old_configs(monkeypatch):
    model = fastseq.Sequential([fastseq.Input((3,)), layers.Dense(2)])
    model.compile("sgd", "mse")
    memory = io.BytesIO()
    model.save(memory)
    failing = Failing(monkeypatch, MemoryError("no more"))
    from fastseq.saving import compile_config, legacy_config

    failing.at(compile_config, "compile_model")
    failing.moment = 1
    with pytest.raises(MemoryError, match="no more"):
        fastseq.load_model(memory)
    failing.at(legacy_config._Converter, "object")
    failing.count = 0
    with pytest.raises(MemoryError, match="no more"):
        fastseq.load_model(DATA / "keras2.h5")


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_backups(tmp_path, monkeypatch, error):
    def made():
        model = fastseq.Sequential([fastseq.Input((3,)), layers.Dense(2)])
        model.compile("adam", "mse")
        model.optimizer.build(model.trainable_variables)
        return model, callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)

    model, backup = made()
    model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0, callbacks=[backup])
    if not isinstance(error, OSError):  # for which the one before is taken
        shutil.copy(tmp_path / "latest.npz", tmp_path / "latest.npz.bkp")
    failing = Failing(monkeypatch, error)
    everywhere(failing)
    model, backup = made()
    before = model.get_weights()

    def run():
        callbacks.CallbackList([backup], model=model).on_train_begin()

    for moment in failing.moments(run):
        failing.moment = None
        model.set_weights(before)
        failing.count, failing.moment = 0, moment
        with pytest.raises(type(error)) as caught:
            run()
        assert caught.value is error, moment
        for a, b in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(a, b)


_LIMITED = """
    import resource, sys
    import fastseq
    path, weights, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
    fastseq.set_num_threads(1)
    fastseq.load_model(sys.argv[4])  # all modules are there
    model = fastseq.load_model(path)
    model.set_weights([weight * 0 + 1 for weight in model.get_weights()])
    outcomes = set()
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    for left in range(0, 4 * size, size // 4):
        for what in ("model", "weights"):
            resource.setrlimit(resource.RLIMIT_AS, (now + left, resource.RLIM_INFINITY))
            try:
                fastseq.load_model(path) if what == "model" else model.load_weights(weights)
                found = "loaded"
            except MemoryError:
                found = "MemoryError"
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            outcomes.add(found)
            if what == "weights":
                values = {float(weight.ravel()[0]) for weight in model.get_weights()}
                assert (values == {1.0}) == (found == "MemoryError"), values
                model.set_weights([weight * 0 + 1 for weight in model.get_weights()])
    print(sorted(outcomes))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits on the address space and /proc are Linux's")
@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_a_process_with_little_memory(tmp_path, ending):
    """16 MB of weights and, from nothing to 64 MB, what is left of the address space."""
    model = fastseq.Sequential([fastseq.Input((2000,)), layers.Dense(2000)])
    model.set_weights([np.full((2000, 2000), 0.5, "f"), np.full(2000, 0.5, "f")])
    path, alone = tmp_path / f"m{ending}", tmp_path / "m.weights.h5"
    model.save(path)
    model.save_weights(alone)
    arguments = [str(path), str(alone), str(16 << 20), str(DATA / "keras3.keras")]
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_LIMITED), *arguments], capture_output=True, text=True, timeout=300,
        env={**os.environ, "FASTSEQ_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert found.stdout == "['MemoryError', 'loaded']\n"

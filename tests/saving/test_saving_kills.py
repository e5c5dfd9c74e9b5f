"""SIGKILL in the middle of saving, in a process of its own: the file that was there is whole, or the new one is.

A moment is a number of bytes that have reached the file beside the old one, or a place around the renaming.
"""

import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import fastseq

pytestmark = [
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL"),
    pytest.mark.slow("kills 50 processes"),
]

# What the child does before it is killed: everything has the value 1 in the old file and 2 in the new one.
CHILD = """
import builtins, os, signal, sys
import numpy as np
import fastseq
from fastseq.saving import write

moment, kind, path = sys.argv[1:]

def die():
    os.kill(os.getpid(), signal.SIGKILL)

class Dying:
    # A file that takes so many bytes and no more.
    def __init__(self, file, left):
        self._file, self._left = file, left

    def write(self, data):
        data = bytes(data)
        if len(data) > self._left:
            self._file.write(data[: self._left])
            self._file.flush()
            die()
        self._left -= len(data)
        return self._file.write(data)

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._file.close()

armed = False
replace = os.replace

def opened(path, mode):
    file = open(path, mode)
    return Dying(file, int(moment)) if armed and moment.isdigit() else file

def replaced(source, target):
    if armed and moment == "before":
        die()
    replace(source, target)
    if armed and moment == "after":
        die()

write.open, os.replace = opened, replaced

def model():
    made = fastseq.Sequential([fastseq.Input((4,)), fastseq.layers.Dense(300), fastseq.layers.Dense(2)])
    made.compile(fastseq.optimizers.SGD(0.0, momentum=0.9), "mse")
    return made

def give(value):
    made.set_weights([np.full(w.shape, value, "f") for w in made.get_weights()])

made, x, y = model(), np.zeros((4, 4), "f"), np.zeros((4, 2), "f")

class Second(fastseq.callbacks.Callback):
    # Before the second epoch's end, so that this is what the callbacks after it save.
    def on_epoch_end(self, epoch, logs=None):
        global armed
        armed = epoch == 1
        give(epoch + 1.0)

if kind in ("keras", "h5", "weights"):
    save = made.save_weights if kind == "weights" else made.save
    made.train_on_batch(x, y)
    give(1.0)
    save(path)
    armed = True
    give(2.0)
    save(path)
else:
    callback = {
        "ModelCheckpoint": lambda: fastseq.callbacks.ModelCheckpoint(path),
        "BackupAndRestore": lambda: fastseq.callbacks.BackupAndRestore(path, delete_checkpoint=False),
    }[kind]()
    made.fit(x, y, epochs=2, verbose=0, callbacks=[Second(), callback])
print("survived")
"""

# The smallest of the files has 17 KB. zipfile writes a header, then the data, of each member, then the directory.
MOMENTS = ["0", "1", "40", "200", "3000", "9000", "12000", "before", "after", "1000000000"]
ENDINGS = {"keras": "m.keras", "h5": "m.h5", "weights": "m.weights.h5", "ModelCheckpoint": "m.keras"}


def run(moment, kind, path):
    """True where the child came to its end, False where it was killed."""
    child = [sys.executable, "-c", textwrap.dedent(CHILD), moment, kind, str(path)]
    root = os.path.dirname(os.path.dirname(fastseq.__file__))
    environment = {**os.environ, "PYTHONPATH": root + os.pathsep + os.environ.get("PYTHONPATH", "")}
    done = subprocess.run(child, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return "survived" in done.stdout


def value_in(model):
    """The one value that all weights have."""
    values = np.unique(np.concatenate([w.ravel() for w in model.get_weights()]))
    assert len(values) == 1, values
    return float(values[0])


def whole(found, moment, survived):
    assert survived == (moment == "1000000000")
    assert found == (2.0 if survived or moment == "after" else 1.0)


@pytest.mark.parametrize("kind", ENDINGS)
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_model_s_file_is_whole(tmp_path, kind, moment):
    path = tmp_path / ENDINGS[kind]
    survived = run(moment, kind, path)
    if kind == "weights":
        model = fastseq.Sequential([fastseq.Input((4,)), fastseq.layers.Dense(300), fastseq.layers.Dense(2)])
        model.load_weights(path)
    else:
        model = fastseq.load_model(path)
        assert model.compiled and int(model.optimizer.iterations) >= 1
    whole(value_in(model), moment, survived)
    beside = [name for name in os.listdir(tmp_path) if name != path.name]
    assert (len(beside) == 0) == (survived or moment == "after") and all(name.endswith(".part") for name in beside)
    # What a killed process left does not stand in the way of the next one.
    model.save_weights(path) if kind == "weights" else model.save(path)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_backup_is_whole(tmp_path, moment):
    """The next run begins with what the last whole backup says, and takes away what was left half written."""
    survived = run(moment, "BackupAndRestore", tmp_path / "backup")
    model = fastseq.Sequential([fastseq.Input((4,)), fastseq.layers.Dense(300), fastseq.layers.Dense(2)])
    model.compile(fastseq.optimizers.SGD(0.0, momentum=0.9), "mse")
    seen = []

    class Look(fastseq.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            seen.append((epoch, value_in(self.model), int(self.model.optimizer.iterations)))

    x, y = np.zeros((4, 4), "f"), np.zeros((4, 2), "f")
    callbacks = [Look(), fastseq.callbacks.BackupAndRestore(tmp_path / "backup")]
    model.fit(x, y, epochs=3, verbose=0, callbacks=callbacks)
    epoch, value, iterations = seen[0]
    assert epoch == iterations == value
    whole(value, moment, survived)
    assert not (tmp_path / "backup").exists()

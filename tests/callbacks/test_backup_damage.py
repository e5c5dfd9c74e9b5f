"""Damaged backups: the whole one before is taken, or an error names the file, and nothing is half restored."""

import io
import json
import os
import pickle
import shutil
import warnings
import zipfile

import numpy as np
import pytest
from hang_guard import must_end
from saving_files import damaged
from small_training import X, Y

import fastseq
from fastseq import callbacks, layers
from fastseq.errors import FileFormatError


def made(rows=10):
    kept = [layers.Dropout(0.2, seed=1), layers.GRU(4, stateful=True)]
    model = fastseq.Sequential([layers.Input(X.shape[1:], batch_size=rows), *kept, layers.Dense(Y.shape[1])])
    rng = np.random.default_rng(0)
    model.set_weights([rng.standard_normal(weight.shape) for weight in model.get_weights()])
    model.compile(fastseq.optimizers.Adam(0.01), "mse", metrics=["mae"])
    return model


def listed(folder, **options):
    early = callbacks.EarlyStopping("loss", patience=50, restore_best_weights=True)
    early.on_train_begin = lambda logs=None: None  # which would make it begin anew
    return [early, callbacks.BackupAndRestore(folder, delete_checkpoint=False, **options)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with the backups of two epochs."""
    folder = tmp_path_factory.mktemp("backup")
    made().fit(X, Y, batch_size=10, epochs=2, verbose=0, callbacks=listed(folder, double_checkpoint=True))
    assert sorted(os.listdir(folder)) == ["latest.npz", "latest.npz.bkp"]
    return folder


class Restored:
    """A model and its callbacks at the beginning of a fit, and all that a backup may change of them."""

    def __init__(self, folder, **options):
        self.model = made()
        self.model.predict(X[:10], batch_size=10)  # states are there
        self.model.optimizer.build(self.model.trainable_variables)
        early, self.backup = listed(folder, **options)
        self.early = early
        self.list = callbacks.CallbackList([early, self.backup], model=self.model)
        self.before = self.everything()

    def everything(self):
        model = self.model
        store = {}
        model.optimizer.save_own_variables(store)
        found = {f"weight {i}": weight for i, weight in enumerate(model.get_weights())}
        for part in (store, self.early.get_state(), model.get_training_state()):
            found |= {f"{len(found)} {key}": np.array(value) for key, value in part.items()}
        place = (model._initial_epoch, model._initial_batch, model.stop_training, self.backup._epoch)
        return {**found, "place": np.array(place)}

    def check_untouched(self):
        found = self.everything()
        assert found.keys() == self.before.keys()
        for name, value in found.items():
            np.testing.assert_array_equal(value, self.before[name], err_msg=name)

    def changed(self):
        found = self.everything()
        return [name for name, value in found.items() if not np.array_equal(value, self.before.get(name))]


def rewritten(path, change):
    """Writes the backup at `path` again after `change(dict)`; as one of an earlier version, which has no count."""
    arrays = dict(np.load(path))
    place = json.loads(str(arrays["place"]))
    assert place.pop("arrays") == len(arrays) - 1
    np.savez(path, **change({**arrays, "place": np.array(json.dumps(place))}))


def cut_short(arrays):
    """The same count, and the last arrays of all are gone."""
    place = json.dumps({"epoch": 1, "batch": 0, "arrays": len(arrays) - 1})
    return {**dict(list(arrays.items())[:-1]), "place": np.array(place)}


def copy_of(whole, folder, names=("latest.npz",)):
    folder.mkdir(exist_ok=True)
    for name in names:
        shutil.copy(whole / name, folder / name)
    return folder / "latest.npz"


def test_the_whole_file(whole):
    run = Restored(whole)
    run.list.on_train_begin()
    changed = run.changed()
    assert run.model._initial_epoch == 2 and len([name for name in changed if name.startswith("weight")]) == 5
    assert any("best_weights" in name for name in changed) and any("kept" in name for name in changed)


def placed(text):
    return lambda arrays: {**arrays, "place": np.array(text)}


def replaced(name, value):
    def change(arrays):
        assert name in arrays, list(arrays)
        return {key: item for key, item in {**arrays, name: value}.items() if item is not None}

    return change


CHANGES = {
    "no place": replaced("place", None),
    "place of numbers": replaced("place", np.arange(3)),
    "no JSON": placed("{"),
    "a list": placed("[1, 2]"),
    "no epoch": placed('{"batch": 0}'),
    "deep": placed("[" * 100_000),
    "an epoch of text": placed('{"epoch": "1", "batch": 0}'),
    "half an epoch": placed('{"epoch": 1.5, "batch": 0}'),
    "a true epoch": placed('{"epoch": true, "batch": 0}'),
    "an epoch below zero": placed('{"epoch": -1, "batch": 0}'),
    "an endless epoch": placed('{"epoch": Infinity, "batch": 0}'),
    "NaN steps": placed('{"epoch": 1, "batch": NaN}'),
    "more steps than there can be": placed(json.dumps({"epoch": 1, "batch": 10**30})),
    "an array less": cut_short,
    "a weight less": replaced("weights/1", None),
    "a weight of text": replaced("weights/4", np.array(["a", "b"])),
    "a weight of another shape": replaced("weights/4", np.zeros(7, "f")),
    "a momentum less": replaced("optimizer/3", None),
    "a momentum of another shape": replaced("optimizer/3", np.zeros(7, "f")),
    "a step count of text": replaced("optimizer/0", np.array("x")),
    "a step count below zero": replaced("optimizer/0", np.array(-1)),
    "no seed": replaced("state/seed", None),
    "a seed of text": replaced("state/seed", np.array("x")),
    "two seeds": replaced("state/seed", np.arange(2)),
    "no random state": replaced("state/random/0", None),
    "another random state": replaced("state/random/0", np.zeros(3, np.uint32)),
    "a random state of text": replaced("state/random/0", np.array("x")),
    "another state": replaced("state/kept/0", np.zeros((3, 3), "f")),
    "a state of text": replaced("state/kept/0", np.full((10, 4), "x")),
    "totals of text": replaced("state/total/0", np.array("x")),
    "a count of text": replaced("callback/EarlyStopping-0/wait", np.array("x")),
    "two counts": replaced("callback/EarlyStopping-0/wait", np.arange(2)),
    "a best weight less": replaced("callback/EarlyStopping-0/best_weights/1", None),
    "another best weight": replaced("callback/EarlyStopping-0/best_weights/1", np.zeros(3)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_all_or_nothing(whole, tmp_path, change):
    path = copy_of(whole, tmp_path / "backup")
    rewritten(path, change)
    run = Restored(path.parent)
    with must_end(), pytest.raises(ValueError):
        run.list.on_train_begin()
    run.check_untouched()
    # Beside a whole one, that one is taken; and the damaged one does not take its place.
    copy_of(whole, path.parent, ["latest.npz.bkp"])
    kept = (path.parent / "latest.npz.bkp").read_bytes()
    run = Restored(path.parent, double_checkpoint=True)
    with pytest.warns(UserWarning, match="goes on from .*bkp', the backup before the last: "):
        run.list.on_train_begin()
    assert run.model._initial_epoch == 1
    run.list.on_epoch_end(1, {"loss": 1.0})
    assert (path.parent / "latest.npz.bkp").read_bytes() == kept
    newer = path.read_bytes()
    run.list.on_epoch_end(2, {"loss": 1.0})
    assert (path.parent / "latest.npz.bkp").read_bytes() == newer


def changed_at(path, mark, offset, value):
    data = bytearray(path.read_bytes())
    position = data.index(mark) + offset
    data[position : position + len(value)] = value
    path.write_bytes(data)


class Evil:
    def __reduce__(self):
        return os.mkdir, ("evil",)


def pickled(path):
    memory = io.BytesIO()
    np.save(memory, np.array([Evil()]), allow_pickle=True)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("evil.npy", memory.getvalue())


def twice(path):
    with zipfile.ZipFile(path, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr("place.npy", b"")


def header_of(text, data=b""):
    def write(path):
        header = text.ljust(117) + b"\n"
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("more.npy", b"\x93NUMPY\x01\0" + len(header).to_bytes(2, "little") + header + data)

    return write


FILES = {
    "another compression": lambda path: changed_at(path, b"PK\x01\x02", 10, b"\x01\x00"),
    "encrypted": lambda path: changed_at(path, b"PK\x01\x02", 8, b"\x01"),
    "packed, it says": lambda path: changed_at(path, b"PK\x01\x02", 10, b"\x08\x00"),
    "a value": lambda path: changed_at(path, b"NUMPY", 200, b"\xff\xff"),
    "pickled": pickled,
    "a name twice": twice,
    "an array alone": lambda path: np.save(path.open("wb"), np.zeros(3)),
    "a pickle": lambda path: path.write_bytes(pickle.dumps(Evil())),
    "empty": lambda path: path.write_bytes(b""),
    "10^18 values": header_of(b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000000000,), }"),
    "10^18 empty texts": header_of(b"{'descr': '<U0', 'fortran_order': False, 'shape': (1000000000000000000,), }"),
    "a negative size": header_of(b"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }"),
    "no end": header_of(b"{'descr': '<f4', 'fortran_order': False, 'shape': ("),
    "an expression": header_of(b"{'descr': '<f4', 'fortran_order': False, 'shape': (1+1,), }", bytes(8)),
    "objects": header_of(b"{'descr': '|O', 'fortran_order': False, 'shape': (), }", bytes(8)),
    "no dtype": header_of(b"{'descr': '<f9', 'fortran_order': False, 'shape': (1,), }", bytes(9)),
    "digits": header_of(b"{'descr': '<f4', 'fortran_order': False, 'shape': (" + b"1" * 60),
}


@pytest.mark.parametrize("damage", FILES.values(), ids=FILES)
def test_damaged_files(whole, tmp_path, damage, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = copy_of(whole, tmp_path / "backup")
    damage(path)
    run = Restored(path.parent)
    with must_end(), pytest.raises(FileFormatError, match="it is no whole backup: ") as caught:
        run.list.on_train_begin()
    assert caught.value.path == str(path)
    run.check_untouched()
    copy_of(whole, path.parent, ["latest.npz.bkp"])
    run = Restored(path.parent)
    with pytest.warns(UserWarning, match=r"latest\.npz': it is no whole backup: "):
        run.list.on_train_begin()
    assert run.model._initial_epoch == 1
    damage(path.parent / "latest.npz.bkp")
    with pytest.raises(FileFormatError, match=r"latest\.npz': it is no whole backup"):
        Restored(path.parent).list.on_train_begin()
    assert os.listdir(tmp_path) == ["backup"]


def test_damage_of_every_kind(whole, tmp_path):
    """Each file restores everything, or raises and changes nothing."""
    path = copy_of(whole, tmp_path / "backup")
    data = path.read_bytes()
    run = Restored(path.parent)
    outcomes = {"restored": 0, "refused": 0}
    for copy in damaged(data, seed=6, count=400):
        path.write_bytes(copy)
        try:
            with must_end():
                run.list.on_train_begin()
        except FileFormatError as error:
            assert error.path == str(path)
            run.check_untouched()
            outcomes["refused"] += 1
        else:
            assert len(run.changed()) > 10
            run = Restored(path.parent)
            outcomes["restored"] += 1
    assert outcomes["refused"] > 200 and outcomes["restored"] > 5, outcomes


def test_a_callback_that_stumbles_puts_all_back(whole, tmp_path):
    class Own(callbacks.Callback):
        value = 1

        def get_state(self):
            return {"value": np.array(self.value)}

        def set_state(self, state):
            self.value = 2
            if "value" not in state:
                raise KeyError("value")
            self.value = int(state["value"])

    path = copy_of(whole, tmp_path / "backup")
    rewritten(path, lambda arrays: {**arrays, "callback/Own-0/other": np.array(5)})
    run, own = Restored(path.parent), Own()
    run.list = callbacks.CallbackList([run.early, own, run.backup], model=run.model)
    with pytest.raises(FileFormatError, match=r"no whole backup \(KeyError: 'value'\)"):
        run.list.on_train_begin()
    assert own.value == 1
    run.check_untouched()


def test_what_no_backup_can_hold_is_told_when_it_is_written(tmp_path):
    class Own(callbacks.Callback):
        def get_state(self):
            return {"value": np.array([object()])}

    run = Restored(tmp_path / "backup")
    run.list = callbacks.CallbackList([Own(), run.backup], model=run.model)
    with pytest.raises(ValueError, match="numbers and text, and 'callback/Own-0/value' is object"):
        run.list.on_epoch_end(0, {})
    assert not (tmp_path / "backup").exists()


@pytest.mark.filterwarnings("ignore:Dataset")
def test_other_metrics_begin_the_epoch_anew(tmp_path):
    class Killed(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 2:
                raise KeyboardInterrupt

    model = made()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, batch_size=10, verbose=0, shuffle=False, callbacks=[*listed(tmp_path, save_freq=1), Killed()])
    again = made()
    again.compile(fastseq.optimizers.Adam(0.01), "mse", metrics=["mae", "mse"])
    with pytest.warns(UserWarning, match="numbers begin anew"):
        again.fit(X, Y, batch_size=10, verbose=0, shuffle=False, callbacks=listed(tmp_path, save_freq=1))

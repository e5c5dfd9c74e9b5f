"""Callbacks without Keras: what they do to a model, what they keep, and what is refused."""

import contextlib
import os
import subprocess
import sys

import numpy as np
import pytest
from callback_runs import Model, broken_run, run
from places import SUPPORT

from fastseq import callbacks


class Noted(callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.calls = []

    def on_epoch_begin(self, epoch, logs=None):
        self.calls.append(("epoch begins", epoch))

    def on_batch_end(self, batch, logs=None):
        self.calls.append(("batch ends", batch, logs["loss"]))

    def on_train_end(self, logs=None):
        self.calls.append(("training ends", sorted(logs)))


def test_calls_come_in_order():
    model, noted = Model(), Noted()
    history = run(model, callbacks.CallbackList([noted, []], add_history=True, model=model, epochs=2, steps=2), [
        {"loss": 2.0, "val_loss": 3.0}, {"loss": 1.0, "val_loss": 4.0},
    ])  # fmt: skip
    assert noted.calls == [
        ("epoch begins", 0), ("batch ends", 0, 2.0), ("batch ends", 1, 2.0),
        ("epoch begins", 1), ("batch ends", 0, 1.0), ("batch ends", 1, 1.0), ("training ends", ["loss", "val_loss"]),
    ]  # fmt: skip
    assert noted.model is model and noted.params == {"epochs": 2, "steps": 2}
    assert model.history is history
    assert history.history == {"loss": [2.0, 1.0], "val_loss": [3.0, 4.0]} and history.epoch == [0, 1]


def test_a_list_does_not_change_what_it_is_given():
    class Adds(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["more"] = logs["loss"] * 2

    model, logs = Model(), {"loss": np.float32(0.5)}
    listed = callbacks.CallbackList([Adds()], add_history=True, model=model)
    history = run(model, listed, [logs])
    assert history.history == {"loss": [0.5], "more": [1.0]} and type(history.history["loss"][0]) is float
    assert set(logs) == {"loss"}


def test_a_history_of_ones_own_is_kept():
    own = callbacks.History()
    assert callbacks.CallbackList([own], add_history=True).callbacks == [own]
    assert callbacks.CallbackList(own).callbacks == [own]
    with pytest.raises(ValueError, match="ProgbarLogger"):
        callbacks.CallbackList(add_progbar=True)


def test_the_best_weights_come_back():
    model = Model()
    stopping = callbacks.EarlyStopping(patience=2, restore_best_weights=True)
    values = [3.0, 2.0, 2.5, 2.6, 1.0]
    run(model, callbacks.CallbackList([stopping], model=model), [{"val_loss": value} for value in values])
    assert stopping.stopped_epoch == 3 and model.epochs == 4
    # Every step adds 1 to the weights, two steps an epoch.
    np.testing.assert_array_equal(model.get_weights()[0], np.full((2, 3), 4.0))


def test_a_loss_of_nan_stops():
    for bad in (np.nan, np.inf):
        model = Model()
        run(
            model, callbacks.CallbackList([callbacks.TerminateOnNaN()], model=model), [{"loss": 1.0}, {"loss": bad}] * 2
        )
        assert model.epochs == 2 and model.stop_training
    model = Model()
    with pytest.raises(RuntimeError, match="batch 0"):
        run(model, callbacks.CallbackList([callbacks.TerminateOnNaN(True)], model=model), [{"loss": np.nan}])


def test_a_monitor_that_is_not_known():
    model = Model()
    listed = callbacks.CallbackList([callbacks.EarlyStopping("val_auc")], model=model)
    with pytest.raises(ValueError, match="mode='max'"):
        run(model, listed, [{"val_auc": 1.0}])
    with pytest.warns(UserWarning, match="fallback to auto"):
        callbacks.EarlyStopping(mode="up")
    model.metrics = [callbacks.EarlyStopping]
    with pytest.warns(UserWarning, match=r"val_loss.*Available metrics are: loss"):
        run(model, callbacks.CallbackList([callbacks.EarlyStopping()], model=model), [{"loss": 1.0}])


def test_checkpoint_files(tmp_path):
    model = Model()
    path = tmp_path / "new" / "{epoch:02d}-{val_loss:.1f}.weights.h5"
    saving = callbacks.ModelCheckpoint(path, save_weights_only=True, save_best_only=True, verbose=1)
    values = [3.0, 2.0, 2.5]
    run(model, callbacks.CallbackList([saving], model=model), [{"val_loss": value} for value in values])
    assert sorted(os.listdir(tmp_path / "new")) == ["01-3.0.weights.h5", "02-2.0.weights.h5"]
    assert saving.best == 2.0
    steps = callbacks.ModelCheckpoint(tmp_path / "{epoch}-{batch}.keras", save_freq=3)
    model = Model()
    run(model, callbacks.CallbackList([steps], model=model), [{"loss": 1.0}] * 5)
    assert sorted(p for p in os.listdir(tmp_path) if p.endswith("keras")) == ["2-1.keras", "3-2.keras", "5-1.keras"]
    with pytest.raises(KeyError, match="nothing"):
        run(model, callbacks.CallbackList([callbacks.ModelCheckpoint("{nothing}.keras")], model=model), [{"loss": 1.0}])
    (tmp_path / "folder.keras").mkdir()
    folder = callbacks.ModelCheckpoint(tmp_path / "folder.keras")
    with pytest.raises(OSError, match="existing folder"):
        run(model, callbacks.CallbackList([folder], model=model), [{"loss": 1.0}])


def test_refusals():
    whole = ({"filepath": "a.hdf5"}, {"filepath": "a.weights.h5"}, {"filepath": "a"})
    for arguments in (*whole, {"filepath": "a.keras", "save_weights_only": True}):
        with pytest.raises(ValueError, match="must end in"):
            callbacks.ModelCheckpoint(**arguments)
    for wrong in ("batch", -1, 1.5, True):
        for make in (
            callbacks.BackupAndRestore,
            lambda path, save_freq: callbacks.ModelCheckpoint("a.keras", save_freq=save_freq),
        ):
            with pytest.raises(ValueError, match="save_freq"):
                make("x", save_freq=wrong)
    with pytest.raises(ValueError, match="Empty"):
        callbacks.BackupAndRestore("")
    with pytest.raises(ValueError, match="factor"):
        callbacks.ReduceLROnPlateau(factor=1.0)
    model = Model()
    listed = callbacks.CallbackList([callbacks.LearningRateScheduler(lambda epoch, rate: "much")], model=model)
    with pytest.raises(ValueError, match="much"):
        run(model, listed, [{"loss": 1.0}])
    with pytest.raises(AttributeError, match="EarlyStopping"):
        _ = callbacks.TensorBoard


def test_learning_rates():
    model = Model()
    one = callbacks.LearningRateScheduler(lambda epoch: 0.5 / (epoch + 1), verbose=1)
    history = run(model, callbacks.CallbackList([one], add_history=True, model=model), [{"loss": 1.0}] * 3)
    np.testing.assert_allclose(history.history["learning_rate"], [0.5, 0.25, 0.5 / 3], rtol=1e-6)
    two = callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    history = run(model, callbacks.CallbackList([two], add_history=True, model=model), [{"loss": 1.0}] * 2)
    np.testing.assert_allclose(history.history["learning_rate"], [0.5 / 6, 0.5 / 12], rtol=1e-6)


def test_a_log_goes_on(tmp_path):
    path, model = tmp_path / "log.csv", Model()
    for append in (False, True):
        listed = callbacks.CallbackList([callbacks.CSVLogger(path, ";", append)], model=model)
        run(model, listed, [{"loss": 1.0, "acc": 0.5}, {"loss": 0.5}])
    rows = path.read_text().splitlines()
    assert rows == ["epoch;acc;loss;val_acc;val_loss"] + ["0;0.5;1.0;NA;NA", "1;NA;0.5;NA;NA"] * 2


KILLED = """
import sys
sys.path.insert(0, {tests!r})
from callback_runs import Model, Killer, broken_run
broken_run(Model(noisy=True), {folder!r}, {freq!r}, {double}, Killer({when}))
"""


@pytest.mark.slow("kills 24 processes")
@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("freq", ["epoch", 1, 3])
@pytest.mark.parametrize("when", [9, 12, 15, 22])
def test_a_killed_run_ends_like_an_unbroken_one(tmp_path, freq, when, double):
    """The process ends at a step without a word; weights, optimizer and random numbers go on from the last backup, and
    so do the callbacks that count epochs."""
    whole = Model(noisy=True)
    truth = broken_run(whole, str(tmp_path / "whole"), freq, double)
    folder = str(tmp_path / "backup")
    code = KILLED.format(tests=str(SUPPORT), folder=folder, freq=freq, when=when, double=double)
    ended = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert ended.returncode == 9, ended.stderr
    assert "latest.npz" in os.listdir(folder)
    if double:
        with open(os.path.join(folder, "latest.npz"), "r+b") as file:
            file.truncate(100)
    with open(os.path.join(folder, "latest.npz.12345678.part"), "wb") as file:
        file.write(b"half a file")
    again = Model(noisy=True, seed=5)
    told = pytest.warns(UserWarning, match="the backup before the last") if double else contextlib.nullcontext()
    with told:
        found = broken_run(again, folder, freq, double)
    for own, other in zip(again.get_weights(), whole.get_weights()):
        np.testing.assert_array_equal(own, other)
    assert int(again.optimizer.iterations) == 24
    assert float(again.optimizer.learning_rate) == float(whole.optimizer.learning_rate) == np.float32(0.025)
    assert not os.path.exists(folder)
    for own, other in zip(found, truth):
        own, other = own.get_state(), other.get_state()
        assert own.keys() == other.keys() and len(own) > 2
        for key, value in own.items():
            np.testing.assert_array_equal(value, other[key])


def test_the_best_weights_outlive_a_run():
    model, again = Model(), Model()
    stopping, other = (callbacks.EarlyStopping("loss", restore_best_weights=True, patience=5) for _ in range(2))
    assert stopping.get_state().keys() == {"wait", "best_epoch", "stopped_epoch"}
    run(model, callbacks.CallbackList([stopping], model=model), [{"loss": 2.0}, {"loss": 1.0}, {"loss": 1.5}])
    callbacks.CallbackList([other], model=again)
    other.set_state(stopping.get_state())
    assert (other.best, other.wait, other.best_epoch) == (1.0, 1, 1)
    other.on_train_end()
    np.testing.assert_array_equal(again.get_weights()[0], np.full((2, 3), 4.0))


def test_backups_that_do_not_fit(tmp_path):
    folder = tmp_path / "backup"
    model = Model()
    keep = callbacks.BackupAndRestore(folder, delete_checkpoint=False)
    run(model, callbacks.CallbackList([keep], model=model), [{"loss": 1.0}] * 2)
    other = Model(shape=(4, 4))
    with pytest.raises(ValueError, match=r"another model.*\(4, 4\)"):
        run(other, callbacks.CallbackList([keep], model=other), [{"loss": 1.0}])
    other.built = False
    with pytest.raises(ValueError, match="with weights"):
        run(other, callbacks.CallbackList([keep], model=other), [{"loss": 1.0}])
    (folder / "latest.npz").write_bytes(b"PK\x03\x04 not whole")
    with pytest.raises(ValueError, match="no whole backup"):
        run(model, callbacks.CallbackList([keep], model=model), [{"loss": 1.0}])
    (folder / "mine.txt").write_text("kept")
    run(model, callbacks.CallbackList([callbacks.BackupAndRestore(tmp_path / "else")], model=model), [{"loss": 1.0}])
    callbacks.BackupAndRestore(folder).on_train_end()
    assert os.listdir(folder) == ["mine.txt"]


def test_methods_name_their_arguments_as_they_like():
    seen = []

    class Own(callbacks.Callback):
        def on_train_begin(self, l=None):  # noqa: E741
            seen.append("begin")

        def on_epoch_end(self, e, l):  # noqa: E741
            seen.append((e, "loss" in l))

        def on_train_batch_end(self, b, l):  # noqa: E741
            seen.append((b, "loss" in l))

    import fastseq
    from fastseq import layers

    model = fastseq.Sequential([layers.Input((2,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 2), "f"), np.ones((4, 1), "f"), batch_size=4, verbose=0, callbacks=[Own()])
    assert seen == ["begin", (0, True), (0, True)]


def test_a_list_takes_numbers_by_position_and_by_their_names():
    seen = []

    class Seeing(callbacks.Callback):
        def on_epoch_end(self, number, logs=None):  # whatever a user's method calls its argument
            seen.append((number, logs))

        def on_train_batch_begin(self, batch, logs=None):
            seen.append((batch, logs))

    both = callbacks.CallbackList([Seeing()])
    both.on_epoch_end(3, {"loss": np.float32(0.5)})
    both.on_epoch_end(epoch=4)
    both.on_train_batch_begin(batch=5, logs={})
    assert seen == [(3, {"loss": 0.5}), (4, {}), (5, {})]
    with pytest.raises(TypeError, match=r"CallbackList.on_epoch_end\(\)"):
        both.on_epoch_end()

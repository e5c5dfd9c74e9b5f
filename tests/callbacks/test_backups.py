"""BackupAndRestore within `fit`: states of stateful layers, runs that were stopped, files of earlier versions."""

import json

import numpy as np
import pytest
from small_training import X, Y, model

import fastseq
from fastseq import callbacks, layers


def stateful(rows):
    kept = [
        layers.GRU(4, stateful=True, return_sequences=True),
        layers.Bidirectional(layers.LSTM(3, stateful=True)),
    ]
    made = fastseq.Sequential([layers.Input(X.shape[1:], batch_size=rows), *kept, layers.Dense(Y.shape[1])])
    rng = np.random.default_rng(0)
    made.set_weights([rng.standard_normal(weight.shape) for weight in made.get_weights()])
    made.compile("sgd", "mse", metrics=["mae"])
    return made


@pytest.mark.parametrize("save_freq", ["epoch", 2])
def test_a_backup_has_the_states_of_stateful_layers(tmp_path, save_freq):
    x, y = X[:30], Y[:30]

    class Killed(callbacks.Callback):
        steps = 0

        def on_train_batch_end(self, batch, logs=None):
            self.steps += 1
            if self.steps == 5:
                raise KeyboardInterrupt

    def run(*more, rows=10):
        made = stateful(rows)
        listed = [callbacks.BackupAndRestore(tmp_path, save_freq=save_freq), *more]
        made.fit(x, y, batch_size=rows, epochs=3, shuffle=False, verbose=0, callbacks=listed)
        last = {name: values[-1] for name, values in made.history.history.items()}
        return made, last

    whole, expected = run()
    with pytest.raises(KeyboardInterrupt):
        run(Killed())
    with pytest.raises(ValueError, match=r"states of the shapes .*\(15, 4\).* got .*\(10, 4\).*batch size"):
        run(rows=15)
    found, last = run()
    assert last == expected
    for a, b in zip(whole.get_weights(), found.get_weights()):
        np.testing.assert_array_equal(a, b)
    states = [[*model.layers[0].states, *model.layers[1].states] for model in (whole, found)]
    assert len(states[0]) == 5 and all(np.any(state) for state in states[0])
    for a, b in zip(*states):
        np.testing.assert_array_equal(a, b)


class Ended(Exception):
    pass


class StopAt(callbacks.Callback):
    """Stops training in the middle of the second epoch."""

    epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training = (self.epoch, batch) == (1, 2)


class KillAt(callbacks.Callback):
    """Ends the process, as it were, when training is over, or in the validation after the second epoch."""

    def __init__(self, where):
        super().__init__()
        self.where, self.tests = where, 0

    def on_train_end(self, logs=None):
        if self.where == "end":
            raise Ended

    def on_test_begin(self, logs=None):
        self.tests += 1
        if (self.where, self.tests) == ("validation", 2):
            raise Ended


@pytest.mark.parametrize(("stopped", "where"), [
    ("epoch", "end"), ("epoch", "nowhere"), ("step", "validation"), ("step", "end"), ("step", "nowhere"),
])  # fmt: skip
def test_a_run_that_was_stopped_goes_on_no_further(tmp_path, stopped, where):
    """Killed after it was stopped, or at its end with its backup kept."""

    def run(*more):
        trained = model(layers.Dropout(0.3, seed=1))
        early = callbacks.EarlyStopping("val_loss", min_delta=1e9, patience=1, restore_best_weights=True)
        options = {"save_freq": "epoch" if stopped == "epoch" else 1, "delete_checkpoint": where != "nowhere"}
        listed = [early if stopped == "epoch" else StopAt(), callbacks.BackupAndRestore(tmp_path, **options), *more]
        trained.fit(X, Y, epochs=4, batch_size=10, shuffle=False, verbose=0, validation_data=(X, Y), callbacks=listed)
        assert trained.stop_training
        return trained, early.stopped_epoch

    whole, epoch = run()
    if where != "nowhere":
        with pytest.raises(Ended):
            run(KillAt(where))
    again, found = run()
    assert epoch == found == (1 if stopped == "epoch" else 0)
    assert whole.history.epoch == [0, 1]
    if where == "validation":
        assert again.history.epoch == [1]
        assert all(values == whole.history.history[name][1:] for name, values in again.history.history.items())
    for a, b in zip(whole.get_weights(), again.get_weights()):
        np.testing.assert_array_equal(a, b)
    assert int(again.optimizer.iterations) == int(whole.optimizer.iterations)


def test_backups_of_earlier_versions(tmp_path):
    """Without the states of stateful layers, and without a word of whether training was stopped."""
    path, listed = tmp_path / "latest.npz", [callbacks.EarlyStopping("loss", min_delta=1e9, patience=1)]
    listed.append(callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False))
    trained = stateful(50)
    trained.fit(X, Y, epochs=4, batch_size=50, verbose=0, callbacks=listed)
    assert trained.history.epoch == [0, 1]
    kept = {key: value for key, value in np.load(path).items() if not key.startswith("state/kept/")}
    del kept["callback/EarlyStopping-0/stopped_epoch"]
    place = json.loads(str(kept["place"]))
    assert place.pop("stop") is True and place.pop("arrays") > 10
    np.savez(path, **{**kept, "place": np.array(json.dumps(place))})
    again = stateful(50)
    again.fit(X, Y, epochs=4, batch_size=50, verbose=0, callbacks=listed)
    assert again.history.epoch == [2] and listed[0].stopped_epoch == 2

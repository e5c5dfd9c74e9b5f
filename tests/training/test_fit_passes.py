"""Passes over the data that take several epochs: their orders, other iterables, and runs that were killed in them."""

import random

import numpy as np
import pytest

import fastseq
from fastseq import callbacks, layers

X = np.arange(10.0, dtype="f")[:, None]


def model(seen):
    """A model that adds the rows of each batch it trains with to `seen`."""

    class Watched(fastseq.losses.MeanSquaredError):
        def call_with_pullback(self, y_true, y_pred):
            seen.append(y_true[:, 0].astype(int).tolist())
            return super().call_with_pullback(y_true, y_pred)

    made = fastseq.Sequential([layers.Input((1,)), layers.Dropout(0.3, seed=1), layers.Dense(1)])
    made.set_weights([np.ones((1, 1)), np.zeros(1)])
    made.compile(fastseq.optimizers.Adam(0.1), Watched())
    return made


class Batches:
    """Five batches of two rows."""

    def __len__(self):
        return 5

    def __getitem__(self, index):
        return X[2 * index : 2 * index + 2], X[2 * index : 2 * index + 2]


class Iterable:
    """Five batches of two rows, again and again."""

    def __iter__(self):
        return (Batches()[index] for index in range(5))


@pytest.mark.filterwarnings("ignore:.*ran out of data")
@pytest.mark.parametrize("kind", ["arrays", "indexed"])
def test_a_pass_has_every_row_once_and_an_order_of_its_own(kind):
    seen = []
    random.seed(1)  # which `fit` draws its order from: of five batches one pass in 120 is the next one's by chance
    options = {"steps_per_epoch": 2, "epochs": 12, "verbose": 0}
    if kind == "arrays":
        model(seen).fit(X, X, batch_size=2, **options)
    else:
        model(seen).fit(Batches(), **options)
    passes = np.reshape(seen, (4, 10)).tolist()
    assert len({tuple(rows) for rows in passes}) == 4
    for rows in passes:
        assert sorted(rows) == list(range(10)) != rows


def test_an_iterable_begins_anew_where_it_ended_with_an_epoch():
    seen = []
    history = model(seen).fit(Iterable(), steps_per_epoch=5, epochs=3, verbose=0)
    assert seen == [[2 * index, 2 * index + 1] for index in range(5)] * 3 and len(history.epoch) == 3
    seen.clear()
    with pytest.warns(UserWarning, match="after 2 of 3 steps"):
        model(seen).fit(Iterable(), steps_per_epoch=3, epochs=3, verbose=0)
    assert [rows[0] for rows in seen] == [0, 2, 4, 6, 8, 0, 2, 4]


class Killed(callbacks.Callback):
    def __init__(self, at):
        super().__init__()
        self.left = at

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


@pytest.mark.filterwarnings("ignore:.*ran out of data")
@pytest.mark.parametrize("at", range(1, 12))
@pytest.mark.parametrize("save_freq", ["epoch", 1])
@pytest.mark.parametrize(("kind", "steps"), [
    ("arrays", 2), ("arrays", 3), ("arrays", 7), ("indexed", 2), ("iterable", None),
])  # fmt: skip
def test_a_killed_run_goes_on_in_the_pass(kind, steps, save_freq, at, tmp_path, monkeypatch):
    import random

    monkeypatch.chdir(tmp_path)

    def run(*more, seed=1):
        random.seed(seed)
        made = model([])
        data = {"arrays": (X, X), "indexed": (Batches(),), "iterable": (Iterable(),)}[kind]
        options = {"batch_size": 2} if kind == "arrays" else {}
        history = made.fit(
            *data, epochs=9, initial_epoch=1, steps_per_epoch=steps, verbose=0, **options,
            callbacks=[*more, callbacks.BackupAndRestore("backup", save_freq=save_freq)],
        )  # fmt: skip
        return made.get_weights(), history.history["loss"][-1]

    weights, loss = run()
    with pytest.raises(KeyboardInterrupt):
        run(Killed(at))
    # Another seed, which does not count where there is something to go on from.
    nothing = at <= min(steps or 5, 5) if save_freq == "epoch" else at == 1
    again, ended = run(seed=1 if nothing else 2)
    for own, other in zip(weights, again):
        np.testing.assert_array_equal(own, other)
    assert ended == loss

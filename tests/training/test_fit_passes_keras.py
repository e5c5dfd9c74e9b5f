"""Which batches an epoch has, and what `fit` and `evaluate` take for counts, against Keras."""

import numpy as np
import pytest

import fastseq

pytestmark = pytest.mark.tensorflow
keras = pytest.importorskip("keras")

# The square of a row's number is its loss, so that a batch's loss tells its rows.
X = np.arange(10.0, dtype="f")[:, None]
Y = np.zeros((10, 1), "f")


class Batches(keras.utils.PyDataset):
    """Five batches of two rows; a PyDataset has what fastseq takes too."""

    def __len__(self):
        return 5

    def __getitem__(self, index):
        return X[2 * index : 2 * index + 2], Y[2 * index : 2 * index + 2]


def generator(count=100):
    for index in range(count):
        yield X[[index % 10]] + index, Y[:1]


def fit(k, x, y=None, **options):
    """(history, the losses of every epoch's batches so far) of a model that does not change."""
    model = k.Sequential([k.Input((1,)), k.layers.Dense(1, use_bias=False, kernel_initializer="ones")])
    model.compile(k.optimizers.SGD(0.0), "mse")
    epochs = []

    class Seen(k.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            epochs.append([])

        def on_train_batch_end(self, batch, logs=None):
            epochs[-1].append(logs["loss"])

    return model.fit(x, y, verbose=0, callbacks=[Seen()], **options), epochs


def fits_alike(make, **options):
    """`fit` by both of what `make()` gives: the same batches and logs. Returns fastseq's batches."""
    histories, seen = zip(*(fit(library, *make(), **options) for library in (fastseq, keras)))
    assert list(map(len, seen[0])) == list(map(len, seen[1]))
    for own, other in zip(*seen):
        np.testing.assert_allclose(own, other, rtol=1e-6)
    assert histories[0].history.keys() == histories[1].history.keys() and histories[0].epoch == histories[1].epoch
    for name, values in histories[1].history.items():
        np.testing.assert_allclose(histories[0].history[name], values, rtol=1e-6, err_msg=name)
    return seen[0]


@pytest.mark.parametrize("kind", ["arrays", "batches"])
@pytest.mark.parametrize("steps", [1, 2, 3, 5, 7])
@pytest.mark.filterwarnings("ignore:.*ran out of data")
def test_epochs_go_on_in_a_pass_where_the_last_one_stopped(kind, steps):
    options = {"batch_size": 2} if kind == "arrays" else {}
    seen = fits_alike(
        lambda: (X, Y) if kind == "arrays" else (Batches(),), steps_per_epoch=steps, epochs=7, shuffle=False, **options
    )
    assert [len(epoch) for epoch in seen[:3]] == {1: [1, 1, 1], 2: [2, 2, 1], 3: [3, 2, 3]}.get(steps, [5, 5, 5])


@pytest.mark.parametrize("kind", ["arrays", "batches"])
def test_a_short_epoch_warns(kind):
    for library in (fastseq, keras):
        data = (X, Y) if kind == "arrays" else (Batches(),)
        with pytest.warns(UserWarning, match="ran out of data") as told:
            fit(library, *data, steps_per_epoch=2, epochs=6, shuffle=False, **({"batch_size": 2} if data[1:] else {}))
        assert len([one for one in told if "ran out" in str(one.message)]) == 2


@pytest.mark.parametrize("first", [1, 2])
def test_a_run_that_begins_later_begins_a_pass(first):
    options = {"batch_size": 2, "steps_per_epoch": 2, "shuffle": False}
    with pytest.warns(UserWarning, match="ran out of data"):
        fits_alike(lambda: (X, Y), initial_epoch=first, epochs=first + 4, **options)


@pytest.mark.parametrize("steps", [1, 2, 3, 10])
def test_arrays_are_cut_into_as_many_batches_as_steps(steps):
    seen = fits_alike(lambda: (X, Y), steps_per_epoch=steps, epochs=2, shuffle=False)
    assert [len(epoch) for epoch in seen] == [steps, steps]
    counts = []
    for library in (fastseq, keras):

        class Count(library.callbacks.Callback):
            batches = 0

            def on_test_batch_end(self, batch, logs=None):
                self.batches += 1

        count = Count()
        model = library.Sequential([library.Input((1,)), library.layers.Dense(1)])
        model.compile("sgd", "mse")
        model.evaluate(X, Y, steps=steps, verbose=0, callbacks=[count])
        counts.append(count.batches)
    assert counts == [steps, steps]


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_every_validation_begins_anew(steps):
    for more in ({}, {"validation_batch_size": 2}):
        fits_alike(lambda: (X, Y), epochs=4, validation_data=(X, Y), validation_steps=steps, shuffle=False, **more)
    fits_alike(lambda: (X, Y), epochs=3, validation_data=Batches(), validation_steps=steps, shuffle=False)


def test_evaluate_warns_where_there_are_fewer_batches():
    for library in (fastseq, keras):
        model = library.Sequential([library.Input((1,)), library.layers.Dense(1)])
        model.compile("sgd", "mse")
        with pytest.warns(UserWarning, match="ran out of data"):
            model.evaluate(X, Y, batch_size=5, steps=3, verbose=0)


def test_rows_within_batches_alone_are_shuffled():
    """shuffle="batch": a batch's rows, and so its loss, stay."""
    seen = fits_alike(lambda: (X, Y), batch_size=3, epochs=2, shuffle="batch")
    assert seen[0] == pytest.approx(seen[1])
    rows = []

    class Watched(fastseq.losses.MeanSquaredError):
        def call_with_pullback(self, y_true, y_pred):
            rows.append(y_true[:, 0].tolist())
            return super().call_with_pullback(y_true, y_pred)

    model = fastseq.Sequential([fastseq.Input((1,)), fastseq.layers.Dense(1)])
    model.compile("sgd", Watched())
    model.fit(X, X, batch_size=5, epochs=4, shuffle="batch", verbose=0)
    assert [sorted(batch) for batch in rows] == [list(range(5)), list(range(5, 10))] * 4
    assert len({tuple(batch) for batch in rows}) > 2


# ---- counts and arguments --------------------------------------------------------------------------------------------


def test_numbers_of_numpy():
    options = {"batch_size": np.int64(5), "epochs": np.int32(3), "initial_epoch": np.int64(1), "shuffle": False}
    options |= {"steps_per_epoch": np.int16(2), "validation_steps": np.int64(1), "validation_batch_size": np.uint8(2)}
    fits_alike(lambda: (X, Y), validation_data=(X, Y), **options)
    found = []
    for library in (fastseq, keras):
        model = library.Sequential([library.Input((1,)), library.layers.Dense(1, kernel_initializer="ones")])
        model.compile("sgd", "mse")
        found.append(model.evaluate(X, Y, batch_size=np.int64(5), steps=np.int64(1), verbose=0))
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_no_epochs():
    for options in ({"epochs": 0}, {"epochs": 2, "initial_epoch": 2}):
        history, _ = fit(fastseq, X, Y, **options)
        expected, _ = fit(keras, X, Y, **options)
        assert history.history == expected.history == {} and history.epoch == expected.epoch == []


@pytest.mark.parametrize("frequency", [1, 2, [1], [2, 4], [7]], ids=str)
def test_when_to_validate(frequency):
    fits_alike(lambda: (X, Y), epochs=4, validation_data=(X, Y), validation_freq=frequency, shuffle=False)


@pytest.mark.parametrize("shuffle", [0, 1, "yes", None, np.bool_(False), np.bool_(True)], ids=str)
def test_shuffle_is_any_value_that_is_true_or_false(shuffle):
    own, other = (fit(library, X, Y, batch_size=2, shuffle=shuffle)[1][0] for library in (fastseq, keras))
    in_order = fit(fastseq, X, Y, batch_size=2, shuffle=False)[1][0]
    assert (own == in_order) == np.allclose(other, in_order, rtol=1e-6) == (not shuffle)


def test_batch_size_beside_batches_is_not_looked_at():
    fits_alike(lambda: (Batches(),), batch_size=7, epochs=2, shuffle=False)
    fits_alike(lambda: (generator(),), batch_size=7, epochs=2, steps_per_epoch=3, shuffle=False)
    for library in (fastseq, keras):
        model = library.Sequential([library.Input((1,)), library.layers.Dense(1)])
        model.compile("sgd", "mse")
        assert model.evaluate(Batches(), batch_size=7, verbose=0) == model.evaluate(X, Y, batch_size=2, verbose=0)
        assert len(model.predict(Batches(), batch_size=7, verbose=0)) == 10
        assert len(model.predict(generator(4), batch_size=7, verbose=0)) == 4

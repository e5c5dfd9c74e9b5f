"""compile, fit, evaluate and their like, without Keras: shuffling, data, callbacks, what goes wrong."""

import numpy as np
import pytest
from small_training import X, Y, draw, model

import fastseq
from fastseq import callbacks, layers
from fastseq.errors import UnsupportedError


def test_loss_falls_and_predictions_follow_the_weights():
    trained = model()
    before = trained.predict(X)
    history = trained.fit(X, Y, epochs=8, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    after = trained.predict(X)
    assert np.abs(after - before).max() > 1e-3
    assert trained.evaluate(X, Y, verbose=0) == pytest.approx(np.mean((after - Y) ** 2), rel=1e-5)
    # What was packed from old weights is gone: a fresh model says the same.
    fresh = model()
    fresh.set_weights(trained.get_weights())
    np.testing.assert_array_equal(fresh.predict(X), after)


def test_predictions_inside_callbacks_are_of_the_current_weights():
    found = []

    class Look(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            fresh = model()
            fresh.set_weights(self.model.get_weights())
            found.append(np.array_equal(self.model.predict(X[:3]), fresh.predict(X[:3])))

    model().fit(X, Y, epochs=2, verbose=0, callbacks=[Look()])
    assert len(found) == 4 and all(found)


@pytest.mark.parametrize("dropout", [False, True])
def test_a_seed_repeats_a_run(dropout):
    import random

    weights = []
    for _ in range(2):
        random.seed(5)
        more = [layers.Dropout(0.4)] if dropout else []
        trained = model(*more)
        trained.fit(X, Y, epochs=3, batch_size=7, verbose=0)
        weights.append(trained.get_weights())
    for a, b in zip(*weights):
        np.testing.assert_array_equal(a, b)


def test_shuffle_is_another_order_in_every_epoch_and_each_row_comes_once():
    seen = []

    class Watched(fastseq.losses.Loss):
        def call_with_pullback(self, y_true, y_pred):
            seen.append(y_true[:, 0].tolist())
            return np.zeros(len(y_pred), "f"), lambda upstream: np.zeros_like(y_pred)

        def call(self, y_true, y_pred):
            return np.zeros(len(y_pred), "f")

    y = np.stack([np.arange(50), np.zeros(50)], 1).astype("f")
    model(loss=Watched()).fit(X, y, epochs=2, batch_size=50, verbose=0)
    first, second = seen
    assert first != second and sorted(first) == sorted(second) == list(range(50)) != first


def test_validation_split_takes_the_last_rows_before_shuffling():
    trained, given = model(), model()
    trained.fit(X, Y, epochs=2, validation_split=0.3, shuffle=False, verbose=0)
    given.fit(X[:35], Y[:35], epochs=2, validation_data=(X[35:], Y[35:]), shuffle=False, verbose=0)
    assert trained.history.history == given.history.history
    assert sorted(trained.history.history) == ["loss", "val_loss"]


class Batches:
    ended = 0

    def __len__(self):
        return 5

    def __getitem__(self, index):
        return X[10 * index : 10 * index + 10], Y[10 * index : 10 * index + 10]

    def on_epoch_end(self):
        self.ended += 1


def test_generators_and_sequences_are_as_arrays():
    def forever():
        while True:
            yield from (Batches()[index] for index in range(5))

    arrays, sequence, generator = model(), model(), model()
    arrays.fit(X, Y, batch_size=10, epochs=3, shuffle=False, verbose=0)
    batches = Batches()
    sequence.fit(batches, epochs=3, shuffle=False, verbose=0)
    generator.fit(forever(), steps_per_epoch=5, epochs=3, verbose=0)
    assert batches.ended == 3
    for other in (sequence, generator):
        assert other.history.history == arrays.history.history
        for a, b in zip(arrays.get_weights(), other.get_weights()):
            np.testing.assert_array_equal(a, b)
    expected = arrays.evaluate(X, Y, batch_size=10, verbose=0)
    assert sequence.evaluate(Batches(), verbose=0) == generator.evaluate(forever(), steps=5, verbose=0) == expected


def test_nb_epoch_is_epochs_and_other_names_raise_with_those_that_exist():
    trained = model()
    assert len(trained.fit(X, Y, nb_epoch=2, verbose=0).epoch) == 2
    with pytest.raises(TypeError, match=r"fit\(\) has no argument workers.*validation_freq"):
        trained.fit(X, Y, workers=3)
    with pytest.raises(TypeError, match=r"compile\(\) has no argument run_eagerly.*weighted_metrics"):
        trained.compile(loss="mse", run_eagerly=True)
    with pytest.raises(TypeError, match=r"evaluate\(\) has no argument workers.*return_dict"):
        trained.evaluate(X, Y, workers=3)


@pytest.mark.parametrize("labels", [draw(50, 4, 2), draw(50, 3), draw(50)], ids=lambda y: str(y.shape))
def test_labels_of_another_shape_raise_before_the_first_step(labels):
    trained = model()
    before = trained.get_weights()
    with pytest.raises(ValueError, match=r"labels have shape .*predictions"):
        trained.fit(X, labels, verbose=0)
    for a, b in zip(before, trained.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_uncompiled_models_and_layers_without_gradients_raise():
    plain = fastseq.Sequential([layers.Input((3,)), layers.Dense(2)])
    with pytest.raises(ValueError, match="compile"):
        plain.fit(X[:, 0], Y)

    class Doubled(layers.Layer):
        traced = False

        def call(self, x):
            return 2 * x

    stuck = model(Doubled(name="twice"))
    with pytest.raises(UnsupportedError, match=r"'twice'.*backward"):
        stuck.fit(X, Y, verbose=0)


def test_an_interrupt_leaves_the_weights_of_the_last_whole_step():
    class Stop(callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 1:
                raise KeyboardInterrupt

    interrupted, one_step = model(), model()
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit(X, Y, shuffle=False, verbose=0, callbacks=[Stop()])
    one_step.train_on_batch(X[:32], Y[:32])
    np.testing.assert_array_equal(interrupted.predict(X), one_step.predict(X))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_is_told_once_with_the_step(value):
    y = Y.copy()
    y[40] = value
    trained = model()
    with pytest.warns(UserWarning, match="loss is") as told:
        trained.fit(X, y, epochs=3, batch_size=10, shuffle=False, verbose=0)
    assert len(told) == 1 and told[0].filename == __file__
    message = str(told[0].message)
    for word in (
        f"'{trained.name}'",
        f"loss is {value}",
        "epoch 1, batch 5",
        "TerminateOnNaN",
        "clipnorm",
        "learning rate",
    ):
        assert word in message
    # As in Keras, training goes on.
    assert trained.history.epoch == [0, 1, 2] and not np.isfinite(trained.history.history["loss"]).any()


def test_weights_that_overflow_are_told_in_the_epoch_they_do():
    trained = model(optimizer=fastseq.optimizers.SGD(1e30))
    with pytest.warns(UserWarning, match=r"epoch 2, batch 1 on.*clipnorm"):
        trained.fit(X, Y, epochs=3, batch_size=50, verbose=0)


def test_nan_ends_training_where_it_is_asked_for():
    y = Y.copy()
    y[40] = np.nan
    trained = model()
    options = {"epochs": 5, "batch_size": 10, "shuffle": False, "verbose": 0}
    with pytest.warns(UserWarning, match="loss is nan"):
        trained.fit(X, y, **options, callbacks=[callbacks.TerminateOnNaN()])
    assert len(trained.history.epoch) == 1 and np.isnan(trained.history.history["loss"][0])
    with pytest.warns(UserWarning), pytest.raises(RuntimeError, match="batch 4"):
        model().fit(X, y, **options, callbacks=[callbacks.TerminateOnNaN(raise_error=True)])


def test_early_stopping_and_learning_rates():
    trained = model(optimizer="sgd")
    stop = callbacks.EarlyStopping("loss", min_delta=1e9, patience=1)
    rate = callbacks.LearningRateScheduler(lambda epoch, old: 0.5 / (epoch + 1))
    trained.fit(X, Y, epochs=9, verbose=0, callbacks=[stop, rate])
    assert len(trained.history.epoch) == 2
    assert trained.history.history["learning_rate"] == [0.5, 0.25]


def test_backup_goes_on_in_the_middle_of_an_epoch_to_the_same_weights(tmp_path):
    class Killed(callbacks.Callback):
        steps = 0

        def on_train_batch_end(self, batch, logs=None):
            self.steps += 1
            if self.steps == 8:
                raise KeyboardInterrupt

    import random

    def run(*more):
        trained = model(layers.Dropout(0.3, seed=1))
        options = {"epochs": 3, "batch_size": 10, "verbose": 0}
        backup = callbacks.BackupAndRestore(tmp_path, save_freq=3)
        trained.fit(X, Y, **options, callbacks=[backup, *more] if more else [backup])
        return trained

    random.seed(1)
    whole = run().get_weights()
    random.seed(1)
    with pytest.raises(KeyboardInterrupt):
        run(Killed())
    random.seed(2)
    for a, b in zip(whole, run().get_weights()):
        np.testing.assert_array_equal(a, b)


def test_a_bar_and_lines_on_stderr(capsys):
    trained = model(metrics=["mae"])
    trained.fit(X, Y, epochs=2, verbose=1)
    shown = capsys.readouterr()
    assert shown.out == "" and "Epoch 2/2" in shown.err and "loss=" in shown.err and "mae=" in shown.err
    trained.fit(X, Y, verbose=2)
    assert capsys.readouterr().err.startswith("Epoch 1/1 - loss=")


def test_frozen_layers_stay_and_assigned_weights_are_used():
    trained = model()
    trained.layers[0].trainable = False
    before = trained.layers[0].get_weights()
    trained.fit(X, Y, verbose=0)
    for a, b in zip(before, trained.layers[0].get_weights()):
        np.testing.assert_array_equal(a, b)
    # The program of the last step pointed to other arrays.
    again = model()
    again.layers[0].trainable = False
    again.set_weights(trained.get_weights())
    start = [weight * 2 for weight in trained.get_weights()]
    trained.set_weights(start)
    assert trained.test_on_batch(X, Y) == pytest.approx(np.mean((trained.predict(X) - Y) ** 2), rel=1e-5)


# ---- tutorials as they are written ---------------------------------------------------------------------------------


def tutorial(kind):
    from fastseq.layers import GRU, Activation, Dense, TimeDistributed
    from fastseq.models import Sequential

    model = Sequential()
    if kind == "time distributed":
        model.add(GRU(16, input_shape=(64, 15), return_sequences=True))
        model.add(TimeDistributed(Dense(8)))
        model.add(Activation("softmax"))
    elif kind == "dense":
        model.add(GRU(16, input_shape=(64, 15), return_sequences=True))
        model.add(Dense(8, activation="softmax"))
    else:
        model.add(GRU(16, input_shape=(64, 15), return_sequences=False))
        model.add(Dense(8, activation="softmax"))
    model.compile(loss="categorical_crossentropy", optimizer="rmsprop", metrics=["accuracy"])
    return model


@pytest.mark.parametrize("kind", ["time distributed", "dense", "last step"])
def test_tutorials_as_they_are_written(kind):
    X = draw(1000, 64, 15)
    # A class that the inputs tell: at each timestep, or of the last one.
    classes = X[..., :8].argmax(-1)
    Y = np.eye(8, dtype="f")[classes if kind != "last step" else classes[:, -1]]
    model = tutorial(kind)
    history = model.fit(X, Y, batch_size=128, nb_epoch=8, verbose=0).history
    assert len(history["loss"]) == 8
    assert history["loss"][0] == pytest.approx(np.log(8), rel=0.25)
    assert history["loss"][-1] < history["loss"][0] - 0.1
    assert history["accuracy"][-1] > max(history["accuracy"][0], 0.2)
    loss, accuracy = model.evaluate(X, Y, verbose=0)
    assert loss < history["loss"][-2] and accuracy > 0.2
    assert model.predict(X[:5]).shape == Y[:5].shape


def test_a_schedule_that_raises_counts_no_step():
    """The step before it is counted once, however the next one ends."""

    class Fails(fastseq.optimizers.schedules.LearningRateSchedule):
        fails = False

        def __call__(self, step):
            if self.fails:
                raise RuntimeError("no rate")
            return 0.1

    rate = Fails()
    model = fastseq.Sequential([fastseq.Input((2,)), layers.Dense(1)])
    model.compile(fastseq.optimizers.SGD(rate), "mse")
    x, y = np.ones((2, 2), "f"), np.ones((2, 1), "f")
    for _ in range(2):
        model.train_on_batch(x, y)
    rate.fails = True
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no rate"):
            model.train_on_batch(x, y)
    assert int(model.optimizer.iterations) == 2

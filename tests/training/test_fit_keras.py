"""fit, train_on_batch and evaluate against Keras: weights after steps on the same batches, logs, the tutorials."""

import numpy as np
import pytest
from layer_check import random_weights

import fastseq

pytestmark = pytest.mark.tensorflow
keras = pytest.importorskip("keras")


def both(make, **compiled):
    """`make(library)` by fastseq and by Keras, from the same weights, compiled alike."""
    models = []
    for library in (fastseq, keras):
        model = make(library)
        model.set_weights(random_weights([np.shape(w) for w in model.get_weights()]))
        options = {key: value(library) if callable(value) else value for key, value in compiled.items()}
        model.compile(**options)
        models.append(model)
    return models


def assert_same_weights(ours, theirs):
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-6)


def same_logs(ours, theirs):
    assert list(ours) == list(theirs)
    for name, value in theirs.items():
        np.testing.assert_allclose(ours[name], value, rtol=2e-4, atol=1e-5, err_msg=name)


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("f")


def one_hot(*shape, classes=8, seed=1):
    return np.eye(classes, dtype="f")[np.random.default_rng(seed).integers(0, classes, shape)]


def distributed(k):
    L = k.layers
    return k.Sequential([
        k.Input((64, 15)), L.GRU(16, return_sequences=True), L.TimeDistributed(L.Dense(8)), L.Activation("softmax")
    ])  # fmt: skip


def fused(k):
    L = k.layers
    return k.Sequential([k.Input((64, 15)), L.GRU(16, return_sequences=True), L.Dense(8, activation="softmax")])


def wrapped(k):
    L = k.layers
    return k.Sequential([
        k.Input((64, 15)), L.GRU(16, return_sequences=True), L.TimeDistributed(L.Dense(8, activation="softmax"))
    ])  # fmt: skip


def last(k):
    L = k.layers
    return k.Sequential([k.Input((64, 15)), L.GRU(16), L.Dense(8, activation="softmax")])


TUTORIALS = [distributed, fused, wrapped, last]


def tutorial_labels(make, count, seed=1):
    return one_hot(count, seed=seed) if make is last else one_hot(count, 64, seed=seed)


@pytest.mark.parametrize("make", TUTORIALS)
@pytest.mark.parametrize("optimizer", ["rmsprop", "adam", "sgd"])
def test_ten_steps_end_where_keras_ends(make, optimizer):
    ours, theirs = both(make, loss="categorical_crossentropy", optimizer=optimizer, metrics=["accuracy"])
    for step in range(10):
        x, y = draw(32, 64, 15, seed=step), tutorial_labels(make, 32, step)
        found, expected = ours.train_on_batch(x, y, return_dict=True), theirs.train_on_batch(x, y, return_dict=True)
    same_logs(found, dict(sorted(expected.items())))
    assert_same_weights(ours, theirs)


@pytest.mark.parametrize("make", TUTORIALS)
def test_fit_as_in_keras(make):
    """An epoch and a half of uneven batches in the order of the rows, with validation."""
    x, y = draw(150, 64, 15), tutorial_labels(make, 150)
    ours, theirs = both(make, loss="categorical_crossentropy", optimizer="rmsprop", metrics=["accuracy", "mse"])
    options = {"batch_size": 32, "epochs": 2, "verbose": 0, "shuffle": False, "validation_split": 0.2}
    found, expected = ours.fit(x, y, **options), theirs.fit(x, y, **options)
    assert found is ours.history and found.epoch == [0, 1]
    same_logs(found.history, expected.history)
    assert_same_weights(ours, theirs)
    same_logs(ours.evaluate(x, y, verbose=0, return_dict=True), theirs.evaluate(x, y, verbose=0, return_dict=True))
    np.testing.assert_allclose(ours.evaluate(x, y, verbose=0), theirs.evaluate(x, y, verbose=0), rtol=2e-4)


def masked_and_padded(k):
    L = k.layers
    return k.Sequential([
        k.Input((6, 4)), L.Masking(), L.LSTM(7, return_sequences=True), L.Dense(3, activation="softmax")
    ])  # fmt: skip


def test_masks_of_the_loss_and_of_metrics():
    x, y = draw(10, 6, 4), one_hot(10, 6, classes=3)
    for row, length in enumerate((6, 5, 4, 3, 2, 1, 6, 3, 3, 1)):
        x[row, length:] = 0
    ours, theirs = both(
        masked_and_padded, loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"],
        weighted_metrics=["mse"],
    )  # fmt: skip
    weights = np.random.default_rng(3).random((10, 6)).astype("f")
    for given in (None, weights):
        for _ in range(3):
            found = ours.train_on_batch(x, y, sample_weight=given, return_dict=True)
            expected = theirs.train_on_batch(x, y, sample_weight=given, return_dict=True)
        same_logs(found, dict(sorted(expected.items())))
    assert_same_weights(ours, theirs)


def classifier(k):
    return k.Sequential([k.Input((5,)), k.layers.Dense(4, activation="tanh"), k.layers.Dense(3, activation="softmax")])


@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", "categorical_crossentropy"])
def test_class_weights(loss):
    x, y = draw(50, 5), np.random.default_rng(1).integers(0, 3, 50)
    y = y if loss.startswith("sparse") else np.eye(3, dtype="f")[y]
    ours, theirs = both(classifier, loss=loss, optimizer="sgd", metrics=["accuracy"])
    options = {"class_weight": {0: 2.0, 2: 0.25}, "shuffle": False, "verbose": 0, "epochs": 2}
    same_logs(ours.fit(x, y, **options).history, theirs.fit(x, y, **options).history)
    assert_same_weights(ours, theirs)


def penalized(k):
    L, R, C = k.layers, k.regularizers, k.constraints
    return k.Sequential([
        k.Input((6, 4)),
        L.GRU(5, kernel_regularizer=R.L2(0.01), recurrent_regularizer=R.L1(0.02), bias_constraint=C.NonNeg(),
              return_sequences=True),
        L.ActivityRegularization(l1=0.001, l2=0.01),
        L.LSTM(5, activity_regularizer=R.L2(0.03), kernel_constraint=C.MaxNorm(0.7)),
        L.Dense(3, kernel_regularizer=R.L1L2(0.01, 0.02), bias_regularizer="l2", trainable=True),
        L.Dense(3, kernel_regularizer="l2", trainable=False),
    ])  # fmt: skip


def test_regularizers_constraints_and_frozen_layers():
    ours, theirs = both(penalized, loss="mse", optimizer="adam")
    x, y = draw(10, 6, 4), draw(10, 3, seed=1)
    for _ in range(5):
        found, expected = ours.train_on_batch(x, y), theirs.train_on_batch(x, y)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert_same_weights(ours, theirs)
    np.testing.assert_allclose(ours.evaluate(x, y, verbose=0), theirs.evaluate(x, y, verbose=0), rtol=1e-5)


def two_ended(k):
    L = k.layers
    first, second = k.Input((6, 4), name="sequence"), k.Input((3,), name="more")
    states = L.LSTM(5, name="cells")(first)
    joined = L.Concatenate(name="joined")([states, second])
    return k.Model([first, second], [
        L.Dense(2, name="left")(joined), L.Dense(1, activation="sigmoid", name="right")(joined)
    ])  # fmt: skip


def test_several_inputs_and_outputs():
    ours, theirs = both(
        two_ended, loss=["mse", "binary_crossentropy"], loss_weights=[0.5, 2.0], optimizer="rmsprop",
        metrics=[["mae"], ["accuracy"]],
    )  # fmt: skip
    x = [draw(40, 6, 4), draw(40, 3, seed=1)]
    y = [draw(40, 2, seed=2), np.random.default_rng(3).integers(0, 2, (40, 1)).astype("f")]
    # Even batches: over uneven ones Keras's means of single outputs' losses count a smaller batch as a whole one.
    options = {"batch_size": 20, "epochs": 2, "shuffle": False, "verbose": 0, "validation_data": (x, y)}
    same_logs(ours.fit(x, y, **options).history, theirs.fit(x, y, **options).history)
    assert_same_weights(ours, theirs)


def test_embedding_model():
    def make(k):
        L = k.layers
        return k.Sequential([
            k.Input((9,), dtype="int32"), L.Embedding(20, 6, mask_zero=True), L.Bidirectional(L.GRU(5)),
            L.Dense(1, activation="sigmoid"),
        ])  # fmt: skip

    # SGD: TensorFlow's gradient of a table lists an id that comes twice as two rows, and Keras's Adam squares each of
    # them by itself, where elsewhere (and here) their sum is squared.
    ours, theirs = both(make, loss="binary_crossentropy", optimizer="sgd", metrics=["accuracy"])
    x = np.random.default_rng(0).integers(0, 20, (40, 9)).astype("i4")
    y = np.random.default_rng(1).integers(0, 2, (40, 1)).astype("f")
    options = {"batch_size": 16, "epochs": 3, "shuffle": False, "verbose": 0}
    same_logs(ours.fit(x, y, **options).history, theirs.fit(x, y, **options).history)
    assert_same_weights(ours, theirs)


def test_no_gradient_goes_through_a_kept_state():
    """A stateful layer that is called twice starts its second call from its first one's states, which are variables."""

    def make(library):
        x = library.Input((3, 2), batch_size=2)
        layer = library.layers.SimpleRNN(3, return_sequences=True, stateful=True)
        first, second = layer(x), layer(x)
        return library.Model(x, library.layers.Subtract()([second, first]))

    ours, theirs = both(make, optimizer=lambda library: library.optimizers.SGD(0.5), loss="mse")
    for model in (ours, theirs):
        model.train_on_batch(draw(2, 3, 2), draw(2, 3, 3, seed=1))
    assert_same_weights(ours, theirs)

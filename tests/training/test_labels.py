"""Labels and sample weights that do not go with a model: what raises, what it says, and that nothing was changed."""

import numpy as np
import pytest

import fastseq
from fastseq import layers, metrics

B, T, C = 8, 4, 3
X = np.random.default_rng(0).standard_normal((B, T, 5)).astype("f")


def model(loss="mse", sequences=False, units=C, outputs=1, activation=None, **compiled):
    x = layers.Input((T, 5))
    y = layers.GRU(4, return_sequences=sequences)(x)
    made = [layers.Dense(units, activation=activation, name=f"out{i}")(y) for i in range(outputs)]
    built = fastseq.Model(x, made if outputs > 1 else made[0], name="small")
    built.compile("adam", loss, **compiled)
    return built


def state_of(built):
    return [np.asarray(value).tobytes() for value in (*built.get_weights(), *built.optimizer.variables)]


def refuses(built, words, y, **options):
    """fit, train_on_batch and a generator raise ValueError with all of the words, and neither weights nor the
    optimizer's state are others than before."""
    weights = options.get("sample_weight")
    ways = [
        lambda: built.train_on_batch(X, y, **options),
        lambda: built.test_on_batch(X, y, **options),
        lambda: built.fit(iter([(X, y) if weights is None else (X, y, weights)]), verbose=0),
    ]
    before = built.get_weights()
    for way in ways:
        with pytest.raises(ValueError) as caught:
            way()
        for word in words:
            assert str(word) in str(caught.value)
    for a, b in zip(before, built.get_weights()):
        np.testing.assert_array_equal(a, b)
    assert int(built.optimizer.iterations) == 0


CROSS, SPARSE = "categorical_crossentropy", "sparse_categorical_crossentropy"
CASES = {
    "whole sequences for one prediction": ("mse", {}, (B, T, C), "f", "return_sequences=True"),
    "whole one-hot sequences": (CROSS, {}, (B, T, C), "f", "return_sequences=True"),
    "whole sequences of classes": (SPARSE, {}, (B, T), "i4", "return_sequences=True"),
    "one label for a sequence of predictions": ("mse", {"sequences": True}, (B, C), "f", "return_sequences=False"),
    "one class for a sequence": (SPARSE, {"sequences": True}, (B,), "i4", "return_sequences=False"),
    "another number of classes": (CROSS, {}, (B, C + 1), "f", "gives 3 numbers where the labels have 4"),
    "one-hot where classes are expected": (SPARSE, {}, (B, C), "f", "categorical_crossentropy"),
    "classes where one-hot is expected": (CROSS, {}, (B,), "i4", "sparse_categorical_crossentropy"),
    "a column of classes": (CROSS, {}, (B, 1), "i4", "sparse_categorical_crossentropy"),
    "classes of timesteps for one-hot": (CROSS, {"sequences": True}, (B, T), "i4", "sparse_categorical_crossentropy"),
    "fewer timesteps": ("mse", {"sequences": True}, (B, T - 1, C), "f", "do not go together"),
    "fewer rows": ("mse", {}, (B - 1, C), "f", "not as many samples"),
    "one row": ("mse", {}, (1, C), "f", "not as many samples"),
    "a number": ("mse", {}, (), "f", "not as many samples"),
    "one column": ("mse", {}, (B, 1), "f", "gives 3 numbers where the labels have 1"),
    "bits": ("binary_crossentropy", {}, (B, C + 2), "f", "binary_crossentropy"),
    "huber": ("huber", {}, (B, T, C), "f", "huber"),
}


@pytest.mark.parametrize("case", CASES)
def test_shapes(case):
    loss, options, shape, dtype, words = CASES[case]
    built = model(loss, activation="softmax", **options)
    predicted = (B, T, C) if options else (B, C)
    refuses(built, ["'small'", f"labels have shape {shape}", f"predictions {predicted}", words], np.zeros(shape, dtype))


def test_of_one_of_several_outputs():
    built = model(outputs=2)
    refuses(built, ["output 'out1'", (B, T, C), (B, C)], [np.zeros((B, C)), np.zeros((B, T, C))])
    refuses(built, ["output 'out1'", "no labels"], [np.zeros((B, C)), None])
    refuses(built, ["output 'out1'", "no labels"], {"out0": np.zeros((B, C))})
    refuses(built, ["other", "out0", "out1"], {"out0": np.zeros((B, C)), "other": np.zeros((B, C))})
    refuses(built, ["3 entries", "2 outputs"], [np.zeros((B, C))] * 3)
    refuses(model(), ["2 entries", "1 outputs"], [np.zeros((B, C))] * 2)
    with pytest.raises(ValueError, match=r"out0.*out1"):
        built.fit(X, np.zeros((B, C)), verbose=0)
    # An output without a loss needs no labels.
    free = model(outputs=2, loss={"out0": "mse"})
    with pytest.warns(UserWarning, match="out1/kernel"):
        free.train_on_batch(X, [np.zeros((B, C)), None])


def test_no_labels():
    built = model()
    with pytest.raises(ValueError, match="labels y"):
        built.fit(X, verbose=0)
    for way in (built.train_on_batch, built.test_on_batch):
        with pytest.raises(ValueError, match=r"'small'.*no labels y"):
            way(X)
    with pytest.raises(ValueError, match="no labels y"):
        built.fit(iter([(X, None)]), verbose=0)


@pytest.mark.parametrize("labels", [np.array(["a"] * B), np.array([None] * B)], ids=str)
def test_what_is_no_number(labels):
    refuses(model(units=1), ["numbers", labels.dtype], labels)


@pytest.mark.parametrize("labels", [[0, 1, 2, 0, 1, 2, 0, C], [0, -1, 2, 0, 1, 2, 0, 1]], ids=str)
@pytest.mark.parametrize("dtype", ["i4", "i8", "f4"])
def test_classes_that_are_not_there(labels, dtype):
    """Keras on TensorFlow raises on CPUs too, in TensorFlow's words; on GPUs the loss is NaN."""
    refuses(model(SPARSE), [f"class {3 if C in labels else -1} is outside the 3 classes"], np.array(labels, dtype))


def test_classes_that_are_no_numbers():
    refuses(model(SPARSE), ["outside the 3 classes"], np.full(B, np.nan))


def test_a_class_that_is_not_there_in_a_late_batch():
    """The steps before it count, the one with it changes nothing."""
    y = np.zeros(B, int)
    y[5] = C
    built, whole = model(SPARSE), model(SPARSE)
    whole.set_weights(built.get_weights())
    whole.fit(X[:4], y[:4], batch_size=2, shuffle=False, verbose=0)
    with pytest.raises(ValueError, match="class 3"):
        built.fit(X, y, batch_size=2, shuffle=False, verbose=0)
    assert state_of(built) == state_of(whole)


@pytest.mark.parametrize("more", [{}, {"use_ema": True}, {"gradient_accumulation_steps": 2}], ids=str)
def test_a_bad_batch_of_a_generator_changes_nothing(more):
    """The third batch has labels of another shape; then one that breaks a metric alone, after the loss was computed."""
    good = [(X[i : i + 2], np.eye(C, dtype="f")[[0, 1]]) for i in (0, 2)]
    for bad in (np.zeros((2, C + 1), "f"), np.zeros(2, "f")):
        built, whole = model(CROSS, activation="softmax"), model(CROSS, activation="softmax")
        whole.set_weights(built.get_weights())
        for one in (built, whole):
            one.compile(fastseq.optimizers.Adam(**more), CROSS, metrics=["accuracy"])
        whole.fit(iter(good), verbose=0)
        with pytest.raises(ValueError, match="labels have shape"):
            built.fit(iter([*good, (X[4:6], bad)]), verbose=0)
        if not more.get("use_ema"):
            assert state_of(built) == state_of(whole)
        built.fit(iter(good), verbose=0)


@pytest.mark.parametrize("metric", [
    "sparse_categorical_accuracy", metrics.SparseTopKCategoricalAccuracy(2),
], ids=str)  # fmt: skip
def test_metrics_that_do_not_take_the_labels(metric):
    refuses(model(metrics=[metric]), [(B, C), "sparse_", "metric"], np.zeros((B, C)))


@pytest.mark.parametrize("metric", [
    metrics.Precision(), metrics.Recall(), "mse", "binary_accuracy", "categorical_accuracy",
    "top_k_categorical_accuracy",
], ids=str)  # fmt: skip
def test_metrics_that_do_not_take_classes(metric):
    refuses(model(SPARSE, metrics=[metric]), [(B,), (B, C), "metric"], np.zeros(B, int))


@pytest.mark.parametrize(("sequences", "shape"), [
    (False, (B - 1,)), (False, (B, T)), (False, (B, B)), (False, (B, C)), (True, (B, T + 1)), (True, (B,)),
    (True, (B, T, C)), (True, (B, B)),
], ids=str)  # fmt: skip
def test_weights_of_another_shape(sequences, shape):
    words = ["'small'", f"sample weights have shape {shape}", (B, T) if sequences else (B,)]
    words += ["[:, None]"] if sequences and shape == (B,) else []
    y = np.zeros((B, T, C) if sequences else (B, C))
    refuses(model(sequences=sequences), words, y, sample_weight=np.ones(shape))


@pytest.mark.parametrize(("sequences", "shape"), [
    (False, (B,)), (False, (B, 1)), (False, (1,)), (False, ()), (True, (B, T)), (True, (B, 1)), (True, (B, T, 1)),
    (True, (1, T)),
], ids=str)  # fmt: skip
def test_weights_that_fit(sequences, shape):
    built = model(sequences=sequences)
    y = np.zeros((B, T, C) if sequences else (B, C))
    expected = built.test_on_batch(X, y)
    assert built.test_on_batch(X, y, sample_weight=np.full(shape, 2.0)) == pytest.approx(2 * expected, rel=1e-6)
    built.train_on_batch(X, y, sample_weight=np.full(shape, 2.0))


@pytest.mark.parametrize(("loss", "options", "labels"), [
    ("mse", {"units": 1}, np.zeros(B)), ("mse", {"units": 1, "sequences": True}, np.zeros((B, T))),
    ("binary_crossentropy", {"units": 1, "activation": "sigmoid"}, np.zeros(B, bool)),
    (SPARSE, {}, np.zeros((B, 1), int)), (SPARSE, {"sequences": True}, np.zeros((B, T, 1), "u1")),
    (SPARSE, {}, np.zeros(B)), (CROSS, {"activation": "softmax"}, np.eye(C, dtype="i4")[np.zeros(B, int)]),
], ids=str)  # fmt: skip
def test_labels_that_fit(loss, options, labels):
    built = model(loss, metrics=["accuracy"], **options)
    assert np.isfinite(built.train_on_batch(X, labels)).all()


def test_a_users_loss_and_metric_take_what_they_like():
    def first(y_true, y_pred):
        return (y_pred[:, 0] - y_true[:, 0]) ** 2

    def gradient(y_true, y_pred):
        found = np.zeros_like(y_pred)
        found[:, 0] = 2 * (y_pred[:, 0] - y_true[:, 0])
        return found

    def second(y_true, y_pred):
        return y_pred[:, 1]

    built = model(fastseq.losses.with_gradient(first, gradient), metrics=[second])
    assert np.isfinite(built.train_on_batch(X, np.zeros((B, 2)))).all()

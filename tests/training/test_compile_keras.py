"""What `compile` may be told, against Keras: models without weights, names of functions, other optimizers, sums."""

import numpy as np
import pytest
from layer_check import random_weights

import fastseq

pytestmark = pytest.mark.tensorflow
keras = pytest.importorskip("keras")

X = np.random.default_rng(0).standard_normal((20, 4)).astype("f")
Y = np.random.default_rng(1).standard_normal((20, 3)).astype("f")


def dense(k, **options):
    return k.Sequential([k.Input((4,)), k.layers.Dense(5, activation="tanh"), k.layers.Dense(3, **options)])


def both(make=dense):
    models = [make(library) for library in (fastseq, keras)]
    for model in models:
        model.set_weights(random_weights([np.shape(weight) for weight in model.get_weights()]))
    return list(zip(models, (fastseq, keras)))


def same_history(ours, theirs):
    assert list(ours.history) == list(theirs.history)
    for name, values in theirs.history.items():
        np.testing.assert_allclose(ours.history[name], values, rtol=1e-5, atol=1e-6, err_msg=name)


def same_weights(ours, theirs):
    for own, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-5, atol=1e-6)


# ---- without trainable weights ---------------------------------------------------------------------------------------


def test_a_frozen_model_runs():
    histories, values = [], []
    for model, _ in both():
        model.trainable = False
        model.compile("adam", "mse", metrics=["mae"])
        before = model.get_weights()
        with pytest.warns(UserWarning, match="does not have any trainable weights"):
            histories.append(model.fit(X, Y, epochs=2, batch_size=8, shuffle=False, verbose=0))
            values.append([*model.train_on_batch(X, Y), int(model.optimizer.iterations)])
        for own, other in zip(before, model.get_weights()):
            np.testing.assert_array_equal(own, other)
    same_history(*histories)
    np.testing.assert_allclose(*values, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:.*does not have any trainable weights")
def test_a_model_without_weights_runs_as_in_training():
    """Dropout drops, and evaluate's does not."""
    x = np.ones((400, 50), "f")
    for library in (fastseq, keras):
        model = library.Sequential([library.Input((50,)), library.layers.Dropout(0.5)])
        model.compile("sgd", "mse")
        assert model.fit(x, x, verbose=0).history["loss"][0] == pytest.approx(1.0, rel=0.05)
        assert model.evaluate(x, x, verbose=0) == 0


# ---- metrics and logs ------------------------------------------------------------------------------------------------


def RMSE(y_true, y_pred):
    return (y_true - y_pred) ** 2


class MyError:
    def __call__(self, y_true, y_pred):
        return (y_true - y_pred) ** 2


def test_names_of_functions_are_in_snake_case():
    histories = []
    for model, library in both():
        wrapper = library.metrics.MeanMetricWrapper
        own = [RMSE, MyError(), lambda a, b: (a - b) ** 2, wrapper(RMSE, name="Own"), "mse", "MSE"]
        model.compile("sgd", "mse", metrics=own)
        histories.append(model.fit(X, Y, shuffle=False, verbose=0))
    same_history(*histories)
    assert {"rmse", "my_error", "lambda", "Own", "mse", "MSE"} < set(histories[0].history)


def test_all_names_of_a_history_are_sorted_together():
    histories = []
    for model, _ in both():
        model.compile("sgd", "mse", metrics=["mae"], weighted_metrics=["mae"])
        histories.append(model.fit(X, Y, validation_data=(X, Y), shuffle=False, verbose=0, epochs=2))
    same_history(*histories)
    assert list(histories[0].history)[-1] == "weighted_mae"


# ---- optimizers ------------------------------------------------------------------------------------------------------


def test_another_optimizer_after_compile():
    models = both()
    for model, library in models:
        model.compile(library.optimizers.SGD(0.0), "mse")
        model.optimizer = library.optimizers.Adam(0.05)
        model.fit(X, Y, epochs=3, batch_size=8, shuffle=False, verbose=0)
        assert int(model.optimizer.iterations) == 9
    # A file has the optimizer that its state is of; Keras writes the first one there.
    assert models[0][0].get_compile_config()["optimizer"]["class_name"] == "Adam"
    same_weights(*(model for model, _ in models))


def test_another_optimizer_after_training():
    """It does the next step. Keras on TensorFlow goes on with the old one, which stands in the step it compiled."""
    (model, _), (other, _) = both()[0], both()[0]
    model.compile("sgd", "mse")
    model.fit(X, Y, shuffle=False, verbose=0)
    other.set_weights(model.get_weights())
    model.optimizer = fastseq.optimizers.Adam(0.05)
    other.compile(fastseq.optimizers.Adam(0.05), "mse")
    for one in (model, other):
        one.fit(X, Y, epochs=2, shuffle=False, verbose=0)
    assert int(model.optimizer.iterations) == 2
    for a, b in zip(model.get_weights(), other.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_no_optimizer_before_compile():
    with pytest.raises(AttributeError, match="not compiled"):
        both()[0][0].optimizer = "adam"


@pytest.mark.parametrize("options", [{}, {"use_ema": True}], ids=str)
def test_an_optimizer_of_other_weights_says_so(options):
    for model, library in both():
        model.layers[0].trainable = False
        model.compile(library.optimizers.Adam(**options), "mse")
        model.fit(X, Y, verbose=0)
        model.layers[0].trainable = True
        model.compile(model.optimizer, "mse")
        before = model.get_weights()
        with pytest.raises(ValueError, match=r"Unknown variable: .*kernel"):
            model.fit(X, Y, verbose=0)
        for own, other in zip(before, model.get_weights()):
            np.testing.assert_array_equal(own, other)


# ---- losses that are not reduced, and a regularizer ------------------------------------------------------------------


@pytest.mark.parametrize("reduction", [None, "none"])
@pytest.mark.parametrize("shape", [(4,), (6, 4)])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_loss_that_is_not_reduced_trains_with_the_sum_and_shows_the_mean(reduction, shape, weighted):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((20, *shape)).astype("f"), rng.standard_normal((20, *shape[:-1], 3)).astype("f")
    weights = rng.random((20, *shape[:-1])).astype("f") if weighted else None
    models, histories = both(lambda k: k.Sequential([k.Input(shape), k.layers.Dense(3)])), []
    for model, library in models:
        model.compile(library.optimizers.SGD(0.01), library.losses.MeanSquaredError(reduction=reduction))
        options = {"sample_weight": weights, "batch_size": 8, "verbose": 0}
        histories.append(model.fit(x, y, epochs=3, shuffle=False, **options))
        histories[-1].history["test"] = [model.evaluate(x, y, **options)]
    same_history(*histories)
    same_weights(*(model for model, _ in models))


@pytest.mark.parametrize("mode", ["rows", "columns"])
def test_the_gradient_of_an_orthogonal_regularizer(mode):
    import tensorflow as tf

    ours = fastseq.regularizers.OrthogonalRegularizer(0.3, mode=mode)
    theirs = keras.regularizers.OrthogonalRegularizer(0.3, mode=mode)
    for shape in ((5, 4), (3, 7), (2, 2)):
        value = np.random.default_rng(shape[0]).standard_normal(shape)
        weight = tf.Variable(value, dtype="float32")
        with tf.GradientTape() as tape:
            penalty = theirs(weight)
        np.testing.assert_allclose(ours(value), float(penalty), rtol=1e-5)
        expected = tape.gradient(penalty, weight).numpy()
        np.testing.assert_allclose(ours.gradient(value), expected, rtol=1e-4, atol=1e-6)
        way = np.random.default_rng(9).standard_normal(shape)
        slope = (ours(value + 1e-6 * way) - ours(value - 1e-6 * way)) / 2e-6
        assert np.vdot(ours.gradient(value), way) == pytest.approx(slope, rel=1e-4)


def test_training_with_an_orthogonal_regularizer():
    def make(k):
        R = k.regularizers.OrthogonalRegularizer
        first = k.layers.Dense(5, kernel_regularizer=R(0.5))
        return k.Sequential([k.Input((4,)), first, k.layers.Dense(3, kernel_regularizer=R(0.5, "columns"))])

    models, histories = both(make), []
    for model, library in models:
        model.compile(library.optimizers.SGD(0.1), "mse")
        histories.append(model.fit(X, Y, epochs=4, batch_size=8, shuffle=False, verbose=0))
    same_history(*histories)
    same_weights(*(model for model, _ in models))

"""Whole models against Keras: ten steps with every option of the optimizers, metrics over uneven batches, arguments."""

import inspect

import numpy as np
import pytest
from layer_check import random_weights
from optimizer_cases import KINDS, SHARED, id_of

import fastseq

pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("keras_runs_eagerly")]
keras = pytest.importorskip("keras")

NAMES = ["SGD", "RMSprop", "Adam", "AdamW", "Nadam", "Adagrad"]
CASES = KINDS + [(NAMES[number % 6], options) for number, options in enumerate(SHARED)]
CASES += [("AdamW", {"clipnorm": 0.1}), ("SGD", {"momentum": 0.9, "nesterov": True, "global_clipnorm": 0.1})]


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("f")


def both(make):
    """`make(library)` by fastseq and by Keras, from the same weights."""
    models = [make(fastseq), make(keras)]
    for model in models:
        model.set_weights(random_weights([np.shape(weight) for weight in model.get_weights()]))
    return models


def recurrent(k):
    L = k.layers
    return k.Sequential([k.Input((3, 3)), L.LSTM(4, return_sequences=True), L.GRU(4), L.Dense(3, activation="softmax")])


def ten_steps(ours, theirs, make_optimizer):
    x, y = draw(10, 6, 3, 3), np.eye(3, dtype="f")[np.random.default_rng(1).integers(0, 3, (10, 6))]
    ours.compile(make_optimizer(fastseq, ours), "categorical_crossentropy")
    theirs.compile(make_optimizer(keras, theirs), "categorical_crossentropy", run_eagerly=True)
    before = ours.get_weights()
    for batch in zip(x, y):
        found, expected = ours.train_on_batch(*batch), theirs.train_on_batch(*batch)
        assert found == pytest.approx(float(expected), rel=1e-4)
    assert any(np.abs(a - b).max() > 1e-4 for a, b in zip(before, ours.get_weights()))
    for own, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-4, atol=2e-6)
    assert int(ours.optimizer.iterations) == int(theirs.optimizer.iterations)


@pytest.mark.parametrize(("name", "options"), CASES, ids=map(id_of, CASES))
def test_ten_steps_of_a_model(name, options):
    ten_steps(*both(recurrent), lambda library, _: getattr(library.optimizers, name)(**options))


@pytest.mark.parametrize(("name", "arguments"), [
    ("ExponentialDecay", (0.1, 3, 0.5)), ("PiecewiseConstantDecay", ([3, 6], [0.1, 0.05, 0.01])),
    ("PolynomialDecay", (0.1, 8, 0.01)), ("InverseTimeDecay", (0.1, 3, 0.5)),
    ("CosineDecay", (0.01, 8, 0.1, "warm", 0.1, 3)), ("CosineDecayRestarts", (0.1, 4)),
])  # fmt: skip
def test_schedules(name, arguments):
    def make(library, _):
        return library.optimizers.SGD(getattr(library.optimizers.schedules, name)(*arguments), momentum=0.5)

    ten_steps(*both(recurrent), make)


def test_excluded_from_weight_decay():
    def make(library, model):
        optimizer = library.optimizers.AdamW(weight_decay=0.5)
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        return optimizer

    ten_steps(*both(recurrent), make)


def test_averages_take_the_weights_place_at_the_end_of_fit():
    ours, theirs = both(recurrent)
    x, y = draw(40, 3, 3), np.eye(3, dtype="f")[np.random.default_rng(1).integers(0, 3, 40)]
    for model, library in ((ours, fastseq), (theirs, keras)):
        model.compile(library.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.8), "categorical_crossentropy")
        model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0)
    for own, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-4, atol=2e-6)


# ---- metrics --------------------------------------------------------------------------------------------------------


def classes(k):
    return k.Sequential([k.Input((5,)), k.layers.Dense(6, activation="softmax")])


def one_bit(k):
    return k.Sequential([k.Input((5,)), k.layers.Dense(1, activation="sigmoid")])


def bits(k):
    return k.Sequential([k.Input((5,)), k.layers.Dense(4, activation="sigmoid")])


NUMBERS = np.random.default_rng(1).integers(0, 6, 70)
METRICS = {
    "one-hot": (classes, "categorical_crossentropy", np.eye(6, dtype="f")[NUMBERS], lambda m: [
        "accuracy", m.TopKCategoricalAccuracy(2), m.Precision(), m.Recall(top_k=2), m.Precision(class_id=1, name="one"),
        "mse", "mae", m.CategoricalAccuracy(),
    ]),
    "class numbers": (classes, "sparse_categorical_crossentropy", NUMBERS, lambda m: [
        "acc", m.SparseTopKCategoricalAccuracy(3), "sparse_top_k_categorical_accuracy",
    ]),
    "a column of them": (classes, "sparse_categorical_crossentropy", NUMBERS[:, None], lambda m: ["accuracy"]),
    "one bit": (one_bit, "binary_crossentropy", (NUMBERS % 2)[:, None].astype("f"), lambda m: [
        "accuracy", "acc", m.BinaryAccuracy(threshold=0.4, name="low"), m.Precision(0.6), m.Recall(0.2),
    ]),
    "bits": (bits, "binary_crossentropy", np.random.default_rng(2).integers(0, 2, (70, 4)).astype("f"), lambda m: [
        "accuracy", "binary_accuracy", m.Precision([0.3, 0.6]), m.Recall(), "accuracy",
    ]),
}  # fmt: skip


@pytest.mark.parametrize("case", METRICS)
@pytest.mark.parametrize("weighted", [False, True])
def test_metrics_over_uneven_batches(case, weighted):
    make, loss, y, wanted = METRICS[case]
    # Names of metrics are counted, also those that other tests made.
    fastseq.tensors.naming.reset()
    keras.utils.clear_session()
    x, weights = draw(70, 5), np.random.default_rng(3).random(70).astype("f") if weighted else None
    models = both(make)
    for model, library in zip(models, (fastseq, keras)):
        where = "weighted_metrics" if weighted else "metrics"
        # A second metric of a name gets another one.
        model.compile("sgd", loss, **{"metrics": ["accuracy"], where: wanted(library.metrics)})
    options = {"batch_size": 32, "verbose": 0, "sample_weight": weights}
    found, expected = (model.evaluate(x, y, return_dict=True, **options) for model in models)
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(np.asarray(value), rel=1e-5, abs=1e-6), name
    # As in one batch.
    whole = models[0].evaluate(x, y, return_dict=True, **{**options, "batch_size": 70})
    for name, value in whole.items():
        assert found[name] == pytest.approx(value, rel=1e-5), name
    logs = [model.fit(x, y, epochs=2, shuffle=False, **options).history for model in models]
    assert list(logs[0]) == list(logs[1])
    for name, values in logs[1].items():
        np.testing.assert_allclose(logs[0][name], values, rtol=1e-4, atol=1e-5, err_msg=name)


# ---- arguments ------------------------------------------------------------------------------------------------------


def names_of(function):
    return [name for name in inspect.signature(function).parameters if name not in ("self", "kwargs", "args")]


@pytest.mark.parametrize("shape", [(1, 3), (2, 1, 3)])
@pytest.mark.parametrize("masked", [False, True])
def test_weights_without_the_axis_of_a_last_timestep(shape, masked):
    """The loss's values (4, 1) lose an axis beside weights (4,)."""
    x, y = draw(4, *shape), draw(4, *shape, seed=1)
    weights = np.random.default_rng(2).random((4, *shape[:-2])).astype("f")
    if masked:
        x[1] = 0

    def make(k):
        masking = [k.layers.Masking()] if masked and len(shape) == 2 else []
        return k.Sequential([k.Input(shape), *masking, k.layers.Dense(3)])

    ours, theirs = both(make)
    for model, library in ((ours, fastseq), (theirs, keras)):
        model.compile(library.optimizers.SGD(0.1), "mse", weighted_metrics=["mae"])
    for _ in range(2):
        found = [model.train_on_batch(x, y, sample_weight=weights) for model in (ours, theirs)]
        np.testing.assert_allclose(*found, rtol=1e-5)
    for own, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", ["compile", "fit", "evaluate", "train_on_batch", "test_on_batch"])
def test_every_argument_of_a_method(method):
    """Keras's arguments are here, in its order, or raise with the list of those that are."""
    ours = names_of(getattr(fastseq.Model, method))
    theirs = names_of(getattr(keras.Model, method))
    assert [name for name in ours if name in theirs] == [name for name in theirs if name in ours]
    model = fastseq.Sequential([fastseq.Input((3,)), fastseq.layers.Dense(2)])
    model.compile("sgd", "mse")
    data = {} if method == "compile" else {"x": np.ones((4, 3), "f"), "y": np.ones((4, 2), "f")}
    for name in [name for name in theirs if name not in ours] + ["nonsense"]:
        with pytest.raises(TypeError) as caught:
            getattr(model, method)(**data, **{name: 1})
        assert name in str(caught.value) and all(own in str(caught.value) for own in ours), str(caught.value)


@pytest.mark.parametrize("name", [
    "BackupAndRestore", "CSVLogger", "EarlyStopping", "History", "LearningRateScheduler", "ModelCheckpoint",
    "ReduceLROnPlateau", "TerminateOnNaN",
])  # fmt: skip
def test_every_argument_of_a_callback(name):
    own, other = (inspect.signature(getattr(library.callbacks, name).__init__) for library in (fastseq, keras))
    ours, theirs = (
        {p.name: p.default for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD}
        for signature in (own, other)
    )
    assert [*ours] == [*theirs] and ours == theirs


@pytest.mark.parametrize("module", ["losses", "metrics", "optimizers", "callbacks"])
def test_names_beyond_the_lists_raise_with_those_that_exist(module):
    own, other = getattr(fastseq, module), getattr(keras, module)
    missing = [name for name in dir(other) if name[0] != "_" and name not in dir(own) and name != "legacy"]
    assert missing and set(own.__all__) <= set(dir(own)) and all(hasattr(own, name) for name in own.__all__)
    for name in missing:
        assert not hasattr(own, name), name
        with pytest.raises(
            AttributeError, match=f"'fastseq.{module}' has no attribute '{name}'. It has: .*{own.__all__[0]}"
        ):
            getattr(own, name)
    if module != "callbacks":
        found = [name for name in missing if inspect.isclass(getattr(other, name))]
        for name in found:
            with pytest.raises(ValueError, match="There are"):
                own.get(name)

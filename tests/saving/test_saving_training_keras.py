"""Files of compiled and trained models in both directions: training goes on in the other library as in one run."""

import warnings

import loss_cases
import metric_cases
import numpy as np
import pytest
from optimizer_cases import KINDS, SHARED, id_of
from training_files import (
    BATCHES,
    classifier,
    compiled,
    config_in,
    inputs,
    labels,
    optimizer_of,
    recurrent,
    same_outputs,
    same_training,
    train,
    two_outputs,
)

import fastseq
from fastseq.tensors import naming

pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("keras_runs_eagerly")]
keras = pytest.importorskip("keras")

HALF = BATCHES // 2
SCHEDULES = [
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 2, "decay_rate": 0.5}),
    ("PiecewiseConstantDecay", {"boundaries": [2, 4], "values": [0.1, 0.05, 0.2]}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 4, "power": 2.0}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 1, "decay_rate": 0.5}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 8, "warmup_target": 0.2, "warmup_steps": 2}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 2}),
]
OPTIMIZERS = [
    *KINDS,
    *(("Adam", options) for options in SHARED),
    *(("SGD", {"schedule": schedule, "momentum": 0.9}) for schedule in SCHEDULES),
]


def both_ways(tmp_path, make, ending=".keras", **options):
    """Half of the steps in one library, the rest in the other, after each has saved: both runs end as unbroken ones."""
    unbroken, loaded = {}, {}
    others = {fastseq: keras, keras: fastseq}
    for k, other in others.items():
        path = tmp_path / f"{k.__name__}{ending}"
        unbroken[k] = compiled(k, make, **options)
        train(unbroken[k], make, 0, HALF)
        unbroken[k].save(path)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            loaded[other] = other.saving.load_model(path)
        assert loaded[other].compiled
        same_outputs(loaded[other], unbroken[k], inputs(make, 99))
        train(unbroken[k], make, HALF, BATCHES)
    for model in loaded.values():
        train(model, make, HALF, BATCHES)
        for expected in unbroken.values():
            same_training(model, expected)


@pytest.mark.parametrize(("name", "options"), OPTIMIZERS, ids=map(id_of, OPTIMIZERS))
def test_every_optimizer_goes_on_in_the_other_library(tmp_path, name, options):
    both_ways(tmp_path, classifier, optimizer=optimizer_of(name, options), loss="categorical_crossentropy")


@pytest.mark.slow("5 s inside Keras")
def test_every_place_of_a_weight(tmp_path):
    """Embedding, both directions, a model in the model, cells in a stack; a frozen layer has no state.

    By momentum: where an id stands twice in a batch, Keras on TensorFlow squares the two gradients apart, so that
    optimizers with a mean square step otherwise there than Keras does on JAX and PyTorch.
    """
    optimizer = optimizer_of("SGD", {"learning_rate": 0.5, "momentum": 0.9, "nesterov": True})
    both_ways(tmp_path, recurrent, optimizer=optimizer, loss="categorical_crossentropy", metrics=["accuracy"])


def named(k):
    return {"kind": k.losses.CategoricalCrossentropy(label_smoothing=0.1), "size": k.losses.mean_absolute_error}


COMPILED = {
    "one loss for both": {"loss": "mse", "metrics": [["accuracy"], ["mae", "mse"]]},
    "lists": {
        "loss": lambda k: ["categorical_crossentropy", k.losses.Huber()],
        "loss_weights": [1.0, 0.5],
        "metrics": lambda k: [["accuracy", k.metrics.TopKCategoricalAccuracy(k=2)], [k.metrics.mean_squared_error]],
        "weighted_metrics": lambda k: [[], [k.metrics.MeanAbsoluteError(name="off")]],
    },
    "dicts": {
        "loss": named,
        "loss_weights": {"kind": 2.0, "size": 0.25},
        "metrics": lambda k: {"kind": [k.metrics.Precision(), k.metrics.Recall(0.4)], "size": "mae"},
        "weighted_metrics": {"size": ["mse"]},
    },
    "one of two": {"loss": {"kind": None, "size": "mse"}},
}


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.parametrize("options", COMPILED.values(), ids=COMPILED)
def test_several_outputs(tmp_path, options):
    both_ways(tmp_path, two_outputs, optimizer="rmsprop", **options)


@pytest.mark.parametrize("options", COMPILED.values(), ids=COMPILED)
def test_the_config_is_keras_s_own(tmp_path, options):
    """But for jit_compile, which Keras fills in for its backend and here stays Keras's default."""
    keras.utils.clear_session()
    naming.reset()
    for k in (keras, fastseq):
        compiled(k, two_outputs, optimizer="nadam", **options).save(tmp_path / f"{k.__name__}.keras")
    theirs, ours = config_in(tmp_path / "keras.keras"), config_in(tmp_path / "fastseq.keras")
    assert theirs.pop("jit_compile") is False and ours.pop("jit_compile") == "auto"
    if options["loss"] is COMPILED["lists"]["loss"]:
        # Keras forgets delta, and so loads a Huber loss of another one than it saved.
        assert ours["loss"][1]["config"].pop("delta") == 1.0
    assert list(ours) == list(theirs)
    assert ours == theirs


def identity(k, size):
    model = k.Sequential([k.Input((size,)), k.layers.Dense(size, use_bias=False)])
    model.set_weights([np.eye(size, dtype="f")])
    return model


def same_results_after_files(tmp_path, size, x, y, make_options):
    """A model that Keras compiled, by fastseq from its file, and by Keras from fastseq's, evaluates alike."""
    theirs = identity(keras, size)
    theirs.compile("sgd", **make_options(keras))
    expected = np.ravel(theirs.evaluate(x, y, verbose=0))
    theirs.save(tmp_path / "theirs.keras")
    ours = fastseq.load_model(tmp_path / "theirs.keras")
    np.testing.assert_allclose(np.ravel(ours.evaluate(x, y, verbose=0)), expected, rtol=1e-5)
    ours = identity(fastseq, size)
    ours.compile("sgd", **make_options(fastseq))
    ours.save(tmp_path / "ours.keras")
    loaded = keras.saving.load_model(tmp_path / "ours.keras")
    np.testing.assert_allclose(np.ravel(loaded.evaluate(x, y, verbose=0)), expected, rtol=1e-5)


LOSSES = [(form, *case) for case in loss_cases.CASES for form in ("object", *(() if case[1] else ("function", "name")))]
# Keras leaves the delta of a Huber loss out of its files.
LOSSES = [(form, name, arguments, kind) for form, name, arguments, kind in LOSSES if name != "Huber" or not arguments]


@pytest.mark.parametrize(("form", "name", "arguments", "kind"), LOSSES)
def test_every_loss(tmp_path, form, name, arguments, kind):
    y, x = loss_cases.sample(kind, np.random.default_rng(0))
    snake = naming.to_snake_case(name)

    def options(k):
        made = {"object": getattr(k.losses, name)(**arguments), "function": getattr(k.losses, snake), "name": snake}
        return {"loss": made[form]}

    same_results_after_files(tmp_path, loss_cases.C, x.astype("f"), y, options)


@pytest.mark.parametrize("kind", ["one-hot", "classes", "bits", "equal", "real"])
@pytest.mark.parametrize("form", ["object", "function", "name"])
def test_every_metric(tmp_path, kind, form):
    y, x, _, _ = metric_cases.data(kind, 9)
    cases = [case for case in metric_cases.CASES if case[2] == kind]
    # Several thresholds give several numbers, which Keras's evaluate cannot show.
    cases = [case for case in cases if not isinstance(case[1].get("thresholds"), list)]

    def options(k):
        loss = "sparse_categorical_crossentropy" if kind == "classes" else "mse"
        if form == "object":
            made = [getattr(k.metrics, name)(**own, name=f"m{i}") for i, (name, own, _) in enumerate(cases)]
            return {"loss": loss, "metrics": made}
        names = dict.fromkeys(naming.to_snake_case(name) for name, *_ in cases)
        if form == "function":
            names = [getattr(k.metrics, name) for name in names if hasattr(keras.metrics, name)]
        else:
            names |= dict.fromkeys(["accuracy", "acc"] if kind == "classes" else ["accuracy", "acc", "mae", "MSE"])
        return {"loss": loss, "weighted_metrics": list(names)}

    same_results_after_files(tmp_path, metric_cases.C, x, y, options)


NOT_HERE = [
    ({"optimizer": lambda k: k.optimizers.Lion(), "loss": "mse"}, "'Lion'.*Optimizer"),
    ({"optimizer": "sgd", "loss": lambda k: k.losses.Poisson()}, "'Poisson'.*Loss"),
    ({"optimizer": "sgd", "loss": "poisson"}, "poisson"),
    ({"optimizer": "sgd", "loss": lambda k: k.losses.poisson}, "poisson"),
    ({"optimizer": "sgd", "loss": "mse", "metrics": lambda k: [k.metrics.AUC()]}, "'AUC'.*Metric"),
    ({"optimizer": "sgd", "loss": "mse", "metrics": ["accuracy", "poisson"]}, "poisson"),
    ({"optimizer": "sgd", "loss": "mse", "weighted_metrics": ["crossentropy"]}, "crossentropy"),
    ({"optimizer": "sgd", "loss": "mse", "steps_per_execution": 4}, "steps_per_execution"),
    ({"optimizer": "sgd", "loss": lambda k: lambda y, p: p - y}, "lambda"),
]


def not_here():
    """With both endings; the older format keeps no steps_per_execution for Keras either, and no lambda."""
    for options, missing in NOT_HERE:
        yield options, missing, ".keras"
        if "steps_per_execution" not in options and missing != "lambda":
            yield options, missing, ".h5"


@pytest.mark.parametrize(("options", "missing", "ending"), [*not_here()])
def test_what_is_not_here_loads_for_predictions(tmp_path, options, missing, ending):
    theirs = compiled(keras, classifier, **options)
    theirs.save(tmp_path / f"m{ending}")
    with pytest.warns(UserWarning, match=f"not compiled: .*{missing}"):
        ours = fastseq.load_model(tmp_path / f"m{ending}")
    assert not ours.compiled and ours.optimizer is None and ours.compile_config
    same_outputs(ours, theirs, inputs(classifier, 0))
    assert not fastseq.load_model(tmp_path / f"m{ending}", compile=False).compiled
    with pytest.raises(ValueError, match="compile"):
        train(ours, classifier, 0, 1)


@pytest.mark.filterwarnings("ignore:The saved state of optimizer 'adam.*' was not taken over")
def test_how_keras_runs_steps_makes_no_difference(tmp_path):
    for options in ({"jit_compile": True}, {"run_eagerly": True}):
        compiled(keras, classifier, optimizer="adam", loss="mse", **options).save(tmp_path / "m.keras")
        assert fastseq.load_model(tmp_path / "m.keras").compiled


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_weight_files_carry_the_state_too(tmp_path):
    """A .weights.h5 and a .keras file give a built optimizer its state, in both libraries, and an unbuilt one none."""
    options = {"optimizer": "adam", "loss": "categorical_crossentropy"}
    for k, other in ((fastseq, keras), (keras, fastseq)):
        source = compiled(k, classifier, **options)
        train(source, classifier, 0, HALF)
        source.save_weights(tmp_path / "m.weights.h5")
        source.save(tmp_path / "m.keras")
        for file in ("m.weights.h5", "m.keras"):
            built, unbuilt = (compiled(other, classifier, **options) for _ in range(2))
            train(built, classifier, 3, 4)
            for model in (built, unbuilt):
                model.load_weights(tmp_path / file)
            same_training(built, source)
            assert int(unbuilt.optimizer.iterations) == 0
            np.testing.assert_array_equal(unbuilt.get_weights()[0], source.get_weights()[0])


def test_a_compiled_model_in_a_compiled_model(tmp_path):
    """Each has its optimizer and its state, in the place where Keras looks for it."""

    def make(k):
        inner = compiled(k, classifier, optimizer="adam", loss="categorical_crossentropy")
        train(inner, classifier, 0, 2)
        x = k.Input((5,))
        model = k.Model(x, k.layers.Dense(3, activation="softmax")(inner(x)))
        return compiled(k, lambda _: model, optimizer=lambda k: k.optimizers.SGD(0.1, 0.9), loss="mse"), inner

    for k, other in ((fastseq, keras), (keras, fastseq)):
        model, inner = make(k)
        train(model, classifier, 2, 4)
        model.save(tmp_path / "m.keras")
        loaded = other.saving.load_model(tmp_path / "m.keras")
        same_training(loaded, model)
        same_training(loaded.layers[1], inner)
        train(model, classifier, 4, 5)
        train(loaded, classifier, 4, 5)
        same_training(loaded, model)


def test_the_learning_rate_can_be_set_after_loading(tmp_path):
    models = {}
    for k, other in ((fastseq, keras), (keras, fastseq)):
        model = compiled(k, classifier, optimizer="adam", loss="categorical_crossentropy")
        train(model, classifier, 0, 2)
        model.optimizer.learning_rate = 0.05
        model.save(tmp_path / "m.keras")
        models[other] = other.saving.load_model(tmp_path / "m.keras")
        assert float(models[other].optimizer.learning_rate) == pytest.approx(0.05)
        models[other].optimizer.learning_rate = 0.002
        train(models[other], classifier, 2, 5)
    same_training(*models.values())
    assert float(models[fastseq].optimizer.learning_rate) == pytest.approx(0.002)


def test_custom_objects_are_compiled_with(tmp_path):
    def doubled(y, predicted):
        return 2 * (y - predicted) ** 2

    def off(y, predicted):
        return abs(y - predicted)

    theirs = identity(keras, 3)
    theirs.compile("sgd", loss=doubled, metrics=[off])
    x, y = inputs(classifier, 0)[:, :3], labels(classifier, 0)
    theirs.train_on_batch(x, y)
    theirs.save(tmp_path / "m.keras")
    with pytest.warns(UserWarning, match="not compiled: .*'doubled'"):
        fastseq.load_model(tmp_path / "m.keras")
    own = fastseq.losses.with_gradient(doubled, lambda y, predicted: 4 * (predicted - y))
    ours = fastseq.load_model(tmp_path / "m.keras", custom_objects={"doubled": own, "off": off})
    np.testing.assert_allclose(ours.test_on_batch(x, y), theirs.test_on_batch(x, y), rtol=1e-5)
    for model in (ours, theirs):
        model.train_on_batch(x, y)
    same_training(ours, theirs)
    ours.save(tmp_path / "ours.keras")
    again = keras.saving.load_model(tmp_path / "ours.keras", {"doubled": doubled, "off": off})
    np.testing.assert_allclose(again.test_on_batch(x, y), ours.test_on_batch(x, y), rtol=1e-5)


# ---- the older format --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "options"), KINDS[::3], ids=map(id_of, KINDS[::3]))
def test_older_files_of_keras_go_on_here(tmp_path, name, options):
    theirs = compiled(keras, classifier, optimizer=optimizer_of(name, options), loss="categorical_crossentropy")
    train(theirs, classifier, 0, HALF)
    theirs.save(tmp_path / "m.h5")
    ours = fastseq.load_model(tmp_path / "m.h5")
    same_training(ours, theirs)
    for model in (ours, theirs):
        train(model, classifier, HALF, BATCHES)
    same_training(ours, theirs)


@pytest.mark.parametrize("options", list(COMPILED.values())[:3], ids=list(COMPILED)[:3])
def test_keras_evaluates_our_older_files(tmp_path, options):
    """It predicts and evaluates the same, short names included, and knows step count and learning rate.

    It leaves all other variables of the optimizer out, of its own files too, and refuses to train on before compile().
    """
    ours = compiled(fastseq, two_outputs, optimizer="adam", **options)
    ours.optimizer.learning_rate = 0.25
    train(ours, two_outputs, 0, HALF)
    ours.save(tmp_path / "m.h5")
    x, y = inputs(two_outputs, 9), labels(two_outputs, 9)
    theirs = keras.saving.load_model(tmp_path / "m.h5")
    same_outputs(theirs, ours, x)
    expected = np.sort(ours.test_on_batch(x, y), axis=None)
    np.testing.assert_allclose(np.sort(theirs.test_on_batch(x, y), axis=None), expected, rtol=1e-5)
    assert int(theirs.optimizer.iterations) == HALF and float(theirs.optimizer.learning_rate) == 0.25
    again = fastseq.load_model(tmp_path / "m.h5")
    np.testing.assert_allclose(np.sort(again.test_on_batch(x, y), axis=None), expected, rtol=1e-6)

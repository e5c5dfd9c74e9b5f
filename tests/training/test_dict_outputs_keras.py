"""Models whose outputs are a dict, and losses of some outputs only, against Keras: whose loss is whose."""

import numpy as np
import pytest
from layer_check import random_weights

import fastseq

pytestmark = pytest.mark.tensorflow
keras = pytest.importorskip("keras")

# "zz" and "aa" are the names of no layers, "q" is the key of what the layer "p" gives, then names and keys agree.
KEYS = [("zz", "aa"), ("q", "p"), ("p", "q")]
X = np.random.default_rng(0).standard_normal((20, 4)).astype("f")
CLASSES = np.eye(3, dtype="f")[np.random.default_rng(1).integers(0, 3, 20)]
NUMBERS = np.random.default_rng(2).standard_normal((20, 1)).astype("f")


def two_headed(k, keys):
    """Classes under the first key, made by the layer "p", and a number under the second, by the layer "q"."""
    inputs = k.Input((4,))
    hidden = k.layers.Dense(5, activation="tanh", name="hidden")(inputs)
    heads = k.layers.Dense(3, activation="softmax", name="p")(hidden), k.layers.Dense(1, name="q")(hidden)
    return k.Model(inputs, dict(zip(keys, heads)))


def both(keys, **compiled):
    models = [two_headed(library, keys) for library in (fastseq, keras)]
    for model in models:
        model.set_weights(random_weights([np.shape(weight) for weight in model.get_weights()]))
        model.compile(**{"optimizer": "sgd", **compiled})
    return models


def same(found, expected):
    assert list(found) == list(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-6, err_msg=name)


def same_weights(ours, theirs):
    for own, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-5, atol=1e-6)


def fits_alike(models, y, **options):
    ours, theirs = models
    options = {"batch_size": 10, "verbose": 0, **options}
    logs = [model.fit(X, y, epochs=2, shuffle=False, **options).history for model in models]
    same(*logs)
    same_weights(ours, theirs)
    np.testing.assert_allclose(*(model.evaluate(X, y, **options) for model in models), rtol=1e-5)
    assert ours.output_names == theirs.output_names
    return logs[0]


def told(first, second):
    return {
        "loss": {first: "categorical_crossentropy", second: "mse"}, "loss_weights": {first: 1.0, second: 0.3},
        "metrics": {first: ["accuracy"], second: ["mae", "mse"]}, "weighted_metrics": {first: ["accuracy"]},
    }  # fmt: skip


@pytest.mark.parametrize("keys", KEYS, ids=str)
def test_what_is_told_by_keys(keys):
    first, second = keys
    weights = {first: np.arange(20.0) / 10, second: np.ones(20)}
    logs = fits_alike(both(keys, **told(*keys)), {first: CLASSES, second: NUMBERS}, sample_weight=weights)
    assert f"{first}_accuracy" in logs and f"{second}_mae" in logs and f"{first}_weighted_accuracy" in logs


@pytest.mark.parametrize("keys", KEYS, ids=str)
def test_lists_are_in_the_order_of_sorted_keys(keys):
    pairs = sorted(zip(keys, ("categorical_crossentropy", "mse")))
    fits_alike(both(keys, loss=[loss for _, loss in pairs]), dict(zip(keys, (CLASSES, NUMBERS))))
    models = both(keys, loss=[loss for _, loss in pairs], loss_weights=[0.5, 2.0])
    fits_alike(models, [y for _, y in sorted(zip(keys, (CLASSES, NUMBERS)))])


@pytest.mark.parametrize("keys", KEYS, ids=str)
def test_one_loss_for_all(keys):
    fits_alike(both(keys, loss="mse"), dict(zip(keys, (CLASSES, NUMBERS))))


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_an_output_without_a_loss():
    """The one loss is the total, so logs have no `zz_loss`."""
    for y in ({"zz": CLASSES}, {"zz": CLASSES, "aa": NUMBERS}):
        logs = fits_alike(both(KEYS[0], loss={"zz": "categorical_crossentropy"}), y)
        assert list(logs) == ["loss"]


def test_a_dict_of_one():
    models = []
    for k in (fastseq, keras):
        inputs = k.Input((4,))
        models.append(k.Model(inputs, {"only": k.layers.Dense(1, name="head")(inputs)}))
        models[-1].set_weights(random_weights([(4, 1), (1,)]))
        models[-1].compile("sgd", {"only": "mse"}, metrics=["mae"])
    assert sorted(fits_alike(models, {"only": NUMBERS})) == ["loss", "mae"]
    assert list(models[0].predict(X, verbose=0)) == ["only"]


def test_names_that_are_no_keys_raise_with_the_keys():
    ours = both(KEYS[0], loss={"zz": "categorical_crossentropy", "aa": "mse"})[0]
    with pytest.raises(ValueError, match=r"y names the outputs \['p', 'q'\].*\['aa', 'zz'\]"):
        ours.fit(X, {"p": CLASSES, "q": NUMBERS}, verbose=0)
    ours.compile("sgd", {"p": "categorical_crossentropy", "q": "mse"})
    with pytest.raises(ValueError, match=r"loss names the outputs \['p', 'q'\].*\['aa', 'zz'\]"):
        ours.fit(X, {"zz": CLASSES, "aa": NUMBERS}, verbose=0)


def test_outputs_come_in_the_order_they_were_given_in():
    ours, theirs = both(KEYS[0], loss="mse")
    assert list(ours(X)) == list(theirs(X)) == list(KEYS[0])
    assert list(ours.predict(X, verbose=0)) == list(theirs.predict(X, verbose=0)) == list(KEYS[0])
    for key, value in theirs.predict(X, verbose=0).items():
        np.testing.assert_allclose(ours.predict(X, verbose=0)[key], value, rtol=1e-5, atol=1e-6)
    assert list(ours.get_config()["output_layers"]) == list(theirs.get_config()["output_layers"])


@pytest.mark.parametrize("keys", KEYS, ids=str)
@pytest.mark.parametrize("writer", ["fastseq", "keras"])
def test_compiled_files_both_ways(keys, writer, tmp_path):
    models = both(keys, **told(*keys))
    y = dict(zip(keys, (CLASSES, NUMBERS)))
    fits_alike(models, y)
    path = str(tmp_path / "model.keras")
    models[0 if writer == "fastseq" else 1].save(path)
    ours, theirs = (library.models.load_model(path) for library in (fastseq, keras))
    assert ours.compiled and theirs.compiled
    fits_alike((ours, theirs), y)


# ---- outputs as a list -----------------------------------------------------------------------------------------------


def listed(k, names):
    inputs = k.Input((4,))
    hidden = k.layers.Dense(5, activation="tanh")(inputs)
    first, second = k.layers.Dense(3, activation="softmax", name=names[0]), k.layers.Dense(1, name=names[1])
    return k.Model(inputs, [first(hidden), second(hidden)])


def both_listed(names, **compiled):
    models = [listed(library, names) for library in (fastseq, keras)]
    for model in models:
        model.set_weights(random_weights([np.shape(weight) for weight in model.get_weights()]))
        model.compile("sgd", **compiled)
    return models


def test_evaluate_lists_metrics_in_the_order_of_names():
    options = {"loss": ["categorical_crossentropy", "mse"], "metrics": [["accuracy", "mse"], ["mae"]]}
    fits_alike(both_listed(("right", "left"), **options), [CLASSES, NUMBERS])


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_one_loss_of_two_is_the_total():
    models = both_listed(("left", "right"), loss=["categorical_crossentropy", None], metrics=[["accuracy"], None])
    logs = fits_alike(models, [CLASSES, NUMBERS])
    assert list(logs) == ["left_accuracy", "loss"]

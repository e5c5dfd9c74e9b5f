"""Compiled models in files, without Keras: training goes on with the same bits; what a file asks for is only data."""

import json
import sys

import h5py
import numpy as np
import pytest
from optimizer_cases import KINDS, SHARED, id_of
from saving_files import ADAM, h5_model, keras_file, sequential
from training_files import (
    BATCHES,
    classifier,
    compiled,
    config_in,
    inputs,
    labels,
    optimizer_of,
    recurrent,
    same_bits,
    state,
    train,
    two_outputs,
)

import fastseq
from fastseq import layers
from fastseq.configs.registry import get_custom_objects
from fastseq.saving import register_keras_serializable

HALF = BATCHES // 2
CROSSENTROPY = {"loss": "categorical_crossentropy"}
OPTIMIZERS = [*KINDS, *(("RMSprop", options) for options in SHARED)]


def fresh(make=classifier, **options):
    return compiled(fastseq, make, **{"optimizer": "adam", **CROSSENTROPY, **options})


def trained(make=classifier, steps=HALF, **options):
    model = fresh(make, **options)
    train(model, make, 0, steps)
    return model


def same_model(found, expected):
    same_bits(found.get_weights(), expected.get_weights())
    same_bits(state(found), state(expected))


@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.parametrize(("name", "options"), OPTIMIZERS, ids=map(id_of, OPTIMIZERS))
def test_goes_on_with_the_same_bits(tmp_path, name, options, ending):
    model = trained(optimizer=optimizer_of(name, options))
    model.save(tmp_path / f"m{ending}")
    loaded = fastseq.load_model(tmp_path / f"m{ending}")
    same_model(loaded, model)
    for each in (model, loaded):
        train(each, classifier, HALF, BATCHES)
    same_model(loaded, model)


@pytest.mark.parametrize("make", [recurrent, two_outputs])
@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_other_models_go_on_too(tmp_path, make, ending):
    loss = "mse" if make is two_outputs else "categorical_crossentropy"
    model = trained(make, loss=loss)
    model.save(tmp_path / f"m{ending}")
    loaded = fastseq.load_model(tmp_path / f"m{ending}")
    assert train(model, make, HALF, BATCHES) == train(loaded, make, HALF, BATCHES)
    same_model(loaded, model)


def test_a_schedule_goes_on(tmp_path):
    schedule = ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 2, "decay_rate": 0.5})
    model = trained(optimizer=optimizer_of("SGD", {"schedule": schedule}))
    model.save(tmp_path / "m.keras")
    loaded = fastseq.load_model(tmp_path / "m.keras")
    assert loaded.optimizer.learning_rate == model.optimizer.learning_rate == pytest.approx(0.1 * 0.5**1.5)


def test_the_learning_rate_can_be_set_after_loading(tmp_path):
    model = trained()
    model.optimizer.learning_rate = 0.05
    model.save(tmp_path / "m.keras")
    loaded = fastseq.load_model(tmp_path / "m.keras")
    assert float(loaded.optimizer.learning_rate) == np.float32(0.05)
    for each in (model, loaded):
        each.optimizer.learning_rate = 0.5
        train(each, classifier, HALF, BATCHES)
    same_model(loaded, model)
    assert loaded.loss == "categorical_crossentropy"


@pytest.mark.parametrize("kind", ["keras", "steps", "weights"])
def test_a_checkpoint_continues_to_the_weights_of_an_unbroken_run(tmp_path, kind):
    """Batches in the order of the rows; a new process has nothing but the file."""
    x, y = inputs(classifier, 0, rows=50), labels(classifier, 0, rows=50)
    options = {"batch_size": 8, "shuffle": False, "verbose": 0}
    unbroken = fresh(metrics=["accuracy"])
    history = unbroken.fit(x, y, epochs=4, **options).history
    weights_only = kind == "weights"
    path = tmp_path / ("m-{epoch}.weights.h5" if weights_only else "m-{epoch}.keras")
    # 7 batches are an epoch.
    freq = 7 if kind == "steps" else "epoch"
    checkpoint = fastseq.callbacks.ModelCheckpoint(path, save_weights_only=weights_only, save_freq=freq)
    fresh(metrics=["accuracy"]).fit(x, y, epochs=2, callbacks=[checkpoint], **options)
    if weights_only:
        loaded = fresh(metrics=["accuracy"])
        loaded.optimizer.build(loaded.trainable_variables)
        loaded.load_weights(tmp_path / "m-2.weights.h5")
    else:
        loaded = fastseq.load_model(tmp_path / "m-2.keras")
    found = loaded.fit(x, y, epochs=4, initial_epoch=2, **options).history
    same_model(loaded, unbroken)
    assert found == {name: values[2:] for name, values in history.items()}


# ---- what is written and read, and what is not -------------------------------------------------------------------


def datasets(path):
    with h5py.File(path) as file:
        names = []
        file.visit(names.append)
    return [name for name in names if "optimizer" in name]


def test_include_optimizer(tmp_path):
    inner = trained()
    model = fastseq.Sequential([fastseq.Input((5,)), inner])
    model.compile("sgd", "mse")
    model.save(tmp_path / "m.keras", include_optimizer=False)
    loaded = fastseq.load_model(tmp_path / "m.keras")
    assert not loaded.compiled and not loaded.layers[0].compiled and config_in(tmp_path / "m.keras") == {}
    inner.save(tmp_path / "m.h5")
    assert f"optimizer_weights/{inner.optimizer.name}/iteration" in datasets(tmp_path / "m.h5")
    inner.save(tmp_path / "m.h5", include_optimizer=False)
    assert datasets(tmp_path / "m.h5") == []
    assert not fastseq.load_model(tmp_path / "m.h5").compiled


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_compile_false(tmp_path, ending):
    model = trained()
    model.save(tmp_path / f"m{ending}")
    loaded = fastseq.load_model(tmp_path / f"m{ending}", compile=False)
    assert not loaded.compiled and loaded.compile_config is None
    same_bits(loaded.get_weights(), model.get_weights())
    assert fastseq.load_model(tmp_path / f"m{ending}").compile_config["loss"] == "categorical_crossentropy"


def test_a_model_that_is_not_compiled_stays_so(tmp_path):
    classifier(fastseq).save(tmp_path / "m.keras")
    assert config_in(tmp_path / "m.keras") == {} and not fastseq.load_model(tmp_path / "m.keras").compiled


def test_weight_files_and_optimizers(tmp_path):
    """As in Keras: a built optimizer takes the state; one without it, or of another kind, warns and stays as it is."""
    model = trained()
    model.save_weights(tmp_path / "m.weights.h5")
    classifier(fastseq).save_weights(tmp_path / "plain.weights.h5")
    built = trained(steps=1)
    built.load_weights(tmp_path / "m.weights.h5")
    same_model(built, model)
    for optimizer, match in (
        ("adam", "it has 10 variables, the optimizer 2, and is not built"),
        ("sgd", "optimizer 2"),
    ):
        other = fresh(optimizer=optimizer)
        with pytest.warns(UserWarning, match=match):
            other.load_weights(tmp_path / "m.weights.h5")
        same_bits(other.get_weights(), model.get_weights())
        assert int(other.optimizer.iterations) == 0
    with pytest.warns(UserWarning, match="goes on with its own: it has 0"):
        built.load_weights(tmp_path / "plain.weights.h5")
    assert int(built.optimizer.iterations) == HALF
    uncompiled = classifier(fastseq)
    uncompiled.load_weights(tmp_path / "m.weights.h5")
    same_bits(uncompiled.get_weights(), model.get_weights())
    built = trained(steps=1)
    built.load_weights(tmp_path / "m.weights.h5", objects_to_skip=[built.optimizer])
    assert int(built.optimizer.iterations) == 1


def test_json_says_how_a_model_is_compiled():
    model = trained(two_outputs, loss=["categorical_crossentropy", "mse"], metrics=[["accuracy"], []])
    again = fastseq.models.model_from_json(model.to_json())
    assert again.get_compile_config() == model.get_compile_config()
    assert classifier(fastseq).get_compile_config() == {}


@pytest.mark.parametrize("options", [{"loss": lambda k: lambda y, p: p}, {"metrics": lambda k: [lambda y, p: y - p]}])
def test_what_has_no_config_is_left_out_with_a_warning(tmp_path, options):
    model = fresh(**options)
    with pytest.warns(UserWarning, match="saved without how it was compiled.*lambda"):
        model.save(tmp_path / "m.keras")
    assert config_in(tmp_path / "m.keras") == {}
    assert not fastseq.load_model(tmp_path / "m.keras").compiled


def test_a_users_classes(tmp_path):
    class Halving(fastseq.optimizers.SGD):
        """Keeps one number of its own, under a name of its own."""

        kept = 1.0

        def save_own_variables(self, store):
            super().save_own_variables(store)
            store["kept"] = np.array(self.kept)

        def load_own_variables(self, store):
            self.kept = float(store["kept"])
            super().load_own_variables({key: store[key] for key in store.keys() if key != "kept"})

    class Off(fastseq.losses.Loss):
        def call(self, y_true, y_pred):
            return np.abs(y_true - y_pred).mean(-1)

    register_keras_serializable("own")(Halving)
    register_keras_serializable("own")(Off)
    try:
        model = fresh(loss=lambda _: Off(), optimizer=lambda _: Halving(0.25))
        model.optimizer.build(model.trainable_variables)
        model.optimizer.kept = 0.5
        model.save(tmp_path / "m.keras")
        loaded = fastseq.load_model(tmp_path / "m.keras")
        assert type(loaded.optimizer) is Halving and loaded.optimizer.kept == 0.5 and type(loaded.loss) is Off
    finally:
        get_custom_objects().clear()
    with pytest.warns(UserWarning, match="not compiled: .*'Halving'.*custom_objects"):
        fastseq.load_model(tmp_path / "m.keras")


def test_a_compile_of_its_own_is_left_alone(tmp_path):
    class Own(fastseq.Sequential):
        def compile(self, rate):
            super().compile(fastseq.optimizers.SGD(rate), "mse")

    model = Own([fastseq.Input((5,)), layers.Dense(3)])
    model.compile(0.1)
    model.save(tmp_path / "m.keras")
    with pytest.warns(UserWarning, match="compile\\(\\) of its own"):
        assert not fastseq.load_model(tmp_path / "m.keras", custom_objects={"Own": Own}).compiled


def test_functions_in_the_older_format(tmp_path):
    def off(y_true, y_pred):
        return np.abs(y_true - y_pred)

    model = trained(loss=lambda k: k.losses.mean_squared_error, metrics=lambda k: [k.metrics.mean_absolute_error, off])
    model.save(tmp_path / "m.h5")
    with pytest.warns(UserWarning, match="not compiled: .*off"):
        fastseq.load_model(tmp_path / "m.h5")
    loaded = fastseq.load_model(tmp_path / "m.h5", custom_objects={"off": off})
    assert train(loaded, classifier, 3, 5) == train(model, classifier, 3, 5)
    same_model(loaded, model)


def test_long_lists_of_names_in_the_older_format(tmp_path):
    """80 KB of names do not fit in one attribute, nor does the config in a header message."""
    names = [f"{'n' * 200}{number}" for number in range(400)]
    model = fastseq.Sequential([fastseq.Input((2,)), *(layers.Identity(name=name) for name in names), layers.Dense(1)])
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5") as file:
        assert "layer_names1" in file["model_weights"].attrs
    loaded = fastseq.load_model(tmp_path / "m.h5")
    assert [layer.name for layer in loaded.layers[:-1]] == names
    same_bits(loaded.get_weights(), model.get_weights())


# ---- files that ask for what is not there ------------------------------------------------------------------------


def with_compile_config(tmp_path, **options):
    config = {"optimizer": ADAM, "loss": "mse", "metrics": None, **options}
    return keras_file(tmp_path / "m.keras", {**sequential(), "compile_config": config})


@pytest.mark.filterwarnings("ignore:The saved state of optimizer 'adam.*' was not taken over")
def test_hand_made_files_are_compiled(tmp_path):
    for options in ({}, {"jit_compile": True, "run_eagerly": True, "steps_per_execution": 1}, {"metrics": ["acc"]}):
        model = fastseq.load_model(with_compile_config(tmp_path, **options))
        assert model.compiled and model.optimizer.learning_rate == np.float32(0.1)
        model.train_on_batch(np.ones((2, 3), "f"), np.ones((2, 2), "f"))


def function(name, module="builtins"):
    return {"module": module, "class_name": "function", "config": name, "registered_name": "function"}


HOSTILE = {
    "no dict": 7,
    "a list": [1, 2],
    "unknown optimizer": {"optimizer": {**ADAM, "class_name": "Lion"}},
    "optimizer of a module": {"optimizer": {"module": "this", "class_name": "s", "config": {}}},
    "a layer as the optimizer": {
        "optimizer": {"module": "keras.layers", "class_name": "Dense", "config": {"units": 1}}
    },
    "no optimizer's name": {"optimizer": "lion"},
    "a number as the optimizer": {"optimizer": 3},
    "option of the optimizer": {"optimizer": {**ADAM, "config": {"learning_rate": 0.1, "sparse": True}}},
    "text as the rate": {"optimizer": {**ADAM, "config": {"learning_rate": "much"}}},
    "unknown loss": {"loss": "poisson"},
    "unknown loss class": {"loss": {"module": "keras.losses", "class_name": "Poisson", "config": {}}},
    "eval": {"loss": function("eval")},
    "system": {"loss": function("system", "os")},
    "import": {"metrics": [function("anything", "this")]},
    "lambda": {"loss": {"class_name": "__lambda__", "config": {"value": ["4wEAAAA=", None, None]}}},
    "unknown metric": {"metrics": ["accuracy", ["auc"]]},
    "a number as a metric": {"weighted_metrics": [5]},
    "unknown option": {"fast": True},
    "several steps": {"steps_per_execution": 8},
    "self": {"self": 1},
    "an output that is not there": {"loss": {"elsewhere": "mse"}},
    "too many losses": {"loss": ["mse", "mae"]},
    "nested": {"loss": [[[[["mse", "nothing"]]]]]},
    "a metric's thresholds": {
        "metrics": [{"module": "keras.metrics", "class_name": "Precision", "config": {"thresholds": ["a"]}}]
    },
    "long": {"loss": "x" * 100_000},
}


def hostile():
    """Options by ending: what the older format never looks at is no case of it."""
    for name, options in HOSTILE.items():
        yield pytest.param(options, "keras", id=f"keras-{name}")
        if isinstance(options, dict) and not {"self", "fast"} & set(options):
            yield pytest.param(options, "h5", id=f"h5-{name}")


@pytest.mark.parametrize(("options", "ending"), [*hostile()])
def test_the_model_loads_and_is_not_compiled(tmp_path, options, ending):
    if ending == "keras":
        config = {"optimizer": ADAM, "loss": "mse", **options} if isinstance(options, dict) else options
        path = keras_file(tmp_path / "m.keras", {**sequential(), "compile_config": config})
    else:
        training = {"optimizer_config": ADAM, "loss": "mse", **options}
        training["optimizer_config"] = training.pop("optimizer", ADAM)
        path = h5_model(tmp_path / "m.h5", sequential(), training=training)
    with pytest.warns(UserWarning, match="is loaded, but not compiled") as caught:
        model = fastseq.load_model(path)
    assert len(str(caught[0].message)) < 1500
    assert "this" not in sys.modules
    assert not model.compiled and model.compile_config
    np.testing.assert_array_equal(model.predict(np.ones((1, 3), "f"), verbose=0), [[7.0, 8.0]])


# ---- files of Keras 2, made by hand from its sources -------------------------------------------------------------

KERAS_2 = {
    "loss": {
        "class_name": "CategoricalCrossentropy",
        "config": {"reduction": "auto", "name": "c", "from_logits": True},
    },
    "metrics": [[{"class_name": "MeanMetricWrapper", "config": {"name": "a", "fn": "categorical_accuracy"}}]],
    "weighted_metrics": None,
    "loss_weights": None,
    "optimizer_config": {
        "class_name": "Adam",
        "config": {"name": "Adam", "learning_rate": 0.25, "decay": 0.0, "beta_1": 0.8, "jit_compile": False},
    },
}


def test_keras_2_h5(tmp_path):
    path = h5_model(tmp_path / "m.h5", sequential(), version="2.10.0", training=KERAS_2)
    with h5py.File(path, "a") as file:
        group = file.create_group("optimizer_weights")
        group.attrs["weight_names"] = [b"Adam/iter:0"]
        group["Adam/iter:0"] = np.int64(4)
    with pytest.warns(UserWarning, match="Keras 1 or 2.*starts anew"):
        model = fastseq.load_model(path)
    assert float(model.optimizer.learning_rate) == 0.25 and model.optimizer.beta_1 == 0.8
    results = model.train_on_batch(np.ones((2, 3), "f"), np.eye(2, dtype="f"), return_dict=True)
    assert list(results) == ["a", "loss"] and results["a"] == 0.5
    decaying = {**KERAS_2["optimizer_config"]["config"], "decay": 0.1}
    training = {**KERAS_2, "optimizer_config": {"class_name": "Adam", "config": decaying}}
    model = fastseq.load_model(h5_model(tmp_path / "m.h5", sequential(), version="2.10.0", training=training))
    rate = model.optimizer._learning_rate
    assert type(rate).__name__ == "InverseTimeDecay" and [rate(0), rate(10)] == [0.25, 0.125]


def test_keras_2_zip(tmp_path):
    optimizer = {**ADAM, "config": {"learning_rate": 0.25, "is_legacy_optimizer": False, "jit_compile": True}}
    config = {**sequential(), "compile_config": {"optimizer": optimizer, "loss": "mse", "jit_compile": True}}
    path = keras_file(tmp_path / "m.keras", config)
    data = path.read_bytes().replace(b'{"keras_version": "3.15.1"}', b'{"keras_version": "2.15.0"}')
    crc = {version: __import__("zlib").crc32(f'{{"keras_version": "{version}"}}'.encode()).to_bytes(4, "little")
           for version in ("3.15.1", "2.15.0")}  # fmt: skip
    path.write_bytes(data.replace(crc["3.15.1"], crc["2.15.0"]))
    with pytest.warns(UserWarning, match="Keras 1 or 2.*starts anew"):
        model = fastseq.load_model(path)
    assert float(model.optimizer.learning_rate) == 0.25 and json.dumps(model.compile_config)

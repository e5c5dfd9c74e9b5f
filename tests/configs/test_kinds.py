"""A name is looked up among the built-ins of the kind that is asked for: an initializer's name is no activation's."""

import json

import numpy as np
import pytest

import fastseq
from fastseq import activations, constraints, initializers, layers, losses, metrics, optimizers, regularizers
from fastseq.configs import tables
from fastseq.optimizers import schedules
from fastseq.saving import register_keras_serializable

# kind -> (what looks it up, other kinds whose place it may take)
KINDS = {
    "activations": (activations.get, {"layers"}),
    "initializers": (initializers.get, set()),
    "regularizers": (regularizers.get, set()),
    "constraints": (constraints.get, set()),
    "losses": (losses.get, set()),
    "metrics": (metrics.get, {"metric functions", "losses"}),
    "optimizers": (optimizers.get, set()),
    "schedules": (schedules.deserialize, set()),
}


def names():
    """Every name in the tables -> the kinds that have it."""
    found = {}
    for kind, table in tables.all_tables().items():
        for name in table:
            found.setdefault(name, set()).add(kind)
    return found


def forms(name, kinds):
    yield name
    yield {"class_name": name, "config": {}}
    yield {"class_name": "function", "config": name}
    yield {"class_name": "function", "config": name, "module": "builtins", "registered_name": "function"}
    for kind in kinds:
        yield {"module": f"keras.{kind}", "class_name": name, "config": {}, "registered_name": name}
        yield {"module": f"keras.{kind}", "class_name": name, "config": {}, "registered_name": None}


@pytest.mark.parametrize("kind", KINDS)
def test_no_name_of_another_kind_is_taken(kind):
    get, others = KINDS[kind]
    tried = 0
    for name, kinds in names().items():
        if kinds & {kind, *others}:
            continue
        for form in forms(name, kinds):
            # What deserialize does not know comes back as it is, as in Keras.
            if kind == "schedules" and isinstance(form, str):
                continue
            with pytest.raises(ValueError):
                get(form)
            tried += 1
    assert tried > 300


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "schedules"])
def test_own_names_are_taken(kind):
    get, _ = KINDS[kind]
    wanting = 0
    for name, item in tables.all_tables()[kind].items():
        try:
            assert get(name) is not None
        except (TypeError, ValueError):  # a class that has arguments without defaults
            assert isinstance(item, type)
            wanting += 1
    assert wanting <= 4


@pytest.mark.parametrize("name", ["zeros", "Zeros", "mean_squared_error", "l2", "max_norm", "adam", "accuracy"])
def test_a_model_is_refused_where_it_is_read(name):
    for activation in (name, {"class_name": name, "config": {}}, {"class_name": "function", "config": name}):
        dense = {"name": "d", "units": 2, "activation": activation, "batch_input_shape": [None, 3]}
        config = {"class_name": "Sequential", "config": {"name": "s", "layers": [
            {"class_name": "Dense", "config": dense}]}}  # fmt: skip
        with pytest.raises(ValueError, match=name):
            fastseq.models.model_from_json(json.dumps(config))
    with pytest.raises(ValueError, match=name):
        layers.LSTM(3, recurrent_activation=name)


def test_layers_may_be_activations():
    for form in (layers.LeakyReLU(0.5), {"class_name": "LeakyReLU", "config": {"negative_slope": 0.5}},
                 {"module": "keras.layers", "class_name": "LeakyReLU", "config": {"negative_slope": 0.5}}):  # fmt: skip
        layer = layers.Dense(2, activation=form, kernel_initializer="ones")
        np.testing.assert_array_equal(layer(-np.ones((1, 2), "f")), [[-1.0, -1.0]])


def test_a_users_own_goes_first():
    @register_keras_serializable("kinds", name="zeros")
    def own(x):
        return x + 1

    try:
        config = {
            "class_name": "function",
            "config": "kinds>zeros",
            "module": "builtins",
            "registered_name": "function",
        }
        assert activations.get(config) is own
        assert activations.get("kinds>zeros") is own
    finally:
        fastseq.saving.get_custom_objects().pop("kinds>zeros")


def test_functions_of_wrappers():
    wrapped = {"name": "w", "fn": {"class_name": "function", "config": "relu", "module": "builtins"}}
    for cls in (losses.LossFunctionWrapper, metrics.MeanMetricWrapper):
        with pytest.raises(ValueError, match="relu"):
            cls.from_config(wrapped)
    wrapped["fn"]["config"] = "mean_squared_error"
    assert losses.LossFunctionWrapper.from_config(wrapped).fn is losses.mean_squared_error
    assert metrics.MeanMetricWrapper.from_config(wrapped)._fn is losses.mean_squared_error


def test_a_learning_rate_is_no_initializer():
    config = {"learning_rate": {"class_name": "Zeros", "config": {}}}
    with pytest.raises(ValueError, match="Zeros"):
        optimizers.SGD.from_config(config)

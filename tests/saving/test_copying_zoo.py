"""Copies of every layer and of models of all kinds give the same bits, and train to the same bits."""

import copy
import json
import pickle
import warnings

import keras33_masks
import layer_cases
import model_zoo
import numpy as np
import pytest
import random_check
import saving_zoo

import fastseq
from fastseq import layers


def pickled(model):
    return pickle.loads(pickle.dumps(model))


def assert_same(found, expected):
    for array, other in zip(random_check.leaves(found), random_check.leaves(expected), strict=True):
        np.testing.assert_array_equal(array, other)


def check(model, x, way):
    """Whether a copy computes the same as the model: first without, then with dropout."""
    other = way(model)
    assert json.dumps(other.get_config()) == json.dumps(model.get_config())
    assert [v.path for v in other.variables] == [v.path for v in model.variables]
    for training in (False, True):
        assert_same(other(x, training=training), model(x, training=training))
    return other


@pytest.mark.parametrize("way", [copy.deepcopy, pickled])
@pytest.mark.parametrize("name", sorted(layers.REGISTRY))
def test_every_layer(name, way):
    case = layer_cases.case_of(name)
    start, x = layer_cases.start_of(layers, case.ids)
    y = case.make(layers, x)
    model = fastseq.Model(start, layers.Dense(2)(layers.Flatten()(y) if len(y.shape) > 2 else y))
    model.compile("adam", "mse", metrics=["mae"])
    x, y = layer_cases.inputs_of(case.ids), layer_cases.draw(layer_cases.B, 2, seed=1)
    model.train_on_batch(x, y)
    other = check(model, x, way)
    assert other.train_on_batch(x, y) == model.train_on_batch(x, y)
    assert_same(other.get_weights(), model.get_weights())


@pytest.mark.parametrize("way", [copy.deepcopy, pickled])
@pytest.mark.parametrize("name", saving_zoo.ALL)
def test_models_of_all_options(name, way):
    model = saving_zoo.ALL[name](fastseq)
    saving_zoo.randomize(model)
    check(model, model_zoo.random_inputs(model, rows=model.inputs[0].shape[0] or 3), way)


@pytest.mark.parametrize("way", [copy.deepcopy, pickled])
@pytest.mark.parametrize("name", model_zoo.ALL)
def test_graphs(name, way):
    model = model_zoo.ALL[name](fastseq)
    check(model, model_zoo.random_inputs(model), way)


@pytest.mark.parametrize("kind", ["masks", "rules"])
def test_rules_of_masks_of_keras_3_3(kind):
    for number, case in enumerate(keras33_masks.cases(kind).values()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = fastseq.load_model(case.file)
            x = random_check.given(case.inputs)
            other = (copy.deepcopy, pickled)[number % 2](model)
            assert_same(other.predict(x), model.predict(x))

"""Regularizers: values, configs, names and errors, and the same against Keras."""

import math

import numpy as np
import pytest
from public_names import classes_of

from fastseq import regularizers

CASES = [
    ("L1", {}),
    ("L1", {"l1": 0.3}),
    ("L2", {}),
    ("L2", {"l2": 0.2}),
    ("L1L2", {}),
    ("L1L2", {"l1": 0.1, "l2": 0.2}),
    ("OrthogonalRegularizer", {}),
    ("OrthogonalRegularizer", {"factor": 0.5, "mode": "columns"}),
]


def test_every_regularizer_has_a_case():
    assert {name for name, _ in CASES} == classes_of(regularizers.ALL_OBJECTS_DICT, "Regularizer")


@pytest.mark.tensorflow
@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_values_and_configs_are_those_of_keras(name, arguments):
    keras = pytest.importorskip("keras")
    ours = getattr(regularizers, name)(**arguments)
    theirs = getattr(keras.regularizers, name)(**arguments)
    x = np.random.default_rng(0).standard_normal((5, 7)).astype(np.float32)
    x[2] = 0
    value = ours(x)
    assert type(value) is float
    np.testing.assert_allclose(value, float(theirs(keras.ops.convert_to_tensor(x))), rtol=2e-6)
    # Keras writes the factors of L1 and OrthogonalRegularizer rounded to float32.
    for key, setting in theirs.get_config().items():
        assert ours.get_config()[key] == (pytest.approx(setting, rel=1e-7) if isinstance(setting, float) else setting)
    again = regularizers.get(keras.regularizers.serialize(theirs))
    assert type(again) is type(ours)
    assert again(x) == pytest.approx(value, rel=1e-6)
    assert type(keras.regularizers.get(regularizers.serialize(ours))) is type(theirs)


@pytest.mark.tensorflow
def test_names_are_those_of_keras():
    keras = pytest.importorskip("keras")
    from keras.src.regularizers import ALL_OBJECTS_DICT

    assert set(regularizers.ALL_OBJECTS_DICT) - set(ALL_OBJECTS_DICT) == {"l1_l2"}
    assert set(ALL_OBJECTS_DICT) <= set(regularizers.ALL_OBJECTS_DICT)
    assert {n for n in dir(keras.regularizers) if n[0] != "_"} <= set(dir(regularizers))


def test_values():
    x = np.array([[1.0, -2.0], [0.0, 3.0]], np.float32)
    assert regularizers.l1(0.5)(x) == 3.0
    assert regularizers.l2(0.5)(x) == 7.0
    assert regularizers.l1_l2(0.5, 0.5)(x) == 10.0
    assert regularizers.L1L2()(np.array([np.inf])) == 0.0
    # Rows (1, -2) and (0, 3): cosine -2/sqrt(5).
    assert regularizers.OrthogonalRegularizer(1.0)(x) == pytest.approx(2 / math.sqrt(5))
    assert regularizers.Regularizer()(x) == 0.0


def test_many_small_weights_are_all_counted():
    x = np.full(20_000_000, 1e-3, np.float32)
    assert regularizers.L2(1.0)(x) == pytest.approx(20.0, rel=1e-6)


def test_get():
    assert regularizers.get(None) is None
    assert type(regularizers.get("l1_l2")) is type(regularizers.get("l1l2")) is regularizers.L1L2
    assert regularizers.get("l2").l2 == 0.01
    assert regularizers.get(regularizers.L1(0.3)).l1 == 0.3
    assert regularizers.get({"class_name": "L2", "config": {"l2": 0.4}}).l2 == 0.4
    assert regularizers.get(abs) is abs
    for wrong in ("nope", 5):
        with pytest.raises(ValueError, match="Could not interpret regularizer"):
            regularizers.get(wrong)


@pytest.mark.parametrize("value", [-0.1, math.inf, math.nan, "0.1", [0.1]])
def test_wrong_factors_raise(value):
    for make in (regularizers.L1, regularizers.L2, regularizers.L1L2, regularizers.OrthogonalRegularizer):
        with pytest.raises(ValueError, match="non-negative"):
            make(value)


def test_orthogonal_regularizer_refuses_what_it_cannot_do():
    with pytest.raises(ValueError, match="mode"):
        regularizers.OrthogonalRegularizer(mode="all")
    with pytest.raises(ValueError, match="matrices"):
        regularizers.OrthogonalRegularizer()(np.zeros(3))
    assert math.isnan(regularizers.OrthogonalRegularizer()(np.ones((1, 3))))

"""Constraints: values, configs and names, and the same against Keras."""

import numpy as np
import pytest
from public_names import classes_of

from fastseq import backend, constraints

CASES = [
    ("MaxNorm", {}),
    ("MaxNorm", {"max_value": 0.5, "axis": 1}),
    ("MaxNorm", {"max_value": 1, "axis": [0, 1]}),
    ("NonNeg", {}),
    ("UnitNorm", {}),
    ("UnitNorm", {"axis": -1}),
    ("MinMaxNorm", {}),
    ("MinMaxNorm", {"min_value": 1.0, "max_value": 1.5, "rate": 0.3, "axis": 1}),
]


def _weights(shape=(5, 7, 3)):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_every_constraint_has_a_case():
    assert {name for name, _ in CASES} == classes_of(constraints.ALL_OBJECTS_DICT, "Constraint")


@pytest.mark.tensorflow
@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_values_and_configs_are_those_of_keras(name, arguments):
    keras = pytest.importorskip("keras")
    ours = getattr(constraints, name)(**arguments)
    theirs = getattr(keras.constraints, name)(**arguments)
    w = _weights()
    w[:, 0] = 0
    result = ours(w)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, np.array(theirs(w)), rtol=2e-6, atol=1e-7)
    assert ours.get_config() == theirs.get_config()
    assert constraints.serialize(ours) == keras.constraints.serialize(theirs)
    np.testing.assert_array_equal(constraints.get(keras.constraints.serialize(theirs))(w), result)


@pytest.mark.tensorflow
def test_names_are_those_of_keras():
    keras = pytest.importorskip("keras")
    from keras.src.constraints import ALL_OBJECTS_DICT

    assert set(ALL_OBJECTS_DICT) == set(constraints.ALL_OBJECTS_DICT)
    assert {n for n in dir(keras.constraints) if n[0] != "_"} <= set(dir(constraints))


def test_norms_obey():
    w = _weights((40, 30))
    norms = np.linalg.norm(constraints.MaxNorm(3.0)(w), axis=0)
    assert norms.max() <= 3.0 * (1 + 1e-6)
    np.testing.assert_allclose(np.linalg.norm(constraints.UnitNorm(axis=1)(w), axis=1), 1, rtol=1e-6)
    norms = np.linalg.norm(constraints.MinMaxNorm(6.0, 6.5)(w), axis=0)
    assert norms.min() >= 6.0 * (1 - 1e-6)
    assert norms.max() <= 6.5 * (1 + 1e-6)
    assert constraints.NonNeg()(w).min() == 0
    assert constraints.Constraint()(w) is w


def test_short_vectors_stay():
    w = np.array([[0.3], [0.4]], np.float32)
    np.testing.assert_allclose(constraints.MaxNorm(2)(w), w, rtol=3e-7)


def test_epsilon_is_that_of_the_backend():
    before = backend.epsilon()
    try:
        backend.set_epsilon(1.0)
        np.testing.assert_allclose(constraints.UnitNorm()(np.array([3.0, 4.0])), [0.5, 4 / 6])
    finally:
        backend.set_epsilon(before)


def test_get():
    assert constraints.get(None) is None
    for name, cls in (("max_norm", "MaxNorm"), ("non_neg", "NonNeg"), ("UnitNorm", "UnitNorm")):
        assert type(constraints.get(name)) is getattr(constraints, cls)
    assert constraints.get({"class_name": "MaxNorm", "config": {"max_value": 4}}).max_value == 4
    assert constraints.get(abs) is abs
    for wrong in ("maxnorm", 5):
        with pytest.raises(ValueError, match="Could not interpret constraint"):
            constraints.get(wrong)

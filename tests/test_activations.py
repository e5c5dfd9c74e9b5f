"""Activations: against Keras on TensorFlow, and properties that need no other package."""

import functools
import inspect
import math

import numpy as np
import pytest

from fastseq import activations
from fastseq.activations import ALL_OBJECTS_DICT

ROWWISE = {"softmax", "log_softmax", "sparsemax", "glu"}
ELEMENTWISE = sorted(set(ALL_OBJECTS_DICT) - ROWWISE - {"threshold", "hard_sigmoid_keras2"})
SPECIAL = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0, 1e5, -1e5, 88.0, -88.0, 200.0, -200.0, 1e-30], np.float32)


def _inputs(shape=(7, 24), seed=0):
    random = np.random.default_rng(seed)
    return (random.standard_normal(shape) * 10.0 ** random.uniform(-3, 1, shape)).astype(np.float32)


@pytest.fixture(scope="module")
def keras():
    return pytest.importorskip("keras")


def _of_keras(keras, name, x, **arguments):
    return np.array(getattr(keras.activations, name)(keras.ops.convert_to_tensor(x), **arguments))


ARGUMENTS = [
    *((name, {}) for name in ELEMENTWISE),
    ("relu", {"negative_slope": 0.3}),
    ("relu", {"max_value": 6}),
    ("relu", {"max_value": 1.5, "negative_slope": 0.1}),
    ("relu", {"threshold": 0.4}),
    ("relu", {"threshold": 0.4, "negative_slope": 0.2}),
    ("relu", {"threshold": -0.4, "negative_slope": 0.2, "max_value": 2.0}),
    ("relu", {"threshold": 1.0, "max_value": 2.0}),
    ("leaky_relu", {"negative_slope": 1.5}),
    ("elu", {"alpha": 0.3}),
    ("celu", {"alpha": 2.5}),
    ("squareplus", {"b": 0.5}),
    ("soft_shrink", {"threshold": 0.1}),
    ("hard_shrink", {"threshold": 0.1}),
    ("threshold", {"threshold": 0.2, "default_value": -3.0}),
    ("gelu", {"approximate": True}),
    *((name, {}) for name in sorted(ROWWISE)),
    *((name, {"axis": axis}) for name in sorted(ROWWISE) for axis in (0, 1)),
    ("softmax", {"axis": (0, 2)}),
    ("softmax", {"axis": None}),
    ("log_softmax", {"axis": None}),
]


@pytest.mark.tensorflow
@pytest.mark.parametrize(("name", "arguments"), ARGUMENTS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_are_those_of_keras(keras, name, arguments, dtype):
    x = _inputs((4, 6, 8)).astype(dtype)
    ours = getattr(activations, name)(x, **arguments)
    theirs = _of_keras(keras, name, x, **arguments)
    assert ours.dtype == theirs.dtype == dtype
    eps = np.finfo(dtype).eps
    if name == "gelu" or "negative_slope" in arguments or name == "leaky_relu":
        # TensorFlow rounds these constants to float32 whatever the dtype of the input.
        eps = max(eps, 2e-9)
    # Formulas that subtract near-equal numbers of the size of 1 (erf + 1, x - tanh x, exp - 1) lose digits to it in
    # TensorFlow, so the error is measured against 1 as well as against the value.
    assert np.allclose(ours, theirs, rtol=16 * eps, atol=8 * eps * max(1.0, np.abs(x).max()))


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_special_values_are_those_of_keras(keras, name):
    with np.errstate(all="raise"):
        ours = getattr(activations, name)(SPECIAL)
    theirs = _of_keras(keras, name, SPECIAL)
    np.testing.assert_allclose(ours, theirs, rtol=2e-6, atol=1e-7)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", sorted(set(ALL_OBJECTS_DICT) - {"hard_sigmoid_keras2"}))
def test_signatures_and_names_are_those_of_keras(keras, name):
    theirs = getattr(keras.activations, name)
    ours = getattr(activations, name)
    assert str(inspect.signature(ours)) == str(inspect.signature(theirs))
    assert activations.serialize(ours) == keras.activations.serialize(theirs)


@pytest.mark.tensorflow
def test_no_activation_of_keras_is_missing(keras):
    public = {n for n in dir(keras.activations) if not n.startswith("_")}
    assert public <= set(dir(activations))


@pytest.mark.parametrize("name", sorted(set(ALL_OBJECTS_DICT) - {"threshold"}))
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floating_dtype_and_shape_are_kept(name, dtype):
    x = _inputs((3, 4)).astype(dtype)
    result = ALL_OBJECTS_DICT[name](x)
    assert result.dtype == dtype
    assert result.shape == ((3, 2) if name == "glu" else (3, 4))


@pytest.mark.parametrize("name", sorted(set(ALL_OBJECTS_DICT) - {"threshold", "linear"}))
def test_other_numbers_become_float32(name):
    for x in ([[1, -2], [3, 0]], [[1.0, -2.0], [3.0, 0.0]], np.array([[1, -2], [3, 0]])):
        result = ALL_OBJECTS_DICT[name](x)
        assert result.dtype == np.float32
        np.testing.assert_array_equal(result, ALL_OBJECTS_DICT[name](np.array(x, np.float32)))


def test_a_scalar_gives_an_array_of_no_axes():
    result = activations.silu(np.float32(2))
    assert result.shape == ()
    assert result.dtype == np.float32


def test_stored_values():
    x = np.array([-2.0, -0.5, 0.0, 0.5, 2.0])
    stored = {
        "tanh": [-0.9640275800758169, -0.46211715726000973, 0, 0.46211715726000973, 0.9640275800758169],
        "sigmoid": [0.11920292202211755, 0.3775406687981454, 0.5, 0.6224593312018546, 0.8807970779778823],
        "gelu": [-0.04550026389635842, -0.15426876936299344, 0, 0.34573123063700656, 1.9544997361036416],
        "selu": [-1.5201664685956948, -0.6917581878028713, 0, 0.5253504936777402, 2.1014019747109607],
        "softplus": [math.log1p(math.exp(v)) for v in x],
        "hard_sigmoid": [1 / 6, 2.5 / 6, 0.5, 3.5 / 6, 5 / 6],
        "hard_sigmoid_keras2": [0.1, 0.4, 0.5, 0.6, 0.9],
    }
    for name, values in stored.items():
        np.testing.assert_allclose(ALL_OBJECTS_DICT[name](x), values, rtol=1e-14, atol=1e-16)


def test_tails_keep_their_digits():
    x = np.array([-700.0, -40.0, -20.0, -9.0])
    np.testing.assert_allclose(activations.sigmoid(x), np.exp(x) / (1 + np.exp(x)), rtol=1e-15)
    np.testing.assert_allclose(activations.softplus(x), np.log1p(np.exp(x)), rtol=1e-15)
    # scipy.special.ndtr(-9) and (-20), times x.
    np.testing.assert_allclose(
        activations.gelu(x[2:]), [-20 * 2.753624118606233e-89, -9 * 1.1285884059538425e-19], rtol=1e-13
    )


def test_softmax_is_a_distribution_for_large_numbers():
    x = np.array([[1000.0, 1000.0, -1000.0], [-1e30, 0.0, 0.0]], np.float32)
    np.testing.assert_array_equal(activations.softmax(x), [[0.5, 0.5, 0], [0, 0.5, 0.5]])
    assert np.isfinite(activations.log_softmax(x)).all()


def test_softmax_over_one_element_warns():
    with pytest.warns(UserWarning, match="size 1"):
        activations.softmax(np.zeros((2, 1)))


def test_glu_refuses_an_odd_axis():
    with pytest.raises(ValueError, match="divisible by 2"):
        activations.glu(np.zeros((2, 3)))


def test_arrays_that_are_no_real_numbers_are_refused():
    for x in (np.zeros(2, complex), np.array(["a"]), np.array([None])):
        with pytest.raises(TypeError, match="real numbers"):
            activations.relu(x)


def test_get():
    assert activations.get(None) is activations.linear
    assert activations.get("swish") is activations.silu is activations.swish
    assert activations.get("hard_swish") is activations.hard_silu
    assert activations.get(len) is len
    for config in (
        {"module": "builtins", "class_name": "function", "config": "gelu", "registered_name": "function"},
        {"module": "keras.activations", "class_name": "function", "config": "gelu", "registered_name": "gelu"},
        {"class_name": "gelu", "config": {}},
    ):
        assert activations.deserialize(config) is activations.gelu
    assert activations.get({"module": "builtins", "class_name": "function", "config": "gelu"}) is activations.gelu
    for wrong in ("nope", 3, "native_spec", "get", "np"):
        with pytest.raises(ValueError, match="Could not interpret activation"):
            activations.get(wrong)


@pytest.mark.parametrize("name", sorted(ALL_OBJECTS_DICT))
def test_names_go_there_and_back(name):
    assert activations.get(activations.serialize(activations.get(name))) is ALL_OBJECTS_DICT[name]


@pytest.mark.parametrize(
    ("activation", "spec"),
    [
        (activations.linear, ("linear", ())),
        (activations.swish, ("silu", ())),
        (activations.relu, ("relu", (0.0, math.inf, 0.0))),
        (functools.partial(activations.relu, max_value=6, negative_slope=0.1), ("relu", (0.1, 6.0, 0.0))),
        (activations.leaky_relu, ("leaky_relu", (0.2,))),
        (activations.elu, ("elu", (1.0,))),
        (activations.celu, ("celu", (1.0,))),
        (activations.squareplus, ("squareplus", (4.0,))),
        (activations.soft_shrink, ("soft_shrink", (0.5,))),
        (activations.hard_shrink, ("hard_shrink", (0.5,))),
        (functools.partial(activations.threshold, threshold=1, default_value=2), ("threshold", (1.0, 2.0))),
        (activations.gelu, ("gelu", ())),
        (functools.partial(activations.gelu, approximate=True), ("gelu_tanh", ())),
        (activations.softmax, ("softmax", ())),
        (activations.hard_sigmoid_keras2, ("hard_sigmoid_keras2", ())),
        (functools.partial(activations.softmax, axis=1), None),
        (functools.partial(activations.relu, -1.0), None),
        (functools.partial(activations.tanh, wrong=1), None),
        (activations.threshold, None),
        (np.tanh, None),
        (lambda x: x, None),
        (object(), None),
    ],
)
def test_native_spec(activation, spec):
    assert activations.native_spec(activation) == spec


def test_every_activation_but_threshold_has_a_kernel():
    missing = [name for name, function in ALL_OBJECTS_DICT.items() if activations.native_spec(function) is None]
    assert missing == ["threshold"]

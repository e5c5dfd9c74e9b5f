"""Every function of fastseq.ops has a case that is compared with Keras, or stands in a table with the reason."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import test_control_flow
from op_check import Call, array

import fastseq
from fastseq import layers, ops

HERE = Path(__file__).parent
#: The functions without a case of op_check, and why. Tests below, or in the file that is named, have them.
WITHOUT = {
    "convert_to_numpy": "makes no steps: it asks for values, which traced code and symbolic tensors do not have",
    "is_tensor": "makes no steps: fastseq's tensors are NumPy's arrays, Keras's are not",
    "shape": "makes no steps: plain integers; TensorFlow gives tensors",
    "ndim": "makes no steps: a plain integer; TensorFlow gives a tensor",
    "empty": "what stands in the result is not defined in Keras; here it is zeros",
    "empty_like": "what stands in the result is not defined in Keras; here it is zeros",
    "in_top_k": "Keras has none in float64, which op_check takes as the truth",
    "stop_gradient": "its gradient is none at all, which op_check compares with a tape that has one",
    "view_as_complex": "there are no complex numbers: refused",
    "view_as_real": "there are no complex numbers: refused",
    "dtype": "makes no steps: a name; see test_functions_of_functions",
    **dict.fromkeys(
        ("associative_scan", "custom_gradient", "vectorize"), "takes functions: test_functions_of_functions"
    ),
    **dict.fromkeys(
        [name.split()[0] for name in test_control_flow.FUNCTIONS], "takes functions: test_control_flow.FUNCTIONS"
    ),
}
X = array(3, 4)


def _calls(value):
    """All Calls in a nest of lists, tuples, dicts and pytest's parameters."""
    if isinstance(value, Call):
        yield value
    elif isinstance(value, dict):
        yield from _calls(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _calls(item)


def compared():
    """The names that the Calls have which are parameters of tests, in the files of comparisons."""
    found = set()
    for path in HERE.glob("test_*_keras.py"):
        for function in vars(importlib.import_module(path.stem)).values():
            for mark in getattr(function, "pytestmark", ()) if callable(function) else ():
                if mark.name == "parametrize":
                    found |= {c.name for c in _calls(list(mark.args[1]))}
    return found


@pytest.mark.tensorflow
def test_every_name_has_a_case_or_a_reason():
    pytest.importorskip("keras")
    names = compared()
    assert sorted(set(ops.__all__) - names - set(WITHOUT)) == []
    assert sorted(set(WITHOUT) & names) == []  # a reason that does not hold any more
    assert sorted((set(WITHOUT) | names) - set(ops.__all__)) == []


@pytest.mark.tensorflow
@pytest.mark.parametrize("part", ["", "nn", "numpy", "linalg"])
def test_every_name_of_keras_is_there_or_says_why_not(part):
    theirs, mine = pytest.importorskip("keras").ops, ops
    if part:
        theirs, mine = getattr(theirs, part), getattr(ops, part)
        assert mine is importlib.import_module(f"fastseq.ops.{part}")
    for name in sorted(name for name in dir(theirs) if name[0] != "_"):
        try:
            found = getattr(mine, name)
        except AttributeError as error:
            assert "It has:" not in str(error), (part, name)
            assert name in ops.REASONS
        else:
            assert found is getattr(ops, name), (part, name)
    with pytest.raises(AttributeError, match="It has: "):
        mine.nonsense  # noqa: B018


def test_what_makes_no_steps():
    symbolic = fastseq.Input((4,))
    assert [ops.is_tensor(x) for x in (X, symbolic, [1.0], 1.0, None)] == [True, True, False, False, False]
    assert ops.shape(X) == (3, 4) and ops.shape(symbolic) == (None, 4) and ops.shape([[1], [2]]) == (2, 1)
    assert ops.ndim(X) == ops.ndim(symbolic) == 2 and ops.ndim(1.0) == 0
    found = ops.convert_to_numpy(X)
    assert type(found) is np.ndarray and found.dtype == np.float32
    np.testing.assert_array_equal(found, X)
    weight = layers.Dense(2)
    weight(X)
    np.testing.assert_array_equal(ops.convert_to_numpy(weight.kernel), weight.get_weights()[0])


def test_what_is_empty_is_zeros():
    like = np.ones((2, 3), "f")
    results = ops.empty((2, 3)), ops.empty((2, 3), "int32"), ops.empty_like(like), ops.empty_like(like, "bool")
    for found, dtype in zip(results, ("float32", "int32", "float32", "bool")):
        assert found.shape == (2, 3) and found.dtype == dtype and not found.any()


def test_stop_gradient_hands_on_values_and_no_gradient():
    np.testing.assert_array_equal(ops.stop_gradient(X), X)
    value, gradient = fastseq.value_and_grad(lambda x: ops.sum(x * ops.stop_gradient(x)))(X)
    np.testing.assert_allclose(value, np.sum(X.astype(np.float64) ** 2), rtol=1e-6)
    np.testing.assert_array_equal(gradient, X)  # twice that without it


@pytest.mark.parametrize("name", ["view_as_complex", "view_as_real"])
def test_complex_numbers_are_refused(name):
    with pytest.raises(fastseq.UnsupportedError, match=f"ops.{name}"):
        getattr(ops, name)(X)


@pytest.mark.tensorflow
@pytest.mark.parametrize("k", [1, 2, 4])
def test_in_top_k(k):
    keras = pytest.importorskip("keras")
    targets, ties = np.array([1, 0, 3], "i4"), np.round(X)
    for predictions in (X, ties, np.where(X > 1, np.float32(np.inf), X), np.where(X > 1, np.float32(np.nan), X)):
        wanted = keras.ops.in_top_k(targets, predictions, k)
        found = ops.in_top_k(targets, predictions, k)
        assert found.dtype == bool
        np.testing.assert_array_equal(found, wanted)

"""Scans by pairs, functions of elements and gradients of the user's own: on arrays, traced, and beside Keras."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from op_check import array

import fastseq
from fastseq import layers, ops
from fastseq.errors import UnsupportedError
from fastseq.ops.values import Traced
from fastseq.program.builder import Builder
from fastseq.program.program import Program
from fastseq.tensors import nest

X = array(7, 3)
#: Of one array, for fastseq.ops or keras.ops.
FUNCTIONS = {
    "sums": lambda k, x: k.associative_scan(lambda a, b: a + b, x),
    "sums backwards": lambda k, x: k.associative_scan(lambda a, b: a + b, x, reverse=True, axis=1),
    "lines": lambda k, x: k.associative_scan(lambda a, b: (a[0] * b[0], a[1] * b[0] + b[1]), (x, x * 0.5)),
    "elements": lambda k, x: k.vectorize(lambda a: k.maximum(a, 0.5) * 2.0)(x),
    "rows": lambda k, x: k.vectorize(lambda a, b: k.sum(a * b), signature="(n),(n)->()")(x, x[0]),
    "rows kept": lambda k, x: k.vectorize(lambda a: a - k.mean(a), signature="(n)->(n)")(x),
    "elements and rows": lambda k, x: k.vectorize(lambda a, b: a + b)(x, x[:, :1]),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_traced_as_on_arrays(name):
    p = Builder()
    slot = p.input(X.shape, "float32")
    results = nest.flatten(FUNCTIONS[name](ops, Traced(p, slot)))
    program = Program(p, [slot], [result.slot for result in results])
    assert not program.has_python
    for got, wanted in zip(program.run([X]), nest.flatten(FUNCTIONS[name](ops, X)), strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_functions_of_elements_are_numpys():
    """Keras has no vectorize on TensorFlow."""
    x = X.astype(np.float64)
    for name, wanted in {
        "elements": np.maximum(x, 0.5) * 2, "rows": (x * x[0]).sum(1), "rows kept": x - x.mean(1, keepdims=True),
        "elements and rows": x + x[:, :1],
    }.items():  # fmt: skip
        np.testing.assert_allclose(FUNCTIONS[name](ops, X), wanted, rtol=1e-6, atol=1e-6)
    slope = fastseq.value_and_grad(lambda x: ops.sum(ops.square(FUNCTIONS["rows"](ops, x))))(X)[1]
    rows = 2 * (x * x[0]).sum(1)
    wanted = rows[:, None] * x[0]
    wanted[0] += (rows[:, None] * x).sum(0)
    np.testing.assert_allclose(slope, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["sums", "sums backwards", "lines"])
def test_values_and_gradients_are_keras(name):
    keras_ops = pytest.importorskip("keras").ops
    import tensorflow as tf

    given = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(given)
        theirs = tf.nest.flatten(FUNCTIONS[name](keras_ops, given))
        total = sum(tf.reduce_sum(result * array(*result.shape, seed=4)) for result in theirs)
    mine = nest.flatten(FUNCTIONS[name](ops, X))
    for got, wanted in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=2e-6, atol=2e-6)
    slope = fastseq.value_and_grad(
        lambda x: sum(ops.sum(r * array(*r.shape, seed=4)) for r in nest.flatten(FUNCTIONS[name](ops, x)))
    )(X)[1]
    np.testing.assert_allclose(slope, tape.gradient(total, given), rtol=1e-5, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 20), st.integers(0, 1), st.booleans())
def test_scans_of_all_lengths_are_sums_so_far(length, axis, reverse):
    x = array(length, 3, dtype="int32") if axis == 0 else array(3, length, dtype="int32")
    way = (slice(None),) * axis + (slice(None, None, -1 if reverse else 1),)
    found = ops.associative_scan(lambda a, b: a + b, x, reverse, axis)
    np.testing.assert_array_equal(found, np.cumsum(x[way], axis)[way])


def test_arguments_that_are_left_out():
    function = ops.vectorize(lambda a, kind, *, by: a * by if kind == "times" else a + by, excluded={1})
    np.testing.assert_array_equal(function(X, "times", by=2.0), X * 2)
    np.testing.assert_array_equal(function(X, "plus", by=X[0]), X + X[0])


def log1pexp(k):
    @k.custom_gradient
    def function(x):
        e = k.exp(x)

        def grad(*args, upstream=None):
            if upstream is None:
                (upstream,) = args
            return k.multiply(upstream, 1.0 - 1.0 / k.add(1, e))

        return k.log(1 + e), grad

    return function


@pytest.mark.tensorflow
def test_own_gradients_are_keras():
    keras_ops = pytest.importorskip("keras").ops
    import tensorflow as tf

    x = np.array([0.5, -2.0, 100.0], np.float32)
    given = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(given)
        total = tf.reduce_sum(log1pexp(keras_ops)(given * 2.0))
    mine = fastseq.value_and_grad(lambda x: ops.sum(log1pexp(ops)(x * 2.0)))(x)[1]
    np.testing.assert_allclose(mine, tape.gradient(total, given), rtol=1e-6)


def test_own_gradients_of_several_arguments_and_outputs():
    @ops.custom_gradient
    def function(a, b):
        return (a * b, a + b), lambda da, db: (da * 10.0, db * 100.0)

    a, b = X, array(7, 3, seed=2)
    value, grads = fastseq.value_and_grad(lambda x: ops.sum(function(*x)[0]) + 2.0 * ops.sum(function(*x)[1]))((a, b))
    np.testing.assert_allclose(value, (a * b).sum() + 2 * (a + b).sum(), rtol=1e-5)
    np.testing.assert_array_equal(grads[0], np.full_like(a, 10.0))
    np.testing.assert_array_equal(grads[1], np.full_like(b, 200.0))


def test_own_gradients_train_a_layer():
    """A rounding that hands its gradient through: without it nothing below would train."""

    @ops.custom_gradient
    def rounded(x):
        return ops.round(x), lambda upstream: upstream

    class Rounds(layers.Layer):
        def call(self, x):
            return rounded(x)

    inputs = layers.Input((3,))
    model = fastseq.Model(inputs, Rounds()(layers.Dense(1)(inputs)))
    model.compile("sgd", "mse")
    x = array(16, 3)
    before = model.get_weights()[0].copy()
    model.fit(x, x.sum(1, keepdims=True) * 5, epochs=1, verbose=0)
    assert np.abs(model.get_weights()[0] - before).max() > 1e-3


def test_dtypes():
    assert [ops.dtype(x) for x in (X, X > 0, X.astype("i4"), [1, 2], 1.5, layers.Input((2,)))] == [
        "float32", "bool", "int32", "int32", "float32", "float32"]  # fmt: skip


@pytest.mark.parametrize(("make", "error", "words"), [
    (lambda: ops.associative_scan(1, X), TypeError, "`f` should be a callable"),
    (lambda: ops.associative_scan(lambda a, b: a, (X, X[1:])), ValueError, "arrays of one length are wanted"),
    (lambda: ops.associative_scan(lambda a, b: a, X, axis=2), ValueError, "axis 2 is not one of"),
    (lambda: ops.associative_scan(lambda a, b: a, layers.Input((2,))), TypeError, "ops.associative_scan of symbolic"),
    (lambda: ops.vectorize(1), ValueError, "`pyfunc` to be a callable"),
    (lambda: ops.vectorize(lambda a: a, signature="(n)->()")(1.0), ValueError, "do not fit"),
    (lambda: ops.vectorize(lambda a, b: a, signature="(n),(n)->()")(X, X[:, :2]), ValueError, "do not fit"),
    (lambda: ops.vectorize(lambda a: a, signature="n->n")(X), ValueError, "is no signature"),
    (lambda: ops.vectorize(lambda a: a, signature="(n),(m)->()")(X), ValueError, "of 2 arguments, 1 were given"),
    (lambda: ops.vectorize(lambda a: a)(X[:0]), ValueError, "no elements"),
    (lambda: ops.vectorize(lambda a: a)(layers.Input((2,))), TypeError, "ops.vectorize of symbolic"),
    (lambda: ops.custom_gradient(lambda x: (x, None))(layers.Input((2,))), TypeError, "_gradient of symbolic"),
    (lambda: fastseq.value_and_grad(lambda x: ops.sum(ops.custom_gradient(lambda x: (x, lambda u: (u, u)))(x)))(X),
     ValueError, "2 gradients for 1 arguments"),
    (lambda: fastseq.value_and_grad(lambda x: ops.sum(ops.custom_gradient(lambda x: (x, lambda u: u[0]))(x)))(X),
     ValueError, r"a gradient of shape \(3,\) for an argument of shape \(7, 3\)"),
    (lambda: ops.jvp(ops.sin, (1.0,), (1.0,)), UnsupportedError, "ops.jvp: fastseq takes gradients backwards alone"),
    (lambda: ops.polar([1.0], [2.0]), UnsupportedError, "ops.polar: fastseq has no complex arrays"),
])  # fmt: skip
def test_what_does_not_fit_raises(make, error, words):
    with pytest.raises(error, match=words):
        make()

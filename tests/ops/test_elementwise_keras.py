"""Elementwise functions of fastseq.ops beside Keras's."""

import numpy as np
import pytest
from op_check import array, call, check, name_of

pytest.importorskip("keras")
pytestmark = pytest.mark.tensorflow

X, Y, ROW = array(3, 4), array(3, 4, seed=1), array(4)
IDS, MORE, FLAGS = array(3, 4, dtype="int32"), array(3, 4, dtype="int32", seed=1), array(3, 4, dtype="bool")
SPECIAL = np.array([[0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 3e38]], np.float32)

BINARY = ["add", "subtract", "multiply", "divide", "true_divide", "maximum", "minimum"]
COMPARE = ["equal", "not_equal", "less", "less_equal", "greater", "greater_equal"]
LOGIC = ["logical_and", "logical_or", "logical_xor"]
UNARY = ["negative", "absolute", "square", "exp", "expm1", "tanh", "erf"]
POSITIVE = ["log", "log1p", "sqrt", "rsqrt", "reciprocal"]

CALLS = [
    *(call(name, *pair) for name in BINARY for pair in [(X, Y), (X, ROW), (X, 2), (2.5, X), (IDS, MORE), (IDS, X)]),
    *(call(name, X[:, :1], Y) for name in BINARY),
    *(call(name, *pair, grad=False) for name in COMPARE for pair in [(X, Y), (IDS, MORE), (IDS, 1), (X, ROW)]),
    *(call(name, FLAGS, array(3, 4, dtype="bool", seed=2), grad=False) for name in LOGIC),
    *(call(name, x, grad=x is X) for name in UNARY for x in [X, SPECIAL, array(0, 3), array(2, 700)]),
    *(call(name, IDS, grad=False) for name in UNARY if name != "erf"),  # which TensorFlow has for floats alone
    *(call(name, np.abs(x), grad=x is X) for name in POSITIVE for x in [X, SPECIAL, array(2, 700)]),
    *(call(name, SPECIAL, SPECIAL[:, ::-1].copy(), grad=False) for name in BINARY),
    call("where", FLAGS, X, Y),
    call("where", FLAGS, X, 0.0),
    call("where", FLAGS, 1, IDS, grad=False),
    call("clip", X, -0.5, 0.5),
    call("clip", IDS, 0, 1, grad=False),
    *(call("cast", x, dtype, grad=False) for x in [X, IDS, FLAGS] for dtype in ["float32", "int32", "bool"]),
    call("isnan", SPECIAL, grad=False), call("abs", SPECIAL),
    call("logical_not", FLAGS, grad=False),
]  # fmt: skip


@pytest.mark.parametrize("c", CALLS, ids=name_of)
def test_like_keras(c):
    check(c)


def test_the_gradient_of_a_root_at_0_that_nobody_reads_is_0():
    """As in GradientTape: 0 times the infinite slope of the root would be NaN."""
    import tensorflow as tf
    from keras import ops as keras_ops

    from fastseq import ops, value_and_grad

    x = np.ones((2, 3), np.float32)

    def total(k, x):
        return k.sum(k.maximum(k.sqrt(k.mean(k.square(x - k.mean(x, axis=1, keepdims=True)), axis=1)), 0.1) * 2.0)

    tensor = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        value = total(keras_ops, tensor)
    mine, gradient = value_and_grad(lambda x: total(ops, x))(x)
    np.testing.assert_allclose(mine, value)
    np.testing.assert_array_equal(gradient, tape.gradient(value, tensor))


@pytest.mark.parametrize("name", ["sqrt", "rsqrt", "reciprocal"])
def test_the_gradient_that_nobody_reads_is_0_where_the_slope_is_infinite(name):
    import tensorflow as tf
    from keras import ops as keras_ops

    from fastseq import ops, value_and_grad

    x, factor = np.float32([0, 0, 4, -1, np.inf]), np.float32([0, 1, 0, 0, 0])
    tensor = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        value = keras_ops.sum(getattr(keras_ops, name)(tensor) * factor)
    _, gradient = value_and_grad(lambda x: ops.sum(getattr(ops, name)(x) * factor))(x)
    np.testing.assert_array_equal(gradient, tape.gradient(value, tensor))

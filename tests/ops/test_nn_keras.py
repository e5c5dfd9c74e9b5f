"""Activations of fastseq.ops beside Keras's."""

import numpy as np
import pytest
from op_check import array, call, check, name_of

from fastseq import ops

pytest.importorskip("keras")
pytestmark = pytest.mark.tensorflow

X = array(3, 4, low=-4, high=4)
SPECIAL = np.array([[0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 3e38]], np.float32)
PLAIN = ["relu", "relu6", "sigmoid", "sparse_sigmoid", "softplus", "softsign", "sparse_plus", "silu", "swish",
         "log_sigmoid", "hard_sigmoid", "hard_silu", "hard_swish", "selu", "tanh_shrink", "hard_tanh", "leaky_relu",
         "elu", "celu", "squareplus", "soft_shrink", "hard_shrink", "gelu"]  # fmt: skip
OPTIONS = [
    ("leaky_relu", {"negative_slope": 0.05}), ("elu", {"alpha": 0.5}), ("celu", {"alpha": 0.7}),
    ("squareplus", {"b": 2}),
    ("soft_shrink", {"threshold": 1.5}), ("hard_shrink", {"threshold": 1.5}), ("gelu", {"approximate": False}),
    ("threshold", {"threshold": 0.5, "default_value": -1.0}),
]  # fmt: skip
CALLS = [
    *(call(name, x, grad=x is X) for name in PLAIN for x in [X, array(0, 3), array(2, 700, low=-20, high=20)]),
    *(call(name, X, **options) for name, options in OPTIONS),
    *(call(name, x, axis=axis, ulp=8.0) for name in ["softmax", "log_softmax"] for x, axis in
      [(X, -1), (X, 0), (array(2, 3, 4), 1), (array(2, 3, 4), (0, 2)), (array(2, 3, 4), (2, 1)), (array(5), -1)]),
    call("softmax", X, axis=None), call("log_softmax", X, axis=None, ulp=8.0),
    *(call("sparsemax", x, axis=axis, ulp=8.0) for x, axis in [(X, -1), (array(2, 3, 4), 1)]),
    *(call("glu", x, axis=axis) for x, axis in [(X, -1), (array(2, 6, 3), 1), (array(2, 6), -1)]),
]  # fmt: skip


@pytest.mark.parametrize("c", CALLS, ids=name_of)
def test_like_keras(c):
    check(c)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "softsign", "hard_tanh", "soft_shrink", "selu", "elu"])
def test_infinities_and_nan(name):
    check(call(name, SPECIAL, grad=False))


@pytest.mark.parametrize("name, args, kwargs, words", [
    ("softmax", (X,), {"axis": 2}, r"ops.softmax: axis 2 is out of bounds for an array of shape \(3, 4\)"),
    ("glu", (array(3, 5),), {}, r"ops.glu halves axis 1 of an array of shape \(3, 5\), which has an odd size"),
    ("softmax", (1.0,), {}, "ops.softmax takes an array with axes"),
], ids=str)  # fmt: skip
def test_bad_arguments(name, args, kwargs, words):
    with pytest.raises(ValueError, match=words):
        getattr(ops, name)(*args, **kwargs)

"""Convolutions and pools of fastseq.ops beside Keras's."""

import numpy as np
import pytest
from op_check import array, call, check, name_of

from fastseq import ops

pytest.importorskip("keras")
pytestmark = pytest.mark.tensorflow

X, LONG = array(2, 7, 4), array(3, 40, 6)
K = array(3, 4, 5, seed=1)
OPTIONS = [
    {}, {"padding": "same"}, {"strides": 2}, {"strides": 2, "padding": "same"}, {"dilation_rate": 2},
    {"dilation_rate": 2, "padding": "same"}, {"strides": (3,), "padding": "same"},
]  # fmt: skip
POOLS = [
    (2, {}),
    (3, {"strides": 2}),
    (3, {"strides": 2, "padding": "same"}),
    (2, {"strides": 3}),
    (3, {"strides": 1, "padding": "same"}),
]
CALLS = [
    *(call("conv", X, K, ulp=8, symbolic=False, **options) for options in OPTIONS),
    call("conv", LONG, array(9, 6, 70, seed=1), ulp=12, symbolic=False),
    call("conv", X, array(1, 4, 5), ulp=8, symbolic=False),
    call("conv", X, array(3, 2, 6, seed=1), padding="same", ulp=8, grad=False, symbolic=False),
    *(call("depthwise_conv", X, array(3, 4, m, seed=1), ulp=8, symbolic=False, **options)
      for m in (1, 2) for options in OPTIONS[:5]),
    *(call("separable_conv", X, array(3, 4, 2, seed=1), array(1, 8, 5, seed=2), ulp=8, symbolic=False, **options)
      for options in OPTIONS[:4]),
    *(call("conv_transpose", X, array(3, 5, 4, seed=1), ulp=8, symbolic=False, **options)
      for options in [*OPTIONS[:4], {"strides": 4}, {"strides": 3, "output_padding": 1},
                      {"strides": 2, "padding": "same", "output_padding": 1}]),
    *(call(name, x, size, ulp=8, symbolic=False, **options)
      for name in ["max_pool", "average_pool"] for x in [X, np.maximum(X, 0)] for size, options in POOLS),
]  # fmt: skip


@pytest.mark.parametrize("c", CALLS, ids=name_of)
def test_like_keras(c):
    check(c)


@pytest.mark.parametrize("name, rest", [
    ("conv", (K,)), ("depthwise_conv", (array(3, 4, 2),)), ("separable_conv", (array(3, 4, 2), array(1, 8, 5))),
    ("conv_transpose", (array(3, 5, 4),)), ("max_pool", (2,)), ("average_pool", (2,)),
], ids=str)  # fmt: skip
def test_channels_first(name, rest):
    """The same numbers, turned; TensorFlow has it on no CPU."""
    turned = getattr(ops, name)(np.ascontiguousarray(X.transpose(0, 2, 1)), *rest, data_format="channels_first")
    np.testing.assert_array_equal(turned.transpose(0, 2, 1), getattr(ops, name)(X, *rest))


def test_symbolic_shapes():
    """Weights have known sizes; the length may be unknown."""
    import keras

    import fastseq

    for name, arguments, options in [
        ("conv", (K,), {"strides": 2}), ("conv", (K,), {"padding": "same"}), ("conv_transpose", (array(3, 5, 4),), {}),
        ("max_pool", (2,), {}), ("average_pool", (2,), {"padding": "same"}),
    ]:  # fmt: skip
        for length in (9, None):
            mine = getattr(ops, name)(fastseq.Input((length, 4)), *arguments, **options)
            theirs = getattr(keras.ops, name)(keras.Input((length, 4)), *arguments, **options)
            assert mine.shape == theirs.shape, (name, options, length)


@pytest.mark.parametrize("name, args, kwargs, error, words", [
    ("conv", (array(2, 7, 7, 4), K), {}, NotImplementedError, "takes sequences"),
    ("conv", (X, array(3, 3, 5)), {}, ValueError, "a kernel for 3 channels does not fit the 4"),
    ("conv", (X, K), {"padding": "causal"}, ValueError, "neither 'valid' nor 'same'"),
    ("conv", (X, K), {"strides": 0}, ValueError, "strides=0 is no integer from 1 on"),
    ("conv", (X, array(8, 4, 5)), {}, ValueError, "windows of 8 in shape .* leave no result"),
    ("conv", (X, K), {"data_format": "NWC"}, ValueError, "data_format='NWC' is not known"),
    ("depthwise_conv", (X, array(3, 2, 1)), {}, ValueError, "a kernel for 2 channels"),
    ("max_pool", (X[0], 2), {}, ValueError, "takes sequences"),
], ids=str)  # fmt: skip
def test_bad_arguments(name, args, kwargs, error, words):
    with pytest.raises(error, match=words):
        getattr(ops, name)(*args, **kwargs)

"""Masking against Keras and its twin."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layer_check import check_layer, isa
from mask_check import check_masked

import fastseq
from fastseq.layers.core.masking import reference_masking
from fastseq.native import runtime
from fastseq.tensors import arrays


@pytest.mark.tensorflow
@pytest.mark.parametrize("shape", [(2, 3), (2, 5, 4), (3, 2, 2, 33), (1, 1, 1)], ids=str)
@pytest.mark.parametrize("value", [0.0, 1, -1.5])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "bool"])
def test_values_and_masks(shape, value, dtype, rng):
    x = rng.integers(-1, 2, shape).astype(dtype)
    x[..., 0, :] = np.array(value).astype(dtype)
    check_layer(lambda layers: layers.Masking(value), x)


@pytest.mark.tensorflow
def test_its_mask_replaces_the_input_mask(rng):
    x = rng.standard_normal((2, 3, 4)).astype("f")
    _, mask = check_masked(lambda layers: layers.Masking(), x, np.zeros((2, 3), bool))
    assert mask.all()


@pytest.mark.tensorflow
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -0.0])
def test_special_values(value):
    x = np.array([[np.nan, np.nan], [np.inf, np.inf], [-np.inf, 1], [0, -0.0]], "f")
    check_layer(lambda layers: layers.Masking(value), x, config=False)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=4), st.sampled_from([0.0, 1.0]))
def test_twin_on_every_isa(shape, value):
    x = np.random.default_rng(len(shape)).integers(0, 2, shape).astype("f")
    layer = fastseq.layers.Masking(value)
    expected, mask = reference_masking(x, value)
    for name in runtime.available_isas():
        with isa(name):
            found = layer(x)
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(arrays.mask_of(found), mask)


def test_stored_numbers():
    found = fastseq.layers.Masking(9.0)(np.array([[[9.0, 9], [9, 1]]]))
    np.testing.assert_array_equal(found, [[[0, 0], [9, 1]]])
    np.testing.assert_array_equal(arrays.mask_of(found), [[False, True]])


def test_recurrent_layer_skips_what_it_masks(rng):
    x = rng.standard_normal((2, 5, 3)).astype("f")
    x[:, 3:] = -1
    model = fastseq.Sequential([fastseq.layers.Masking(-1.0), fastseq.layers.LSTM(4)])
    np.testing.assert_array_equal(model(x), model.layers[1](x[:, :3]))


def test_symbolic_shape_and_dtype():
    found = fastseq.layers.Masking()(fastseq.Input((None, 4)))
    assert (found.shape, found.dtype) == ((None, None, 4), "float32")


@pytest.mark.parametrize("value", ["0", None, [0.0]])
def test_mask_value_must_be_a_number(value):
    with pytest.raises(ValueError, match="mask_value"):
        fastseq.layers.Masking(value)

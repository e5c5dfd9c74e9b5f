"""Flatten against Keras."""

import numpy as np
import pytest
from layer_check import check_layer
from mask_check import check_masked

import fastseq


@pytest.mark.tensorflow
@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 3, 4), (2, 3, 4, 5), (2, 3, 4, 5, 6)], ids=str)
@pytest.mark.parametrize("data_format", [None, "channels_last", "channels_first"])
@pytest.mark.parametrize("dtype", ["float32", "int32", "bool"])
def test_shapes_and_dtypes(shape, data_format, dtype, rng):
    check_layer(lambda layers: layers.Flatten(data_format), (5 * rng.standard_normal(shape)).astype(dtype))


@pytest.mark.tensorflow
def test_mask_is_destroyed(rng):
    with pytest.warns(UserWarning, match="does not support masking"):
        check_masked(lambda layers: layers.Flatten(), rng.standard_normal((2, 3, 4)).astype("f"), np.ones((2, 3), bool))


def test_stored_numbers():
    x = np.arange(12).reshape(1, 2, 3, 2)
    np.testing.assert_array_equal(fastseq.layers.Flatten()(x), x.reshape(1, 12))
    found = fastseq.layers.Flatten("channels_first")(x)
    np.testing.assert_array_equal(found, [[0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11]])
    assert found.dtype == np.int32


@pytest.mark.parametrize("shape, flat", [((None, 4), None), ((3, 4), 12), ((), 1), ((3, None, 2), None)])
def test_symbolic_shape(shape, flat):
    found = fastseq.layers.Flatten()(fastseq.Input(shape, dtype="int32"))
    assert (found.shape, found.dtype) == ((None, flat), "int32")


def test_empty_batch_and_unknown_format():
    assert fastseq.layers.Flatten()(np.zeros((0, 3, 4))).shape == (0, 12)
    with pytest.raises(ValueError, match="data_format"):
        fastseq.layers.Flatten("channels_middle")
    with pytest.raises(ValueError, match=r"flatten.*min_ndim=1"):
        fastseq.layers.Flatten()(np.float32(1))

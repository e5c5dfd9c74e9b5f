"""Identity against Keras."""

import numpy as np
import pytest
from layer_check import check_layer
from mask_check import check_masked

import fastseq


@pytest.mark.tensorflow
@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 3, 4)], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "bool"])
def test_shapes_and_dtypes(shape, dtype, rng):
    check_layer(lambda layers: layers.Identity(), (5 * rng.standard_normal(shape)).astype(dtype))


@pytest.mark.tensorflow
def test_mask_passes(rng):
    check_masked(lambda layers: layers.Identity(), rng.standard_normal((2, 3, 4)).astype("f"), rng.random((2, 3)) < 0.5)


def test_nests():
    x = {"a": np.ones((2, 3)), "b": [np.zeros((2, 1), int)]}
    found = fastseq.layers.Identity()(x)
    np.testing.assert_array_equal(found["a"], x["a"])
    assert found["b"][0].dtype == np.int32
    symbolic = fastseq.layers.Identity()([fastseq.Input((3,)), fastseq.Input((None,), dtype="int32")])
    assert [(t.shape, t.dtype) for t in symbolic] == [((None, 3), "float32"), ((None, None), "int32")]


def test_result_is_a_copy():
    x = np.ones((2, 3), "f")
    found = fastseq.layers.Identity()(x)
    found[:] = 0
    assert x.all()

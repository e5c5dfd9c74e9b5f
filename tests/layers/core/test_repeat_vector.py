"""RepeatVector against Keras."""

import numpy as np
import pytest
from layer_check import check_layer
from mask_check import check_masked

import fastseq


@pytest.mark.tensorflow
@pytest.mark.parametrize("shape, n", [((1, 1), 1), ((2, 3), 4), ((7, 33), 10)])
@pytest.mark.parametrize("dtype", ["float32", "int32", "bool"])
def test_shapes_and_dtypes(shape, n, dtype, rng):
    check_layer(lambda layers: layers.RepeatVector(n), (5 * rng.standard_normal(shape)).astype(dtype))


@pytest.mark.tensorflow
def test_mask_is_destroyed(rng):
    with pytest.warns(UserWarning, match="does not support masking"):
        check_masked(lambda layers: layers.RepeatVector(2), rng.standard_normal((2, 3)).astype("f"), np.ones(2, bool))


def test_stored_numbers():
    np.testing.assert_array_equal(
        fastseq.layers.RepeatVector(2)(np.array([[1.0, 2], [3, 4]])), [[[1, 2]] * 2, [[3, 4]] * 2]
    )


def test_bad_arguments():
    for n in (2.0, "2", True, None):
        with pytest.raises(TypeError, match="`n`"):
            fastseq.layers.RepeatVector(n)
    for n in (0, -1):
        with pytest.raises(ValueError, match="`n`"):
            fastseq.layers.RepeatVector(n)
    with pytest.raises(ValueError, match=r"repeat_vector.*ndim=2"):
        fastseq.layers.RepeatVector(2)(np.zeros((2, 3, 4)))


def test_symbolic_shape_and_empty_batch():
    found = fastseq.layers.RepeatVector(3)(fastseq.Input((4,), dtype="int32"))
    assert (found.shape, found.dtype) == ((None, 3, 4), "int32")
    assert fastseq.layers.RepeatVector(3)(np.zeros((0, 4))).shape == (0, 3, 4)

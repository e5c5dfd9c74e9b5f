"""Permute against Keras and np.transpose."""

import itertools

import numpy as np
import pytest
from layer_check import check_layer
from mask_check import check_masked

import fastseq


@pytest.mark.tensorflow
@pytest.mark.parametrize("dims", [(1,), (2, 1), [1, 2], (3, 1, 2), (2, 1, 3), (4, 3, 2, 1)], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "int32", "bool"])
def test_shapes_and_dtypes(dims, dtype, rng):
    x = (5 * rng.standard_normal((2, 3, 4, 5, 6)[: len(dims) + 1])).astype(dtype)
    check_layer(lambda layers: layers.Permute(dims), x)


@pytest.mark.tensorflow
def test_mask_is_destroyed(rng):
    with pytest.warns(UserWarning, match="does not support masking"):
        check_masked(
            lambda layers: layers.Permute((2, 1)), rng.standard_normal((2, 3, 4)).astype("f"), np.ones((2, 3), bool)
        )


@pytest.mark.parametrize("ndim", [1, 2, 3, 4])
def test_every_order(ndim, rng):
    x = rng.standard_normal((2, 3, 4, 5, 6)[: ndim + 1]).astype("f")
    for dims in itertools.permutations(range(1, ndim + 1)):
        np.testing.assert_array_equal(fastseq.layers.Permute(dims)(x), x.transpose(0, *dims))


def test_many_dimensions(rng):
    """Axes that stay neighbours count as one; five groups are the limit, and beyond it there is an error."""
    x = rng.standard_normal((2, 3, 2, 3, 2, 3, 2)).astype("f")
    np.testing.assert_array_equal(fastseq.layers.Permute((4, 5, 6, 1, 2, 3))(x), x.transpose(0, 4, 5, 6, 1, 2, 3))
    with pytest.raises(ValueError, match="dimensions"):
        fastseq.layers.Permute((6, 5, 4, 3, 2, 1))(x)


@pytest.mark.parametrize("dims", [(1, 3), (0, 1), (1, 1), (2,)])
def test_dims_must_be_an_order(dims):
    with pytest.raises(ValueError, match="dims"):
        fastseq.layers.Permute(dims)


def test_rank_and_symbolic_shape():
    with pytest.raises(ValueError, match=r"permute.*ndim=3"):
        fastseq.layers.Permute((2, 1))(np.zeros((2, 3)))
    found = fastseq.layers.Permute((2, 1))(fastseq.Input((None, 4), dtype="int32"))
    assert (found.shape, found.dtype) == ((None, 4, None), "int32")
    assert fastseq.layers.Permute((2, 1))(np.zeros((0, 3, 4))).shape == (0, 4, 3)

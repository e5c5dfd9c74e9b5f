"""Reshape against Keras."""

import numpy as np
import pytest
from layer_check import check_layer
from mask_check import check_masked

import fastseq

CASES = [
    ((2, 12), (3, 4)), ((2, 12), (-1, 2, 2)), ((2, 3, 4), (12,)), ((2, 3, 4), (-1,)), ((2, 3, 4), (4, -1)),
    ((2, 1), ()), ((2,), (1, 1)), ((2, 3), (3, 1, -1)),
]  # fmt: skip


@pytest.mark.tensorflow
@pytest.mark.parametrize("shape, target", CASES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "int32", "bool"])
def test_shapes_and_dtypes(shape, target, dtype, rng):
    check_layer(lambda layers: layers.Reshape(target), (5 * rng.standard_normal(shape)).astype(dtype))


@pytest.mark.tensorflow
def test_mask_is_destroyed(rng):
    with pytest.warns(UserWarning, match="does not support masking"):
        check_masked(
            lambda layers: layers.Reshape((12,)), rng.standard_normal((2, 3, 4)).astype("f"), np.ones((2, 3), bool)
        )


def test_same_memory_in_a_model(rng):
    """Reshape adds no step: the layers around it read and write the same arrays."""
    x = rng.standard_normal((5, 12)).astype("f")
    dense = fastseq.layers.Dense(12)
    model = fastseq.Sequential([dense, fastseq.layers.Reshape((3, 4)), fastseq.layers.GRU(2)])
    np.testing.assert_array_equal(model(x), model.layers[2](dense(x).reshape(5, 3, 4)))
    kernels = [name for _, name, _ in model._programs.program(model, {"inputs": x}).describe()]
    assert len(kernels) == 2


@pytest.mark.parametrize(
    "shape, target, expected",
    [((None, 4), (-1, 2), (None, 2)), ((None,), (2, 2), (2, 2)), ((6,), (-1, 3), (2, 3)), ((6,), (3, 2), (3, 2))],
)
def test_symbolic_shape(shape, target, expected):
    found = fastseq.layers.Reshape(target)(fastseq.Input(shape, dtype="int32"))
    assert (found.shape, found.dtype) == ((None, *expected), "int32")


def test_unknown_size_at_a_call():
    inputs = fastseq.Input((None, 4))
    model = fastseq.Model(inputs, fastseq.layers.Reshape((-1, 2))(inputs))
    for time in (1, 3):
        assert model(np.zeros((2, time, 4))).shape == (2, 2 * time, 2)
    inputs = fastseq.Input((None, 4))
    model = fastseq.Model(inputs, fastseq.layers.Reshape((2, 6), name="r")(inputs))
    assert model(np.zeros((2, 3, 4))).shape == (2, 2, 6)
    with pytest.raises(ValueError, match=r"'r'.*8 elements"):
        model(np.zeros((2, 2, 4)))


@pytest.mark.parametrize("target", [(5,), (5, -1), (0, -1), (2, 2)])
def test_shapes_that_do_not_fit(target):
    with pytest.raises(ValueError, match=r"reshape.*target_shape"):
        fastseq.layers.Reshape(target)(np.zeros((2, 12)))


@pytest.mark.parametrize("target", [(-1, -1), (-2,)])
def test_sizes_below_minus_one(target):
    with pytest.raises(ValueError, match="target_shape"):
        fastseq.layers.Reshape(target)


@pytest.mark.parametrize("target", [12, (2.0,), (None, 2), "ab"])
def test_target_must_be_integers(target):
    with pytest.raises(TypeError, match="target_shape"):
        fastseq.layers.Reshape(target)


def test_empty_batch():
    assert fastseq.layers.Reshape((-1, 2))(np.zeros((0, 4))).shape == (0, 2, 2)

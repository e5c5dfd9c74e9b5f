"""Softmax against Keras and float64, with masks and over several axes."""

import numpy as np
import pytest
from layer_check import check_layer
from mask_check import check_masked

import fastseq


def reference_softmax(x, axes, mask=None):
    x = np.asarray(x, np.float64)
    x = x if mask is None else np.where(mask, x, -1e9)
    e = np.exp(x - x.max(axis=axes, keepdims=True))
    y = e / e.sum(axis=axes, keepdims=True)
    return y if mask is None else np.where(mask, y, 0)


@pytest.mark.tensorflow
@pytest.mark.parametrize("shape", [(3,), (2, 5), (7, 16, 3), (4, 2, 3, 33)], ids=str)
def test_every_axis(shape, rng):
    x = 3 * rng.standard_normal(shape).astype("f")
    for axis in range(-len(shape), len(shape)):
        check_layer(lambda layers, axis=axis: layers.Softmax(axis), x, rows=axis % len(shape) != 0)


@pytest.mark.tensorflow
@pytest.mark.parametrize("axes", [(1, 2), [-1, -3], (2, 1, 3), [2], (0, 2)], ids=str)
def test_several_axes(axes, rng):
    x = 3 * rng.standard_normal((2, 4, 5, 6)).astype("f")

    def truth(x, weights, call):
        return reference_softmax(x, tuple(axes))

    check_layer(lambda layers: layers.Softmax(axes), x, truth=truth, rows=0 not in axes)


@pytest.mark.tensorflow
@pytest.mark.parametrize("shape", [(4, 3, 6), (4, 1, 6), (1, 3, 1), (3, 6), (6,), (1, 1, 1)], ids=str)
@pytest.mark.parametrize("axis", [-1, 1, (1, 2)])
def test_masks(shape, axis, rng):
    x = 3 * rng.standard_normal((4, 3, 6)).astype("f")
    mask = rng.random(shape) < 0.5
    axes = axis if isinstance(axis, tuple) else (axis,)

    def truth(x, weights, call):
        return reference_softmax(x, axes, mask)

    check_layer(lambda layers: layers.Softmax(axis), x, call={"mask": mask}, truth=truth, rows=shape[:1] == (4,))


@pytest.mark.tensorflow
def test_attached_masks(rng):
    """Keras broadcasts an attached mask of timesteps from the right, so it fits square inputs and (B, F) alone."""
    x = rng.standard_normal((2, 3)).astype("f")
    check_masked(lambda layers: layers.Softmax(), x, rng.random((2, 3)) < 0.5, ulps=2)
    with pytest.raises(ValueError, match="mask"):
        check_masked(lambda layers: layers.Softmax(), rng.standard_normal((2, 3, 4)).astype("f"), np.ones((2, 3), bool))


def test_masks_of_numbers():
    x = np.array([[1.0, 2, 3], [4, 5, 6]])
    for mask in (np.array([[0.6, 0.4, 1], [0, 0, 0]]), [[1, 0, 1], [0, 0, 0]]):
        found = fastseq.layers.Softmax()(x, mask=mask)
        np.testing.assert_allclose(found, [[1 / (1 + np.e**2), 0, 1 / (1 + np.e**-2)], [0, 0, 0]], rtol=1e-6)


def test_masks_of_numbers_in_a_model():
    inputs, mask = fastseq.Input((3,)), fastseq.Input((3,))
    model = fastseq.Model([inputs, mask], fastseq.layers.Softmax()(inputs, mask=mask))
    found = model([np.zeros((1, 3)), np.array([[0.6, 0.4, 0.5]])])
    np.testing.assert_array_equal(found, [[1, 0, 0]])


def test_stored_numbers():
    np.testing.assert_allclose(fastseq.layers.Softmax()(np.array([[0.0, np.log(3)]])), [[0.25, 0.75]], rtol=1e-6)
    found = fastseq.layers.Softmax((1, 2))(np.log(np.array([[[1.0, 2], [3, 4]]])))
    np.testing.assert_allclose(found, [[[0.1, 0.2], [0.3, 0.4]]], rtol=1e-6)


@pytest.mark.parametrize("axis", [None, (), 1.0, "x", True, [0, None]])
def test_axis_must_be_integers(axis):
    with pytest.raises(ValueError, match="axis"):
        fastseq.layers.Softmax(axis)


@pytest.mark.parametrize("axis", [2, -3, (1, 1), (-1, 1), (0, 5)])
def test_axis_that_the_input_does_not_have(axis):
    with pytest.raises(ValueError, match=r"softmax.*axis"):
        fastseq.layers.Softmax(axis)(np.zeros((2, 3)))


@pytest.mark.parametrize("shape", [(1, 2, 3), (3, 3), (2,), (2, 2)])
def test_mask_that_does_not_broadcast(shape):
    with pytest.raises(ValueError, match=r"softmax.*mask"):
        fastseq.layers.Softmax()(np.zeros((2, 3)), mask=np.ones(shape, bool))


def test_symbolic_shape():
    assert fastseq.layers.Softmax()(fastseq.Input((None, 4))).shape == (None, None, 4)

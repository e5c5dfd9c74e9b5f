"""Concatenate against Keras and NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layer_check import check_layer
from mask_check import check_masked

import fastseq
from fastseq.tensors import arrays


@pytest.mark.tensorflow
@pytest.mark.parametrize("axis", [-1, 1, 2, -2, 0])
@pytest.mark.parametrize("sizes", [(3,), (1, 4), (2, 33, 5)], ids=str)
def test_axes(axis, sizes, rng):
    xs = []
    for size in sizes:
        shape = [2, 3, 4]
        shape[axis] = size
        xs.append(rng.standard_normal(shape).astype("f"))
    check_layer(lambda layers: layers.Concatenate(axis), xs, rows=axis != 0)


@pytest.mark.tensorflow
@pytest.mark.parametrize("dtypes", [("int32", "int32"), ("bool", "bool"), ("bool", "int32"), ("int32", "float32")])
def test_dtypes(dtypes, rng):
    keras = pytest.importorskip("keras")
    xs = [rng.integers(0, 2, (2, 3)).astype(dtype) for dtype in dtypes]
    found, expected = fastseq.layers.Concatenate()(xs), np.asarray(keras.layers.Concatenate()(xs))
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.tensorflow
@pytest.mark.parametrize("axis", [-1, 1, 2, -2, 0])
@pytest.mark.parametrize("present", [(1, 1), (1, 0), (0, 1), (0, 0)], ids=str)
def test_masks(axis, present, rng):
    xs = [rng.standard_normal((4, 5, 3)).astype("f") for _ in range(2)]
    masks = [rng.random((4, 5)) < 0.5 if keep else None for keep in present]
    check_masked(lambda layers: layers.Concatenate(axis), xs, masks)


@pytest.mark.tensorflow
@pytest.mark.parametrize("axis", [-1, 1])
def test_masks_of_features(axis, rng):
    """A mask with as many dimensions as its input: the result is masked where all of a row is."""
    xs = [rng.standard_normal((4, 5, 3)).astype("f") for _ in range(2)]
    masks = [rng.random((4, 5, 3)) < 0.3, rng.random((4, 5)) < 0.3]
    check_masked(lambda layers: layers.Concatenate(axis), xs, masks)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(0, 3), st.lists(st.integers(1, 40), min_size=1))
def test_twin(shape, axis, sizes):
    axis %= len(shape)
    rng = np.random.default_rng(len(sizes))
    xs = [rng.standard_normal([*shape[:axis], size, *shape[axis + 1 :]]).astype("f") for size in sizes]
    np.testing.assert_array_equal(fastseq.layers.merge.concatenate(xs, axis=axis), np.concatenate(xs, axis))


def test_stored_mask():
    x = arrays.with_mask(np.ones((1, 2, 3), "f"), np.array([[True, False]]))
    found = fastseq.layers.Concatenate(1)([x, np.zeros((1, 1, 3), "f")])
    np.testing.assert_array_equal(arrays.mask_of(found), [[True, False, True]])


def test_symbolic_shape():
    x, y = fastseq.Input((None, 4)), fastseq.Input((3, 4))
    assert fastseq.layers.merge.concatenate([x, y], axis=1).shape == (None, None, 4)
    assert fastseq.layers.Concatenate()([x, x]).shape == (None, None, 8)
    assert fastseq.layers.Concatenate(1)([y, y]).shape == (None, 6, 4)
    ints = fastseq.Input((3,), dtype="int32")
    assert fastseq.layers.Concatenate()([ints, ints]).dtype == "int32"


@pytest.mark.parametrize("shapes", [[(2, 3, 4), (2, 2, 4)], [(2, 3, 4), (2, 4)], [(2, 3, 4), (3, 3, 4)]], ids=str)
def test_shapes_that_do_not_go_together(shapes):
    with pytest.raises(ValueError, match="concatenate"):
        fastseq.layers.Concatenate()([np.ones(shape) for shape in shapes])


def test_bad_axis():
    for axis in (1.0, "1", None, True):
        with pytest.raises(ValueError, match="axis"):
            fastseq.layers.Concatenate(axis)
    for axis in (2, -3):
        with pytest.raises(ValueError, match=r"concatenate.*axis"):
            fastseq.layers.Concatenate(axis)([np.ones((2, 3))] * 2)


def test_empty_arrays():
    assert fastseq.layers.Concatenate()([np.ones((0, 3)), np.ones((0, 4))]).shape == (0, 7)
    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(fastseq.layers.Concatenate()([x, np.ones((2, 0))]), x)

"""Dot against Keras and its twin."""

import numpy as np
import pytest
from layer_check import check_layer, isa
from mask_check import check_masked

import fastseq
from fastseq.layers.merge.dot import reference_dot
from fastseq.native import runtime

CASES = [
    ((2, 3), (2, 3), 1), ((2, 3), (2, 3), -1), ((2, 3, 4), (2, 5, 4), 2), ((2, 3, 4), (2, 3, 5), 1),
    ((2, 3, 4), (2, 5, 4), -1), ((2, 3, 4), (2, 4, 5), (2, 1)), ((2, 3, 4), (2, 4, 5), (-1, -2)),
    ((2, 4), (2, 3, 4), (1, 2)), ((2, 3, 4), (2, 3), (1, 1)), ((2, 3, 2, 4), (2, 3, 5), (1, 1)),
    ((2, 3, 2, 4), (2, 5, 4), [3, 2]), ((2, 3, 2, 4), (2, 5, 2, 6), (2, 2)), ((1, 1, 1), (1, 1, 1), 2),
    ((3, 40, 65), (3, 50, 65), 2),
]  # fmt: skip


def positive(axes, shapes):
    axes = [axes] * 2 if isinstance(axes, int) else axes
    return [axis % len(shape) for axis, shape in zip(axes, shapes)]


@pytest.mark.tensorflow
@pytest.mark.parametrize("first, second, axes", CASES, ids=str)
@pytest.mark.parametrize("normalize", [False, True])
def test_shapes(first, second, axes, normalize, rng):
    xs = [rng.standard_normal(shape).astype("f") for shape in (first, second)]

    def truth(xs, weights, call):
        return reference_dot(*(x.astype("f8") for x in xs), positive(axes, (first, second)), normalize)

    check_layer(lambda layers: layers.Dot(axes, normalize=normalize), xs, truth=truth)


@pytest.mark.tensorflow
def test_masks_end(rng):
    xs = [rng.standard_normal((2, 3, 4)).astype("f") for _ in range(2)]
    _, mask = check_masked(lambda layers: layers.Dot(2), xs, [np.ones((2, 3), bool)] * 2, ulps=2)
    assert mask is None


@pytest.mark.tensorflow
@pytest.mark.parametrize("dtypes", [("int32", "int32"), ("bool", "bool"), ("bool", "int32"), ("int32", "float32")])
def test_dtypes(dtypes, rng):
    keras = pytest.importorskip("keras")
    xs = [rng.integers(0, 2, (2, 3, 4)).astype(dtype) for dtype in dtypes]
    for axes in (1, 2):
        found, expected = fastseq.layers.Dot(axes)(xs), np.asarray(keras.layers.Dot(axes)(xs))
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


@pytest.mark.tensorflow
def test_normalizing_special_rows():
    keras = pytest.importorskip("keras")
    x = np.array([[0, 0], [3, 4], [1e-9, 0], [np.nan, 1], [np.inf, 1], [1e-30, 1e-30]], "f")
    y = np.array([[1, 0], [3, 4], [1, 0], [1, 1], [1, 1], [1, 1]], "f")
    found, expected = (layers.Dot(1, normalize=True)([x, y]) for layers in (fastseq.layers, keras.layers))
    np.testing.assert_allclose(found, np.asarray(expected), rtol=1e-6, atol=1e-30)


@pytest.mark.parametrize("first, second, axes", CASES, ids=str)
def test_twin_on_every_isa(first, second, axes, rng):
    xs = [rng.standard_normal(shape).astype("f") for shape in (first, second)]
    for normalize in (False, True):
        layer = fastseq.layers.Dot(axes, normalize=normalize)
        expected = reference_dot(*(x.astype("f8") for x in xs), positive(axes, (first, second)), normalize)
        for name in runtime.available_isas():
            with isa(name):
                found = layer(xs)
            assert found.shape == expected.shape
            np.testing.assert_allclose(found, expected, atol=1e-6 * np.sqrt(first[-1]) * np.abs(expected).max())


def test_stored_numbers():
    x, y = np.array([[1.0, 2]]), np.array([[3.0, 4]])
    np.testing.assert_array_equal(fastseq.layers.merge.dot([x, y], axes=1), [[11]])
    np.testing.assert_array_equal(fastseq.layers.merge.dot([x, y]), [[11]])
    np.testing.assert_allclose(fastseq.layers.merge.dot([x, x], normalize=True), [[1]], rtol=1e-6)
    # Integers wrap around, as in Keras: 4 * 2^30 is 0.
    found = fastseq.layers.Dot(1)([np.full((1, 2), 2**30), np.array([[1, 3]])])
    np.testing.assert_array_equal(found, [[0]])


@pytest.mark.parametrize("first, second, axes", CASES, ids=str)
def test_symbolic_shape(first, second, axes):
    found = fastseq.layers.Dot(axes)([fastseq.Input(first[1:]), fastseq.Input(second[1:])])
    xs = [np.ones(first), np.ones(second)]
    assert found.shape == (None, *fastseq.layers.Dot(axes)(xs).shape[1:])
    assert fastseq.layers.Dot((2, 1))([fastseq.Input((None, 4)), fastseq.Input((4, None))]).shape == (None, None, None)


@pytest.mark.parametrize("axes", [0, (0, 1), (1, 0), -3, (1, 5), (-3, 1)])
def test_axes_that_are_not_there(axes):
    with pytest.raises(ValueError, match=r"dot.*axes"):
        fastseq.layers.Dot(axes)([np.ones((2, 3, 4))] * 2)


@pytest.mark.parametrize(
    "axes, error", [("1", TypeError), (1.0, TypeError), ((1,), ValueError), ((1, 2.0), ValueError)]
)
def test_axes_must_be_integers(axes, error):
    with pytest.raises(error, match="axes"):
        fastseq.layers.Dot(axes)


def test_inputs_that_do_not_go_together():
    layer = fastseq.layers.Dot(1)
    for shapes in ([(2, 3)], [(2, 3)] * 3, [(2, 3), (2, 4)], [(2, 3), (3, 3)], [(2,), (2,)]):
        with pytest.raises(ValueError, match="dot"):
            layer([np.ones(shape) for shape in shapes])
    with pytest.raises(ValueError, match="normalizes"):
        fastseq.layers.Dot(1, normalize=True)([np.ones((2, 3), int)] * 2)


def test_empty_arrays(capfd):
    """BLAS prints to stdout about rows without elements; nothing may be printed."""
    assert fastseq.layers.Dot(1)([np.ones((0, 3))] * 2).shape == (0, 1)
    found = fastseq.layers.Dot(2)([np.ones((2, 3, 0)), np.ones((2, 4, 0))])
    np.testing.assert_array_equal(found, np.zeros((2, 3, 4)))
    # In the middle of a model, where the result as a whole is not empty.
    x, y, z = fastseq.Input((None, 4)), fastseq.Input((3, 4)), fastseq.Input((2, 3))
    model = fastseq.Model([x, y, z], fastseq.layers.Concatenate(1)([fastseq.layers.Dot(2)([x, y]), z]))
    np.testing.assert_array_equal(
        model([np.ones((2, 0, 4)), np.ones((2, 3, 4)), np.ones((2, 2, 3))]), np.ones((2, 2, 3))
    )
    out, err = capfd.readouterr()
    assert out == err == ""

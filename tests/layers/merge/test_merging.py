"""Add, Subtract, Multiply, Average, Maximum and Minimum against Keras and NumPy."""

import functools
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layer_check import check_layer, isa
from mask_check import check_masked

import fastseq
from fastseq.native import runtime
from fastseq.tensors import arrays

TWINS = {
    "Add": lambda xs: functools.reduce(np.add, xs),
    "Subtract": lambda xs: np.subtract(*xs),
    "Multiply": lambda xs: functools.reduce(np.multiply, xs),
    "Average": lambda xs: np.divide(functools.reduce(np.add, xs), np.float32(len(xs))),
    "Maximum": lambda xs: functools.reduce(np.maximum, xs),
    "Minimum": lambda xs: functools.reduce(np.minimum, xs),
}
NAMES = list(TWINS)
MANY = [name for name in NAMES if name != "Subtract"]
SHAPES = [
    [(2, 3, 4), (2, 3, 4)], [(2, 3, 33), (2, 1, 33)], [(2, 3, 4), (2, 4)], [(2, 3, 4), (2, 1)], [(2, 1, 4), (2, 3, 1)],
    [(3,), (3,)], [(3,), (3, 2, 4)], [(2, 2, 1, 3), (2, 4, 3)], [(5, 17), (5, 17)],
]  # fmt: skip


def arrays_of(shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype("f") for shape in shapes]


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_two_inputs(name, shapes):
    check_layer(lambda layers: getattr(layers, name)(), arrays_of(shapes))


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", MANY)
@pytest.mark.parametrize("count", [1, 3, 5])
def test_many_inputs(name, count):
    check_layer(lambda layers: getattr(layers, name)(), arrays_of([(2, 3, 4), (2, 3, 1), (2, 4), (2, 1), (2,)][:count]))


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtypes", [("int32", "int32"), ("int32", "float32"), ("bool", "int32"), ("bool", "float32")])
def test_dtypes(name, dtypes, rng):
    keras = pytest.importorskip("keras")
    xs = [rng.integers(0, 2, (2, 3)).astype(dtype) + np.array(5, dtype) * (dtype != "bool") for dtype in dtypes]
    xs = [x.astype(dtype) for x, dtype in zip(xs, dtypes)]
    found, expected = getattr(fastseq.layers, name)()(xs), np.asarray(getattr(keras.layers, name)()(xs))
    np.testing.assert_array_equal(found, expected)
    # Keras's mean of integers is float64, a type that nothing here has.
    assert found.dtype == ("float32" if expected.dtype == "float64" else expected.dtype)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("present", [(1, 1), (1, 0), (0, 1)], ids=str)
def test_masks_of_two(name, present, rng):
    xs = arrays_of([(4, 5, 3)] * 2)
    masks = [rng.random((4, 5)) < 0.5 if keep else None for keep in present]
    check_masked(lambda layers: getattr(layers, name)(), xs, masks)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", MANY)
@pytest.mark.parametrize("present", list(itertools.product((1, 0), repeat=3)), ids=str)
def test_masks_of_three(name, present, rng):
    xs = arrays_of([(4, 5, 3)] * 3)
    masks = [rng.random((4, 5)) < 0.5 if keep else None for keep in present]
    check_masked(lambda layers: getattr(layers, name)(), xs, masks)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", NAMES)
def test_masks_that_broadcast(name, rng):
    masks = [rng.random((4, 5)) < 0.5, rng.random((4, 1)) < 0.5]
    check_masked(lambda layers: getattr(layers, name)(), arrays_of([(4, 5, 3), (4, 1, 3)]), masks)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", NAMES)
def test_mask_beside_fewer_dimensions(name, rng):
    masks = [rng.random((4, 5)) < 0.5, None]
    check_masked(lambda layers: getattr(layers, name)(), arrays_of([(4, 5, 3), (4, 3)]), masks)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", NAMES)
def test_masks_of_integers(name, rng):
    xs = [rng.integers(-9, 9, (4, 5, 3)).astype("i4") for _ in range(2)]
    if name != "Average":
        check_masked(lambda layers: getattr(layers, name)(), xs, [rng.random((4, 5)) < 0.5 for _ in range(2)])


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", NAMES)
def test_special_values(name):
    keras = pytest.importorskip("keras")
    special = np.array([np.nan, np.inf, -np.inf, 0.0, 1.0, 1e30], "f")
    xs = [np.repeat(special, 6)[None], np.tile(special, 6)[None]]
    with np.errstate(all="ignore"):
        expected = np.asarray(getattr(keras.layers, name)()(xs))
    np.testing.assert_array_equal(getattr(fastseq.layers, name)()(xs), expected)


@given(st.sampled_from(NAMES), st.lists(st.integers(1, 20), min_size=1, max_size=4), st.data())
def test_twin_on_every_isa(name, shape, data):
    """Any sizes, any of them 1 on either side, floats and integers; the same bits everywhere."""
    ones = [data.draw(st.lists(st.booleans(), min_size=len(shape), max_size=len(shape))) for _ in range(2)]
    shapes = [[shape[0], *(1 if o else s for o, s in zip(row[1:], shape[1:]))] for row in ones]
    rng = np.random.default_rng(sum(shape))
    for xs in (arrays_of(shapes), [rng.integers(-(2**31), 2**31, s).astype("i4") for s in shapes]):
        if name == "Average" and xs[0].dtype == "i4":
            continue
        expected = TWINS[name](xs)
        for isa_name in runtime.available_isas():
            with isa(isa_name):
                found = getattr(fastseq.layers, name)()(xs)
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)


def test_threads(rng):
    xs = arrays_of([(600, 64, 32), (600, 1, 32)])
    mask = rng.random((600, 64)) < 0.5
    for name in NAMES:
        layer = getattr(fastseq.layers, name)()
        for threads in (1, 2, 3):
            with runtime.num_threads(threads):
                np.testing.assert_array_equal(layer(xs), TWINS[name](xs))
                both = layer([arrays.with_mask(xs[0], mask), arrays.with_mask(xs[0] + 1, ~mask)])
        if name == "Maximum":
            np.testing.assert_array_equal(both, np.where(mask[..., None], xs[0], xs[0] + 1))


def test_stored_numbers():
    x, y = np.array([[1.0, 8], [3, 4]]), np.array([[5.0, 2], [3, 1]])
    layers = fastseq.layers
    np.testing.assert_array_equal(layers.add([x, y]), [[6, 10], [6, 5]])
    np.testing.assert_array_equal(layers.subtract([x, y]), [[-4, 6], [0, 3]])
    np.testing.assert_array_equal(layers.multiply([x, y]), [[5, 16], [9, 4]])
    np.testing.assert_array_equal(layers.average([x, y]), [[3, 5], [3, 2.5]])
    np.testing.assert_array_equal(layers.maximum([x, y]), [[5, 8], [3, 4]])
    np.testing.assert_array_equal(layers.minimum([x, y]), [[1, 2], [3, 1]])


def test_functions_on_symbolic_tensors():
    x, y = fastseq.Input((None, 4)), fastseq.Input((4,))
    for name in NAMES:
        found = getattr(fastseq.layers, name.lower())([x, y], name=f"{name}_of_two")
        assert found.shape == (None, None, 4)
        model = fastseq.Model([x, y], found)
        a, b = arrays_of([(2, 3, 4), (2, 4)])
        np.testing.assert_array_equal(model([a, b]), TWINS[name]([a, b[:, None]]))
        assert model.layers[-1].name == f"{name}_of_two"


@pytest.mark.parametrize("name", NAMES)
def test_symbolic_shapes(name):
    layer = getattr(fastseq.layers, name)()
    assert layer.compute_output_shape([(None, 3, 1), (None, 1, 4)]) == (None, 3, 4)
    assert layer.compute_output_shape([(None, None, 4), (7, 4)]) == (7, None, 4)
    assert layer.compute_output_shape([(2, 3), (None, 3)]) == (2, 3)
    with pytest.raises(ValueError, match="incompatible"):
        layer.compute_output_shape([(None, 3), (None, 4)])
    ints = [fastseq.Input((3,), dtype="int32") for _ in range(2)]
    assert layer(ints).dtype == ("float32" if name == "Average" else "int32")


@pytest.mark.parametrize("name", [*NAMES, "Concatenate"])
@pytest.mark.parametrize(
    "inputs", [np.ones((2, 3)), {"a": np.ones((2, 3)), "b": np.ones((2, 3))}, [[np.ones((2, 3))], np.ones((2, 3))], []]
)
def test_inputs_must_be_a_list(name, inputs):
    with pytest.raises(ValueError):
        getattr(fastseq.layers, name)()(inputs)


@pytest.mark.parametrize("name", NAMES)
def test_shapes_that_do_not_go_together(name):
    layers = fastseq.layers
    with pytest.raises(ValueError, match=rf"{name.lower()}.*incompatible"):
        getattr(layers, name)()([np.ones((2, 3)), np.ones((2, 4))])
    with pytest.raises(ValueError, match=rf"{name.lower()}.*batch"):
        getattr(layers, name)()([np.ones((2, 3)), np.ones((3, 3))])
    layer = getattr(layers, name)()
    layer([np.ones((2, 3)), np.ones((2, 3))])
    with pytest.raises(ValueError, match=rf"{name.lower()}.*incompatible"):
        layer([np.ones((2, 3)), np.ones((2, 4))])


def test_booleans_alone():
    with pytest.raises(ValueError, match="booleans"):
        fastseq.layers.Add()([np.ones((2, 3), bool)] * 2)


@pytest.mark.parametrize("count", [1, 3])
def test_subtract_takes_two(count):
    with pytest.raises(ValueError, match="exactly 2"):
        fastseq.layers.Subtract()([np.ones((2, 3))] * count)
    layer = fastseq.layers.Subtract()
    layer([np.ones((2, 3))] * 2)
    with pytest.raises(ValueError, match="exactly 2"):
        layer([np.ones((2, 3))] * count)


def test_masks_that_do_not_go_together():
    xs = [arrays.with_mask(np.ones((2, 3, 4), "f"), np.ones((2, 3), bool)) for _ in range(2)]
    xs[1] = arrays.with_mask(np.ones((2, 4), "f"), np.ones(2, bool))
    with pytest.raises(ValueError, match=r"add.*masks"):
        fastseq.layers.Add()(xs)
    with pytest.raises(ValueError, match="as many masks"):
        fastseq.layers.Add().compute_mask([np.ones((2, 3))] * 2, [None])
    with pytest.raises(ValueError, match="as many masks"):
        fastseq.layers.Add().compute_mask([np.ones((2, 3))] * 2, np.ones(2, bool))


def test_empty_batch():
    for name in NAMES:
        assert getattr(fastseq.layers, name)()([np.ones((0, 3)), np.ones((0, 3))]).shape == (0, 3)

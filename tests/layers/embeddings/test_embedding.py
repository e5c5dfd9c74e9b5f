"""Embedding against Keras, its twin, and what a wrong id gets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layer_check import check_layer, isa

import fastseq
from fastseq.layers.embeddings.embedding import reference_embedding
from fastseq.native import runtime
from fastseq.tensors import arrays


@pytest.mark.tensorflow
@pytest.mark.parametrize("shape", [(1,), (3, 4), (2, 3, 5), (1, 1), (65, 33)], ids=str)
@pytest.mark.parametrize("width", [1, 16, 33])
def test_shapes(shape, width, rng):
    check_layer(lambda layers: layers.Embedding(11, width), rng.integers(0, 11, shape).astype("i4"))


@pytest.mark.tensorflow
@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "float32", "float64", "bool"])
@pytest.mark.parametrize("mask_zero", [False, True])
def test_dtypes_and_masks(dtype, mask_zero):
    ids = np.array([[0, 1, 2, 0], [3, 0, 0, 4]]).astype(dtype)
    if dtype.startswith("float"):
        ids = ids + np.array([0, 0.5, 0, 0.25], dtype)  # Keras masks 0.0, and not 0.25, though both become id 0.
    check_layer(lambda layers: layers.Embedding(5, 3, mask_zero=mask_zero), ids)


@pytest.mark.tensorflow
def test_arguments():
    ids = np.array([[0, 1]])
    check_layer(
        lambda layers: layers.Embedding(
            5, 3, embeddings_initializer="ones", embeddings_regularizer="l2", embeddings_constraint="unit_norm",
            mask_zero=True, name="e", trainable=False,
        ),
        ids,
    )  # fmt: skip


@given(st.integers(1, 50), st.integers(1, 40), st.lists(st.integers(0, 7), max_size=3), st.booleans())
def test_twin(vocabulary, width, shape, mask_zero):
    rng = np.random.default_rng(vocabulary * 100 + width)
    ids = rng.integers(0, vocabulary, shape)
    layer = fastseq.layers.Embedding(vocabulary, width, mask_zero=mask_zero)
    found = layer(ids)
    expected, mask = reference_embedding(ids, layer.embeddings.numpy(), mask_zero)
    np.testing.assert_array_equal(found, expected)
    if mask_zero:
        np.testing.assert_array_equal(arrays.mask_of(found), mask)
    else:
        assert arrays.mask_of(found) is None


def test_every_isa_and_thread_count(rng):
    ids = rng.integers(0, 1000, (70, 90))
    layer = fastseq.layers.Embedding(1000, 65)
    expected = layer(ids)
    for name in runtime.available_isas():
        for threads in (1, 2, 3):
            with isa(name), runtime.num_threads(threads):
                np.testing.assert_array_equal(layer(ids), expected)


@pytest.mark.parametrize("value", [5, -1, 2**31 - 1, -(2**31)])
def test_id_outside_the_table(value):
    layer = fastseq.layers.Embedding(5, 3, name="words")
    ids = np.zeros((3, 4), int)
    ids[1, 2] = value
    with pytest.raises(ValueError, match=rf"'words'.*range \[0, 5\), got {value} at position \(1, 2\)"):
        layer(ids)
    # In floats too, and where the ids are not what the caller gave but what another layer made.
    with pytest.raises(ValueError, match="'words'"):
        layer(ids.astype("f8"))
    inputs = fastseq.Input((2, 2), dtype="int32")
    model = fastseq.Model(inputs, layer(fastseq.layers.Permute((2, 1))(inputs)))
    with pytest.raises(ValueError, match=r"'words'.*position \(1, 0, 1\)"):
        model(ids.reshape(3, 2, 2))


def test_wrong_id_changes_no_state():
    inputs = fastseq.Input(batch_shape=(2, 3), dtype="int32")
    lstm = fastseq.layers.LSTM(4, stateful=True)
    first = lstm(fastseq.layers.Embedding(5, 2)(inputs))
    other = fastseq.Input(batch_shape=(2, 3), dtype="int32")
    model = fastseq.Model([inputs, other], [first, fastseq.layers.Embedding(5, 2)(other)])
    good = np.ones((2, 3), int)
    with pytest.raises(ValueError, match=r"range \[0, 5\)"):
        model([good, good * 7])
    assert not np.any(lstm.states[0])


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e20])
def test_floats_that_are_no_ids(value):
    for mask_zero in (False, True):
        with pytest.raises(ValueError, match="embedding"):
            fastseq.layers.Embedding(5, 3, mask_zero=mask_zero)(np.array([[1.0, value]]))


def test_ids_past_int32():
    with pytest.raises(ValueError, match="32 bits"):
        fastseq.layers.Embedding(5, 3)(np.array([2**32]))


def test_float64_ids_are_exact():
    """16777217 is no float32: a float64 id must not go through one."""
    layer = fastseq.layers.Embedding(2**24 + 2, 1, embeddings_initializer="zeros")
    table = np.zeros((2**24 + 2, 1), "f")
    table[2**24 + 1] = 1
    layer.build()
    layer.set_weights([table])
    assert layer(np.array([2.0**24 + 1]))[0, 0] == 1


@pytest.mark.parametrize("wrap", [lambda table: table, lambda table: [table]])
def test_initial_weights(wrap):
    table = np.arange(6.0).reshape(3, 2)
    layer = fastseq.layers.Embedding(3, 2, weights=wrap(table))
    np.testing.assert_array_equal(layer(np.array([[2, 0]])), [[[4, 5], [0, 1]]])
    with pytest.raises(ValueError):
        fastseq.layers.Embedding(4, 2, weights=wrap(table))


def test_input_length_of_keras_2():
    with pytest.warns(UserWarning, match="input_length"):
        layer = fastseq.layers.Embedding(10, 4, input_length=3)
    assert "input_length" not in layer.get_config()
    model = fastseq.Sequential([layer, fastseq.layers.Flatten(), fastseq.layers.Dense(1)])
    assert model.count_params() == 40 + 13
    assert model(np.ones((2, 3), int)).shape == (2, 1)


@pytest.mark.parametrize("sizes", [(0, 3), (3, -1), (2.0, 3), (True, 3), ("5", 3)])
def test_sizes_must_be_positive_integers(sizes):
    with pytest.raises(ValueError, match="positive integer"):
        fastseq.layers.Embedding(*sizes)


@pytest.mark.parametrize("option", [{"lora_rank": 2}, {"quantization_config": "int8"}, {"lora_alpha": 1.0}])
def test_options_that_are_not_supported(option):
    with pytest.raises(ValueError, match=next(iter(option))):
        fastseq.layers.Embedding(3, 2, **option)


def test_table_before_and_after_building():
    layer = fastseq.layers.Embedding(3, 2)
    with pytest.raises(AttributeError, match="built"):
        _ = layer.embeddings
    layer(np.array([0]))
    assert layer.embeddings.shape == (3, 2)
    layer.embeddings.assign(np.ones((3, 2)))
    np.testing.assert_array_equal(layer(np.array([1])), [[1, 1]])


def test_empty_batch():
    assert fastseq.layers.Embedding(3, 2)(np.zeros((0, 4), int)).shape == (0, 4, 2)


def test_mask_of_its_input_is_destroyed():
    with pytest.warns(UserWarning, match="does not support masking"):
        found = fastseq.layers.Embedding(3, 2)(arrays.with_mask(np.zeros((1, 2), "i4"), np.ones((1, 2), bool)))
    assert arrays.mask_of(found) is None
    assert fastseq.layers.Embedding(3, 2).compute_mask(np.array([[0, 1]]), np.array([[True, True]])) is None
    layer = fastseq.layers.Embedding(3, 2, mask_zero=True)
    np.testing.assert_array_equal(layer.compute_mask(np.array([[0, 1]])), [[False, True]])

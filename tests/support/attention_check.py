"""check_attention: one attention layer, built twice from the same lines, against Keras on TensorFlow in one call."""

import keras
import numpy as np
import tensorflow as tf
from layer_check import _assert_same_mask, assert_as_close_as, isa, leaves, normal, random_weights

import fastseq
from fastseq.native import runtime
from fastseq.tensors import arrays, nest


def _given(library, inputs, masks, dtype="float32"):
    """The nest `inputs` as a call of either library takes it, with the masks that ride on them."""
    left = iter(masks)

    def one(array):
        mask = next(left, None)
        if library is fastseq:
            return array if mask is None else arrays.with_mask(array, mask)
        tensor = tf.constant(array.astype(dtype) if array.dtype.kind == "f" else array)
        if mask is not None:
            tensor._keras_mask = tf.constant(mask)
        return tensor

    return nest.map_structure(one, inputs)


def _in_keras(make, inputs, call, masks, weights, dtype):
    """(the layer, its results, their masks)."""
    before = keras.config.dtype_policy().name
    keras.config.set_dtype_policy(dtype)
    try:
        layer = make(keras.layers)
        layer(*_given(keras, inputs, masks, dtype), **call)  # which may take the masks off its inputs
        layer.set_weights(weights)
        found = nest.flatten(layer(*_given(keras, inputs, masks, dtype), **call))
    finally:
        keras.config.set_dtype_policy(before)
    kept = [getattr(y, "_keras_mask", None) for y in found]
    return layer, [np.asarray(y) for y in found], [m if m is None else np.asarray(m) for m in kept]


def check_attention(make, inputs, call=None, masks=()):
    """Values, masks, config and names of weights, on all instruction sets and threads, of rows alone as in the batch.

    make: function of `keras.layers` or `fastseq.layers`; inputs: list of the call's positional arguments, arrays or
    lists of them; call: its further ones; masks: of the arrays in their order, None where there is none.
    """
    call = call or {}
    layer = make(fastseq.layers)
    layer(*_given(fastseq, inputs, masks), **call)
    weights = random_weights([weight.shape for weight in layer.weights])
    layer.set_weights(weights)
    outputs = nest.flatten(layer(*_given(fastseq, inputs, masks), **call))
    theirs, expected, kept = _in_keras(make, inputs, call, masks, weights, "float32")
    _, double, _ = _in_keras(make, inputs, call, masks, weights, "float64")
    assert [w.path.partition("/")[2] for w in layer.weights] == [w.path.partition("/")[2] for w in theirs.weights]
    assert list(layer.get_config()) == list(theirs.get_config())
    assert normal(layer.get_config()) == normal(theirs.get_config())
    found = leaves(outputs)
    for ours, keras32, truth, output, mask in zip(found, expected, double, outputs, kept, strict=True):
        assert_as_close_as(ours, keras32, truth)
        _assert_same_mask(arrays.mask_of(output), mask)

    def same_bits(what):
        for one, other in zip(leaves(nest.flatten(layer(*_given(fastseq, inputs, masks), **call))), found):
            np.testing.assert_array_equal(one, other, err_msg=what)

    for name in runtime.available_isas():
        if name != "scalar":  # without FMA
            with isa(name):
                same_bits(name)
    for threads in (1, 2, 3):
        with runtime.num_threads(threads):
            same_bits(f"{threads} threads")
    _check_rows(layer, inputs, call, masks, found)


def _check_rows(layer, inputs, call, masks, found):
    batch = len(nest.flatten(inputs)[0])
    for row in range(batch):

        def one(array, row=row):
            is_rows = isinstance(array, np.ndarray) and array.ndim and len(array) == batch
            return array[row : row + 1] if is_rows else array

        given = _given(fastseq, nest.map_structure(one, inputs), [one(mask) for mask in masks])
        alone = layer(*given, **{key: one(value) for key, value in call.items()})
        for part, whole in zip(leaves(nest.flatten(alone)), found):
            np.testing.assert_array_equal(part, whole[row : row + 1], err_msg=f"row {row}")

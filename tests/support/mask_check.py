"""check_masked: a layer on inputs that carry masks, against Keras on the same."""

import numpy as np
import pytest
from layer_check import EPS

import fastseq
from fastseq.tensors import arrays, nest


def masked(array, mask):
    return arrays.with_mask(np.array(array), None if mask is None else np.array(mask, bool))


def check_masked(make, inputs, masks, ulps=0):
    """inputs, masks: an array and a mask, or lists of them (None for no mask). The layer's weights are made equal.

    Compares values, within `ulps` of the largest value, and the mask on the result. Returns (values, mask).
    """
    keras = pytest.importorskip("keras")
    import tensorflow as tf

    def tensor(array, mask):
        found = tf.constant(array)
        if mask is not None:
            found._keras_mask = tf.constant(np.asarray(mask, bool))
        return found

    def both(function):
        if isinstance(inputs, list):
            return [function(array, mask) for array, mask in zip(inputs, masks)]
        return function(inputs, masks)

    keras.utils.set_random_seed(0)  # the same weights in every run: with others a sum near 0 may be an ulp further off
    theirs, ours = make(keras.layers), make(fastseq.layers)
    expected, found = theirs(both(tensor)), ours(both(masked))
    if ours.weights:
        ours.set_weights(theirs.get_weights())
        found = ours(both(masked))
    (expected,), (found,) = nest.flatten(expected), nest.flatten(found)
    values = np.asarray(expected)
    np.testing.assert_allclose(found, values, rtol=0, atol=ulps * EPS * np.max(np.abs(values), initial=0))
    mask = getattr(expected, "_keras_mask", None)
    assert (arrays.mask_of(found) is None) == (mask is None)
    if mask is not None:
        np.testing.assert_array_equal(arrays.mask_of(found), np.asarray(mask))
    explicit = ours.compute_mask(inputs, masks)
    wanted = theirs.compute_mask(
        nest.map_structure(tf.constant, inputs),
        nest.map_structure(lambda m: None if m is None else tf.constant(m), masks),
    )
    assert (explicit is None) == (wanted is None)
    if wanted is not None:
        np.testing.assert_array_equal(explicit, np.asarray(wanted))
    return np.asarray(found), arrays.mask_of(found)

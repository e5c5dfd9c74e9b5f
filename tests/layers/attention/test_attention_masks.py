"""What becomes of masks around the attention layers, by versions of Keras; beside Keras: test_attention_keras.py."""

import numpy as np
import pytest

import fastseq
from fastseq import layers
from fastseq.layers.attention.additive_attention import reference_additive_attention
from fastseq.layers.attention.attention import reference_attention
from fastseq.tensors import arrays, mask_rules

B, T, N = 2, 5, 6
X = np.random.default_rng(0).standard_normal((B, T, N)).astype("f")
MASK = np.arange(T) < np.array([[3], [5]])


def two_blocks(rules):
    """The second layer is called on the same words as the first; the model and its second layer."""
    with mask_rules.scope(mask_rules.named(rules)):
        words = layers.Input((T,), dtype="int32")
        x = layers.Embedding(9, N, mask_zero=True)(words)
        first, second = layers.MultiHeadAttention(2, 3), layers.MultiHeadAttention(2, 3)
        return fastseq.Model(words, [second(first(x, x), x), x]), first, second


@pytest.mark.parametrize("rules", ["2", "3.4", "3.8", "3.15"])
def test_later_layers_find_the_mask_or_not(rules):
    """From Keras 3.8 on the first layer takes the masks off its inputs, and the second one sees what was hidden."""
    model, first, second = two_blocks(rules)
    words = np.array([[3, 4, 0, 0, 0], [1, 2, 3, 4, 5]], "i4")
    y, x = (np.asarray(array) for array in model(words))
    mask = words != 0
    before = first(arrays.with_mask(x, mask), arrays.with_mask(x, mask))
    hidden = arrays.with_mask(x, mask) if rules in ("2", "3.4") else x
    wanted = np.asarray(second(before, hidden))
    np.testing.assert_allclose(y, wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())  # older rules have other steps
    other = np.asarray(second(before, x if hidden is not x else arrays.with_mask(x, mask)))
    assert np.abs(other[0] - wanted[0]).max() > 1e-3 * np.abs(wanted).max()


def test_a_mask_that_is_given_to_the_query_does_not_count():
    """As in Keras since 3.8, which reads the query's own; GroupQueryAttention takes what it is given."""
    for layer, counts in ((layers.MultiHeadAttention(2, 3), False), (layers.GroupQueryAttention(3, 2, 1), True)):
        plain, given = layer(X, X), layer(X, X, query_mask=MASK)
        assert np.array_equal(plain, given) != counts
        masked = layer(arrays.with_mask(X, MASK), X)
        assert np.array_equal(masked, given) == counts


def test_the_arrays_of_a_caller_keep_their_masks():
    x = arrays.with_mask(X, MASK)
    layer = layers.MultiHeadAttention(2, 3)
    once, twice = layer(x, x), layer(x, x)
    np.testing.assert_array_equal(arrays.mask_of(x), MASK)
    np.testing.assert_array_equal(once, twice)
    np.testing.assert_array_equal(arrays.mask_of(once), MASK)


def test_masks_of_the_scored_layers():
    for make in (layers.Attention, layers.AdditiveAttention):
        layer = make()
        y = layer([arrays.with_mask(X, MASK), X])
        np.testing.assert_array_equal(arrays.mask_of(y), MASK)
        assert (np.asarray(y)[~MASK] == 0).all()
        np.testing.assert_array_equal(layer.compute_mask([X, X], [MASK, None]), MASK)
        assert layer.compute_mask([X, X]) is None
        np.testing.assert_array_equal(layer([X, X], mask=[MASK, MASK]), layer([arrays.with_mask(X, MASK)] * 2))


@pytest.mark.parametrize("call, pattern", [
    (lambda layer: layer(X), "takes a list of two or three inputs"),
    (lambda layer: layer([X]), "takes a list of two or three inputs.*list of 1"),
    (lambda layer: layer([X] * 4), "takes a list of two or three inputs.*list of 4"),
    (lambda layer: layer([X, X], mask=[MASK]), "takes a list of two or three masks"),
])  # fmt: skip
def test_what_the_scored_layers_do_not_take(call, pattern):
    for make in (layers.Attention, layers.AdditiveAttention):
        with pytest.raises((ValueError, TypeError), match=pattern):
            call(make())


def test_the_twins():
    key, hidden = X[::-1], np.broadcast_to(~MASK[:, None], (B, T, T))
    wide = [array.astype("f8") for array in (X, 2 * X, key)]
    for layer, twin in (
        (layers.Attention(use_scale=True), lambda scale: reference_attention(*wide, hidden, scale)),
        (layers.Attention(score_mode="concat"), lambda weight: reference_attention(*wide, hidden, 1.0, weight)),
        (layers.AdditiveAttention(), lambda scale: reference_additive_attention(*wide, hidden, scale)),
    ):
        given = {"mask": [None, MASK]}
        layer([X, 2 * X, key], **given)
        layer.set_weights([weight + 0.5 for weight in layer.get_weights()])
        found, wanted = layer([X, 2 * X, key], **given), twin(*(w.astype("f8") for w in layer.get_weights()))
        np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-6)


def test_dropout_draws_and_keeps_the_expected_value():
    x = np.random.default_rng(1).standard_normal((1, 400, 8)).astype("f")
    for layer, call in (
        (layers.MultiHeadAttention(2, 4, dropout=0.5, seed=1), lambda layer, **given: layer(x, x, **given)),
        (layers.Attention(dropout=0.5, seed=1), lambda layer, **given: layer([x, x], **given)),
    ):
        plain = np.asarray(call(layer))
        one, two = (np.asarray(call(layer, training=True)) for _ in range(2))
        assert not np.array_equal(one, plain) and not np.array_equal(one, two)
        again = type(layer).from_config(layer.get_config())
        call(again)
        again.set_weights(layer.get_weights())
        np.testing.assert_array_equal(call(again, training=True), one)
        mean = np.mean([np.asarray(call(layer, training=True)) for _ in range(200)], axis=0)
        assert np.abs(mean - plain).mean() < 0.2 * np.abs(one - plain).mean()

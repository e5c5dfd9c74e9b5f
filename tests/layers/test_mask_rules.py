"""Masks go by the rules of the version of Keras that made the model; the rules stay with the graph. Without Keras."""

import numpy as np
import pytest
from mask_models import (
    IDS,
    OTHERS,
    RNG,
    merged,
    newest,
    rules,
    states_input,
    the,
    weighted,
    with_states,
    without_rules,
    words,
)

import fastseq
from fastseq import layers
from fastseq.tensors import mask_rules


@pytest.mark.parametrize(
    "version, since",
    [
        ("1", "2"), ("1.2.2", "2"), ("2.2.4-tf", "2"), ("2.15.0", "2"), ("3.0.0", "3.0"), ("3.3.3", "3.0"),
        ("3.4.0", "3.4"), ("3.7.0", "3.4"), ("3.8.0", "3.8"),
        ("3.9.2", "3.8"), ("3.10.0", "3.10"), ("3.11.3", "3.11"), ("3.14.1", "3.11"),
        ("3.15.1", "3.15"), ("3.16.0.dev2027", "3.15"), ("4.0", "3.15"), (None, "3.15"), ("", "3.15"), ("x", "3.15"),
    ],
)  # fmt: skip
def test_rules_of_a_version(version, since):
    assert mask_rules.of_version(version) == mask_rules.named(since)
    assert mask_rules.of_version(version).since == since


def test_unknown_rules_are_refused():
    with pytest.raises(ValueError, match="mask_rules is one of"):
        mask_rules.named("3.5")
    with pytest.raises(ValueError, match="mask_rules is one of"):
        mask_rules.named(["2"])


@pytest.mark.parametrize("rule, keep", [("2", np.logical_and), ("3.0", None), ("3.4", np.logical_or)])
@pytest.mark.parametrize("merge", [layers.add, layers.maximum, layers.concatenate])
def test_merges_join_masks(rule, keep, merge):
    model = merged(rule, merge)
    first, second, joining, lstm = model.layers[-4:]
    x = [first.embeddings.numpy()[IDS], second.embeddings.numpy()[OTHERS]]
    joined = joining(x)  # as arrays without masks
    mask = None if keep is None else keep(IDS != 0, OTHERS != 0)
    if rule == "3.4" and merge is layers.maximum:
        masks = [np.broadcast_to(m[..., None], x[0].shape) for m in (IDS != 0, OTHERS != 0)]
        second = np.where(masks[1], x[1], x[0])
        joined = np.maximum(np.where(masks[0], x[0], second), second)
    assert np.array_equal(model.predict([IDS, OTHERS]), lstm(joined, mask=mask))


def test_keras_2_joins_the_masks_there_are():
    with rules("2"):
        a, b = fastseq.Input((4,), dtype="int32"), fastseq.Input((4, 3))
        y = layers.Add()([layers.Embedding(9, 3, mask_zero=True)(a), b])
        old = weighted(fastseq.Model([a, b], layers.GRU(2)(y)))
    new = fastseq.Model.from_config(without_rules(old.get_config()))
    new.set_weights(old.get_weights())
    embedding, gru = the(old, layers.Embedding), the(old, layers.GRU)
    b = RNG.uniform(-1, 1, (3, 4, 3)).astype("float32")
    total = embedding.embeddings.numpy()[IDS] + b
    assert np.array_equal(old.predict([IDS, b]), gru(total, mask=IDS != 0))
    assert np.array_equal(new.predict([IDS, b]), gru(total))


@pytest.mark.parametrize("rule, masked", [("2", True), ("3.0", False), ("3.15", False)])
def test_initial_states_and_the_mask(rule, masked):
    model, x = with_states(rule), states_input()
    embedding, lstm, dense = (the(model, cls) for cls in (layers.Embedding, layers.LSTM, layers.Dense))
    sequences = embedding.embeddings.numpy()[IDS]
    mask = IDS != 0 if masked else None
    assert np.array_equal(model.predict(x), dense(lstm(sequences, initial_state=x[1:], mask=mask)))


def test_words_are_masked_in_keras_2():
    model, ids = words(), np.stack([IDS, OTHERS], axis=1)
    ids[0, 1] = 0  # a timestep without words
    embedding, inner, outer = (getattr(layer, "layer", layer) for layer in model.layers)
    rows = inner(embedding.embeddings.numpy()[ids.reshape(-1, 4)], mask=ids.reshape(-1, 4) != 0)
    expected = outer(rows.reshape(3, 2, 3), mask=(ids != 0).any(-1))
    assert np.array_equal(model.predict(ids), expected)


def test_streams_follow_the_rules():
    with rules("2"):
        ids, other = fastseq.Input((None,), dtype="int32"), fastseq.Input((None, 3))
        y = layers.Multiply()([layers.Embedding(9, 3, mask_zero=True)(ids), other])
        model = weighted(fastseq.Model([ids, other], layers.LSTM(3, return_sequences=True)(y)))
    x = RNG.uniform(-1, 1, (3, 4, 3)).astype("float32")
    expected = model.predict([IDS, x])
    assert not np.array_equal(expected, newest(model).predict([IDS, x]))
    stream = model.stream(3)
    found = np.stack([stream.step([IDS[:, t], x[:, t]]) for t in range(4)], axis=1)
    stream.reset()
    assert np.array_equal(found, expected)
    assert np.array_equal(stream.steps([IDS, x]), expected)


def test_training_follows_the_rules():
    old = with_states()
    new, x = newest(old), states_input()
    y = RNG.uniform(-1, 1, (3, 4, 2)).astype("float32")
    for model in (old, new):
        # The output is masked in both: the loss is the mean over its unmasked timesteps.
        expected = np.mean(((model.predict(x) - y) ** 2).mean(-1)[IDS != 0])
        model.compile("sgd", "mse")
        assert np.isclose(model.train_on_batch(x, y), expected, rtol=1e-5)
    assert not np.allclose(the(old, layers.LSTM).get_weights()[0], the(new, layers.LSTM).get_weights()[0])


@pytest.mark.parametrize("rule", ["2", "3.9", "3.10", "3.15"])
def test_softmax_of_a_masked_row(rule):
    rule = mask_rules.of_version(rule)
    with mask_rules.scope(rule):
        x, mask = fastseq.Input((3,)), fastseq.Input((3,), dtype="bool")
        model = fastseq.Model([x, mask], layers.Softmax()(x, mask=mask))
    values = np.array([[1, 2, 3], [1, 2, 3]], "float32")
    keep = np.array([[True, False, True], [False] * 3])
    found = model.predict([values, keep])
    e = np.exp(np.float32(2))
    assert np.allclose(found[0], [1 / (1 + e), 0, e / (1 + e)])
    assert np.allclose(found[1], 0 if rule.softmax_zeros else 1 / 3)


@pytest.mark.parametrize("rule", ["2", "3.11", "3.15"])
def test_masking_by_an_infinite_value(rule):
    with rules(rule):
        model = fastseq.Sequential([fastseq.Input((2, 2)), layers.Masking(np.inf)])
    found = model.predict(np.array([[[np.inf, np.inf], [np.inf, 1]]], "float32"))
    masked = 0 if rule == "3.15" else np.nan
    assert np.array_equal(found, np.array([[[masked] * 2, [np.inf, 1]]]), equal_nan=True)


@pytest.mark.parametrize("rule, identity, given", [("2", False, True), ("3.0", True, False), ("3.11", True, True)])
def test_what_hands_on_a_mask(rule, identity, given):
    x = RNG.uniform(-1, 1, (3, 4, 2)).astype("float32")
    keep = IDS != 0
    with rules(rule):
        a, mask = fastseq.Input((4, 2)), fastseq.Input((4,), dtype="bool")
        first, last = layers.LSTM(3, return_sequences=True), layers.LSTM(2)
        model = weighted(fastseq.Model([a, mask], last(first(a, mask=mask))))
        inner = layers.Masking()
        plain = weighted(fastseq.Sequential([fastseq.Input((4, 2)), inner, layers.Identity(), layers.LSTM(2)]))
    assert np.array_equal(model.predict([x, keep]), last(np.asarray(first(x, mask=keep)), mask=keep if given else None))
    x[~keep] = 0
    assert np.array_equal(plain.predict(x), plain.layers[-1](x, mask=keep if identity else None))


def test_kept_states_come_first_in_keras_2():
    def model(rule):
        with rules(rule):
            x, h = fastseq.Input(batch_shape=(2, 3, 2)), fastseq.Input(batch_shape=(2, 3))
            return fastseq.Model([x, h], layers.GRU(3, stateful=True)(x, initial_state=h))

    old, new = weighted(model("2")), model("3.15")
    new.set_weights(old.get_weights())
    x, h = RNG.uniform(-1, 1, (2, 3, 2)).astype("float32"), RNG.uniform(-1, 1, (2, 3)).astype("float32")
    first = old.predict([x, h])
    assert np.array_equal(first, new.predict([x, h]))
    assert np.array_equal(first, new.predict([x, h]))
    second = old.predict([x, h])
    assert not np.array_equal(second, first)
    assert np.array_equal(second, new.layers[-1](x, initial_state=first))
    old.reset_states()
    assert np.array_equal(old.predict([x, h]), first)


def test_a_mask_with_a_value_for_each_unit():
    layer = layers.LSTM(3, return_sequences=True)
    x, mask = RNG.uniform(-1, 1, (2, 4, 2)).astype("float32"), RNG.random((2, 4, 3)) < 0.6
    layer(x)
    weighted(layer)
    found = layer(x, mask=mask)
    for unit in range(3):
        one = mask[..., unit]
        # The first step does not depend on other units' masks.
        assert np.allclose(found[:, 0, unit], np.where(one[:, 0], layer(x)[:, 0, unit], 0), atol=1e-6)
    expected, _ = layer.reference(x.astype("float64"), [w.astype("float64") for w in layer.get_weights()], mask)
    assert np.allclose(found, expected, atol=1e-5)
    single = RNG.random((2, 4, 1)) < 0.6
    assert np.array_equal(layer(x, mask=single), layer(x, mask=single[..., 0]))
    with pytest.raises(ValueError, match="mask of shape"):
        layer(x, mask=mask[..., :2])
    with pytest.raises(ValueError, match="mask of shape"):
        layers.LSTM(3, unroll=True)(x, mask=mask)


# ---- names of what is added to a graph -------------------------------------------------------------------------------


def test_masks_take_no_names_of_layers():
    a, b = fastseq.Input((4,)), fastseq.Input((4,))
    masked = [layers.Embedding(9, n, mask_zero=True)(tensor) for n, tensor in ((4, a), (3, b))]
    joined = layers.Concatenate(name="concatenate")(masked)
    y = layers.Dense(2, name="not_equal")(layers.LSTM(3, name="any")(joined))
    model = fastseq.Model([a, b], y)
    assert {"concatenate", "any", "not_equal"} <= {layer.name for layer in model.layers}
    config = model.get_config()
    names = [entry["name"] for entry in config["layers"]]
    assert len(set(names)) == len(names)
    assert fastseq.Model.from_config(config).count_params() == model.count_params()


def test_an_added_input_takes_no_name_of_a_layer():
    model = fastseq.Sequential([layers.Dense(3, input_shape=(2,)), layers.Dense(1, name="input_layer")])
    model.add(layers.Dense(2, name=model._stack.layers[0].name))
    assert model.predict(np.ones((1, 2))).shape == (1, 2)
    later = fastseq.Sequential([layers.Dense(3, name="input_layer"), layers.Dense(1, name="input_layer_1")])
    later.build((None, 2))
    assert later.predict(np.ones((1, 2))).shape == (1, 1)


def test_two_layers_of_one_name_are_still_refused():
    x = fastseq.Input((4,))
    with pytest.raises(ValueError, match="used 2 times"):
        fastseq.Model(x, layers.Dense(2, name="d")(layers.Dense(2, name="d")(x)))


# ---- masks that a graph gives to its calls ---------------------------------------------------------------------------


def test_a_given_mask_stays_where_a_model_hands_on_another():
    """The symbolic call of a model shows no mask, and what is computed of it is given to the next layer as it is."""
    x, ids = fastseq.Input((4, 3)), fastseq.Input((4,), dtype="int32")
    inner = fastseq.Sequential([fastseq.Input((4, 3)), layers.Masking(), layers.Dense(2)])
    joined = layers.Concatenate(axis=1)([inner(x), layers.Embedding(9, 2, mask_zero=True)(ids)])
    model = weighted(fastseq.Model([x, ids], layers.LSTM(3)(joined)))
    values = RNG.uniform(-1, 1, (3, 4, 3)).astype("float32")
    values[0, :2] = 0
    rows = np.concatenate([np.asarray(inner(values)), the(model, layers.Embedding).embeddings.numpy()[IDS]], axis=1)
    mask = np.concatenate([np.ones((3, 4), bool), IDS != 0], axis=1)
    assert np.array_equal(model.predict([values, IDS]), the(model, layers.LSTM)(rows, mask=mask))


def test_a_stateful_layer_that_is_called_twice_is_not_streamed():
    x = fastseq.Input(batch_shape=(2, None, 3))
    layer = layers.GRU(3, return_sequences=True, stateful=True)
    model = fastseq.Model(x, layer(layer(x)))
    with pytest.raises(ValueError, match="called again"):
        model.stream(2)


def test_masks_of_words_are_joined_by_their_own_number():
    x, y = RNG.uniform(-1, 1, (2, 3, 4)).astype("float32"), RNG.uniform(-1, 1, (2, 3, 2)).astype("float32")
    words = np.array([[[True, False, True]] * 3, [[False] * 3] * 3])
    found = layers.Concatenate().compute_mask([x, y], [words, np.array([[True, False, False]] * 2)])
    assert np.array_equal(found, words.any(-1) | [True, False, False])

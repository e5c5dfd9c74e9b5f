"""Calls that fail half-way: an error that names the layer, and the kept states as they were before."""

import numpy as np
import pytest

import fastseq
from fastseq import layers
from fastseq.layers.recurrent.over_time import OverTime
from fastseq.layers.walk import all_layers


class Fails(layers.Layer):
    """Passes its input on, and raises where it holds 7."""

    def call(self, inputs):
        if (np.asarray(inputs) == 7).any():
            raise RuntimeError("seven")
        return inputs


def stateful_layers():
    return {
        "lstm": layers.LSTM(3, stateful=True, return_sequences=True),
        "softmax": layers.GRU(3, stateful=True, return_sequences=True, activation="softmax"),
        "function": layers.SimpleRNN(3, stateful=True, return_sequences=True, activation=lambda x: x / 2),
        "bidirectional": layers.Bidirectional(layers.GRU(3, stateful=True, return_sequences=True), "sum"),
        "stack": layers.RNN([layers.GRUCell(2), layers.LSTMCell(3)], stateful=True, return_sequences=True),
        "own cell": layers.RNN(Halves(), stateful=True, return_sequences=True),
        "nested": fastseq.Sequential([layers.Dense(3), layers.LSTM(3, stateful=True, return_sequences=True)]),
    }


class Halves:
    """A cell of the user's own: half of the state and the input."""

    state_size = 3

    def call(self, inputs, states):
        if (np.asarray(inputs) == 7).any():
            raise RuntimeError("seven")
        new = states[0] / 2 + inputs
        return new, [new]


def kept_arrays(model):
    found = [part for part in all_layers(model) if isinstance(part, OverTime) and part.states is not None]
    return [state for part in found for state in fastseq.tensors.nest.flatten(part.states)]


def kept(model):
    return [state.copy() for state in kept_arrays(model)]


def assert_same(found, wanted):
    assert len(found) == len(wanted) > 0
    for a, b in zip(found, wanted):
        np.testing.assert_array_equal(a, b)


KINDS = ["lstm", "softmax", "function", "bidirectional", "stack", "own cell", "nested"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_that_fails_later_leaves_the_states(kind, rng):
    """By a Python layer, and by an id out of range that another layer made."""
    x, flag = fastseq.Input(batch_shape=(2, 4, 3)), fastseq.Input(batch_shape=(2, 4), dtype="int32")
    y = stateful_layers()[kind](x)
    checked = layers.Embedding(6, 2)(layers.Add()([Fails()(flag), flag]))
    model = fastseq.Model([x, flag], layers.Concatenate()([y, checked]))
    values, good = rng.standard_normal((2, 4, 3)).astype("f"), np.zeros((2, 4), "i4")
    first = model([values, good])
    before = kept(model)
    assert any(state.any() for state in before)
    with pytest.raises(RuntimeError, match="seven"):
        model([values, good + 7])
    assert_same(kept(model), before)
    with pytest.raises(ValueError, match=r"Embedding.*got 8 at position"):
        model([values, good + 4])
    assert_same(kept(model), before)
    assert (model([values, good]) != first).any()
    assert any((a != b).any() for a, b in zip(kept(model), before))


def test_a_model_in_python_that_fails_leaves_the_states(rng):
    class Two(fastseq.Model):
        def __init__(self):
            super().__init__()
            self.one = layers.LSTM(3, stateful=True, return_sequences=True)
            self.two = layers.GRU(3, stateful=True)
            self.fails = Fails()

        def call(self, inputs):
            between = self.one(inputs)
            self.fails(inputs)
            return self.two(between)

    model, x = Two(), rng.standard_normal((2, 4, 3)).astype("f")
    bad = x.copy()
    bad[1, 1, 1] = 7
    with pytest.raises(RuntimeError, match="seven"):
        model(bad)
    assert not np.any(kept(model)[0]), "a layer that the failed call built begins at its first states"
    model(x)
    before = kept(model)
    with pytest.raises(RuntimeError, match="seven"):
        model(bad)
    assert_same(kept(model), before)
    # The same inside a functional model, where it is one step of a program; tracing it changes nothing either.
    inner = Two()
    inner(x)
    inner.reset_states()
    inputs = fastseq.Input(batch_shape=(2, 4, 3))
    outer = fastseq.Model(inputs, inner(inputs))
    inner.set_weights(model.get_weights())
    model.reset_states()
    inner.reset_states()
    np.testing.assert_array_equal(outer(x), model(x))
    before = kept(outer)
    with pytest.raises(RuntimeError, match="seven"):
        outer(bad)
    assert_same(kept(outer), before)


def test_predict_leaves_the_states_as_before_its_first_batch(rng):
    layer = layers.LSTM(3, stateful=True)
    model = fastseq.Sequential([fastseq.Input(batch_shape=(2, 4, 3)), Fails(), layer])
    x = rng.standard_normal((6, 4, 3)).astype("f")
    model.predict(x, verbose=0)
    before = kept(model)
    bad = x.copy()
    bad[-1] = 7
    with pytest.raises(RuntimeError, match="seven"):
        model.predict(bad, verbose=0)
    assert_same(kept(model), before)
    # Without a failure they carry on from batch to batch, as in Keras.
    whole = model.predict(x, verbose=0)
    layer.reset_state(before)
    parts = [model.predict_on_batch(x[start : start + 2]) for start in (0, 2, 4)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_called_twice_goes_on_from_itself(kind, rng):
    """The second call in a model starts from what the first left, as two calls one after the other do."""
    layer = stateful_layers()[kind]
    inputs = fastseq.Input(batch_shape=(2, 4, 3))
    once = layer(inputs)
    model = fastseq.Model(inputs, [once, layer(once)])
    x = rng.standard_normal((2, 4, 3)).astype("f")
    for _ in range(2):
        before = kept(model)
        found, left = model(x), kept(model)
        for part, state in zip(kept_arrays(model), before):
            part[...] = state
        np.testing.assert_array_equal(found[0], layer(x))
        np.testing.assert_array_equal(found[1], layer(found[0]))
        assert_same(kept(model), left)


def test_masks_alone_change_no_state(rng):
    model = fastseq.Sequential(
        [fastseq.Input(batch_shape=(2, 4, 3)), layers.Masking(), layers.LSTM(3, stateful=True, return_sequences=True)]
    )
    x = rng.standard_normal((2, 4, 3)).astype("f")
    model(x)
    before = kept(model)
    model.compute_mask(x)
    assert_same(kept(model), before)


def test_errors_name_the_layer_and_both_shapes(rng):
    x = rng.standard_normal((4, 3, 2)).astype("f")
    for layer in (layers.LSTM(5, stateful=True), layers.RNN(layers.LSTMCell(5), stateful=True)):
        layer(x)
        before = [state.copy() for state in layer.states]
        name = layer.name
        wrong = rf"'{name}'.*batch size 4.*\[\(4, 5\), \(4, 5\)\].*batch of 3.*\(3, 3, 2\)"
        with pytest.raises(ValueError, match=wrong):
            layer(x[:3])
        with pytest.raises(ValueError, match=rf"'{name}'.*initial states of shape \(4, 5\), got \(4, 6\)"):
            layer(x, initial_state=[np.zeros((4, 5), "f"), np.zeros((4, 6), "f")])
        with pytest.raises(ValueError, match=rf"'{name}'.*keeps states of shape \(4, 5\), got \(3, 5\)"):
            layer.reset_state([np.ones((4, 5)), np.ones((3, 5))])
        with pytest.raises(ValueError, match=rf"'{name}'.*keeps 2 states, got 1.*\(4, 5\).*\(4, 6\)"):
            layer.reset_state([np.ones((4, 6))])
        bad = np.ones((4, 5))
        bad[2, 3] = np.nan
        with pytest.raises(ValueError, match=rf"'{name}': state 1 of shape \(4, 5\) holds NaN at \(2, 3\)"):
            layer.reset_state([np.ones((4, 5)), bad])
        assert_same([np.asarray(state) for state in layer.states], before)
    with pytest.raises(ValueError, match=r"takes 2 initial states, got 1: each of shape \(4, 5\), got \(4, 7\)"):
        layers.LSTM(5)(x, initial_state=[np.zeros((4, 7), "f")])
    own = layers.RNN(Halves(), stateful=True)
    own(np.zeros((2, 4, 3), "f"))
    with pytest.raises(ValueError, match=rf"'{own.name}'.*initial states of shape \(2, 3\), got \(2, 4\)"):
        own(np.zeros((2, 4, 3), "f"), initial_state=[np.zeros((2, 4), "f")])
    embedding = layers.Embedding(6, 2)
    with pytest.raises(ValueError, match=rf"'{embedding.name}'.*\[0, 6\).*got 9 at position \(0, 1\).*shape \(1, 2\)"):
        embedding(np.array([[5, 9]]))

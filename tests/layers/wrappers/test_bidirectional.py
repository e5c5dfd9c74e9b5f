"""Bidirectional against Keras: every merge mode, states, masks, a backward layer of one's own."""

import numpy as np
import pytest
from layer_check import check_layer, leaves
from recurrent_tests import mask_patterns

import fastseq
from fastseq.native import runtime

MERGES = ["concat", "sum", "mul", "ave", None]
PATTERNS = ["right", "left", "inside", "all masked"]
LAYERS = [("LSTM", {}), ("GRU", {}), ("GRU", {"reset_after": False}), ("SimpleRNN", {})]


@pytest.mark.tensorflow
@pytest.mark.parametrize("merge", MERGES, ids=str)
@pytest.mark.parametrize("name, options", LAYERS, ids=str)
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("state", [False, True])
def test_merge_modes(name, options, merge, sequences, state, rng):
    x = rng.standard_normal((3, 4, 4)).astype("f")

    def make(layers):
        inner = getattr(layers, name)(6, return_sequences=sequences, return_state=state, **options)
        return layers.Bidirectional(inner, merge_mode=merge)

    check_layer(make, x)


@pytest.mark.tensorflow
@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("name, options", LAYERS, ids=str)
def test_masks(name, options, pattern, sequences, rng):
    x, masks = rng.standard_normal((6, 4, 4)).astype("f"), mask_patterns(6, 4, rng)
    calls = {key: {"mask": masks[key]} for key in PATTERNS}
    for merge in ("concat", "sum"):
        check_layer(
            lambda layers, m=merge: layers.Bidirectional(
                getattr(layers, name)(5, return_sequences=sequences, **options), merge_mode=m
            ),
            x,
            calls[pattern],
            together=list(calls.values()),
        )


@pytest.mark.tensorflow
@pytest.mark.parametrize("name, options", LAYERS, ids=str)
def test_initial_state(name, options, rng):
    x = rng.standard_normal((3, 5, 4)).astype("f")
    count = 4 if name == "LSTM" else 2
    states = [rng.standard_normal((3, 6)).astype("f") for _ in range(count)]
    options = {"return_state": True, "return_sequences": True, **options}
    check_layer(
        lambda layers: layers.Bidirectional(getattr(layers, name)(6, **options)),
        x,
        {"initial_state": states},
    )


@pytest.mark.tensorflow
def test_given_backward_layer(rng):
    x = rng.standard_normal((3, 5, 4)).astype("f")

    def make(layers):
        return layers.Bidirectional(
            layers.LSTM(6, return_sequences=True),
            backward_layer=layers.GRU(6, activation="relu", return_sequences=True, go_backwards=True),
        )

    check_layer(make, x)

    def reversed_roles(layers):
        return layers.Bidirectional(
            layers.LSTM(6, return_sequences=True, go_backwards=True),
            backward_layer=layers.LSTM(6, return_sequences=True),
        )

    check_layer(reversed_roles, x)


@pytest.mark.tensorflow
def test_activation_over_the_units(rng):
    x = rng.standard_normal((3, 5, 4)).astype("f")
    check_layer(lambda layers: layers.Bidirectional(layers.LSTM(6, activation="softmax", return_sequences=True)), x)


@pytest.mark.tensorflow
def test_given_weights(rng):
    keras = pytest.importorskip("keras")
    x = rng.standard_normal((2, 3, 4)).astype("f")
    theirs = keras.layers.Bidirectional(keras.layers.GRU(5))
    expected = theirs(x)
    ours = fastseq.layers.Bidirectional(fastseq.layers.GRU(5), weights=theirs.get_weights())
    np.testing.assert_allclose(ours(x), expected, atol=1e-6)


@pytest.mark.tensorflow
def test_stateful(rng):
    keras = pytest.importorskip("keras")
    x = rng.standard_normal((3, 4, 2)).astype("f")
    pair = [lib.layers.Bidirectional(lib.layers.LSTM(5, stateful=True)) for lib in (keras, fastseq)]
    for layer in pair:
        layer(x)
    pair[1].set_weights(pair[0].get_weights())
    for layer in pair:
        layer.reset_state()
    for _ in range(3):
        np.testing.assert_allclose(pair[1](x), pair[0](x), atol=1e-6)
    assert len(pair[1].states) == 4


def test_is_two_layers(rng):
    x = rng.standard_normal((3, 40, 64)).astype("f")
    for units in (5, 16, 130):
        both = fastseq.layers.Bidirectional(fastseq.layers.LSTM(units, return_sequences=True))
        y = both(x)
        forward, backward = both.forward_layer(x), both.backward_layer(x)[:, ::-1]
        np.testing.assert_array_equal(y, np.concatenate([forward, backward], -1))
        for threads in (1, 2, 4):
            with runtime.num_threads(threads):
                np.testing.assert_array_equal(both(x), y)


def test_user_layer(rng):
    """A recurrent layer of the user's own, in Python, can be wrapped too."""

    class Sum(fastseq.layers.Layer):
        def __init__(self, go_backwards=False, return_sequences=True, return_state=False, stateful=False, **kwargs):
            super().__init__(**kwargs)
            self.go_backwards, self.return_sequences = go_backwards, return_sequences
            self.return_state, self.stateful = return_state, stateful

        def call(self, sequences):
            return np.cumsum(sequences[:, ::-1] if self.go_backwards else sequences, axis=1)

        def get_config(self):
            return {**super().get_config(), "go_backwards": self.go_backwards, "return_sequences": True}

    x = rng.standard_normal((2, 3, 4)).astype("f")
    y = fastseq.layers.Bidirectional(Sum())(x)
    backward = np.cumsum(x[:, ::-1], axis=1)[:, ::-1]
    np.testing.assert_allclose(y, np.concatenate([np.cumsum(x, axis=1), backward], -1), atol=1e-6)


def test_bad_arguments():
    layers = fastseq.layers
    with pytest.raises(ValueError, match="merge_mode"):
        layers.Bidirectional(layers.LSTM(3), merge_mode="max")
    with pytest.raises(ValueError, match="takes layers"):
        layers.Bidirectional(3)
    with pytest.raises(ValueError, match="go_backwards"):
        layers.Bidirectional(layers.LSTM(3), backward_layer=layers.LSTM(3))
    with pytest.raises(ValueError, match="return_sequences"):
        layers.Bidirectional(layers.LSTM(3), backward_layer=layers.LSTM(3, go_backwards=True, return_sequences=True))
    with pytest.raises(ValueError, match="recurrent"):
        layers.Bidirectional(layers.Dense(3))
    layer = layers.Bidirectional(layers.LSTM(3))
    with pytest.raises(ValueError, match=rf"{layer.name}.*ndim=3"):
        layer(np.zeros((2, 3), "f"))
    assert len(leaves(layer(np.zeros((0, 3, 2), "f")))[0]) == 0

"""LSTM: the tests of every recurrent layer, and what only it has."""

import numpy as np
import pytest
from layer_check import check_layer
from recurrent_tests import RecurrentTests

import fastseq
from fastseq.layers.recurrent.lstm import reference_lstm


class TestLSTM(RecurrentTests):
    name = "LSTM"
    states = 2

    @pytest.mark.tensorflow
    @pytest.mark.parametrize("unit_forget_bias", [True, False])
    def test_unit_forget_bias(self, unit_forget_bias, rng):
        x = rng.standard_normal((2, 3, 4)).astype("f")
        check_layer(self.make(5, unit_forget_bias=unit_forget_bias), x)


@pytest.mark.parametrize("initializer, filling", [("zeros", 0.0), ("ones", 1.0)])
def test_forget_bias_starts_at_one(initializer, filling):
    layer = fastseq.layers.LSTM(3, bias_initializer=initializer)
    layer.build((None, None, 2))
    np.testing.assert_array_equal(layer.bias.numpy(), [filling] * 3 + [1.0] * 3 + [filling] * 6)
    layer = fastseq.layers.LSTM(3, unit_forget_bias=False)
    layer.build((None, None, 2))
    np.testing.assert_array_equal(layer.bias.numpy(), np.zeros(12))


def test_stored_numbers():
    """One unit by hand: gates of equal sums s give c = sigmoid(s) tanh(s), h = sigmoid(s) tanh(c)."""
    layer = fastseq.layers.LSTM(1)
    layer.build((1, 1, 1))
    layer.set_weights([np.full((1, 4), 0.5), np.zeros((1, 4)), np.zeros(4)])
    s = 0.5 * 3.0
    gate = 1 / (1 + np.exp(-s))
    np.testing.assert_allclose(layer(np.full((1, 1, 1), 3.0)), [[gate * np.tanh(gate * np.tanh(s))]], rtol=1e-6)


def test_twin_by_name(rng):
    x = rng.standard_normal((2, 3, 4))
    layer = fastseq.layers.LSTM(5, return_sequences=True, go_backwards=True)
    found = layer(x)
    outputs, (h, c) = reference_lstm(x, *(v.numpy() for v in layer.weights), go_backwards=True)
    np.testing.assert_allclose(found, outputs, atol=1e-6)
    assert h.shape == c.shape == (2, 5)

"""SimpleRNN: the tests of every recurrent layer."""

import numpy as np
from recurrent_tests import RecurrentTests

import fastseq
from fastseq.layers.recurrent.simple_rnn import reference_simple_rnn


class TestSimpleRNN(RecurrentTests):
    name = "SimpleRNN"


def test_stored_numbers():
    layer = fastseq.layers.SimpleRNN(1, return_sequences=True, use_bias=False)
    layer.build((1, 2, 1))
    layer.set_weights([np.ones((1, 1)), np.full((1, 1), 2.0)])
    first = np.tanh(0.1)
    np.testing.assert_allclose(layer(np.full((1, 2, 1), 0.1)).ravel(), [first, np.tanh(0.1 + 2 * first)], rtol=1e-6)


def test_twin_by_name(rng):
    x = rng.standard_normal((2, 3, 4))
    layer = fastseq.layers.SimpleRNN(5, return_sequences=True)
    found = layer(x)
    outputs, _ = reference_simple_rnn(x, *(v.numpy() for v in layer.weights))
    np.testing.assert_allclose(found, outputs, atol=1e-6)

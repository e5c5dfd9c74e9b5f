"""GRU: the tests of every recurrent layer, with the reset after and before the product."""

import numpy as np
import pytest
from recurrent_tests import RecurrentTests

import fastseq
from fastseq.layers.recurrent.gru import reference_gru


class TestGRU(RecurrentTests):
    name = "GRU"
    variants = [{"reset_after": True}, {"reset_after": False}]


@pytest.mark.parametrize("reset_after, shape", [(True, (2, 9)), (False, (9,))])
def test_bias_shape(reset_after, shape):
    layer = fastseq.layers.GRU(3, reset_after=reset_after)
    layer.build((None, None, 2))
    assert layer.bias.shape == shape


@pytest.mark.parametrize("reset_after", [True, False])
def test_stored_numbers(reset_after):
    """One unit by hand, from a state of 0.5 with a recurrent kernel of ones and no input."""
    layer = fastseq.layers.GRU(1, use_bias=False, reset_after=reset_after)
    layer.build((1, 1, 1))
    layer.set_weights([np.zeros((1, 3)), np.ones((1, 3))])
    gate = 1 / (1 + np.exp(-0.5))
    expected = gate * 0.5 + (1 - gate) * np.tanh(gate * 0.5)
    np.testing.assert_allclose(layer(np.zeros((1, 1, 1)), initial_state=np.full((1, 1), 0.5)), [[expected]], rtol=1e-6)


def test_twin_by_name(rng):
    x = rng.standard_normal((2, 3, 4))
    for reset_after in (True, False):
        layer = fastseq.layers.GRU(5, return_sequences=True, reset_after=reset_after)
        found = layer(x)
        outputs, (h,) = reference_gru(x, *(v.numpy() for v in layer.weights), reset_after=reset_after)
        np.testing.assert_allclose(found, outputs, atol=1e-6)
        np.testing.assert_array_equal(h, outputs[:, -1])

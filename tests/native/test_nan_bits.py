"""NaN has the same bits on every instruction set: +, quiet, without a payload, whatever it was made of."""

import numpy as np
import pytest
from layer_check import isa

import fastseq
from fastseq import activations, layers
from fastseq.native import _native
from fastseq.native.kinds import ACTIVATION_KINDS

ISAS = [name for name, supported in _native.isa_names() if supported]
# Two NaNs of either sign, with and without a payload, infinities, and what makes new NaNs of them.
ODD = np.array([0x7FC00000, 0xFFC00000, 0x7FC12345, 0xFFC54321, 0x7F800000, 0xFF800000, 0, 0x3F800000], np.uint32)


def odd(rng, shape):
    """Numbers of which a third are NaN or infinite."""
    x = rng.standard_normal(shape).astype("f")
    where = rng.random(shape) < 1 / 3
    x[where] = rng.choice(ODD, where.sum()).view(np.float32)
    return x


def bits(layer, *args, **kwargs):
    found = fastseq.tensors.nest.flatten(layer(*args, **kwargs))
    return [np.ascontiguousarray(array, np.float32).view(np.uint32) for array in found]


def assert_one_nan(layer, *args, passes=False, **kwargs):
    """The same bits on all instruction sets; where there is no FMA numbers may differ, but NaN is the one NaN.

    passes: a layer that may hand NaN on as it is.
    """
    wanted = None
    for name in ISAS:
        with isa(name):
            found = bits(layer, *args, **kwargs)
        for array in found:
            nans = np.isnan(array.view(np.float32))
            assert passes or (array[nans] == 0x7FC00000).all(), (name, hex(array[nans & (array != 0x7FC00000)][0]))
        if name == "scalar":
            continue
        if wanted is not None:
            for a, b in zip(found, wanted):
                np.testing.assert_array_equal(a, b, err_msg=name)
        wanted = found


NAMES = sorted(
    name for name in ACTIVATION_KINDS if hasattr(activations, name) and name not in ("glu", "threshold", "squareplus")
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cell", ["LSTM", "GRU", "SimpleRNN", "GRU before"])
def test_recurrent_layers(cell, name, rng):
    options = {"activation": name, "return_sequences": True, "return_state": True}
    if cell == "GRU before":
        options["reset_after"] = False
    layer = getattr(layers, cell.split()[0])(19, **options)
    x = rng.standard_normal((7, 3, 5)).astype("f")
    layer(x)
    states = [odd(rng, (7, 19)) for _ in layer.state_size]
    assert_one_nan(layer, odd(rng, (7, 3, 5)), initial_state=states)
    if cell != "SimpleRNN":
        layer.recurrent_activation = activations.get(name)
        assert_one_nan(layer, odd(rng, (7, 3, 5)), initial_state=states)
    # Weights that are NaN and infinite too.
    layer.set_weights([odd(rng, weight.shape) for weight in layer.weights])
    assert_one_nan(layer, x)


@pytest.mark.parametrize("name", NAMES)
def test_dense_and_activation(name, rng):
    x = odd(rng, (40, 21))
    for units in (3, 40):
        layer = layers.Dense(units, activation=name)
        layer(x)
        for scale in (False, True):
            if scale:
                layer.set_weights([odd(rng, weight.shape) for weight in layer.weights])
            assert_one_nan(layer, x)
            assert_one_nan(layer, x[:1])
    assert_one_nan(layers.Activation(name), x, passes=name == "linear")


@pytest.mark.parametrize("merge", ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"])
def test_merges(merge, rng):
    assert_one_nan(getattr(layers, merge)(), [odd(rng, (9, 21)), odd(rng, (9, 21))])
    assert_one_nan(getattr(layers, merge)(), [odd(rng, (9, 21)), odd(rng, (9, 1))])


def test_other_layers(rng):
    x = odd(rng, (6, 4, 9))
    for layer in (layers.Softmax(), layers.PReLU(), layers.LeakyReLU(), layers.ELU(), layers.ReLU(max_value=3.0),
                  layers.Bidirectional(layers.LSTM(5), "ave"), layers.EinsumDense("abc,cd->abd", (None, 7)),
                  layers.LocallyConnected1D(3, 2)):  # fmt: skip
        layer(x)
        assert_one_nan(layer, x)

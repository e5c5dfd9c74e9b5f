"""LSTMCell, GRUCell, SimpleRNNCell and StackedRNNCells called alone: one step, and how they are configured."""

import json

import numpy as np
import pytest
from layer_check import assert_as_close_as, isa, leaves, normal, random_weights

import fastseq
from fastseq import layers
from fastseq.native import runtime

CELLS = [
    ("LSTMCell", {}), ("LSTMCell", {"use_bias": False, "activation": "relu"}),
    ("LSTMCell", {"unit_forget_bias": False, "recurrent_activation": "hard_sigmoid"}),
    ("GRUCell", {}), ("GRUCell", {"reset_after": False}), ("GRUCell", {"activation": "softmax"}),
    ("SimpleRNNCell", {}), ("SimpleRNNCell", {"activation": None, "use_bias": False}),
]  # fmt: skip
LAYER_OF = {"LSTMCell": "LSTM", "GRUCell": "GRU", "SimpleRNNCell": "SimpleRNN"}


def states_for(name, batch, units, rng):
    return [rng.standard_normal((batch, units)).astype("f") for _ in range(2 if name == "LSTMCell" else 1)]


def built(name, inputs, units, **options):
    cell = getattr(layers, name)(units, **options)
    cell.build((None, inputs))
    cell.set_weights(random_weights([v.shape for v in cell.weights]))
    return cell


@pytest.mark.tensorflow
@pytest.mark.parametrize("name, options", CELLS, ids=str)
def test_one_step_is_keras(name, options, rng):
    keras = pytest.importorskip("keras")
    x, states = rng.standard_normal((7, 9)).astype("f"), states_for(name, 7, 17, rng)
    theirs = getattr(keras.layers, name)(17, **options)
    theirs(x, states)
    ours = built(name, 9, 17, **options)
    theirs.set_weights(ours.get_weights())
    assert [v.name for v in ours.weights] == [v.name for v in theirs.weights]
    expected = theirs(x, states)
    double = getattr(keras.layers, name)(17, dtype="float64", **options)
    double(x.astype("f8"), states)
    double.set_weights(ours.get_weights())
    truth = leaves(double(x.astype("f8"), [state.astype("f8") for state in states]))
    for kind in runtime.available_isas():
        with isa(kind):
            found = ours(x, states)
        assert isinstance(found, tuple) and isinstance(found[1], list) and len(found) == 2
        for ours_i, theirs_i, truth_i in zip(leaves(found), leaves(expected), truth):
            assert_as_close_as(ours_i, theirs_i, truth_i, kind)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["GRUCell", "SimpleRNNCell"])
def test_state_without_a_list(name, rng):
    keras = pytest.importorskip("keras")
    x, (state,) = rng.standard_normal((2, 3)).astype("f"), states_for(name, 2, 4, rng)
    theirs, ours = getattr(keras.layers, name)(4), built(name, 3, 4)
    theirs(x, state)
    theirs.set_weights(ours.get_weights())
    for found, wanted in zip(ours(x, state), theirs(x, state)):
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name, options", CELLS, ids=str)
def test_config_both_ways(name, options):
    keras = pytest.importorskip("keras")
    options = {"dropout": 0.2, "recurrent_dropout": 0.1, "seed": 3, "kernel_regularizer": "l2", **options}
    theirs, ours = (getattr(library.layers, name)(5, **options) for library in (keras, fastseq))
    assert normal(ours.get_config()) == normal(theirs.get_config())
    assert ours.get_config()["seed"] == 3
    assert ours.name.rstrip("_0123456789") == theirs.name.rstrip("_0123456789")
    assert normal(type(ours).from_config(theirs.get_config()).get_config()) == normal(theirs.get_config())
    assert normal(type(theirs).from_config(json.loads(json.dumps(ours.get_config()))).get_config()) == normal(
        ours.get_config()
    )
    assert ours.state_size == theirs.state_size and ours.output_size == theirs.output_size == 5
    zeros = ours.get_initial_state(batch_size=2)
    assert [z.shape for z in zeros] == [tuple(z.shape) for z in theirs.get_initial_state(batch_size=2)]


@pytest.mark.tensorflow
def test_stack_is_keras(rng):
    keras = pytest.importorskip("keras")
    x = rng.standard_normal((3, 4)).astype("f")

    def make(k):
        return k.StackedRNNCells([k.LSTMCell(5), k.GRUCell(4), k.SimpleRNNCell(3)])

    theirs, ours = make(keras.layers), make(layers)
    states = [states_for("LSTMCell", 3, 5, rng), states_for("GRUCell", 3, 4, rng), states_for("GRUCell", 3, 3, rng)]
    ours(x, states), theirs(x, states)
    theirs.set_weights(ours.get_weights())
    found, expected = ours(x, states), theirs(x, states)
    assert [len(part) for part in found[1]] == [len(part) for part in expected[1]] == [2, 1, 1]
    for ours_i, theirs_i in zip(leaves(found), leaves(expected)):
        np.testing.assert_allclose(ours_i, theirs_i, atol=1e-6)
    assert ours.state_size == theirs.state_size and ours.output_size == theirs.output_size == 3
    assert normal(ours.get_config()) == normal(theirs.get_config())
    assert normal(type(ours).from_config(theirs.get_config()).get_config()) == normal(theirs.get_config())
    type(theirs).from_config(json.loads(json.dumps(ours.get_config())))


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", list(LAYER_OF))
def test_symbolic_call(name):
    keras = pytest.importorskip("keras")
    outputs = []
    for library in (keras, fastseq):
        x, h = library.Input((3,)), [library.Input((4,)) for _ in range(2 if name == "LSTMCell" else 1)]
        y, states = getattr(library.layers, name)(4)(x, h)
        outputs.append(library.Model([x, *h], [y, *states]))
    outputs[1].set_weights(outputs[0].get_weights())
    given = [np.full((2, n), 0.3, "f") for n in [3] + [4] * (len(outputs[0].inputs) - 1)]
    for found, wanted in zip(outputs[1](given), outputs[0](given)):
        np.testing.assert_allclose(found, wanted, atol=1e-6)


# ---- without TensorFlow ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, options", CELLS, ids=str)
def test_steps_have_the_bits_of_the_layer(name, options, rng):
    x = rng.standard_normal((3, 6, 5)).astype("f")
    cell = built(name, 5, 18, **options)
    layer = getattr(layers, LAYER_OF[name])(18, return_sequences=True, **options)
    layer.build(x.shape)
    layer.set_weights(cell.get_weights())
    states, whole = cell.get_initial_state(3), layer(x)
    for t in range(6):
        y, states = cell(x[:, t], states)
        np.testing.assert_array_equal(y, whole[:, t])
        np.testing.assert_array_equal(states[0], y)


@pytest.mark.parametrize("name", list(LAYER_OF))
def test_python_activation(name, rng):
    x, states = rng.standard_normal((3, 5)).astype("f"), states_for(name, 3, 4, rng)
    native, python = built(name, 5, 4), built(name, 5, 4, activation=lambda v: np.tanh(v))
    for found, wanted in zip(leaves(python(x, states)), leaves(native(x, states))):
        np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize("name", list(LAYER_OF))
@pytest.mark.parametrize("kind", ["dropout", "recurrent_dropout"])
def test_dropout_factors_are_kept_until_reset(name, kind, rng):
    x, states = rng.standard_normal((2, 40)).astype("f"), states_for(name, 2, 40, rng)
    cell = built(name, 40, 40, seed=1, **{kind: 0.5})
    quiet, first = cell(x, states)[0], cell(x, states, training=True)[0]
    assert (first != quiet).any()
    np.testing.assert_array_equal(cell(x, states, training=True)[0], first)
    np.testing.assert_array_equal(cell(x, states, training=False)[0], quiet)
    factors = cell.get_dropout_mask(x) if kind == "dropout" else cell.get_recurrent_dropout_mask(states[0])
    one = factors[0] if isinstance(factors, list) else factors
    assert one.shape == (2, 40) and set(np.unique(one)) == {0.0, 2.0}
    gates = {"LSTMCell": 4, "GRUCell": 3}.get(name)
    assert (len(factors) == gates) if kind == "recurrent_dropout" and gates else isinstance(factors, np.ndarray)
    if kind == "dropout":
        # One set of factors for all gates is a product ahead.
        np.testing.assert_array_equal(cell(x * factors, states)[0], first)
    cell.reset_dropout_mask()
    cell.reset_recurrent_dropout_mask()
    assert (cell(x, states, training=True)[0] != first).any()
    nothing = built(name, 40, 40)
    assert nothing.get_dropout_mask(x) is None and nothing.get_recurrent_dropout_mask(states[0]) is None


def test_everything_dropped(rng):
    """Keras's cells with gates leave a rate of 1 out; SimpleRNNCell drops all of its inputs."""
    x = rng.standard_normal((2, 3)).astype("f")
    for name in LAYER_OF:
        cell, states = built(name, 3, 4, dropout=1.0), states_for(name, 2, 4, rng)
        wanted = cell(np.zeros_like(x) if name == "SimpleRNNCell" else x, states)[0]
        np.testing.assert_array_equal(cell(x, states, training=True)[0], wanted)


def test_bad_arguments(rng):
    x = rng.standard_normal((2, 3)).astype("f")
    for name in LAYER_OF:
        cls = getattr(layers, name)
        for bad in (0, -1, 2.5):
            with pytest.raises(ValueError, match="units"):
                cls(bad)
        with pytest.raises(ValueError, match="return_sequences"):
            cls(3, return_sequences=True)
        cell, states = built(name, 3, 4), states_for(name, 2, 4, rng)
        with pytest.raises(ValueError, match=rf"{cell.name}.*3 features.*\(5,\)"):
            cell(np.zeros((2, 5), "f"), states)
        with pytest.raises(ValueError, match=rf"{cell.name}.*\(batch, features\)"):
            cell(np.zeros((2, 5, 3), "f"), states)
        with pytest.raises(ValueError, match=rf"{cell.name}.*initial states of shape \(2, 4\), got \(1, 4\)"):
            cell(x, [state[:1] for state in states])
        with pytest.raises(ValueError, match=rf"{cell.name}.*initial states, got 3"):
            cell(x, [states[0]] * 3)
        with pytest.raises(TypeError, match="states"):
            cell(x)
    with pytest.raises(ValueError, match="implementation"):
        layers.SimpleRNNCell(3, implementation=1)
    with pytest.raises(ValueError, match="`state_size`"):
        layers.StackedRNNCells([layers.LSTMCell(3), layers.Dense(3)])
    with pytest.raises(ValueError, match="at least one"):
        layers.StackedRNNCells([])

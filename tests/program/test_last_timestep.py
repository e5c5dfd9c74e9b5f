"""`h[:, -1]` behind a recurrent layer with sequences: what return_sequences=False computes, and no more."""

import numpy as np
import pytest
from op_check import array
from test_program import training_steps

import fastseq
from fastseq import layers, ops
from fastseq.ops.values import Traced
from fastseq.program.builder import Builder
from fastseq.program.program import Program

CELLS = [layers.LSTM, layers.GRU, layers.SimpleRNN]
X = array(3, 5, 4)
X[1, 3:] = X[2, :2] = 0.0  # what Masking masks: the end of a row, the beginning of another
RECURRENT = {"lstm", "gru", "gru_reset_before", "simple_rnn", "recurrent_general"}
OPTIONS = {
    "plain": {},
    "backwards": {"go_backwards": True},
    "masked": {"masked": True},
    "masked zeros": {"masked": True, "zero_output_for_mask": True},
    "softmax": {"activation": "softmax"},
    "reset before": {"reset_after": False},
    "relu": {"activation": "relu"},
}


def model_of(cell, sequences, end, masked=False, **options):
    inputs = layers.Input((5, 4))
    before = layers.Masking()(inputs) if masked else inputs
    layer = cell(6, return_sequences=sequences, name="cell", **options)
    return fastseq.Model(inputs, end(layer(before)))


def steps_of(model):
    return model._programs.program(model, {"inputs": X}).steps


def told(steps):
    """What the steps are, but for where their arrays stand."""
    return [
        (step["op"], {name: value for name, value in step["fields"].items() if isinstance(value, (int, float))})
        for step in steps
    ]


def pairs(options):
    for cell in CELLS:
        if cell is layers.GRU or "reset_after" not in options:
            yield cell


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("end", [lambda h: h[:, -1], lambda h: h[:, -1, :], lambda h: ops.take(h, -1, axis=1)])
def test_it_is_the_layer_without_sequences(name, end):
    for cell in pairs(OPTIONS[name]):
        model, plain = model_of(cell, True, end, **OPTIONS[name]), model_of(cell, False, lambda h: h, **OPTIONS[name])
        whole = model_of(cell, True, lambda h: h, **OPTIONS[name])
        for other in (plain, whole):
            other.set_weights(model.get_weights())
        np.testing.assert_array_equal(model(X), plain(X))
        np.testing.assert_array_equal(model(X), whole(X)[:, -1])
        assert told(steps_of(model)) == told(steps_of(plain))


@pytest.mark.parametrize("name", [name for name in OPTIONS if name != "masked zeros"])
def test_training_is_that_of_the_layer_without_sequences(name):
    def end(h):
        return layers.Dense(2, name="dense")(h)

    for cell in pairs(OPTIONS[name]):
        model = model_of(cell, True, lambda h: end(h[:, -1]), **OPTIONS[name])
        plain = model_of(cell, False, end, **OPTIONS[name])
        plain.set_weights(model.get_weights())
        found = [training_steps(one, X, array(3, 2)) for one in (model, plain)]
        assert told(found[0]) == told(found[1])
        for mine, other in zip(model.get_weights(), plain.get_weights()):
            np.testing.assert_array_equal(mine, other)


def test_training_where_the_states_are_no_outputs():
    """Then the sequence is kept, and the numbers are the same."""
    options = OPTIONS["masked zeros"]
    for cell in CELLS:
        model = model_of(cell, True, lambda h: h[:, -1], **options)
        plain = model_of(cell, False, lambda h: h, **options)
        plain.set_weights(model.get_weights())
        for one in (model, plain):
            training_steps(one, X, array(3, 6))
        for mine, other in zip(model.get_weights(), plain.get_weights()):
            np.testing.assert_allclose(mine, other, rtol=1e-6, atol=1e-7)


def recurrent_of(model):
    return [step for step in steps_of(model) if step["op"] in RECURRENT]


@pytest.mark.parametrize("end", [
    lambda h: h[:, -1, 2:5] * 2.0, lambda h: h[:, -1:], lambda h: h[::-1, -1], lambda h: h[:, -1, ::-1],
    lambda h: ops.concatenate([h[:, -1], h[:, -1, :2]], axis=1), lambda h: h[:, -1] * ops.sum(h[:, -1], axis=1, keepdims=True),
    lambda h: h[:, -1, None] + h[:, -1, :, None], lambda h: ops.unstack(h, axis=1)[4],
    lambda h: ops.split(h, 5, 1)[-1],
])  # fmt: skip
def test_parts_of_the_last_timestep_are_read_from_it(end):
    model = model_of(layers.GRU, True, end)
    whole = model_of(layers.GRU, True, lambda h: h)
    whole.set_weights(model.get_weights())
    (step,) = recurrent_of(model)
    assert not step["fields"]["sequences"] and step["fields"]["y"].shape == (3, 6)
    p = Builder()
    h = p.input((3, 5, 6), "float32")
    y = end(Traced(p, h))
    np.testing.assert_array_equal(model(X), Program(p, [h], [y.slot]).run([whole(X)])[0])


@pytest.mark.parametrize("end", [
    lambda h: h[:, -2], lambda h: h[:, -2:], lambda h: h[:, 0], lambda h: h[:, ::-1][:, 0],
    lambda h: h[:, -1] + h[:, 0], lambda h: [h, h[:, -1]], lambda h: ops.sum(h, axis=1) + h[:, -1],
    lambda h: layers.Dense(2)(h)[:, -1],
])  # fmt: skip
def test_a_sequence_that_is_read_is_stored(end):
    model = model_of(layers.LSTM, True, end)
    whole = model_of(layers.LSTM, True, lambda h: h)
    (step,) = recurrent_of(model)
    assert step["fields"]["sequences"]
    if not isinstance(model.outputs, list) or len(model.outputs) == 1:
        assert np.isfinite(model(X)).all()
    whole.set_weights(model.get_weights()[:3])
    if len(model.outputs) == 2:
        h, last = model(X)
        np.testing.assert_array_equal(h, whole(X))
        np.testing.assert_array_equal(last, whole(X)[:, -1])


def test_both_outputs_train():
    """The sequence has a loss of its own, beside the last timestep: its gradient must not be lost."""
    inputs = layers.Input((5, 4))
    h = layers.LSTM(6, return_sequences=True)(inputs)
    grown = []
    for ends in ([h, h[:, -1]], [h * 1.0, h[:, -1]]):
        model = fastseq.Model(inputs, ends)
        model.set_weights([array(*w.shape, seed=i, low=-0.5, high=0.5) for i, w in enumerate(model.get_weights())])
        training_steps(model, X, [array(3, 5, 6), array(3, 6)])
        grown.append(model.get_weights())
    for mine, other in zip(*grown):
        np.testing.assert_array_equal(mine, other)


def test_what_nobody_reads_is_not_computed():
    inputs = layers.Input((5, 4))
    values, places = ops.top_k(inputs, 2)
    first, *_ = ops.unstack(inputs, axis=2)
    model = fastseq.Model(inputs, first)
    assert [step["op"] for step in steps_of(model)] == ["elementwise"]
    model = fastseq.Model(inputs, places)
    assert [step["op"] for step in steps_of(model)] == ["argsort"]
    assert values.shape == (None, 5, 2)

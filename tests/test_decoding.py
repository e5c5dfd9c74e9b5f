"""Decoders against the naive twin over the model's own steps; rows, threads, instruction sets, errors, interrupts."""

import signal
import subprocess
import sys
import time

import decoding_reference
import numpy as np
import pytest
from layer_check import isa as forced_isa

import fastseq
from fastseq import decoding, decoding_loop, layers, runtime
from fastseq.decoding import Decoder, generate

TOKENS, UNITS, END = 23, 20, 4


def weighted(model, seed=0):
    """The model with weights that make tokens differ: large ones before the softmax."""
    rng = np.random.default_rng(seed)
    shapes = [w.shape for w in model.get_weights()]
    model.set_weights([rng.normal(0, 4 if shape[-1:] == (TOKENS,) else 0.4, shape) for shape in shapes])
    return model


def embedded(last):
    return layers.Embedding(TOKENS, 7)(last)


def one_step(kind):
    """(model of one step, shapes of its states without the batch)."""
    states = [layers.Input((UNITS,), name="h"), layers.Input((UNITS,), name="c")]
    if kind == "LSTM over one-hot rows":
        last = layers.Input((None, TOKENS))
        y, *new = layers.LSTM(UNITS, return_sequences=True, return_state=True)(last, initial_state=states)
    elif kind == "GRU over one-hot rows without time":
        last, states = layers.Input((TOKENS,)), states[:1]
        y, *new = layers.GRU(UNITS, return_state=True)(layers.Reshape((1, TOKENS))(last), initial_state=states)
    elif kind == "Dense, then SimpleRNN over ids":
        last, states = layers.Input((1,), dtype="int32"), states[:1]
        x = layers.TimeDistributed(layers.Dense(9, activation="tanh"))(embedded(last))
        y, *new = layers.SimpleRNN(UNITS, return_state=True)(x, initial_state=states)
    elif kind == "Dense over one-hot rows, cells":
        last = layers.Input((1, TOKENS))
        x = layers.Dense(9, activation="relu")(last)
        cells = [layers.GRUCell(UNITS), layers.LSTMCell(UNITS)]
        states = [layers.Input((UNITS,), name=name) for name in "abc"]
        y, *new = layers.RNN(cells, return_sequences=True, return_state=True)(x, initial_state=[states[0], states[1:]])
        new = [new[0], *new[1]]
    elif kind == "ids without time, merged":
        last = layers.Input((), dtype="int32")
        x = layers.Reshape((1, 7))(embedded(last))
        y, *new = layers.LSTM(UNITS, return_state=True)(x, initial_state=states)
        y = layers.Concatenate()([y, layers.Multiply()([new[0], states[1]]), states[0]])
    elif kind == "a state that is an output twice":
        last, states = layers.Input((1,), dtype="int32"), states[:1]
        y = layers.GRU(UNITS)(embedded(last), initial_state=states)
        new = [y]
    else:
        assert kind == "mask"
        last = layers.Input((1,), dtype="int32")
        x = layers.Embedding(TOKENS, 7, mask_zero=True)(last)
        y, *new = layers.LSTM(UNITS, return_state=True)(x, initial_state=states)
    output = layers.Dense(TOKENS, activation="softmax")(y)
    return weighted(fastseq.Model([last, *states], [output, *new])), len(states)


KINDS = [
    "LSTM over one-hot rows", "GRU over one-hot rows without time", "Dense, then SimpleRNN over ids",
    "Dense over one-hot rows, cells", "ids without time, merged", "a state that is an output twice", "mask",
]  # fmt: skip


def step_of(model):
    """The model as the twin wants it."""
    shape = model.inputs[0].shape
    hot = shape[-1] == TOKENS

    def step(tokens, states):
        x = np.eye(TOKENS, dtype="f")[tokens] if hot else tokens
        if len(shape) == (3 if hot else 2):
            x = x[:, np.newaxis]
        values, *new = model([x, *states])
        return values.reshape(len(tokens), -1), new

    return step


def ending(model, count, steps=11):
    """A token that rows of the model write at different steps, and some never."""
    ids = Decoder(model, start_id=2, max_length=steps).greedy(states_of(count, 130)).ids
    first = [np.where((ids == token).any(1), (ids == token).argmax(1), steps) for token in range(TOKENS)]
    return max(range(TOKENS), key=lambda token: len(set(first[token])))


def states_of(count, batch, seed=1):
    return [np.random.default_rng((seed, i)).normal(0, 1, (batch, UNITS)).astype("f") for i in range(count)]


def same(a, b):
    for x, y in zip(a, b):
        np.testing.assert_array_equal(x, y)


@pytest.fixture(params=KINDS)
def model(request):
    return one_step(request.param)


# ---- what is decoded -------------------------------------------------------------------------------------------------


def test_greedy_and_beam_are_the_twins(model):
    model, count = model
    wanted = {"start_id": 2, "end_id": ending(model, count), "max_length": 11}
    for batch in (1, 2, 9, 130):
        states = states_of(count, batch)
        decoder = Decoder(model, **wanted)
        expected = decoding_reference.greedy(step_of(model), states, **wanted)
        got = decoder.greedy(states)
        np.testing.assert_array_equal(got.ids, expected.ids)
        np.testing.assert_array_equal(got.lengths, expected.lengths)
        np.testing.assert_allclose(got.scores, expected.scores, rtol=1e-4, atol=1e-4)
        same(decoder.greedy(states, scores=False)[:2], got[:2])
        assert decoder.greedy(states, scores=False).scores is None
        if batch > 9:
            assert len(set(got.lengths)) > 1  # rows leave at different steps
            continue
        for width, penalty in ((1, 0.0), (3, 0.0), (5, 1.2), (TOKENS + 5, 0.6)):
            expected = decoding_reference.beam(step_of(model), states, **wanted, width=width, length_penalty=penalty)
            got = decoder.beam(states, width, penalty)
            np.testing.assert_array_equal(got.ids, expected.ids)
            np.testing.assert_array_equal(got.lengths, expected.lengths)
            np.testing.assert_allclose(got.scores, expected.scores, rtol=1e-4, atol=1e-4)


def test_rows_and_threads_change_nothing(model):
    model, count = model
    end = ending(model, count)
    decoder = Decoder(model, start_id=np.arange(60) % TOKENS, end_id=end, max_length=15)
    states, seeds = states_of(count, 60), np.arange(60)
    loops = {
        "greedy": lambda decoder, states, seeds: decoder.greedy(states),
        "sample": lambda decoder, states, seeds: decoder.sample(states, 1.5, top_k=9, top_p=0.95, seed=seeds),
        "beam": lambda decoder, states, seeds: decoder.beam(states, 3, 0.5),
    }
    for loop in loops.values():
        whole = loop(decoder, states, seeds)
        for threads in (1, 2, 3):
            with fastseq.num_threads(threads):
                same(loop(decoder, states, seeds), whole)
        for rows in (slice(0, 1), slice(7, 8), slice(20, 33)):
            some = Decoder(model, start_id=np.arange(60)[rows] % TOKENS, end_id=end, max_length=15)
            same(loop(some, [state[rows] for state in states], seeds[rows]), [part[rows] for part in whole])


def test_every_instruction_set_decodes_alike(model):
    model, count = model
    states, results = states_of(count, 8), []
    for name in runtime.available_isas():
        with forced_isa(name):
            decoder = Decoder(model, start_id=2, end_id=END, max_length=12)
            results.append([decoder.greedy(states), decoder.sample(states, seed=5), decoder.beam(states)])
    for other in results[1:]:
        for a, b in zip(results[0], other):
            np.testing.assert_array_equal(a.ids, b.ids)
            np.testing.assert_allclose(a.scores, b.scores, rtol=1e-4, atol=1e-4)


def test_samples(model):
    model, count = model
    states = states_of(count, 40)
    decoder = Decoder(model, start_id=2, end_id=END, max_length=20)
    first = decoder.sample(states, seed=7)
    same(first, decoder.sample(states, seed=7))
    assert not np.array_equal(first.ids, decoder.sample(states, seed=8).ids)
    assert not np.array_equal(decoder.sample(states).ids, decoder.sample(states).ids)
    same(decoder.sample(states, 3.0, top_k=1, seed=3), decoder.greedy(states))
    same(decoder.sample(states, 3.0, top_p=1e-6, seed=3), decoder.greedy(states))
    alone = decoder.sample([state[:1] for state in states], seed=7)
    same(alone, [part[:1] for part in first])
    # Rows of the same states and seed draw numbers of their own.
    alike = decoder.sample([np.repeat(state[:1], 40, 0) for state in states], 5.0, seed=7)
    assert len({tuple(row) for row in alike.ids}) > 20


def test_no_one_hot_rows_and_no_softmax_are_made():
    for kind in KINDS:
        model, count = one_step(kind)
        decoder = Decoder(model, start_id=2, max_length=3)
        decoder.greedy(states_of(count, 5))
        (plan,) = decoder._loop.plans._plans.values()
        operations = [step["op"] for step in plan.program.steps]
        assert "one_hot" not in operations or kind == "GRU over one-hot rows without time"
        assert not any(step["fields"].get("softmax") for step in plan.program.steps)
        assert plan.exact and not plan.probabilities


def test_ends_are_filled():
    model, count = one_step(KINDS[0])
    states, end = states_of(count, 50), ending(model, count, 30)
    ended = Decoder(model, start_id=2, end_id=end, max_length=30).greedy(states)
    for ids, length in zip(ended.ids, ended.lengths):
        assert (ids[length - 1] == end) if length < 30 else end not in ids[:-1]
        assert (ids[length:] == end).all()
    endless = Decoder(model, start_id=2, max_length=30).greedy(states)
    assert (endless.lengths == 30).all()
    np.testing.assert_array_equal(endless.ids[0, : ended.lengths[0]], ended.ids[0, : ended.lengths[0]])


def test_weights_that_change_are_used():
    model, count = one_step(KINDS[0])
    states = states_of(count, 3)
    decoder = Decoder(model, start_id=2, max_length=9)
    before = decoder.greedy(states)
    weighted(model, seed=1)
    after = decoder.greedy(states)
    assert not np.array_equal(before.ids, after.ids)
    same(after, Decoder(model, start_id=2, max_length=9).greedy(states))


def test_inputs_and_states_by_name_index_and_tensor():
    last, context = layers.Input((1,), dtype="int32", name="last"), layers.Input((None, 5), name="context")
    h = layers.Input((UNITS,), name="h")
    y, new = layers.GRU(UNITS, return_state=True, name="decoder")(embedded(last), initial_state=h)
    seen = layers.LSTM(6)(context)
    output = layers.Dense(TOKENS, activation="softmax", name="characters")(layers.Concatenate()([y, seen]))
    model = weighted(fastseq.Model([context, h, last], [new, output]))
    states, given = states_of(1, 6)[0], np.random.default_rng(2).normal(size=(6, 4, 5)).astype("f")
    decoder = Decoder(
        model, token_input="last", token_output="characters", states=[("h", 0), (context, None)], start_id=1,
        max_length=8,
    )  # fmt: skip
    results = decoder.greedy([states, given])
    same(results, decoder.greedy({"context": given, "h": states}))
    by_index = Decoder(model, token_input=2, token_output=-1, states=[(1, 0), (0, None)], start_id=1, max_length=8)
    same(results, by_index.greedy([states, given]))

    def step(tokens, carried):
        new, values = model([given, carried[0], tokens[:, np.newaxis]])
        return values, [new]

    expected = decoding_reference.greedy(step, [states], start_id=1, max_length=8)
    np.testing.assert_array_equal(results.ids, expected.ids)
    beam = decoder.beam([states, given], 3)
    for row in range(6):

        def of_row(tokens, carried, row=row):
            new, values = model([np.repeat(given[row : row + 1], len(tokens), 0), carried[0], tokens[:, np.newaxis]])
            return values, [new]

        expected = decoding_reference.beam(of_row, [states[row : row + 1]], start_id=1, max_length=8, width=3)
        np.testing.assert_array_equal(beam.ids[row], expected.ids[0])


class Halved(layers.Layer):
    """A user's layer in Python."""

    def call(self, inputs):
        return inputs * 0.5

    def compute_output_shape(self, input_shape):
        return input_shape


@pytest.mark.parametrize("end", ["python", "logits", "probabilities"])
def test_other_ends_of_models(end):
    last, h = layers.Input((1,), dtype="int32"), layers.Input((UNITS,))
    y, new = layers.GRU(UNITS, return_state=True)(embedded(last), initial_state=h)
    y = Halved()(y) if end == "python" else y
    output = layers.Dense(TOKENS, activation=None if end == "logits" else "softmax")(y)
    if end == "probabilities":
        # The softmax is read twice, so it stays.
        output = layers.Average()([output, output])
    model = weighted(fastseq.Model([last, h], [output, new]))
    decoder = Decoder(model, start_id=2, end_id=END, max_length=9, from_logits=end == "logits")
    states = states_of(1, 70)

    def step(tokens, states):
        values, new = model([tokens[:, np.newaxis], states[0]])
        if end == "logits":
            values = layers.Softmax()(values)
        return values, [new]

    wanted = {"start_id": 2, "end_id": END, "max_length": 9}
    expected = decoding_reference.greedy(step, states, **wanted)
    got = decoder.greedy(states)
    np.testing.assert_array_equal(got.ids, expected.ids)
    np.testing.assert_allclose(got.scores, expected.scores, rtol=1e-4, atol=1e-4)
    few = [state[:5] for state in states]
    expected = decoding_reference.beam(step, few, **wanted, width=4)
    np.testing.assert_array_equal(decoder.beam(few).ids, expected.ids)
    same(decoder.sample(few, seed=3), decoder.sample(few, seed=3))


def test_an_error_in_a_python_layer_comes_through():
    class Fails(Halved):
        def call(self, inputs):
            if np.abs(inputs).sum() > 0:
                raise RuntimeError("the layer's own")
            return inputs

    last, h = layers.Input((1,), dtype="int32"), layers.Input((UNITS,))
    y, new = layers.GRU(UNITS, return_state=True)(embedded(last), initial_state=h)
    model = fastseq.Model([last, h], [layers.Dense(TOKENS, activation="softmax")(Fails()(y)), new])
    with pytest.raises(RuntimeError, match="the layer's own"):
        Decoder(model, start_id=2, max_length=9).greedy(states_of(1, 2))


# ---- models that read a window ---------------------------------------------------------------------------------------


def window_model(hot, sequences=False):
    inputs = layers.Input((6, TOKENS)) if hot else layers.Input((6,), dtype="int32")
    x = inputs if hot else embedded(inputs)
    y = layers.LSTM(UNITS, return_sequences=True)(x)
    y = layers.GRU(UNITS, return_sequences=sequences)(layers.Concatenate()([x, y]))
    return weighted(fastseq.Model(inputs, layers.Dense(TOKENS, activation="softmax")(y)))


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("hot", [False, True])
def test_generate(hot, sequences):
    model = window_model(hot, sequences)

    def predict(ids):
        values = model(np.eye(TOKENS, dtype="f")[ids] if hot else ids)
        return values[:, -1] if sequences else values

    rng = np.random.default_rng(3)
    rows = [rng.integers(0, TOKENS, length).tolist() for length in (1, 3, 6, 9, 2, 12, 0)]
    expected = decoding_reference.generate(predict, rows, 15, 6, end_id=END, pad_id=3)
    got = generate(model, rows, 15, end_id=END, pad_id=3)
    np.testing.assert_array_equal(got.ids, expected.ids)
    np.testing.assert_array_equal(got.lengths, expected.lengths)
    np.testing.assert_allclose(got.scores, expected.scores, rtol=1e-4, atol=1e-4)
    same(generate(model, np.array(rows[1]), 15, end_id=END, pad_id=3), [part[1:2] for part in got])
    same(generate(model, np.array([rows[2]]), 15, 6, end_id=END, pad_id=3), [part[2:3] for part in got])
    drawn = generate(model, rows, 15, seed=1, temperature=2.0)
    same(drawn, generate(model, rows, 15, seed=1, temperature=2.0))
    assert not np.array_equal(drawn.ids, generate(model, rows, 15, seed=2, temperature=2.0).ids)
    same(generate(model, rows, 15, top_k=1, seed=2), generate(model, rows, 15))
    with fastseq.num_threads(1):
        same(drawn, generate(model, rows, 15, seed=1, temperature=2.0))


def slid_models():
    """(model, whether its recurrent layers slide) over windows of 12 tokens."""

    def over(make, hot=False, slides=True):
        inputs = layers.Input((12, TOKENS)) if hot else layers.Input((12,), dtype="int32")
        y = make(inputs if hot else embedded(inputs))
        return weighted(fastseq.Model(inputs, layers.Dense(TOKENS, activation="softmax")(y))), slides

    def attention(x):
        both = layers.Concatenate()([x, layers.LSTM(UNITS, return_sequences=True)(x)])
        scores = layers.Softmax(axis=1)(layers.Dense(1)(both))
        return layers.Flatten()(layers.Dot(axes=1)([scores, both]))

    def with_states(x):
        _, h, c = layers.LSTM(UNITS, return_state=True)(layers.GRU(9, return_sequences=True)(x))
        return layers.Concatenate()([h, c])

    def masked(x):
        return layers.GRU(UNITS)(layers.Masking()(x))

    return {
        "last output": over(layers.GRU(UNITS)),
        "a mask that is None": over(lambda x: layers.GRU(UNITS)(x, mask=None)),
        "one-hot": over(layers.SimpleRNN(UNITS), hot=True),
        "attention": over(attention),
        "states": over(with_states),
        "python in the rest": over(lambda x: Halved()(attention(x))),
        "all timesteps": over(layers.LSTM(UNITS, return_sequences=True)),
        "dense between": over(
            lambda x: layers.LSTM(7)(layers.Dense(8, "relu")(layers.GRU(9, return_sequences=True)(x)))
        ),
        "both ways": over(layers.Bidirectional(layers.GRU(UNITS)), slides=False),
        "python before": over(lambda x: layers.GRU(UNITS)(Halved()(x)), slides=False),
        "masks": over(masked, slides=False),
        "backwards first": over(
            lambda x: layers.GRU(9)(layers.GRU(9, return_sequences=True, go_backwards=True)(x)), slides=False
        ),
    }


@pytest.mark.parametrize("name", slid_models())
def test_windows_side_by_side_give_the_same_bits(name, monkeypatch):
    model, slides = slid_models()[name]
    rng = np.random.default_rng(5)
    for rows, steps, end in [(1, 40, None), (1, 12, None), (3, 9, 7), (2, 100, 11), (5, 30, 3)]:
        ids = rng.integers(0, TOKENS, (rows, 15))
        for options in ({}, {"seed": 4, "temperature": 1.5}):
            with monkeypatch.context() as patch:
                patch.setattr(decoding_loop, "_MOST_WINDOWS", 0)
                whole = generate(model, ids, steps, end_id=end, **options)
            for threads in (1, 2):
                with fastseq.num_threads(threads):
                    same(generate(model, ids, steps, end_id=end, **options), whole)
    kept = decoding._generators[model][False].plans._plans
    assert [bool(plan) for (key, _), plan in kept.items() if key[0] == "sliding"] == [slides]


def test_generate_with_any_window():
    inputs = layers.Input((None,), dtype="int32")
    y = layers.Bidirectional(layers.GRU(UNITS))(embedded(inputs))
    model = weighted(fastseq.Model(inputs, layers.Dense(TOKENS, activation="softmax")(y)))
    for window in (1, 4):
        expected = decoding_reference.generate(model, [[1, 2, 3], [5]], 10, window)
        np.testing.assert_array_equal(generate(model, [[1, 2, 3], [5]], 10, window).ids, expected.ids)
    with pytest.raises(ValueError, match="window="):
        generate(model, [[1]], 3)


def test_generate_with_a_sequential_model_and_many_rows():
    model = weighted(
        fastseq.Sequential([
            layers.Input((5,), dtype="int32"), layers.Embedding(TOKENS, 7), layers.SimpleRNN(UNITS),
            layers.Dense(TOKENS), layers.Softmax(),
        ])
    )  # fmt: skip
    rows = np.random.default_rng(0).integers(0, TOKENS, (150, 5))
    expected = decoding_reference.generate(model, rows, 7, 5)
    np.testing.assert_array_equal(generate(model, rows, 7).ids, expected.ids)


# ---- what goes wrong -------------------------------------------------------------------------------------------------


def test_models_that_do_not_fit():
    model, _ = one_step(KINDS[0])
    fine = {"start_id": 0, "max_length": 5}
    with pytest.raises(
        ValueError,
        match=r"input 'h' takes has the shape \(None, 20\), but layer 'dense.* \(None, None, 23\)",
    ):
        Decoder(model, states=[("h", 0), ("c", 2)], **fine)
    with pytest.raises(
        ValueError, match=r"'nothing' names no input of the model, which has \['input_layer.*', 'h', 'c'\]"
    ):
        Decoder(model, token_input="nothing", **fine)
    with pytest.raises(ValueError, match=r"nothing is said of the inputs \['c'\]"):
        Decoder(model, states=[("h", 1)], **fine)
    with pytest.raises(ValueError, match="named twice"):
        Decoder(model, states=[("h", 1), ("h", 2)], **fine)
    small = layers.Input((1, TOKENS - 1))
    with pytest.raises(
        ValueError, match=r"one-hot rows of 22 tokens and write 23: .*\(None, 1, 22\), .*\(None, 1, 23\)"
    ):
        Decoder(fastseq.Model(small, layers.Dense(TOKENS)(small)), **fine)
    with pytest.raises(ValueError, match="2 inputs and 0 outputs beside those of the tokens"):
        Decoder(fastseq.Model(model.inputs, model.outputs[0]), **fine)
    ids = layers.Input((7,), dtype="int32")
    with pytest.raises(ValueError, match="takes 7 tokens at a time"):
        Decoder(fastseq.Model(ids, layers.Dense(TOKENS)(layers.LSTM(3)(embedded(ids)))), **fine)
    ids = layers.Input(batch_shape=(2, 1), dtype="int32")
    kept = fastseq.Model(ids, layers.Dense(TOKENS)(layers.LSTM(3, stateful=True, name="kept")(embedded(ids))))
    with pytest.raises(ValueError, match=r"\['kept'\] of model .* are stateful"):
        Decoder(kept, **fine)
    with pytest.raises(ValueError, match="takes a built Sequential or a functional model"):
        Decoder(Halved(), **fine)
    for wrong in ({"max_length": 0}, {"max_length": 2.0}, {"end_id": -1}, {"end_id": True}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Decoder(model, **{**fine, **wrong})


def test_states_and_arguments_that_do_not_fit():
    model, count = one_step(KINDS[0])
    decoder = Decoder(model, start_id=0, max_length=5)
    h, c = states_of(count, 3)
    with pytest.raises(ValueError, match=r"input 'c' takes states of shape \(3, 20\), got \(2, 20\)"):
        decoder.greedy([h, c[:2]])
    with pytest.raises(ValueError, match=r"input 'h' takes states of shape \(3, 20\), got \(3, 19\)"):
        decoder.greedy([h[:, 1:], c])
    with pytest.raises(ValueError, match=r"takes 2 states, for \['h', 'c'\]; got 1"):
        decoder.greedy(h)
    with pytest.raises(ValueError, match=r"takes states named \['h', 'c'\], got \['c', 'x'\]"):
        decoder.greedy({"x": h, "c": c})
    with pytest.raises(ValueError, match=r"states for input 'c', of shape \(3, 20\), hold NaN"):
        decoder.greedy([h, np.where(c == c[1, 1], np.nan, c)])
    with pytest.raises(ValueError, match=r"one for each of 3 rows of shape \(3,\), got \(2,\)"):
        Decoder(model, start_id=np.array([1, 2]), max_length=5).greedy([h, c])
    with pytest.raises(ValueError, match=r"start_id=23 is no token in \[0, 23\)"):
        Decoder(model, start_id=23, max_length=5).greedy([h, c])
    with pytest.raises(ValueError, match=r"end_id=23, but it writes tokens in \[0, 23\)"):
        Decoder(model, start_id=0, end_id=23, max_length=5).greedy([h, c])
    for wrong in (
        {"temperature": 0},
        {"top_k": 0},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"seed": 0.5},
        {"temperature": np.nan},
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            decoder.sample([h, c], **wrong)
    with pytest.raises(ValueError, match="width"):
        decoder.beam([h, c], 0)
    with pytest.raises(ValueError, match="length_penalty"):
        decoder.beam([h, c], 2, -1)


def test_ids_that_a_layer_does_not_take():
    last, h = layers.Input((1,), dtype="int32"), layers.Input((UNITS,))
    x = layers.Embedding(TOKENS - 1, 7, name="table")(last)
    y, new = layers.GRU(UNITS, return_state=True)(x, initial_state=h)
    model = fastseq.Model([last, h], [layers.Dense(TOKENS, bias_initializer="ones")(y), new])
    model.set_weights([*model.get_weights()[:-2], np.zeros((UNITS, TOKENS)), np.arange(TOKENS)])
    with pytest.raises(ValueError, match=r"Layer 'table' \(Embedding\) takes ids in the range \[0, 22\), got 22"):
        Decoder(model, start_id=0, max_length=5, from_logits=True).greedy(states_of(1, 4))


def test_values_that_allow_no_choice():
    model, count = one_step(KINDS[0])
    states = states_of(count, 70)
    weights = model.get_weights()
    weights[-1][7] = np.nan
    model.set_weights(weights)
    for loop in (Decoder.greedy, Decoder.sample, Decoder.beam):
        with pytest.raises(ValueError, match=r"at step 0 of row \d+ the output of layer 'dense.*' is NaN"):
            loop(Decoder(model, start_id=0, max_length=5), states)
    last, h = layers.Input((1,), dtype="int32"), layers.Input((UNITS,))
    y, new = layers.GRU(UNITS, return_state=True)(embedded(last), initial_state=h)
    model = weighted(fastseq.Model([last, h], [layers.Dense(TOKENS)(y), new]))
    with pytest.raises(ValueError, match="want from_logits=True"):
        Decoder(model, start_id=0, max_length=5).greedy(states_of(1, 4))


def test_windows_that_do_not_fit():
    model = window_model(False)
    with pytest.raises(ValueError, match=r"window=5, but its input has the shape \(None, 6\)"):
        generate(model, [[1]], 3, 5)
    for wrong in ([[0.5]], [[-1]], np.zeros((2, 2, 2), int)):
        with pytest.raises(ValueError, match="takes ids"):
            generate(model, wrong, 3)
    with pytest.raises(ValueError, match=r"ids in the range \[0, 23\), got 23"):
        generate(model, [[TOKENS]], 3)
    with pytest.raises(ValueError, match="one input and one output"):
        generate(one_step(KINDS[0])[0], [[1]], 3)
    assert generate(model, np.zeros((0, 6), int), 3).ids.shape == (0, 3)


ENDLESS = """
import numpy as np, fastseq, sys
from fastseq import layers
from fastseq.decoding import Decoder
fastseq.set_num_threads({threads})
last, h = layers.Input((1,), dtype="int32"), layers.Input((64,))
y, new = layers.GRU(64, return_state=True)(layers.Embedding(9, 8)(last), initial_state=h)
model = fastseq.Model([last, h], [layers.Dense(9, activation="softmax")(y), new])
states = np.random.default_rng(0).normal(size=({rows}, 64)).astype("f")
few = Decoder(model, start_id=0, max_length=5).{loop}
before = few(states)
decoder = Decoder(model, start_id=0, max_length={steps})
print("begins", flush=True)
try:
    decoder.{loop}(states)
except KeyboardInterrupt:
    for a, b in zip(before, few(states)):
        np.testing.assert_array_equal(a, b)
    print("interrupted", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("loop", "rows", "steps"), [("greedy", 1, 10**8), ("greedy", 9, 10**7), ("beam", 3, 10**6)])
def test_interrupted(loop, rows, steps, threads):
    code = ENDLESS.format(threads=threads, rows=rows, loop=loop, steps=steps)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "begins\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        rest, _ = process.communicate(timeout=60)
        print(f"{loop}, {threads} threads: {time.monotonic() - begun:.2f} s from the signal to the end")
        assert (rest, process.returncode) == ("interrupted\n", 0)
    finally:
        process.kill()

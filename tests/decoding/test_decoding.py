"""Decoders against the naive twin over the model's own steps; rows, threads, instruction sets, ends of models."""

import decoding_reference
import numpy as np
import pytest
from decoding_steps import (
    END,
    KINDS,
    TOKENS,
    UNITS,
    Halved,
    embedded,
    ending,
    one_step,
    same,
    states_of,
    step_of,
    weighted,
)
from layer_check import isa as forced_isa

import fastseq
from fastseq import layers
from fastseq.decoding import Decoder
from fastseq.native import runtime


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
        (plan,) = decoder._loop.plans.values()
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

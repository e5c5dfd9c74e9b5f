"""Decoding that goes wrong: models, states and arguments that do not fit, values that allow no choice, Ctrl-C."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from decoding_steps import KINDS, TOKENS, UNITS, Halved, embedded, one_step, states_of, weighted

import fastseq
from fastseq import layers
from fastseq.decoding import Decoder


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
        {"temperature": 1e-45},
        {"temperature": 5e-324},
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

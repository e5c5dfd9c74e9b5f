"""Causal attention in streams: keys and values are kept, and each timestep has the bits of the whole sequence."""

import pickle

import numpy as np
import pytest
from layer_check import isa
from stream_models import filled

import fastseq
from fastseq import layers
from fastseq.native import runtime

B, T, N, MOST = 3, 70, 6, 80  # more than a block of 64 keys
LAYERS = {
    "heads": lambda: layers.MultiHeadAttention(2, 3),
    "sizes": lambda: layers.MultiHeadAttention(2, 3, value_dim=5, use_bias=False, use_gate=True),
    "window": lambda: layers.MultiHeadAttention(2, 3, sliding_window=5),
    "dropout": lambda: layers.MultiHeadAttention(2, 3, dropout=0.4),
    "grouped": lambda: layers.GroupQueryAttention(4, 4, 2),
    "grouped window": lambda: layers.GroupQueryAttention(4, 2, 1, sliding_window=66),
}


def model_of(make, time=None):
    """Two blocks of attention, one of them with keys of its own, around a layer with states."""
    start = layers.Input((time, N))
    x = layers.Add()([start, make()(start, start, use_causal_mask=True)])
    y = layers.GRU(N, return_sequences=True)(x)
    return filled(fastseq.Model(start, layers.Dense(4)(make()(x, y, key=start, use_causal_mask=True))))


def drawn(batch=B, time=T):
    return np.random.default_rng(0).standard_normal((batch, time, N)).astype("f")


def same(one, other):
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", LAYERS)
def test_steps_and_chunks_have_the_bits_of_the_whole(name):
    model, x = model_of(LAYERS[name]), drawn()
    whole, stream = model(x), model.stream(B, timesteps=MOST)
    same(np.stack([stream.step(x[:, t]) for t in range(T)], axis=1), whole)
    stream.reset()
    pieces = [x[:, start:end] for start, end in ((0, 2), (2, 3), (3, 60), (60, 61), (61, T))]
    same(np.concatenate([stream.steps(piece) for piece in pieces], axis=1), whole)


def test_bits_on_every_instruction_set_and_threads():
    model, x = model_of(LAYERS["heads"]), drawn()
    whole = model(x)
    for name in runtime.available_isas():
        if name != "scalar":
            with isa(name), runtime.num_threads(2):
                same(model.stream(B, timesteps=MOST).steps(x), whole)


def test_rows_that_begin_anew_and_saved_states():
    model, x = model_of(LAYERS["heads"]), drawn()
    whole, stream = model(x), model.stream(B, timesteps=MOST)
    stream.steps(x[:, :20])
    stream.reset(rows=[1])
    saved, kept = stream.state_bytes(), pickle.loads(pickle.dumps(stream))
    other = model.stream(B, timesteps=MOST)
    other.restore(saved)
    for one in (stream, other, kept):
        found = one.steps(x[:, 20:30])
        same(found[[0, 2]], whole[[0, 2], 20:30])
        same(found[1], model(x[1:2, 20:30])[0])


def test_a_pool_of_streams_at_different_places():
    model, x = model_of(LAYERS["grouped"]), drawn()
    whole, pool = model(x), model.stream_pool(3, timesteps=MOST)
    handles = [pool.open() for _ in range(3)]
    for t in range(T + 10):
        stepped = {handle: x[row, t - 5 * row] for row, handle in enumerate(handles) if 0 <= t - 5 * row < T}
        for handle, y in pool.step(stepped).items():
            row = handles.index(handle)
            same(y, whole[row, t - 5 * row])


def test_the_most_timesteps():
    model, x = model_of(LAYERS["heads"]), drawn()
    with pytest.raises(ValueError, match=r"has to know how many there are at most: stream\(timesteps=1000\)"):
        model.stream()
    for wrong in (0, -1, 2.5, True):
        with pytest.raises(ValueError, match="is a positive integer or None"):
            model.stream(timesteps=wrong)
    stream = model.stream(B, timesteps=5)
    before = stream.steps(x[:, :4])
    with pytest.raises(ValueError, match="keeps 5 timesteps in this stream, got one at 5: stream"):
        stream.steps(x[:, 4:6])
    same(stream.step(x[:, 4]), model(x)[:, 4])  # the call that failed changed nothing
    with pytest.raises(ValueError, match="keeps 5 timesteps"):
        stream.step(x[:, 5])
    stream.reset()
    same(stream.steps(x[:, :4]), before)


def test_the_input_says_how_many_timesteps_there_are():
    model = model_of(LAYERS["heads"], time=T)
    x = drawn()
    same(model.stream(B).steps(x), model(x))
    assert [state.shape for state in next(iter(model.stream(B).state.values()))] == [(B, 1), (B, T, 2, 3), (B, T, 2, 3)]


def test_a_state_that_no_stream_left_is_refused():
    model, x = model_of(LAYERS["heads"]), drawn()
    stream = model.stream(B, timesteps=MOST)
    for place in (-1.0, MOST, 1e9):
        state = stream.state
        next(iter(state.values()))[0][...] = place
        stream.state = state
        with pytest.raises(ValueError, match=f"keeps {MOST} timesteps in this stream"):
            stream.step(x[:, 0])


def test_what_does_not_stream():
    def refused(pattern, call, time=None):
        start = layers.Input((time, N))
        with pytest.raises(ValueError, match=pattern):
            fastseq.Model(start, call(start)).stream(timesteps=9)

    heads = layers.MultiHeadAttention
    refused("it attends to all timesteps", lambda x: heads(2, 3)(x, x))
    refused("it returns scores", lambda x: heads(2, 3)(x, x, use_causal_mask=True, return_attention_scores=True))
    refused("some of its query, value and key", lambda x: heads(2, 3)(
        x, layers.Reshape((1, N))(layers.GRU(N)(x)), use_causal_mask=True))  # fmt: skip
    refused("its input has a mask", lambda x: heads(2, 3)(layers.Masking()(x), x, use_causal_mask=True))
    refused("both a sliding_window and dropout", lambda x: heads(2, 3, dropout=0.1, sliding_window=2)(
        x, x, use_causal_mask=True))  # fmt: skip
    refused("heads are larger than 256", lambda x: heads(1, 257)(x, x, use_causal_mask=True))


def test_a_small_decoder_of_words():
    """Ids in, probabilities out: each step gives those of the whole text."""
    start = layers.Input((None,), dtype="int32")
    x = layers.Embedding(11, 8)(start)
    for _ in range(2):
        x = layers.Add()([x, layers.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True)])
        x = layers.Add()([x, layers.Dense(8)(layers.Dense(16, activation="relu")(x))])
    model = filled(fastseq.Model(start, layers.Dense(11, activation="softmax")(x)))
    ids = np.random.default_rng(2).integers(0, 11, (2, 20)).astype("i4")
    stream = model.stream(2, timesteps=20)
    same(np.stack([stream.step(ids[:, t]) for t in range(20)], axis=1), model(ids))

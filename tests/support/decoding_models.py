"""Models for the tests of decoding, as Keras's tutorials build and train them, on made-up data; the same lines by Keras
and by fastseq.

The data: strings of three to five letters, to be written backwards. Token 0 starts a sentence, token 1 ends it.
"""

import numpy as np

LETTERS, START, END, LONGEST = 8, 0, 1, 6
TOKENS = LETTERS + 2  # of answers; sources hold 0 for padding and letters from 2 on, as answers do
UNITS = 64


def sentences(count, seed):
    """Sources (count, 5), padded with 0 on the right, and answers (count, LONGEST) with END, filled with END."""
    rng = np.random.default_rng(seed)
    sources, answers = np.zeros((count, LONGEST - 1), np.int32), np.full((count, LONGEST), END, np.int32)
    for source, answer in zip(sources, answers):
        letters = rng.integers(2, TOKENS, rng.integers(3, LONGEST))
        source[: len(letters)], answer[: len(letters)] = letters, letters[::-1]
    return sources, answers


def one_hot(ids):
    return np.eye(TOKENS, dtype="f")[ids]


def before(answers):
    """The decoder's inputs while it is trained: the answers one step later."""
    return np.concatenate([np.full_like(answers[:, :1], START), answers[:, :-1]], axis=1)


def letters_model(keras):
    """Keras's character-level example (keras.io/examples/nlp/lstm_seq2seq): LSTMs over one-hot rows."""
    sources = keras.Input((None, TOKENS))
    _, h, c = keras.layers.LSTM(UNITS, return_state=True)(sources)
    last = keras.Input((None, TOKENS))
    decoded, _, _ = keras.layers.LSTM(UNITS, return_sequences=True, return_state=True)(last, initial_state=[h, c])
    return keras.Model([sources, last], keras.layers.Dense(TOKENS, activation="softmax")(decoded))


def letters_inference(k, model):
    """(encoder, one step of the decoder) out of the trained model, as that example restores them."""
    _, h, c = model.layers[2].output
    # Named as that example names them: in a new process the first free names are those of the file's inputs.
    states = [k.Input((UNITS,), name="h"), k.Input((UNITS,), name="c")]
    decoded, *after = model.layers[3](model.input[1], initial_state=states)
    return k.Model(model.input[0], [h, c]), k.Model([model.input[1], *states], [model.layers[4](decoded), *after])


def ids_model(keras):
    """The same with Embedding and GRU."""
    sources = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(TOKENS, 16, mask_zero=True)(sources)
    _, state = keras.layers.GRU(UNITS, return_state=True, name="encoder")(x)
    last = keras.Input((None,), dtype="int32")
    y = keras.layers.Embedding(TOKENS, 16, name="written")(last)
    y, _ = keras.layers.GRU(UNITS, return_sequences=True, return_state=True, name="decoder")(y, initial_state=state)
    return keras.Model([sources, last], keras.layers.Dense(TOKENS, activation="softmax", name="letters")(y))


def ids_inference(k, model):
    """(encoder, one step of the decoder)."""
    layer = model.get_layer
    last, state = k.Input((1,), dtype="int32", name="last"), k.Input((UNITS,), name="state")
    y, after = layer("decoder")(layer("written")(last), initial_state=state)
    return k.Model(model.input[0], layer("encoder").output[1]), k.Model([last, state], [layer("letters")(y), after])


def letters_trained(keras):
    return _trained(keras, letters_model(keras), one_hot)


def ids_trained(keras):
    return _trained(keras, ids_model(keras), lambda ids: ids)


def _trained(keras, model, convert):
    """The model after three epochs, 3 to 6 s: it writes some 99 of 100 new strings backwards without a mistake."""
    sources, answers = sentences(6000, 1)
    rate = keras.optimizers.schedules.CosineDecay(0.01, 3 * 94)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    model.fit([convert(sources), convert(before(answers))], answers, batch_size=64, epochs=3, verbose=0)
    return model


# One-step models with what the trained ones do not have; each is a function of the library. They read ids (B, 1), and
# VARIANTS says how Decoder is to pair their states.


def stacked(k):
    """Two LSTMs, four states; probabilities (B, V)."""
    last = k.Input((1,), dtype="int32", name="last")
    states = [k.Input((width,)) for width in (24, 24, 17, 17)]
    y, h1, c1 = k.layers.LSTM(24, return_sequences=True, return_state=True)(embedded(k, last), initial_state=states[:2])
    y, h2, c2 = k.layers.LSTM(17, return_state=True)(y, initial_state=states[2:])
    return k.Model([last, *states], [softmax(k, y), h1, c1, h2, c2])


def reset_before(k):
    last, state = k.Input((1,), dtype="int32", name="last"), k.Input((30,), name="state")
    y, after = k.layers.GRU(30, reset_after=False, return_state=True)(embedded(k, last), initial_state=state)
    return k.Model([last, state], [softmax(k, y), after])


def simple(k):
    """The state is the first input, and the probabilities are the last output."""
    last, state = k.Input((1,), dtype="int32", name="last"), k.Input((21,), name="state")
    layer = k.layers.SimpleRNN(21, return_sequences=True, return_state=True)
    y, after = layer(embedded(k, last), initial_state=state)
    return k.Model([state, last], [after, softmax(k, y)])


def with_context(k):
    """A context that stays as given stands beside the embedding of every token."""
    last, state = k.Input((1,), dtype="int32", name="last"), k.Input((26,), name="state")
    context = k.Input((9,), name="context")
    x = k.layers.Concatenate()([embedded(k, last), k.layers.RepeatVector(1)(context)])
    y, after = k.layers.GRU(26, return_state=True)(x, initial_state=state)
    return k.Model([last, context, state], [softmax(k, y), after])


def embedded(k, last):
    return k.layers.Embedding(TOKENS, 11)(last)


def softmax(k, y):
    return k.layers.Dense(TOKENS, activation="softmax")(y)


# maker -> (what Decoder is told; the same for Keras as indices; the states' widths; a seed of random weights with which
# sentences differ and some end early)
VARIANTS = {
    stacked: ({}, [(1, 1), (2, 2), (3, 3), (4, 4)], (24, 24, 17, 17), 45),
    reset_before: ({"token_input": "last", "states": [("state", 1)]}, [(1, 1)], (30,), 3),
    simple: ({"token_input": 1, "token_output": 1, "states": [(0, 0)]}, [(0, 0)], (21,), 3),
    with_context: ({"states": [("context", None), ("state", 1)]}, [(1, None), (2, 1)], (9, 26), 3),
}


WINDOW = 20
RHYME = (
    "one old owl on an open oak. two tame toads take their tea. three thin thieves threw the thread. "
    "four fat frogs found five flat fish. six sad sheep sat still. seven snails slid so slowly. "
)
CHARACTERS = sorted(set(RHYME))


def characters(text):
    return np.array([CHARACTERS.index(character) for character in text], np.int32)


def text_model(keras, hot):
    """Keras's text generation example: an LSTM over the last WINDOW characters, ids or one-hot rows, trained 4 s.

    The text is what follows from it: RHYME again and again.
    """
    if hot:
        inputs = x = keras.Input((WINDOW, len(CHARACTERS)))
    else:
        inputs = keras.Input((WINDOW,), dtype="int32")
        x = keras.layers.Embedding(len(CHARACTERS), 16)(inputs)
    x = keras.layers.LSTM(64)(x)
    model = keras.Model(inputs, keras.layers.Dense(len(CHARACTERS), activation="softmax")(x))
    text = characters(RHYME * 12)
    windows = np.lib.stride_tricks.sliding_window_view(text, WINDOW)[:-1]
    windows = np.eye(len(CHARACTERS), dtype="f")[windows] if hot else windows
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(windows, text[WINDOW:], batch_size=64, epochs=8, verbose=0)
    return model

"""Small models written once and built with Keras and with fastseq: `build(name, library)`; and how to compare them."""

import json
import re

import numpy as np

import fastseq
from fastseq.tensors import naming


def chain(k):
    x = k.Input((None, 4), name="x")
    y = k.layers.Dense(3, activation="tanh", name="first")(x)
    return k.Model(x, k.layers.Dense(2, name="second")(y), name="chain")


def dicts(k):
    a, b = k.Input((None, 4), name="a"), k.Input((3,), name="b")
    seq, state = k.layers.GRU(3, return_sequences=True, return_state=True, name="gru")(a, initial_state=b)
    return k.Model({"a": a, "b": b}, {"z": k.layers.Dense(2, name="out")(seq), "h": state}, name="dicts")


def shared(k):
    a, b = k.Input((None, 4), name="a"), k.Input((None, 4), name="b")
    lstm = k.layers.LSTM(3, name="lstm")
    return k.Model([a, b], k.layers.Concatenate(name="both")([lstm(a), lstm(b)]), name="shared")


def shared_in_depth(k):
    """A(B(A(x))): one layer at two depths."""
    x = k.Input((4,), name="x")
    first, second = k.layers.Dense(4, name="A"), k.layers.Dense(4, activation="relu", name="B")
    return k.Model(x, first(second(first(x))), name="shared_in_depth")


def nested_twice(k):
    i = k.Input((None, 3), name="i")
    inner = k.Model(i, k.layers.Dense(3, name="inner_dense")(i), name="inner")
    x = k.Input((None, 3), name="x")
    return k.Model(x, k.layers.Add(name="sum")([inner(inner(x)), x]), name="nested_twice")


def nested_sequential(k):
    inner = k.Sequential(
        [k.Input((None, 3), name="i"), k.layers.LSTM(4, name="rnn"), k.layers.Dense(2, name="head")], name="inner"
    )
    x = k.Input((None, 3), name="x")
    return k.Model(x, [inner(x), x], name="nested_sequential")


def encoder_decoder(k):
    source, target = k.Input((None, 5), name="source"), k.Input((None, 6), name="target")
    _, h, c = k.layers.LSTM(4, return_state=True, name="encoder")(source)
    decoded, _, _ = k.layers.LSTM(4, return_sequences=True, return_state=True, name="decoder")(
        target, initial_state=[h, c]
    )
    letters = k.layers.TimeDistributed(k.layers.Dense(7, activation="softmax", name="letter"), name="letters")(decoded)
    return k.Model([source, target], letters, name="encoder_decoder")


def several_outputs(k):
    x = k.Input((4,), name="x")
    y = k.layers.Dense(3, name="y")(x)
    return k.Model([x], [x, y, [k.layers.Dense(2, name="z")(y), y]], name="several_outputs")


def one_in_a_list(k):
    x = k.Input((4,), name="x")
    return k.Model([x], [k.layers.Dense(3, name="y")(x)], name="one_in_a_list")


def unused_input(k):
    x, y = k.Input((4,), name="x"), k.Input((2,), name="y")
    return k.Model([x, y], k.layers.Dense(3, name="d")(x), name="unused_input")


def branches(k):
    """Branches of different lengths, whose layers' order is not that of their making."""
    x = k.Input((4,), name="x")
    long = k.layers.Dense(4, name="long_1")(x)
    short = k.layers.Dense(4, name="short")(x)
    long = k.layers.Dense(4, name="long_3")(k.layers.Dense(4, name="long_2")(long))
    return k.Model(x, k.layers.Add(name="sum")([short, long]), name="branches")


def stack(k):
    return k.Sequential(
        [k.Input((None, 4), name="x"), k.layers.GRU(3, return_sequences=True, name="a"), k.layers.LSTM(2, name="b")],
        name="stack",
    )


def old_input_shape(k):
    return k.Sequential([k.layers.Dense(3, input_shape=(4,), name="a"), k.layers.Dense(2, name="b")], name="old")


def stack_of_models(k):
    return k.Sequential([chain(k), k.layers.LSTM(3, name="rnn")], name="of_models")


def embedded(k):
    x = k.Input((None,), dtype="int32", name="x")
    y = k.layers.Embedding(9, 4, mask_zero=True, name="ids")(x)
    y = k.layers.LSTM(3, return_sequences=True, name="rnn")(y)
    return k.Model(x, k.layers.GRU(2, name="last")(y), name="embedded")


def masked_branches(k):
    x, y = k.Input((None,), dtype="int32", name="x"), k.Input((None, 4), name="y")
    ids = k.layers.Embedding(9, 4, mask_zero=True, name="ids")(x)
    values = k.layers.Masking(0.5, name="masking")(y)
    both = k.layers.Concatenate(name="both")([ids, values])
    total = k.layers.Add(name="sum")([ids, values])
    return k.Model(
        [x, y],
        [
            k.layers.LSTM(3, name="of_both")(both),
            k.layers.GRU(3, name="of_sum")(total),
            k.layers.GRU(2, name="of_values")(values),
        ],
        name="masked_branches",
    )


def embedded_stack(k):
    return k.Sequential(
        [k.layers.Embedding(9, 4, mask_zero=True, input_shape=(None,), name="ids"), k.layers.LSTM(3, name="rnn")],
        name="embedded_stack",
    )


MASKED = {f.__name__: f for f in (embedded, masked_branches)}
PLAIN = {
    f.__name__: f
    for f in (
        chain, dicts, shared, shared_in_depth, nested_twice, nested_sequential, encoder_decoder, several_outputs,
        one_in_a_list, unused_input, branches, stack, old_input_shape, stack_of_models, embedded_stack,
    )
}  # fmt: skip
ALL = {**PLAIN, **MASKED}


def both(keras, name):
    """The model built with fastseq and with Keras, both counting names from the beginning."""
    naming.reset()
    keras.utils.clear_session()
    return ALL[name](fastseq), ALL[name](keras)


def random_inputs(model, rows=3, steps=5, seed=0):
    """Inputs for a fastseq or Keras model, in the structure of its inputs; ids with zeros among them."""
    rng = np.random.default_rng(seed)

    def one(tensor):
        shape = [rows] + [steps if size is None else size for size in tensor.shape[1:]]
        if str(tensor.dtype) == "int32" or (len(shape) == 2 and tensor.shape[1] is None):
            return rng.integers(0, 9, shape).astype("int32")
        values = rng.standard_normal(shape).astype("float32")
        # Whole steps that Masking(0.5) takes out.
        values[rng.random(shape[:-1]) < 0.3] = 0.5
        return values

    struct = model.input
    if isinstance(struct, dict):
        return {key: one(struct[key]) for key in struct}
    return [one(t) for t in struct] if isinstance(struct, list) else one(struct)


def random_weights(model, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(w.shape).astype("float32") / 2 for w in model.weights]


def as_json(config):
    return json.loads(json.dumps(config))


def without_details(value):
    """A config as JSON without what Keras alone writes: how the model was compiled, and None and defaults in a call."""
    if isinstance(value, dict):
        if set(value) == {"args", "kwargs"}:
            value = {**value, "kwargs": {k: v for k, v in value["kwargs"].items() if v is not None and v is not False}}
        return {k: without_details(v) for k, v in value.items() if k != "compile_config"}
    return [without_details(item) for item in value] if isinstance(value, (list, tuple)) else value


def cells(text):
    """The rows of a summary, each cell's lines joined and its blanks removed; and the lines below the table."""
    rows, open_row, below = [], None, []
    for line in text.splitlines():
        if line[:1] in "│┃":
            parts = [part.strip() for part in re.split("[│┃]", line)[1:-1]]
            open_row = [a + b for a, b in zip(open_row, parts)] if open_row else parts
            continue
        if open_row:
            rows.append([re.sub(r"\s", "", cell) for cell in open_row])
            open_row = None
        if "params:" in line:
            below.append(line.strip())
    return rows, below

"""Compiled models, written once for Keras and fastseq, and steps to train them with; for tests of files."""

import json
import zipfile

import numpy as np
from layer_check import random_weights

import fastseq

BATCHES = 6


def classifier(k):
    """Dense layers: quick to compile in Keras."""
    return k.Sequential([k.Input((5,)), k.layers.Dense(4, activation="tanh"), k.layers.Dense(3, activation="softmax")])


def recurrent(k):
    """Every way in which trainable weights stand below a layer, and one layer that is frozen."""
    L = k.layers
    ids = k.Input((6,), name="ids")
    x = L.Embedding(9, 4)(ids)
    x = L.Bidirectional(L.LSTM(3, return_sequences=True))(x)
    inner = k.Input((6, 6))
    x = k.Model(inner, L.Dense(4, activation="relu")(inner), name="inner")(x)
    x = L.TimeDistributed(L.Dense(4, trainable=False))(x)
    x = L.RNN([L.GRUCell(3), L.SimpleRNNCell(2)])(L.PReLU()(x))
    return k.Model(ids, L.Dense(3, activation="softmax")(x))


def two_outputs(k):
    L = k.layers
    x = k.Input((5,), name="x")
    h = L.Dense(4, activation="tanh", kernel_regularizer="l2")(x)
    return k.Model(x, [L.Dense(3, activation="softmax", name="kind")(h), L.Dense(2, name="size")(h)])


def inputs(make, step, rows=8):
    rng = np.random.default_rng(step)
    if make is recurrent:
        return rng.integers(0, 9, (rows, 6)).astype("f")
    return rng.standard_normal((rows, 5)).astype("f")


def labels(make, step, rows=8):
    rng = np.random.default_rng(100 + step)
    kinds = np.eye(3, dtype="f")[rng.integers(0, 3, rows)]
    return [kinds, rng.standard_normal((rows, 2)).astype("f")] if make is two_outputs else kinds


def compiled(k, make, weights=None, **options):
    """`make(k)` with fixed weights, compiled; an option that is a function is called with `k`."""
    model = make(k)
    model.set_weights(random_weights([np.shape(w) for w in model.get_weights()]) if weights is None else weights)
    model.compile(**{key: value(k) if callable(value) else value for key, value in options.items()})
    return model


def train(model, make, first, last):
    """Steps first .. last - 1, each with a batch of its own; the last one's results."""
    for step in range(first, last):
        found = model.train_on_batch(inputs(make, step), labels(make, step), return_dict=True)
    return found


def state(model):
    """The optimizer's variables, arrays."""
    return [np.asarray(variable) for variable in model.optimizer.variables]


def config_in(path):
    """The compile_config in a `.keras` file."""
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json"))["compile_config"]


def same_bits(found, expected):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def same_training(found, expected):
    """Weights and optimizer state of both are alike as Keras's own runs on two machines are."""
    for a, b in zip(found.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-6)
    for a, b in zip(state(found), state(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-6)


def same_outputs(found, expected, x, atol=1e-6):
    pairs = [model.predict_on_batch(x) for model in (found, expected)]
    for a, b in zip(*[part if isinstance(part, list) else [part] for part in pairs], strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=atol)


def optimizer_of(name, options):
    """A function that makes the optimizer in a library; options may hold `schedule`, a (class name, options) pair."""
    rate = dict(options)
    schedule = rate.pop("schedule", None)

    def make(k):
        given = dict(rate)
        if schedule is not None:
            given["learning_rate"] = getattr(k.optimizers.schedules, schedule[0])(**schedule[1])
        return getattr(k.optimizers, name)(**given)

    return make


def fresh(make, **options):
    return compiled(fastseq, make, **options)

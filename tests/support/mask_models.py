"""Models whose masks go another way by the rules of each version of Keras."""

import json

import numpy as np

import fastseq
from fastseq import layers
from fastseq.tensors import mask_rules

RNG = np.random.default_rng(5)
IDS = np.array([[0, 0, 3, 5], [3, 5, 0, 0], [0, 2, 0, 1]], "int32")
OTHERS = np.array([[1, 2, 0, 0], [0, 3, 0, 1], [4, 4, 4, 0]], "int32")


def rules(name):
    return mask_rules.scope(mask_rules.named(name))


def weighted(model):
    """The model with weights that show where a mask goes another way."""
    model.set_weights([RNG.uniform(-1, 1, weight.shape).astype("float32") for weight in model.get_weights()])
    return model


def the(model, cls):
    """The model's layer of a class."""
    (layer,) = (layer for layer in model.layers if isinstance(layer, cls))
    return layer


def merged(rule, merge):
    """Two masked inputs, merged and walked over, under the rules of a version."""
    with rules(rule):
        a, b = fastseq.Input((4,), dtype="int32"), fastseq.Input((4,), dtype="int32")
        masked = [layers.Embedding(9, 3, mask_zero=True)(tensor) for tensor in (a, b)]
        return weighted(fastseq.Model([a, b], layers.LSTM(3, return_sequences=True)(merge(masked))))


def with_states(rule="2"):
    with rules(rule):
        tokens, h, c = fastseq.Input((4,), dtype="int32"), fastseq.Input((3,)), fastseq.Input((3,))
        masked = layers.Embedding(9, 4, mask_zero=True)(tokens)
        y = layers.LSTM(3, return_sequences=True)(masked, initial_state=[h, c])
        return weighted(fastseq.Model([tokens, h, c], layers.Dense(2)(y)))


def states_input():
    return [IDS, RNG.uniform(-1, 1, (3, 3)).astype("float32"), RNG.uniform(-1, 1, (3, 3)).astype("float32")]


def without_rules(config):
    return json.loads(json.dumps(config), object_hook=lambda d: {k: v for k, v in d.items() if k != "mask_rules"})


def newest(model):
    twin = type(model).from_config(without_rules(model.get_config()))
    twin.set_weights(model.get_weights())
    return twin


def words(rule="2"):
    """A Sequential whose TimeDistributed hands on what the Embedding in it masks."""
    with rules(rule):
        model = fastseq.Sequential([
            fastseq.Input((None, 4), dtype="int32"),
            layers.TimeDistributed(layers.Embedding(9, 4, mask_zero=True)),
            layers.TimeDistributed(layers.LSTM(3)),
            layers.LSTM(3, return_sequences=True),
        ])  # fmt: skip
    return weighted(model)

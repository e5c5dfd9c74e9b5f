"""A model that others trained on real text: the same probabilities and greedy text from all four of its files."""

import json

import numpy as np
import pytest
from places import SHARED

import fastseq
from fastseq import layers

FOLDER = SHARED / "data" / "textgenrnn"
FILES = ["textgenrnn.keras", "textgenrnn_keras3.h5", "textgenrnn.weights.h5", "weights_cudnn_2018.hdf5"]

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"the real model's files are not in {FOLDER.parent.parent}")


class AttentionWeightedAverage(layers.Layer):
    """Average over time (B, T, C) -> (B, C), weighted by softmax(x . W)."""

    def build(self, input_shape):
        self.W = self.add_weight((input_shape[-1], 1), name="attention_W")

    def call(self, inputs):
        logits = (inputs @ self.W.numpy())[..., 0]
        weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
        weights = weights / (weights.sum(axis=-1, keepdims=True) + 1e-7)
        return (inputs * weights[..., None]).sum(axis=1)

    def compute_output_shape(self, input_shape):
        return input_shape[0], input_shape[-1]


CUSTOM = {"AttentionWeightedAverage": AttentionWeightedAverage}
CUSTOM_REGISTERED = {"textgenrnn>AttentionWeightedAverage": AttentionWeightedAverage}


def untrained():
    inputs = layers.Input((40,), name="input", dtype="int32")
    embedded = layers.Embedding(465, 100, name="embedding")(inputs)
    first = layers.LSTM(128, return_sequences=True, name="rnn_1")(embedded)
    second = layers.LSTM(128, return_sequences=True, name="rnn_2")(first)
    joined = layers.Concatenate(name="rnn_concat")([embedded, first, second])
    attended = AttentionWeightedAverage(name="attention")(joined)
    return fastseq.Model(inputs, layers.Dense(465, activation="softmax", name="output")(attended))


@pytest.fixture(scope="module", params=FILES)
def model(request):
    path = FOLDER / request.param
    if "weights" in request.param:
        model = untrained()
        model.load_weights(path, by_name=request.param.endswith(".hdf5"))
        return model
    return fastseq.load_model(path, custom_objects={**CUSTOM, **CUSTOM_REGISTERED})


def test_probabilities(model):
    reference = np.load(FOLDER / "reference.npz")
    got = model.predict(reference["token_ids"], verbose=0)
    np.testing.assert_allclose(got, reference["probabilities"], rtol=0, atol=1e-5)
    assert (got.argmax(-1) == reference["probabilities"].argmax(-1)).all()


def test_greedy_text(model):
    ids = json.loads((FOLDER / "vocab.json").read_text())
    characters = {index: character for character, index in ids.items()}
    for prefix, expected in json.loads((FOLDER / "greedy.json").read_text()).items():
        text = ["<s>", *prefix]
        for _ in range(120):
            recent = [ids.get(character, 0) for character in text[-40:]]
            tokens = np.array([[0] * (40 - len(recent)) + recent], np.int32)
            best = characters[int(model(tokens)[0].argmax())]
            if best == "<s>":
                break
            text.append(best)
        assert "".join(text[1:]) == expected


def test_weights(model):
    """Every file holds the same bits; those of the file of 2018 stand in cuDNN's layout."""
    reference = untrained()
    reference.load_weights(FOLDER / "textgenrnn.weights.h5")
    for ours, theirs in zip(model.get_weights(), reference.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_weights_only_in_order():
    """The file of 2018 also loads by position, which is how Keras reads it without by_name."""
    by_name, in_order = untrained(), untrained()
    by_name.load_weights(FOLDER / FILES[3], by_name=True)
    in_order.load_weights(FOLDER / FILES[3])
    for ours, theirs in zip(by_name.get_weights(), in_order.get_weights()):
        np.testing.assert_array_equal(ours, theirs)

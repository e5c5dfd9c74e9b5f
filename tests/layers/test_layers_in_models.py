"""Small models that chain the layers as people do, with masks on the way: Keras's numbers, from Keras and back."""

import numpy as np
import pytest

import fastseq

pytestmark = pytest.mark.tensorflow


def two_embeddings(K, merge, second_mask=True):
    layers = K.layers
    inputs = [K.Input((None,), dtype="int32") for _ in range(2)]
    masks = (True, second_mask)
    embedded = [layers.Embedding(20, 8, mask_zero=mask)(ids) for ids, mask in zip(inputs, masks)]
    return K.Model(inputs, layers.GRU(5, return_sequences=True)(merge(layers, embedded)))


def merged_by(name):
    return lambda K: two_embeddings(K, lambda layers, xs: getattr(layers, name)()(xs))


def concatenated(axis, second_mask):
    return lambda K: two_embeddings(K, lambda layers, xs: layers.Concatenate(axis)(xs), second_mask)


def elementwise(K):
    layers = K.layers
    inputs = K.Input((6,), dtype="int32")
    x = layers.Embedding(20, 8, mask_zero=True)(inputs)
    for layer in (
        layers.SpatialDropout1D(0.2), layers.Dropout(0.2), layers.GaussianNoise(0.1), layers.GaussianDropout(0.1),
        layers.AlphaDropout(0.1), layers.ActivityRegularization(0.1), layers.Identity(), layers.PReLU(shared_axes=[1]),
        layers.LeakyReLU(), layers.ELU(), layers.ReLU(max_value=1.0), layers.LSTM(4, return_sequences=True),
    ):  # fmt: skip
        x = layer(x)
    return K.Model(inputs, x)


def shapes(K):
    layers = K.layers
    inputs = x = K.Input((6, 4))
    for layer in (
        layers.Permute((2, 1)), layers.Reshape((3, 8)), layers.Flatten(), layers.RepeatVector(5),
        layers.Softmax((1, 2)), layers.Dense(3),
    ):  # fmt: skip
        x = layer(x)
    return K.Model(inputs, [x, layers.Dot((2, 2), normalize=True)([x, x])])


def masked_tagger(K):
    layers = K.layers
    inputs = K.Input((6, 4))
    x = layers.Bidirectional(layers.GRU(3, return_sequences=True))(layers.Masking()(inputs))
    return K.Model(inputs, layers.TimeDistributed(layers.Dense(3, activation="softmax"))(layers.Average()([x, x])))


def attention(K):
    """Scores over time, and the sum of the states they weight."""
    layers = K.layers
    inputs = K.Input((6, 4))
    states = layers.LSTM(4, return_sequences=True)(inputs)
    scores = layers.Permute((2, 1))(layers.Softmax(axis=1)(layers.Dense(1)(states)))
    return K.Model(inputs, layers.Flatten()(layers.Dot((2, 1))([scores, states])))


def attention_by_multiplying(K):
    """The older way: scores repeated for every feature, multiplied."""
    layers = K.layers
    inputs = K.Input((6, 4))
    states = layers.LSTM(4, return_sequences=True)(inputs)
    scores = layers.Activation("softmax")(layers.Flatten()(layers.Dense(1)(states)))
    return K.Model(inputs, layers.multiply([states, layers.Permute((2, 1))(layers.RepeatVector(4)(scores))]))


MODELS = {
    "elementwise": elementwise, "shapes": shapes, "masked_tagger": masked_tagger, "attention": attention,
    "attention_by_multiplying": attention_by_multiplying,
    **{name: merged_by(name) for name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")},
    "concatenate in time": concatenated(1, True), "concatenate features": concatenated(-1, True),
    "concatenate one mask": concatenated(-1, False), "concatenate in time, one mask": concatenated(1, False),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_model(name, rng, tmp_path):
    keras = pytest.importorskip("keras")
    theirs = MODELS[name](keras)
    sequences = rng.standard_normal((3, 6, 4)).astype("f")
    sequences[:, 2] = 0
    ids = [np.where(rng.random((3, 6)) < 0.4, 0, rng.integers(1, 20, (3, 6))).astype("i4") for _ in theirs.inputs]
    inputs = ids if theirs.inputs[0].dtype == "int32" else [sequences]
    inputs = inputs if len(inputs) > 1 else inputs[0]

    def outputs(model):
        found = model(inputs)
        return [np.asarray(array) for array in (found if isinstance(found, (list, tuple)) else [found])]

    expected = outputs(theirs)
    built = MODELS[name](fastseq)
    built.set_weights(theirs.get_weights())
    theirs.save(tmp_path / "theirs.keras")
    built.save(tmp_path / "ours.keras")
    for model in (
        built,
        fastseq.from_keras(theirs),
        fastseq.load_model(tmp_path / "theirs.keras"),
        keras.models.load_model(tmp_path / "ours.keras"),
    ):
        for ours, theirs_i in zip(outputs(model), expected, strict=True):
            np.testing.assert_allclose(ours, theirs_i, rtol=0, atol=1e-6)

"""Layers that compute with the backend, as public repositories write them: traced, trained and streamed."""

import numpy as np
import pytest

import fastseq
from fastseq import backend as K
from fastseq.layers import traced_calls

X = np.random.default_rng(0).normal(size=(8, 5, 3)).astype(np.float32)


class Attention(fastseq.layers.Layer):
    """Weights of timesteps from a score of each, and their weighted sum."""

    def build(self, input_shape):
        self.w = self.add_weight(shape=(input_shape[-1], 1), initializer="normal", name="w")
        self.b = self.add_weight(shape=(input_shape[1], 1), initializer="zeros", name="b")
        super().build(input_shape)

    def call(self, x):
        score = K.squeeze(K.tanh(K.dot(x, self.w) + self.b), axis=-1)
        share = K.expand_dims(K.softmax(score), axis=-1)
        return K.sum(x * share, axis=1)


class Gate(fastseq.layers.Layer):
    """A gate of each timestep alone."""

    def build(self, input_shape):
        self.w = self.add_weight(shape=(input_shape[-1], input_shape[-1]), initializer="normal", name="w")
        super().build(input_shape)

    def call(self, x):
        scores = K.dot(x, self.w)
        return K.l2_normalize(K.hard_sigmoid(scores) * K.softmax(scores) + K.relu(x, alpha=0.1), axis=-1)


def by_numpy(layer, x):
    w, b = (weight.numpy().astype(np.float64) for weight in (layer.w, layer.b))
    score = np.tanh(x.astype(np.float64) @ w + b)[..., 0]
    share = np.exp(score) / np.exp(score).sum(-1, keepdims=True)
    return (x * share[..., None]).sum(1)


def test_attention_is_traced_and_trains():
    layer = Attention()
    model = fastseq.Sequential([fastseq.Input((5, 3)), fastseq.layers.LSTM(4, return_sequences=True), layer])
    model.compile("adam", "mse")
    before = [weight.numpy() for weight in layer.weights]
    history = model.fit(X, np.ones((8, 4)), epochs=5, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    assert all((weight.numpy() != old).any() for weight, old in zip(layer.weights, before))
    assert traced_calls.untraced(layer) is None
    hidden = K.function([model.input], [model.layers[-2].output])([X])[0]
    np.testing.assert_allclose(model(X), by_numpy(layer, hidden), rtol=1e-6, atol=1e-6)


def test_a_layer_of_timesteps_streams_in_the_same_bits():
    model = fastseq.Sequential([fastseq.Input((None, 3)), fastseq.layers.LSTM(4, return_sequences=True), Gate()])
    whole, stream = model(X[:1]), model.stream()
    for t in range(5):
        np.testing.assert_array_equal(stream.step(X[:1, t]), whole[:, t])
    assert traced_calls.untraced(model.layers[-1]) is None


def test_a_layer_that_takes_timesteps_together_refuses_to_stream():
    model = fastseq.Sequential([fastseq.Input((5, 3)), Attention()])
    with pytest.raises(ValueError, match="timesteps"):
        model.stream()


class Noisy(fastseq.layers.Layer):
    def call(self, x, training=None):
        return K.in_train_phase(K.dropout(x, 0.5), x, training=training)


class Counting(fastseq.layers.Layer):
    def build(self, input_shape):
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False, name="count")

    def call(self, x):
        K.update_add(self.count, 1.0)
        return x


@pytest.mark.parametrize(("layer", "reason"), [(Noisy(), "draws random numbers"), (Counting(), "changes a weight")])
def test_what_draws_or_changes_weights_runs_in_python(layer, reason):
    model = fastseq.Sequential([fastseq.Input((5, 3)), layer])
    np.testing.assert_array_equal(model(X), X)
    assert reason in traced_calls.untraced(layer)
    if isinstance(layer, Counting):
        first = layer.count.numpy()
        model(X)
        assert layer.count.numpy() > first
    else:
        assert 0.3 < (model(X, training=True) == 0).mean() < 0.7


def test_phases():
    for training, wanted in ((True, 1), (False, 2), (1, 1), (0, 2), (None, 2)):
        assert K.in_train_phase(1, 2, training) == wanted
        assert K.in_train_phase(lambda: 1, lambda: 2, training) == wanted
        assert K.in_test_phase(2, 1, training) == wanted

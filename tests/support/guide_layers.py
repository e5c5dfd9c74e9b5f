"""Layers of the kinds that Keras's guides and examples teach, for either library: `of(library)` gives the classes."""

from types import SimpleNamespace

import numpy as np

UNITS = 4


def of(library):
    """A namespace of layer classes that compute with the `layers` and `ops` of a library, fastseq or keras."""
    layers, ops = library.layers, library.ops
    found = SimpleNamespace()
    _attentions(layers, ops, found)
    _normalizations(layers, ops, found)
    _blocks(layers, ops, found)
    return found


def _attentions(layers, ops, found):
    class AdditiveAttention(layers.Layer):
        """Bahdanau's: a weight for each timestep, then their sum."""

        def build(self, input_shape):
            self.kernel = self.add_weight(shape=(input_shape[-1], UNITS), name="kernel")
            self.score = self.add_weight(shape=(UNITS, 1), name="score")
            self.bias = self.add_weight(shape=(UNITS,), initializer="zeros", name="bias")

        def call(self, x):
            score = ops.matmul(ops.tanh(ops.matmul(x, self.kernel) + self.bias), self.score)
            return ops.sum(x * ops.softmax(score, axis=1), axis=1)

    class CausalAttention(layers.Layer):
        """Scaled dot products of queries and keys, of what came before."""

        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.query, self.key, self.value = (layers.Dense(UNITS, use_bias=False) for _ in range(3))

        def call(self, x):
            query, key, value = self.query(x), self.key(x), self.value(x)
            scores = ops.matmul(query, ops.transpose(key, (0, 2, 1))) / np.sqrt(UNITS)
            length = x.shape[1]
            seen = ops.arange(length)[:, None] >= ops.arange(length)[None, :]
            return ops.matmul(ops.softmax(ops.where(seen, scores, -1e9), axis=-1), value)

    class Heads(layers.Layer):
        """Attention of two heads, by reshapes and einsum."""

        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.mixed, self.out = layers.Dense(3 * UNITS), layers.Dense(UNITS)

        def call(self, x):
            length = x.shape[1]
            parts = ops.reshape(self.mixed(x), (-1, length, 3, 2, UNITS // 2))
            query, key, value = parts[:, :, 0], parts[:, :, 1], parts[:, :, 2]
            weights = ops.softmax(ops.einsum("bthd,bshd->bhts", query, key) * (UNITS // 2) ** -0.5)
            return self.out(ops.reshape(ops.einsum("bhts,bshd->bthd", weights, value), (-1, length, UNITS)))

    found.AdditiveAttention, found.CausalAttention, found.Heads = AdditiveAttention, CausalAttention, Heads


def _normalizations(layers, ops, found):
    class Normalized(layers.Layer):
        """Layer normalization."""

        def build(self, input_shape):
            self.gamma = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="gamma")
            self.beta = self.add_weight(shape=(input_shape[-1],), initializer="zeros", name="beta")

        def call(self, x):
            mean = ops.mean(x, axis=-1, keepdims=True)
            variance = ops.mean(ops.square(x - mean), axis=-1, keepdims=True)
            return (x - mean) / ops.sqrt(variance + 1e-3) * self.gamma + self.beta

    class Positions(layers.Layer):
        """Sines and cosines of positions, made with NumPy, are added."""

        def call(self, x):
            length, depth = x.shape[1:]
            angles = np.arange(length)[:, None] / 10000 ** (2 * (np.arange(depth)[None] // 2) / depth)
            table = np.where(np.arange(depth) % 2, np.cos(angles), np.sin(angles)).astype("float32")
            return x * float(np.sqrt(depth)) + table[None]

    class Learnt(layers.Layer):
        """Embeddings of positions."""

        def build(self, input_shape):
            self.table = self.add_weight(shape=(input_shape[1], input_shape[-1]), name="table")

        def call(self, x):
            return x + ops.take(self.table, ops.arange(x.shape[1]), axis=0)

    found.Normalized, found.Positions, found.Learnt = Normalized, Positions, Learnt


def _blocks(layers, ops, found):
    class Transformer(layers.Layer):
        """Attention and two dense layers, each with what went in added, and normalized."""

        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.attention = found.CausalAttention()
            self.first, self.second = found.Normalized(), found.Normalized()
            self.wide, self.narrow = layers.Dense(2 * UNITS, activation="relu"), layers.Dense(UNITS)
            self.dropout = layers.Dropout(0.0)

        def call(self, x, training=False):
            x = self.first(x + self.dropout(self.attention(x), training=training))
            return self.second(x + self.narrow(self.wide(x)))

    class Gated(layers.Layer):
        """A gated residual network, as of temporal fusion transformers."""

        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.inner, self.linear, self.gate = layers.Dense(UNITS), layers.Dense(UNITS), layers.Dense(UNITS)
            self.normalized = found.Normalized()

        def call(self, x):
            inside = self.linear(ops.elu(self.inner(x)))
            return self.normalized(x + inside * ops.sigmoid(self.gate(inside)))

    class Time2Vec(layers.Layer):
        """A line and sines of time, beside the features."""

        def build(self, input_shape):
            self.frequency = self.add_weight(shape=(input_shape[-1], UNITS), name="frequency")
            self.phase = self.add_weight(shape=(UNITS,), name="phase")

        def call(self, x):
            angle = ops.matmul(x, self.frequency) + self.phase
            return ops.concatenate([x, angle[..., :1], ops.sin(angle[..., 1:])], axis=-1)

    class Pooled(layers.Layer):
        """The mean of the timesteps that a mask leaves."""

        supports_masking = True

        def call(self, x, mask=None):
            if mask is None:
                return ops.mean(x, axis=1)
            there = ops.expand_dims(ops.cast(mask, "float32"), -1)
            return ops.sum(x * there, axis=1) / ops.maximum(ops.sum(there, axis=1), 1.0)

        def compute_mask(self, inputs, mask=None):
            return None

    found.Transformer, found.Gated, found.Time2Vec, found.Pooled = Transformer, Gated, Time2Vec, Pooled

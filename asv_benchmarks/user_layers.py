"""Layers of the cells as users write them, in `layers` and `ops` of a library, fastseq or keras."""

from cells import EPSILON, HEADS, WIDER

USERS = ("OwnLSTM", "Attention", "InstantNorm", "Transformer")


def layer_of(library, step, **options):
    """The layer of a step whose kind is a user's own. options: of the RNN around a user's cell."""
    made = library.layers
    if step.kind == "OwnLSTM":
        return made.RNN(own_lstm(library)(step.units), return_sequences=step.sequences, **options)
    return {"Attention": attention, "InstantNorm": instant_norm, "Transformer": transformer}[step.kind](library)()


def attention(library):
    """The one of textgenrnn: x . W, a softmax of it over time, and the sum over time weighted by that."""
    layers, ops = library.layers, library.ops

    class AttentionWeightedAverage(layers.Layer):
        def build(self, input_shape):
            self.W = self.add_weight(shape=(input_shape[-1], 1), name="W")

        def call(self, x):
            logits = ops.squeeze(ops.matmul(x, self.W), -1)
            shares = ops.exp(logits - ops.max(logits, axis=-1, keepdims=True))
            shares = shares / (ops.sum(shares, axis=-1, keepdims=True) + 1e-7)
            return ops.squeeze(ops.matmul(ops.expand_dims(shares, 1), x), 1)

        def compute_output_shape(self, input_shape):
            return input_shape[0], input_shape[-1]

    return AttentionWeightedAverage


def normalized(ops, x):
    """x less its mean over the last axis, over its standard deviation."""
    centred = x - ops.mean(x, axis=-1, keepdims=True)
    return centred * ops.rsqrt(ops.mean(ops.square(centred), axis=-1, keepdims=True) + EPSILON)


def instant_norm(library):
    """The one of DTLN: each timestep by itself, over its frequency bins."""
    layers, ops = library.layers, library.ops

    class InstantLayerNormalization(layers.Layer):
        def build(self, input_shape):
            self.gamma = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="gamma")
            self.beta = self.add_weight(shape=(input_shape[-1],), initializer="zeros", name="beta")

        def call(self, x):
            mean = ops.mean(x, axis=-1, keepdims=True)
            variance = ops.mean(ops.square(x - mean), axis=-1, keepdims=True)
            return (x - mean) / ops.sqrt(variance + EPSILON) * self.gamma + self.beta

    return InstantLayerNormalization


def own_lstm(library):
    layers, ops = library.layers, library.ops

    class NormalizedLSTMCell(layers.Layer):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = self.output_size = units
            self.state_size = [units, units]

        def build(self, input_shape):
            gates = 4 * self.units
            self.kernel = self.add_weight(shape=(input_shape[-1], gates), name="kernel")
            self.recurrent_kernel = self.add_weight(shape=(self.units, gates), name="recurrent_kernel")
            self.bias = self.add_weight(shape=(gates,), initializer="zeros", name="bias")
            self.gamma = self.add_weight(shape=(gates,), initializer="ones", name="gamma")
            self.state_gamma = self.add_weight(shape=(self.units,), initializer="ones", name="state_gamma")

        def call(self, x, states):
            h, c = states
            z = ops.matmul(x, self.kernel) + ops.matmul(h, self.recurrent_kernel)
            i, f, g, o = ops.split(normalized(ops, z) * self.gamma + self.bias, 4, axis=-1)
            c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
            h = ops.sigmoid(o) * ops.tanh(normalized(ops, c) * self.state_gamma)
            return h, [h, c]

    return NormalizedLSTMCell


def transformer(library):
    """Attention of several heads and two dense layers, each with its input added, and layer-normalized."""
    layers, ops = library.layers, library.ops

    class Normalized(layers.Layer):
        def build(self, input_shape):
            self.gamma = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="gamma")
            self.beta = self.add_weight(shape=(input_shape[-1],), initializer="zeros", name="beta")

        def call(self, x):
            return normalized(ops, x) * self.gamma + self.beta

    class TransformerBlock(layers.Layer):
        def build(self, input_shape):
            units = input_shape[-1]
            self.mixed, self.out = layers.Dense(3 * units), layers.Dense(units)
            self.first, self.wide = Normalized(), layers.Dense(WIDER * units, activation="relu")
            self.narrow, self.second = layers.Dense(units), Normalized()
            for layer in (self.mixed, self.out, self.first, self.wide, self.second):
                layer.build(input_shape)
            self.narrow.build((*input_shape[:-1], WIDER * units))

        def call(self, x):
            length, units = x.shape[1:]
            parts = ops.reshape(self.mixed(x), (-1, length, 3, HEADS, units // HEADS))
            query, key, value = (ops.transpose(parts[:, :, i], (0, 2, 1, 3)) for i in range(3))
            scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))) * (units // HEADS) ** -0.5
            heads = ops.transpose(ops.matmul(ops.softmax(scores, axis=-1), value), (0, 2, 1, 3))
            x = self.first(x + self.out(ops.reshape(heads, (-1, length, units))))
            return self.second(x + self.narrow(self.wide(x)))

        def compute_output_shape(self, input_shape):
            return input_shape

    return TransformerBlock

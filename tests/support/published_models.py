"""Sequence models from papers and public projects, built with Keras or with fastseq from the same lines.

Each function takes `k`, the module (`keras` or `fastseq`), and gives a model with random weights; `MODELS` has them
with the inputs that they are called with. Hyperparameters are those that were published, but for vocabularies, which
are smaller, so that tests stay small.
"""

from typing import NamedTuple

import numpy as np


class Published(NamedTuple):
    """make: k -> model; inputs: rng, batch -> list of arrays."""

    make: object
    inputs: object


# ---- convolutions ----------------------------------------------------------------------------------------------------


def tcn(k, filters=25, kernel_size=7, blocks=8, channels=1, classes=10):
    """Bai, Kolter and Koltun (2018), https://arxiv.org/abs/1803.01271, section 5.1 and table 2: sequential MNIST."""
    layers = k.layers
    x = inputs = layers.Input((None, channels))
    for block in range(blocks):
        shortcut = x if x.shape[-1] == filters else layers.Conv1D(filters, 1)(x)
        for _ in range(2):
            x = layers.Conv1D(filters, kernel_size, padding="causal", dilation_rate=2**block, activation="relu")(x)
            x = layers.SpatialDropout1D(0.05)(x)
        x = layers.ReLU()(layers.Add()([x, shortcut]))
    return k.Model(inputs, layers.Dense(classes, activation="softmax")(x))


def sensor_windows(k, steps=128, channels=9, classes=6):
    """A CNN-LSTM for windows of accelerometers and gyroscopes (the UCI data set of human activities)."""
    layers = k.layers
    return k.Sequential([
        layers.Input((steps, channels)),
        layers.Conv1D(64, 3, activation="relu"),
        layers.Conv1D(64, 3, activation="relu"),
        layers.Dropout(0.5),
        layers.MaxPooling1D(2),
        layers.LSTM(100),
        layers.Dropout(0.5),
        layers.Dense(100, activation="relu"),
        layers.Dense(classes, activation="softmax"),
    ])  # fmt: skip


def tagger(k, words=500, letters=80, longest=20, tags=9):
    """A BiLSTM-CNN: Ma and Hovy (2016), https://arxiv.org/abs/1603.01354, table 1, with a softmax for the tags."""
    layers = k.layers
    ids, spelled = layers.Input((None,), dtype="int32"), layers.Input((None, longest), dtype="int32")
    characters = layers.TimeDistributed(layers.Embedding(letters, 30))(spelled)
    characters = layers.Dropout(0.5)(characters)
    characters = layers.TimeDistributed(layers.Conv1D(30, 3, padding="same", activation="tanh"))(characters)
    characters = layers.TimeDistributed(layers.GlobalMaxPooling1D())(characters)
    x = layers.Concatenate()([layers.Embedding(words, 100)(ids), characters])
    x = layers.Bidirectional(layers.LSTM(200, return_sequences=True))(layers.Dropout(0.5)(x))
    return k.Model([ids, spelled], layers.Dense(tags, activation="softmax")(layers.Dropout(0.5)(x)))


def guitar_lstm(k, samples=150, units=36):
    """GuitarLSTM, https://github.com/GuitarML/GuitarLSTM: a guitar amplifier, one sample from those before."""
    layers = k.layers
    return k.Sequential([
        layers.Input((samples, 1)),
        layers.Conv1D(16, 12, strides=4, padding="same"),
        layers.Conv1D(16, 12, strides=4, padding="same"),
        layers.LSTM(units),
        layers.Dense(1),
    ])  # fmt: skip


def wavenet(k, channels=32, skip=128, dilations=10, classes=256):
    """The core of WaveNet, https://arxiv.org/abs/1609.03499: one stack of gated dilated convolutions, 2 taps each."""
    layers = k.layers
    inputs = layers.Input((None, classes))
    x, skips = layers.Conv1D(channels, 2, padding="causal")(inputs), []
    for block in range(dilations):
        filtered, gate = (
            layers.Conv1D(channels, 2, padding="causal", dilation_rate=2**block, activation=activation)(x)
            for activation in ("tanh", "sigmoid")
        )
        gated = layers.Multiply()([filtered, gate])
        skips.append(layers.Conv1D(skip, 1)(gated))
        x = layers.Add()([x, layers.Conv1D(channels, 1)(gated)])
    x = layers.ReLU()(layers.Add()(skips))
    return k.Model(inputs, layers.Dense(classes, activation="softmax")(layers.Dense(skip, activation="relu")(x)))


# ---- attention -------------------------------------------------------------------------------------------------------


def attention_weighted_average(k):
    class AttentionWeightedAverage(k.layers.Layer):
        """The weighted average over time of DeepMoji: a weight for each timestep from its features alone."""

        def build(self, input_shape):
            self.w = self.add_weight(shape=(input_shape[-1], 1), initializer="uniform", name="w")

        def call(self, x):
            weights = k.ops.softmax(k.ops.squeeze(k.ops.matmul(x, self.w), -1), axis=-1)
            return k.ops.sum(x * k.ops.expand_dims(weights, -1), axis=1)

        def compute_output_shape(self, input_shape):
            return (input_shape[0], input_shape[-1])

    return AttentionWeightedAverage()


def deep_moji(k, words=500, length=30, classes=64):
    """Felbo and others (2017), https://arxiv.org/abs/1708.00524, section 3.3: two BiLSTMs with skip connections."""
    layers = k.layers
    ids = layers.Input((length,), dtype="int32")
    embedded = layers.Activation("tanh")(layers.Embedding(words, 256)(ids))
    first = layers.Bidirectional(layers.LSTM(512, return_sequences=True))(embedded)
    second = layers.Bidirectional(layers.LSTM(512, return_sequences=True))(first)
    x = attention_weighted_average(k)(layers.Concatenate()([second, first, embedded]))
    return k.Model(ids, layers.Dense(classes, activation="softmax")(layers.Dropout(0.5)(x)))


def embedded(k, ids, size, length, width, name):
    """Token and learned position embeddings, added up."""
    layers = k.layers

    class Positions(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.embedding = layers.Embedding(length, width)

        def build(self, input_shape):
            self.embedding.build((None,))

        def call(self, x):
            return x + self.embedding(k.ops.arange(k.ops.shape(x)[1]))

        def compute_output_shape(self, input_shape):
            return input_shape

    return Positions(name=name)(layers.Embedding(size, width)(ids))


def transformer(k, words=300, length=20, width=64, heads=4, hidden=256, depth=2):
    """A small encoder-decoder, https://arxiv.org/abs/1706.03762, normalised behind each part, causal in the decoder."""
    layers = k.layers

    def behind(x, y):
        return layers.LayerNormalization(epsilon=1e-6)(layers.Add()([x, layers.Dropout(0.1)(y)]))

    def attended(x, source, causal=False):
        attention = layers.MultiHeadAttention(heads, width // heads, dropout=0.1)
        return behind(x, attention(x, source, use_causal_mask=causal))

    def fed(x):
        return behind(x, layers.Dense(width)(layers.Dense(hidden, activation="relu")(x)))

    source, target = layers.Input((None,), dtype="int32"), layers.Input((None,), dtype="int32")
    x = embedded(k, source, words, length, width, "source_positions")
    for _ in range(depth):
        x = fed(attended(x, x))
    y = embedded(k, target, words, length, width, "target_positions")
    for _ in range(depth):
        y = fed(attended(attended(y, y, causal=True), x))
    return k.Model([source, target], layers.Dense(words, activation="softmax")(y))


# ---- speech ----------------------------------------------------------------------------------------------------------


def dtln_layers(k):
    """The layers of DTLN that Keras has not: frames to spectra and back, and a normalisation of each timestep."""
    ops = k.ops

    class Spectrum(k.layers.Layer):
        """(B, T, N) -> (B, T, N / 2 + 1) twice: magnitudes and phases."""

        def call(self, x):
            real, imaginary = ops.rfft(x)
            return ops.sqrt(ops.square(real) + ops.square(imaginary)), ops.arctan2(imaginary, real)

        def compute_output_shape(self, input_shape):
            return (*input_shape[:-1], input_shape[-1] // 2 + 1), (*input_shape[:-1], input_shape[-1] // 2 + 1)

    class Frames(k.layers.Layer):
        """Magnitudes and phases back to frames."""

        def call(self, magnitude, phase):
            return ops.irfft((magnitude * ops.cos(phase), magnitude * ops.sin(phase)))

        def compute_output_shape(self, magnitude_shape, phase_shape):
            return (*magnitude_shape[:-1], (magnitude_shape[-1] - 1) * 2)

    class InstantLayerNormalization(k.layers.Layer):
        def build(self, input_shape):
            self.gamma = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="gamma")
            self.beta = self.add_weight(shape=(input_shape[-1],), initializer="zeros", name="beta")

        def call(self, x):
            mean = ops.mean(x, axis=-1, keepdims=True)
            variance = ops.mean(ops.square(x - mean), axis=-1, keepdims=True)
            return (x - mean) / ops.sqrt(variance + 1e-7) * self.gamma + self.beta

        def compute_output_shape(self, input_shape):
            return input_shape

    class OverlapAdd(k.layers.Layer):
        """(B, T, N) frames that begin `shift` samples apart -> (B, (T - 1) shift + N) samples."""

        def __init__(self, shift, **kwargs):
            super().__init__(**kwargs)
            self.shift = shift

        def call(self, frames):
            parts = ops.shape(frames)[-1] // self.shift
            # Part i of each frame belongs i * shift samples behind the frame's first.
            found = [
                ops.pad(frames[:, :, i * self.shift : (i + 1) * self.shift], ((0, 0), (i, parts - 1 - i), (0, 0)))
                for i in range(parts)
            ]
            total = found[0]
            for part in found[1:]:
                total = total + part
            return ops.reshape(total, (ops.shape(frames)[0], -1))

        def compute_output_shape(self, input_shape):
            batch, time, length = input_shape
            return batch, None if time is None else (time - 1) * self.shift + length

    return Spectrum, Frames, InstantLayerNormalization, OverlapAdd


def dtln(k, block=512, shift=128, units=128, encoded=256, time=None):
    """DTLN whole: Westhausen and Meyer (2020), https://arxiv.org/abs/2005.07551; from frames to clean samples."""
    layers = k.layers
    Spectrum, Frames, InstantLayerNormalization, OverlapAdd = dtln_layers(k)

    def core(x, width):
        """A mask for `x` from two LSTMs."""
        y = x
        for _ in range(2):
            y = layers.Dropout(0.25)(layers.LSTM(units, return_sequences=True)(y))
        return layers.Dense(width, activation="sigmoid")(y)

    frames = layers.Input((time, block))
    magnitude, phase = Spectrum()(frames)
    mask = core(InstantLayerNormalization()(magnitude), block // 2 + 1)
    y = Frames()(layers.Multiply()([magnitude, mask]), phase)
    features = layers.Conv1D(encoded, 1, use_bias=False)(y)
    mask = core(InstantLayerNormalization()(features), encoded)
    decoded = layers.Conv1D(block, 1, padding="causal", use_bias=False)(layers.Multiply()([features, mask]))
    return k.Model(frames, OverlapAdd(shift)(decoded))


# ---- all of them -----------------------------------------------------------------------------------------------------


def floats(*shape):
    return lambda rng, batch: [rng.standard_normal((batch, *shape)).astype("float32")]


def ids(*limits_and_shapes):
    return lambda rng, batch: [
        rng.integers(1, limit, (batch, *shape)).astype("int32") for limit, shape in limits_and_shapes
    ]


MODELS = {
    "TCN": Published(tcn, floats(300, 1)),
    "CNN-LSTM": Published(sensor_windows, floats(128, 9)),
    "BiLSTM-CNN tagger": Published(tagger, ids((500, (12,)), (80, (12, 20)))),
    "GuitarLSTM": Published(guitar_lstm, floats(150, 1)),
    "WaveNet": Published(wavenet, floats(200, 256)),
    "DeepMoji": Published(deep_moji, ids((500, (30,)))),
    "transformer": Published(transformer, ids((300, (20,)), (300, (15,)))),
    "DTLN": Published(dtln, floats(20, 512)),
}


def random_weights(model, seed=0):
    """Weights that make every part count: those that Keras begins with, and noise where they are zeros or ones."""
    rng = np.random.default_rng(seed)
    found = model.get_weights()
    return [w if np.ptp(w) else w + (0.1 * rng.standard_normal(w.shape)).astype(w.dtype) for w in found]

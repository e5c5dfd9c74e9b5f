"""An LSTM cell with layer normalization, a user's own in RNN: traced, beside Keras and NumPy."""

import numpy as np
import pytest
from gradient_check import check_gradients

import fastseq
from fastseq.layers import traced_calls

B, T, N, UNITS = 3, 6, 4, 5


def cell_of(library):
    """The cell with the `ops` and `layers` of one library."""
    layers, ops = library.layers, library.ops

    class NormalizedLSTMCell(layers.Layer):
        """Both products and the new state are normalized, each with a gain and, the state, a shift of its own."""

        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = self.output_size = units
            self.state_size = [units, units]

        def build(self, input_shape):
            wide = 4 * self.units
            self.kernel = self.add_weight(shape=(input_shape[-1], wide), name="kernel")
            self.recurrent_kernel = self.add_weight(shape=(self.units, wide), name="recurrent_kernel")
            self.bias = self.add_weight(shape=(wide,), initializer="zeros", name="bias")
            self.gains = [self.add_weight(shape=(size,), initializer="ones", name=f"gain_{i}")
                          for i, size in enumerate((wide, wide, self.units))]  # fmt: skip
            self.shift = self.add_weight(shape=(self.units,), initializer="zeros", name="shift")
            self.built = True

        def normalized(self, x, which):
            centered = x - ops.mean(x, axis=-1, keepdims=True)
            variance = ops.mean(ops.square(centered), axis=-1, keepdims=True)
            return centered * ops.rsqrt(variance + 1e-3) * self.gains[which]

        def call(self, inputs, states, training=None):
            h, c = states
            sums = self.normalized(ops.matmul(inputs, self.kernel), 0)
            sums = sums + self.normalized(ops.matmul(h, self.recurrent_kernel), 1) + self.bias
            i, f, g, o = ops.split(sums, 4, axis=-1)
            c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
            h = ops.sigmoid(o) * ops.tanh(self.normalized(c, 2) + self.shift)
            return h, [h, c]

    return NormalizedLSTMCell


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("f")


def weights_of(model):
    return [draw(*w.shape, seed=i) * 0.5 for i, w in enumerate(model.get_weights())]


def model_of(library, masked=False, **options):
    layers = library.layers
    x = start = layers.Input((T, N))
    x = layers.Masking()(x) if masked else x
    model = library.Model(start, layers.RNN(cell_of(library)(UNITS), **options)(x))
    model.set_weights(weights_of(model))
    return model


def by_numpy(x, weights):
    """All outputs of the cell for x (B, T, N), in float64."""
    kernel, recurrent, bias, g0, g1, g2, shift = (w.astype(np.float64) for w in weights)

    def normalized(a, gain):
        return (a - a.mean(-1, keepdims=True)) / np.sqrt(a.var(-1, keepdims=True) + 1e-3) * gain

    def sigmoid(a):
        return 1 / (1 + np.exp(-a))

    h = c = np.zeros((len(x), UNITS))
    found = []
    for row in x.astype(np.float64).swapaxes(0, 1):
        i, f, g, o = np.split(normalized(row @ kernel, g0) + normalized(h @ recurrent, g1) + bias, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(normalized(c, g2) + shift)
        found.append(h)
    return np.stack(found, 1)


def steps_of(model, x):
    return model._programs.program(model, {"inputs": x}).steps


def test_as_numpy_in_one_native_loop_alone_in_a_batch_and_in_a_stream():
    model, x = model_of(fastseq, return_sequences=True), draw(B, T, N)
    whole = model(x)
    np.testing.assert_allclose(whole, by_numpy(x, model.get_weights()), rtol=2e-5, atol=2e-6)
    steps = steps_of(model, x)
    assert not any(step["op"] is None for step in steps), traced_calls.untraced(model.layers[-1])
    assert [("loop" in step) for step in steps if step["op"] in ("dense", "matmul")] == [False, True]
    np.testing.assert_array_equal(model(x[1:2])[0], whole[1])
    stream = model.stream(B)
    np.testing.assert_array_equal(np.stack([stream.step(x[:, t]) for t in range(T)], axis=1), whole)


@pytest.mark.tensorflow
@pytest.mark.parametrize("options", [{}, {"return_sequences": True, "go_backwards": True}], ids=str)
@pytest.mark.parametrize("masked", [False, True])
def test_as_keras(masked, options):
    keras = pytest.importorskip("keras")
    x = draw(B, T, N)
    x[1, 3:] = 0
    own, theirs = (model_of(library, masked, **options) for library in (fastseq, keras))
    np.testing.assert_allclose(own.predict(x, verbose=0), theirs.predict(x, verbose=0), rtol=2e-5, atol=2e-6)
    assert not any(step["op"] is None for step in steps_of(own, x))


@pytest.mark.tensorflow
def test_gradients_as_the_tape():
    keras = pytest.importorskip("keras")

    def make(layers, model):
        start = layers.Input((T, N))
        library = fastseq if layers is fastseq.layers else keras
        return model(start, layers.Dense(2)(layers.RNN(cell_of(library)(UNITS))(start)))

    check_gradients(make, draw(B, T, N), draw(B, 2, seed=1))


@pytest.mark.tensorflow
def test_it_trains_as_keras():
    keras = pytest.importorskip("keras")
    x, y = draw(8, T, N), draw(8, UNITS, seed=1)
    histories = []
    for library in (fastseq, keras):
        model = model_of(library)
        model.compile("sgd", "mse")
        histories.append(model.fit(x, y, epochs=4, batch_size=8, shuffle=False, verbose=0).history["loss"])
    assert histories[0] == pytest.approx(histories[1], rel=2e-5)

"""A user's own Python layers in training: backward() gives the gradients of their inputs and of their weights."""

import numpy as np
import pytest
from gradient_check import check_gradients

import fastseq
from fastseq import layers
from fastseq.errors import UnsupportedError
from fastseq.training.program import gradients_of

B, T, N = 5, 7, 3


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("f")


class Gain(layers.Layer):
    """tanh(x * gain + shift), over the last axis."""

    def build(self, input_shape):
        self.gain = self.add_weight((input_shape[-1],), name="gain")
        self.shift = self.add_weight((input_shape[-1],), name="shift")

    def call(self, x):
        return np.tanh(x * self.gain.numpy() + self.shift.numpy())

    def backward(self, gradient, x):
        inside = gradient * (1 - self.call(x) ** 2)
        rows = inside.reshape(-1, x.shape[-1])
        return [inside * self.gain.numpy(), (rows * x.reshape(rows.shape)).sum(0), rows.sum(0)]


def _theirs(library):
    """Keras's layer that computes the same of the same weights."""
    return library.EinsumDense("...c,c->...c", N, activation="tanh", bias_axes="c")


@pytest.mark.tensorflow
@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("wrapped", [False, True])
def test_weights_as_the_tape(before, wrapped):
    pytest.importorskip("keras")

    def make(library, model):
        x = start = library.Input((T, N))
        x = library.Dense(N)(x) if before else x
        own = Gain() if library is layers else _theirs(library)
        x = library.TimeDistributed(own)(x) if wrapped else own(x)
        return model(start, library.Dense(2)(x))

    check_gradients(make, draw(B, T, N), draw(B, T, 2, seed=1))


@pytest.mark.tensorflow
def test_called_twice_as_the_tape():
    pytest.importorskip("keras")

    def make(library, model):
        x = library.Input((N,))
        own = Gain() if library is layers else _theirs(library)
        return model(x, own(library.Dense(N)(own(x))))

    check_gradients(make, draw(B, N), draw(B, N, seed=1))


class Inside(layers.Layer):
    """A layer of layers: x + dense(x), whose weights are the inner layer's."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(N)

    def build(self, input_shape):
        self.dense.build(input_shape)

    def call(self, x):
        return x + self.dense(x)

    def backward(self, gradient, x):
        kernel = self.dense.kernel.numpy()
        return gradient + gradient @ kernel.T, x.T @ gradient, gradient.sum(0)


@pytest.mark.tensorflow
def test_weights_of_sublayers():
    pytest.importorskip("keras")

    def make(library, model):
        x = library.Input((N,))
        if library is layers:
            return model(x, Inside()(library.Dense(N)(x)))
        y = library.Dense(N)(x)
        return model(x, library.Add()([y, library.Dense(N)(y)]))

    check_gradients(make, draw(B, N), draw(B, N, seed=1))


def test_a_layer_that_is_not_trainable_gives_the_gradients_of_its_inputs():
    class Fixed(Gain):
        def backward(self, gradient, x):
            return super().backward(gradient, x)[0]

    model = fastseq.Sequential([layers.Dense(N), Fixed(trainable=False), layers.Dense(2)])
    trained = fastseq.Sequential([layers.Dense(N), Gain(), layers.Dense(2)])
    x, y = draw(B, N), draw(B, 2, seed=1)
    for both in (model, trained):
        both(x)
        for number, layer in enumerate(both.layers):
            layer.set_weights([draw(*weight.shape, seed=number) for weight in layer.weights])
    _, found = gradients_of(model, x, y, "mse")
    _, all_of_them = gradients_of(trained, x, y, "mse")
    assert len(found) == 4 and len(all_of_them) == 6
    for ours, expected in zip(found, all_of_them[:2] + all_of_them[4:]):
        np.testing.assert_array_equal(ours, expected)


def test_fit_reads_the_weights_anew():
    """Two steps of SGD by hand, from the gradients at the weights of each."""
    model = fastseq.Sequential([Gain()])
    x, y = draw(B, N), np.tanh(draw(B, N, seed=1))
    model(x)
    model.set_weights([draw(N, seed=2), draw(N, seed=3)])
    expected = model.get_weights()
    model.compile(fastseq.optimizers.SGD(0.5), "mse")
    for _ in range(2):
        value = np.tanh(x * expected[0] + expected[1])
        inside = 2 * (value - y) / y.size * (1 - value**2)
        expected = [expected[0] - 0.5 * (inside * x).sum(0), expected[1] - 0.5 * inside.sum(0)]
        model.train_on_batch(x, y)
        for found, wanted in zip(model.get_weights(), expected):
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_gradients_that_are_missing_raise():
    class Short(Gain):
        def backward(self, gradient, x):
            return gradient * self.gain.numpy()

    model = fastseq.Sequential([layers.Dense(N), Short(name="short")])
    with pytest.raises(ValueError, match=r"'short'.*backward\(\) gave .*\(5, 3\).*trainable weights.*\(3,\), \(3,\)"):
        gradients_of(model, draw(B, N), draw(B, N), "mse")


def test_weights_without_backward_raise():
    class Mute(Gain):
        backward = None
        traced = False

    model = fastseq.Sequential([Mute(name="mute")])
    with pytest.raises(UnsupportedError, match="mute/gain, mute/shift"):
        gradients_of(model, draw(B, N), draw(B, N), "mse")


class PythonCell(layers.Layer):
    state_size = 2
    traced = False

    def call(self, x, states):
        return states[0], [states[0] + x[:, :2]]


@pytest.mark.parametrize("wrap", [lambda layer: layer, layers.Bidirectional], ids=["alone", "bidirectional"])
def test_a_cell_in_python_raises(wrap):
    model = fastseq.Sequential([layers.Dense(N), wrap(layers.RNN(PythonCell(), name="walk")), layers.Dense(1)])
    with pytest.raises(UnsupportedError, match="walk"):
        gradients_of(model, draw(B, T, N), draw(B, 1), "mse")


def test_a_weight_that_a_traced_call_leaves_out_is_warned_of_and_stays():
    """As in Keras. Of a layer that runs in Python nothing is known, so that it raises."""

    class LeavesOut(layers.Layer):
        def build(self, input_shape):
            self.read = self.add_weight((N,), "ones", name="read")
            self.left = self.add_weight((N,), "ones", name="left")

        def call(self, x):
            return x * self.read

    inputs = layers.Input((N,))
    layer = LeavesOut(name="own")
    model = fastseq.Model(inputs, layer(inputs))
    model.compile("sgd", "mse")
    x, y = draw(B, N), draw(B, N, seed=1)
    with pytest.warns(UserWarning, match=r"Gradients do not exist for variables \['own/left'\]"):
        model.fit(x, y, verbose=0)
    read, left = layer.get_weights()
    assert (read != 1).all() and (left == 1).all()

    LeavesOut.traced = False
    inputs = layers.Input((N,))
    model = fastseq.Model(inputs, LeavesOut(name="own")(inputs))
    model.compile("sgd", "mse")
    with pytest.raises(UnsupportedError, match="no gradient is known of its weights own/read, own/left"):
        model.fit(x, y, verbose=0)

"""Subclasses of native layers that override `call`: it runs alone, in models, in training, and super().call() in it."""

import copy

import numpy as np
import pytest
from own_layers import B, N, T, draw, has_python

import fastseq
from fastseq import layers
from fastseq.layers.traced_calls import untraced


class Doubled(layers.Dense):
    def call(self, x):
        return super().call(x) * 2


class Named(layers.Dense):
    """The argument has the native layer's name, and the values are asked for."""

    def call(self, inputs):
        return super().call(inputs) * (2 if float(inputs.sum()) > -1e9 else 3)


class Residual(layers.LSTM):
    def call(self, sequences, initial_state=None, mask=None, training=False):
        return sequences + super().call(sequences, mask=mask, training=training)


@pytest.mark.parametrize("cls", [Doubled, Named])
def test_alone_and_in_a_model(cls):
    layer, x = cls(3), draw(B, N)
    model = fastseq.Sequential([fastseq.Input((N,)), layer])
    expected = 2 * (x @ layer.kernel.numpy() + layer.bias.numpy())
    for _ in range(2):
        np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(layer(x), expected, rtol=1e-5, atol=1e-6)
    assert has_python(model, x) == (cls is Named) == (untraced(layer) is not None)
    layer.kernel.assign(np.zeros((N, 3)))
    np.testing.assert_array_equal(model(x), np.zeros((B, 3)))
    np.testing.assert_array_equal(layer(x), np.zeros((B, 3)))


def test_copies_have_base_calls_of_their_own():
    layer, x = Doubled(3), draw(B, N)
    before = layer(x)
    for made in (copy.copy(layer), copy.deepcopy(layer)):
        np.testing.assert_array_equal(made(x), before)
    copied = copy.deepcopy(layer)
    layer.kernel.assign(np.zeros((N, 3)))
    np.testing.assert_array_equal(copied(x), before)


def test_training_as_of_the_layers_it_is_made_of():
    x, y, found = draw(8, T, N), draw(8, T, N, seed=1), []
    x[2, 3:] = 0
    start = fastseq.Input((T, N))
    masked = layers.Masking()(start)
    for made in (
        Residual(N, return_sequences=True)(masked),
        layers.Add()([masked, layers.LSTM(N, return_sequences=True)(masked)]),
    ):
        model = fastseq.Model(start, made)
        model.set_weights([draw(*w.shape, seed=i) for i, w in enumerate(model.get_weights())])
        model.compile("sgd", "mse")
        found.append((model.predict(x, verbose=0), model.fit(x, y, epochs=3, verbose=0).history["loss"]))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    assert found[0][1][0] == pytest.approx(found[1][1][0], rel=1e-6)
    assert found[0][1][-1] < found[0][1][0]


def test_a_functional_model_whose_class_overrides_call():
    class Scaled(fastseq.Model):
        def call(self, inputs, training=None, mask=None):
            return super().call(inputs) * 3.0

    start, x = fastseq.Input((N,)), draw(B, N)
    outputs = layers.Dense(2)(start)
    plain, scaled = fastseq.Model(start, outputs), Scaled(start, outputs)
    np.testing.assert_allclose(scaled.predict(x, verbose=0), 3 * plain.predict(x, verbose=0), rtol=1e-6)
    scaled.compile("sgd", "mse")
    before = scaled.get_weights()[0]
    scaled.fit(x, np.zeros((B, 2)), verbose=0)
    assert (scaled.get_weights()[0] != before).any()

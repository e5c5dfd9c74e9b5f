"""Attributes of layers that are set after building: honoured from the next call on, or refused with the reason."""

import numpy as np
import pytest

import fastseq
from fastseq import activations, layers

CHANGES = {
    "dense activation": (lambda: layers.Dense(3, activation="tanh"), "activation", None, {"activation": None}),
    "dense name": (lambda: layers.Dense(3), "activation", "tanh", {"activation": "tanh"}),
    "dense function": (lambda: layers.Dense(3), "activation", activations.relu, {"activation": "relu"}),
    "lstm activation": (lambda: layers.LSTM(3), "activation", None, {"activation": None}),
    "gru gates": (lambda: layers.GRU(3), "recurrent_activation", activations.relu, {"recurrent_activation": "relu"}),
    "sequences": (lambda: layers.LSTM(3), "return_sequences", True, {"return_sequences": True}),
    "backwards": (lambda: layers.SimpleRNN(3), "go_backwards", True, {"go_backwards": True}),
    "slope": (lambda: layers.LeakyReLU(), "negative_slope", 0.9, {"negative_slope": 0.9}),
    "softmax": (lambda: layers.Softmax(), "axis", 1, {"axis": 1}),
    "merge": (lambda: layers.Bidirectional(layers.GRU(3)), "merge_mode", "sum", {"merge_mode": "sum"}),
    "masking": (lambda: layers.Masking(), "mask_value", 0.25, {"mask_value": 0.25}),
    "other": (lambda: layers.Activation("relu"), "activation", activations.tanh, {"activation": "tanh"}),
}


def made(kind, **changes):
    layer = CHANGES[kind][0]()
    if not changes:
        return layer
    return type(layer).from_config({**layer.get_config(), **changes})


@pytest.mark.parametrize("kind", CHANGES)
def test_the_next_call_has_it(kind, rng):
    """By the short way of a call, in a model, in a stream where there is one, and in training."""
    _, name, value, changes = CHANGES[kind]
    x = rng.standard_normal((2, 3, 4)).astype("f")
    x[0, 1] = 0.25
    layer = made(kind)
    inputs = fastseq.Input((3, 4))
    model = fastseq.Model(inputs, layer(inputs))
    before = [np.asarray(run(x)) for run in (layer, layer, model, model)]
    setattr(layer, name, value)
    twin = made(kind, **changes)
    twin(x)
    twin.set_weights(layer.get_weights())
    wanted = np.asarray(twin(x))
    assert wanted.shape != before[0].shape or (wanted != before[0]).any()
    for run in (layer, layer, model, model):
        np.testing.assert_array_equal(np.asarray(run(x)), wanted)


def test_a_cell_inside_a_layer(rng):
    x = rng.standard_normal((2, 3, 4)).astype("f")
    layer = layers.RNN(layers.GRUCell(3))
    layer(x)
    before = layer(x)
    layer.cell.activation = activations.relu
    assert (layer(x) != before).any()


def test_streams_and_training_have_it(rng):
    x = rng.standard_normal((2, 3, 4)).astype("f")
    dense = layers.Dense(3, activation="tanh")
    model = fastseq.Sequential([fastseq.Input((None, 4)), dense])
    stream = model.stream(2)
    stream.step(x[:, 0])
    model.compile("sgd", "mse")
    y = np.zeros((2, 3, 3), "f")
    model.test_on_batch(x, y)
    model.train_on_batch(x, y)
    dense.activation = None
    plain = x @ dense.kernel.numpy() + dense.bias.numpy()
    np.testing.assert_allclose(stream.step(x[:, 1]), plain[:, 1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.test_on_batch(x, y), np.mean(plain**2), rtol=1e-5)
    np.testing.assert_allclose(model.train_on_batch(x, y), np.mean(plain**2), rtol=1e-5)


def test_a_rate_of_dropout():
    layer, x = layers.Dropout(0.9, seed=1), np.ones((40, 40), "f")
    layer(x, training=True)
    layer.rate = 0.0
    np.testing.assert_array_equal(layer(x, training=True), x)


def test_a_layer_that_becomes_stateful(rng):
    """Keras fails there, for the layer was built without states; here it makes them when it is called."""
    x = rng.standard_normal((2, 3, 4)).astype("f")
    layer = layers.LSTM(3)
    first = layer(x)
    layer.stateful = True
    np.testing.assert_array_equal(layer(x), first)
    assert (layer(x) != first).any()
    layer.stateful = False
    np.testing.assert_array_equal(layer(x), first)


@pytest.mark.parametrize(
    ("layer", "name", "value"),
    [
        (layers.LSTM(3), "units", 4), (layers.LSTM(3), "use_bias", False), (layers.GRU(3), "reset_after", False),
        (layers.Dense(3), "units", 4), (layers.Dense(3), "use_bias", False),
        (layers.Dense(3), "kernel", np.ones((4, 3))), (layers.LSTM(3), "recurrent_kernel", 1),
    ],
)  # fmt: skip
def test_what_the_weights_were_made_for_stays(layer, name, value):
    x = np.ones((2, 3, 4), "f")
    wanted = layer(x)
    with pytest.raises(AttributeError, match=f"{layer.name}.*{name}"):
        setattr(layer, name, value)
    np.testing.assert_array_equal(layer(x), wanted)


def test_attributes_of_layers_in_python_make_no_program_anew():
    """A call() that counts itself: its program stays, and reads what it is set to."""

    class Counts(layers.Layer):
        count = 0

        def call(self, inputs):
            self.count += 1
            return np.asarray(inputs) * self.count

    layer, inputs = Counts(), fastseq.Input((2,))
    model, x = fastseq.Model(inputs, layer(inputs)), np.ones((1, 2), "f")
    model(x)
    made_before, count = model._programs.epoch, layer.count
    assert model(x)[0, 0] == count + 1 and model._programs.epoch == made_before


@pytest.mark.parametrize("cell", ["LSTM", "GRU", "SimpleRNN"])
def test_unroll_takes_any_number_of_timesteps(cell, rng):
    """As Keras 3.15, where it changes nothing; Keras 2 raised."""
    x = rng.standard_normal((2, 5, 4)).astype("f")
    for wrap in (lambda layer: layer, layers.Bidirectional):
        layer = wrap(getattr(layers, cell)(3, unroll=True, return_sequences=True))
        inputs = fastseq.Input((None, 4))
        outputs = layer(inputs)
        assert outputs.shape[:2] == (None, None)
        model = fastseq.Model(inputs, outputs)
        for steps in (1, 5):
            np.testing.assert_array_equal(model(x[:, :steps]), layer(x[:, :steps]))
        again = fastseq.Model.from_config(model.get_config())
        again.set_weights(model.get_weights())
        np.testing.assert_array_equal(again(x), model(x))
    assert layers.RNN(layers.GRUCell(3), unroll=True)(fastseq.Input((None, 4))).shape == (None, 3)

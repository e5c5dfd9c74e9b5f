"""A user's own layers that are traced, in models: gradients, masks, training, copies and threads."""

import copy
import pickle
import threading

import numpy as np
import pytest
from own_layers import B, Gain, N, T, draw, has_python

import fastseq
from fastseq import layers, ops
from fastseq.layers.traced_calls import untraced
from fastseq.training.program import gradients_of

# ---- gradients -------------------------------------------------------------------------------------------------------


def test_gradients_as_by_a_backward_of_its_own():
    class WithBackward(Gain):
        def backward(self, gradient, x):
            inside = gradient * (1 - np.tanh(x * self.gain.numpy()) ** 2)
            return [inside * self.gain.numpy(), (inside * x).reshape(-1, x.shape[-1]).sum(0)]

    x, y, found = draw(B, T, N), draw(B, T, 2, seed=1), []
    start = [draw(N, N, seed=2), draw(N, seed=3), draw(N, seed=4), draw(N, 2, seed=5), draw(2, seed=6)]
    for cls in (Gain, WithBackward):
        model = fastseq.Sequential([fastseq.Input((T, N)), layers.Dense(N), cls(), layers.Dense(2)])
        model.set_weights(start)
        found.append(gradients_of(model, x, y, "mse"))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-6)
    for mine, theirs in zip(found[0][1], found[1][1]):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)


def test_frozen_weights_stay():
    layer = Gain()
    model = fastseq.Sequential([fastseq.Input((N,)), layer, layers.Dense(1)])
    layer.trainable = False
    model.compile("sgd", "mse")
    model.fit(draw(8, N), draw(8, 1), verbose=0)
    np.testing.assert_array_equal(layer.gain.numpy(), np.ones(N))
    layer.trainable = True
    layer.gain.trainable = True
    model.compile("sgd", "mse")
    model.fit(draw(8, N), draw(8, 1), verbose=0)
    assert (layer.gain.numpy() != 1).any()


# ---- masks and training ----------------------------------------------------------------------------------------------


class Masked(layers.Layer):
    """Zeros where the mask does not hold; its own mask drops the first timestep too."""

    supports_masking = True

    def call(self, x, mask=None):
        return x if mask is None else x * ops.expand_dims(ops.cast(mask, "float32"), -1)

    def compute_mask(self, inputs, mask=None):
        found = ops.any(ops.not_equal(inputs, 0.0), axis=-1)
        return found if mask is None else ops.logical_and(found, mask)


def test_masks_reach_a_traced_call_and_come_from_it():
    x = draw(B, T, N)
    x[0, 1], x[2, 3:] = 0, 0
    model = fastseq.Sequential([fastseq.Input((T, N)), layers.Masking(), Masked(name="own"), layers.LSTM(2)])
    twin = fastseq.Sequential([fastseq.Input((T, N)), layers.Masking(), layers.LSTM(2)])
    twin.set_weights(model.get_weights())
    np.testing.assert_array_equal(model(x), twin(x))
    assert not has_python(model, x)
    alone = Masked()
    found = alone(layers.Masking()(x))
    np.testing.assert_array_equal(found._keras_mask, np.any(x != 0, axis=-1))
    assert not has_python(alone, x) and untraced(alone) is None


def test_a_mask_that_is_not_traced_comes_from_python():
    class Own(Masked):
        def compute_mask(self, inputs, mask=None):
            return np.asarray(inputs).any(axis=-1)

    x = draw(B, T, N)
    x[0, 1] = 0
    layer = Own()
    np.testing.assert_array_equal(layer(x)._keras_mask, x.any(axis=-1))
    assert "compute_mask() is not traced" in untraced(layer)
    model = fastseq.Sequential([fastseq.Input((T, N)), layer, layers.LSTM(2)])
    twin = fastseq.Sequential([fastseq.Input((T, N)), layers.Masking(), layers.LSTM(2)])
    twin.set_weights(model.get_weights())
    np.testing.assert_array_equal(model(x), twin(x))


def test_training_reaches_a_traced_call():
    class Own(layers.Layer):
        def call(self, x, training=False):
            return x * 2 if training else x

    layer, x = Own(), draw(B, N)
    np.testing.assert_array_equal(layer(x), x)
    np.testing.assert_array_equal(layer(x, training=True), 2 * x)
    np.testing.assert_array_equal(layer(x, training=False), x)
    assert untraced(layer) is None and len(layer._programs) == 3


def test_dropout_inside_draws_as_beside():
    class Own(layers.Layer):
        def __init__(self):
            super().__init__()
            self.dropout = layers.Dropout(0.5, seed=3)

        def call(self, x, training=False):
            return self.dropout(x, training=training)

    x, own, twin = np.ones((B, 50), "f"), Own(), layers.Dropout(0.5, seed=3)
    for _ in range(3):
        np.testing.assert_array_equal(own(x, training=True), twin(x, training=True))
    assert untraced(own) is None


def test_penalties_and_losses_of_a_traced_call():
    layer, x = Gain(activity_regularizer="l2"), draw(B, N)
    layer(x)
    assert untraced(layer) is None
    assert layer.losses[0] == pytest.approx(0.01 * (np.tanh(x) ** 2).sum() / B, rel=1e-5)


# ---- copies and threads ----------------------------------------------------------------------------------------------


def test_copies_are_traced_by_themselves():
    layer, x = Gain(), draw(B, N)
    layer(x)
    copied = copy.deepcopy(layer)
    layer.factor = 3.0
    layer.gain.assign(np.zeros(N))
    np.testing.assert_allclose(copied(x), np.tanh(x), rtol=1e-6)
    assert untraced(copied) is None


def test_a_pickle_is_traced():
    fastseq.saving.register_keras_serializable("tests")(Gain)
    model = fastseq.Sequential([fastseq.Input((N,)), Gain(), layers.Dense(2)])
    x = draw(B, N)
    before = model(x)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again(x), before)
    assert not has_python(again, x)
    cloned = fastseq.models.clone_model(model)
    cloned.set_weights(model.get_weights())
    np.testing.assert_array_equal(cloned(x), before)


def test_threads_see_one_value_of_an_attribute():
    layer, x = Gain(), draw(B, N)
    layer(x)
    allowed = {np.float32(np.tanh(x[0, 0]) * 0 + factor) for factor in (1.0, 2.0)}
    base = layer(x)
    wrong, stop = [], threading.Event()

    def calls():
        while not stop.is_set():
            ratio = layer(x) / base
            if not any(np.all(ratio == value) for value in allowed):
                wrong.append(ratio)

    threads = [threading.Thread(target=calls) for _ in range(32)]
    for thread in threads:
        thread.start()
    for number in range(40):
        layer.factor = 1.0 + number % 2
    layer.factor = 2.0
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong
    np.testing.assert_array_equal(layer(x), 2 * base)
    assert untraced(layer) is None


def test_an_attribute_that_other_threads_set_while_a_call_is_traced():
    layer, x = Gain(), draw(B, N)
    layer.build((B, N))
    base, wrong, stop = np.tanh(x), [], threading.Event()

    def calls():
        while not stop.is_set():
            found = layer(x)
            if not any(np.allclose(found, factor * base, rtol=1e-5) for factor in (1.0, 2.0)):
                wrong.append(found)

    threads = [threading.Thread(target=calls) for _ in range(8)]
    for thread in threads:
        thread.start()
    for number in range(60):
        layer.factor = 1.0 + number % 2
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong and untraced(layer) is None
    np.testing.assert_allclose(layer(x), 2 * base, rtol=1e-5)


@pytest.mark.parametrize(
    "of", [lambda n: n, np.float32, lambda n: np.full((1, 1), n, "f")], ids=["int", "scalar", "array"]
)
def test_streams_refuse_what_computes_with_the_number_of_timesteps(rng, of):
    class ByTimesteps(layers.Layer):
        def call(self, inputs):
            return inputs * of(inputs.shape[1])

    inputs = fastseq.Input((None, 4))
    model = fastseq.Model(inputs, ByTimesteps()(inputs))
    for timesteps in (3, 5):
        x = rng.standard_normal((2, timesteps, 4)).astype("f")
        np.testing.assert_array_equal(model(x), x * np.float32(timesteps))
    with pytest.raises(ValueError, match="the number of timesteps"):
        model.stream(2)

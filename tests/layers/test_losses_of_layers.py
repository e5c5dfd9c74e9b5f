"""`losses` of layers and models, and `add_loss`, against Keras 3.15: entries, order, numbers, what training makes."""

from functools import partial

import numpy as np
import pytest

import fastseq


def _adding(keras):
    """Python layers for a library: name -> class."""
    sums = np if keras is fastseq else keras.ops

    class Adds(keras.layers.Layer):
        """The mean of its input's squares, and three more values; those in a list beside a list."""

        def call(self, x):
            self.add_loss(0.5 * sums.mean(x * x))
            self.add_loss([sums.sum(x), [0.1 * sums.ones((3,), "float32")]])
            return x

        def backward(self, gradient, x):
            return gradient

        def losses_backward(self, x):
            return x / np.float32(x.size) + 1

    class Inside(keras.layers.Layer):
        """Calls a penalized layer twice; its own loss stands between."""

        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.inner = keras.layers.Dense(4, activity_regularizer="l1", kernel_regularizer="l2")

        def build(self, shape):
            self.inner.build(shape)

        def call(self, x):
            y = self.inner(x)
            self.add_loss(sums.sum(y))
            return self.inner(y)

        def compute_output_shape(self, shape):
            return shape

    class Head(keras.layers.Layer):
        """Weights, and a loss that depends on input and weights."""

        def build(self, shape):
            self.gain = self.add_weight(shape=(shape[-1],), name="gain", regularizer="l1")

        def _gain(self):
            return self.gain.numpy() if keras is fastseq else self.gain

        def call(self, x):
            y = x * self._gain()
            self.add_loss(0.1 * sums.sum(y * y))
            return y

        def backward(self, gradient, x):
            return gradient * self._gain(), (gradient * x).reshape(-1, x.shape[-1]).sum(0)

        def losses_backward(self, x):
            by_y = np.float32(0.2) * x * self._gain()
            return self.backward(by_y, x)

    return {"adds": Adds, "inside": Inside, "head": Head}


def _options(keras):
    """(options of a penalized layer, options of a penalized recurrent one)."""
    r = keras.regularizers
    everything = {"activity_regularizer": r.L1L2(0.1, 0.3), "kernel_regularizer": "l2", "bias_regularizer": r.L1(0.5)}
    return everything, {**everything, "recurrent_regularizer": r.L2(0.2)}


def _stack(keras, *made):
    """A function that makes a model of the layers that these functions make."""
    return lambda: keras.Sequential([keras.Input((3, 4)), *(layer() for layer in made)])


def _timed(keras, *made):
    """The same for each timestep of a sequence of sequences."""
    return lambda: keras.Sequential([
        keras.Input((3, 2, 4)),
        keras.layers.TimeDistributed(
            keras.Sequential([keras.Input((2, 4)), *(layer() for layer in made)]), activity_regularizer="l2"
        ),
    ])  # fmt: skip


def _graphs(keras):
    k, (everything, recurrent) = keras.layers, _options(keras)

    def shared():
        x, dense = k.Input((3, 4)), k.Dense(4, **everything)
        return keras.Model(x, k.Add()([dense(dense(x)), k.Dense(4, activity_regularizer="l1")(x)]))

    def nested(times=1):
        x = k.Input((3, 4))
        inner = keras.Sequential([k.Input((3, 4)), k.Dense(4, **everything), k.Dense(4, activity_regularizer="l2")])
        y = x
        for _ in range(times):
            y = inner(y)
        return keras.Model(x, k.LSTM(2, **recurrent)(y))

    def frozen():
        model = _stack(keras, lambda: k.Dense(3, **everything), lambda: k.Dense(2, **everything))()
        model.layers[0].trainable = False
        return model

    def embedded():
        x = k.Input((3,), dtype="int32")
        return keras.Model(x, k.GRU(2)(k.Embedding(7, 3, embeddings_regularizer="l2", activity_regularizer="l1")(x)))

    return {
        "shared": shared,
        "nested": nested,
        "nested, called twice": lambda: nested(2),
        "frozen": frozen,
        "embedding": embedded,
    }


def _recurrent(keras):
    k, (_, recurrent), stack = keras.layers, _options(keras), partial(_stack, keras)
    sequences = {"return_sequences": True, **recurrent}
    cells = [lambda: k.LSTMCell(3, kernel_regularizer="l2"), lambda: k.GRUCell(2, recurrent_regularizer="l1")]
    return {
        "lstm": stack(k.Masking, lambda: k.LSTM(2, **sequences), lambda: k.GRU(3, **recurrent)),
        "simple": stack(lambda: k.SimpleRNN(2, **{**recurrent, "activity_regularizer": None})),
        "cells": stack(lambda: k.RNN([cell() for cell in cells], activity_regularizer="l2")),
        "bidirectional": stack(lambda: k.Bidirectional(k.LSTM(2, **sequences), activity_regularizer="l1")),
        "bidirectional, last": stack(lambda: k.Bidirectional(k.GRU(2, **recurrent), merge_mode="ave")),
        "bidirectional, masked": stack(k.Masking, lambda: k.Bidirectional(k.GRU(2, **sequences), merge_mode="mul")),
        "bidirectional, pair": stack(
            lambda: k.Bidirectional(
                k.LSTM(2, **sequences), backward_layer=k.GRU(3, go_backwards=True, return_sequences=True)
            )
        ),
    }


def _models(keras):
    """name -> function that makes the model."""
    k, (everything, recurrent), own = keras.layers, _options(keras), _adding(keras)
    stack, timed = partial(_stack, keras), partial(_timed, keras)
    return {
        "dense": stack(lambda: k.Dense(3, **everything)),
        "nothing": stack(lambda: k.Dense(3)),
        "identity": stack(lambda: k.Activation("linear", activity_regularizer="l1"), k.Flatten),
        "activity": stack(lambda: k.ActivityRegularization(0.25, 0.5), k.Flatten),
        "prelu": stack(lambda: k.PReLU(alpha_regularizer="l2", alpha_initializer="ones")),
        **_graphs(keras),
        **_recurrent(keras),
        "timesteps": timed(lambda: k.Dense(3, **everything), lambda: k.Dense(2, activity_regularizer="l1")),
        "timesteps of timesteps": timed(lambda: k.TimeDistributed(keras.Sequential([
            k.Input((4,)), k.Dense(3, **everything), k.Dense(2)])), lambda: k.LSTM(2, **recurrent)),
        "one layer's timesteps": stack(lambda: k.TimeDistributed(k.Dense(3, **everything), activity_regularizer="l1")),
        "adds": stack(lambda: k.Dense(4), own["adds"], lambda: k.Dense(2, **everything)),
        "adds, penalized": stack(lambda: own["adds"](activity_regularizer="l2"), k.Flatten),
        "adds twice": stack(own["adds"], k.Flatten, lambda: own["adds"](), lambda: k.Dense(2)),
        "adds in timesteps": timed(lambda: k.Dense(4, activity_regularizer="l1"), own["adds"]),
        "head": stack(lambda: k.Dense(4), own["head"], k.Flatten),
        "inside": stack(own["inside"], k.Flatten),
    }  # fmt: skip


NAMES = list(_models(fastseq))
# The layer of these that adds the loss defines no losses_backward.
NOT_TRAINED = ["inside"]


def _made(library, name):
    model = _models(library)[name]()
    model.set_weights([np.random.default_rng(i).standard_normal(w.shape) for i, w in enumerate(model.get_weights())])
    return model.input_shape[1:], model


def _batch(shape, rng):
    if len(shape) == 1:
        return rng.integers(0, 7, (5, *shape)).astype(np.int32)
    x = rng.standard_normal((5, *shape)).astype("f")
    x[1, 1:] = 0
    return x


def _numbers(losses):
    return [np.asarray(loss) for loss in losses]


def assert_same_losses(found, expected):
    found, expected = _numbers(found), _numbers(expected)
    assert [loss.shape for loss in found] == [loss.shape for loss in expected]
    assert all(loss.dtype == np.float32 for loss in found)
    for ours, theirs in zip(found, expected):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-6)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", NAMES)
def test_as_keras(name, rng):
    """After a call, after another, after one of a part, and for every layer."""
    keras = pytest.importorskip("keras")
    (shape, ours), (_, theirs) = _made(fastseq, name), _made(keras, name)
    assert_same_losses(ours.losses, theirs.losses)
    for x in (_batch(shape, rng), _batch(shape, rng)[:2]):
        ours(x), theirs(x)
        assert_same_losses(ours.losses, theirs.losses)
    assert [layer.name.rstrip("_0123456789") for layer in ours.layers] == [
        layer.name.rstrip("_0123456789") for layer in theirs.layers
    ]
    for mine, other in zip(ours.layers, theirs.layers):
        assert_same_losses(mine.losses, other.losses)
    x = _batch(shape, rng)
    for model in (ours, theirs):
        next(layer for layer in model.layers if type(layer).__name__ != "InputLayer")(x)
    assert_same_losses(ours.losses, theirs.losses)


@pytest.mark.filterwarnings("ignore:.*does not have any trainable weights")
@pytest.mark.tensorflow
@pytest.mark.parametrize("name", NAMES)
def test_the_loss_has_them(name, rng):
    """test_on_batch, evaluate, train_on_batch and the weights after it; `losses` as Keras's eager step leaves them."""
    keras = pytest.importorskip("keras")
    (shape, ours), (_, theirs) = _made(fastseq, name), _made(keras, name)
    x = _batch(shape, rng)
    y = rng.standard_normal(theirs(x).shape).astype("f")
    for library, model in ((fastseq, ours), (keras, theirs)):
        options = {"run_eagerly": True} if library is keras else {}
        model.compile(library.optimizers.SGD(0.1), "mse", **options)
    evaluated = [model.evaluate(x, y, batch_size=5, verbose=0) for model in (ours, theirs)]
    np.testing.assert_allclose(*evaluated, rtol=1e-5)
    if "masked" not in name:  # there the loss is a mean over what is not masked
        plain = np.mean((ours.predict(x, verbose=0) - y) ** 2)
        np.testing.assert_allclose(evaluated[0], plain + sum(loss.sum() for loss in _numbers(ours.losses)), rtol=1e-5)
    np.testing.assert_allclose(ours.test_on_batch(x, y), theirs.test_on_batch(x, y), rtol=1e-5)
    assert_same_losses(ours.losses, theirs.losses)
    if name in NOT_TRAINED:
        return
    for _ in range(2):
        np.testing.assert_allclose(ours.train_on_batch(x, y), theirs.train_on_batch(x, y), rtol=2e-5)
    for mine, other in zip(ours.get_weights(), theirs.get_weights()):
        np.testing.assert_allclose(mine, other, rtol=2e-5, atol=2e-5)
    assert_same_losses(ours.losses, theirs.losses)


@pytest.mark.tensorflow
def test_integers_as_keras():
    """The factors of an integer output's penalty are integers too."""
    keras = pytest.importorskip("keras")
    x = np.array([[1, -2], [3, 4]], np.int32)
    for kind, *factors in (("L1", 0.5), ("L1", 2.5), ("L2", 2.0), ("L1L2", 2.5, 0.5), ("L1L2", 0.25, 3.0)):
        layers = [library.layers.Identity() for library in (fastseq, keras)]
        for layer, library in zip(layers, (fastseq, keras)):
            layer.activity_regularizer = getattr(library.regularizers, kind)(*factors)
            assert layer(x).dtype == "int32"
        assert_same_losses(*(layer.losses for layer in layers))


@pytest.mark.tensorflow
def test_add_loss_outside_of_calls_as_keras(rng):
    """It stays until the next call of the layer or of a model around it; a functional model has none."""
    keras = pytest.importorskip("keras")
    x, found = rng.standard_normal((2, 3)).astype("f"), []
    for library in (fastseq, keras):
        array = np.asarray if library is fastseq else keras.ops.convert_to_tensor
        dense = library.layers.Dense(3, kernel_initializer="ones")
        model, other = library.Sequential([dense, library.layers.Dense(2)]), library.layers.Dense(3)
        counts = []
        for call in (dense, model, other, model):
            for _ in range(2):
                call(x)
            dense.add_loss([array(np.float32(1)), {"b": array(np.float32([2, 3])), "a": array(np.int32(4))}])
            model.add_loss(array(np.float32(5)))
            dense.add_loss([])
            numbers = [[float(np.sum(np.asarray(loss))) for loss in part.losses] for part in (model, dense)]
            call(x)
            counts.append((numbers, len(model.losses), len(dense.losses)))
        found.append(counts)
        functional = library.Model(inputs := library.Input((3,)), dense(inputs))
        with pytest.raises(NotImplementedError):
            functional.add_loss(array(np.float32(1)))
        for invalid in (1.0, None, "x", lambda: 1.0, inputs, [array(np.float32(1)), 2]):
            with pytest.raises(ValueError, match=r"can only be called from inside `build\(\)` or `call\(\)`"):
                dense.add_loss(invalid)
    assert found[0] == found[1]


@pytest.mark.tensorflow
def test_a_model_in_python_as_keras(rng):
    keras = pytest.importorskip("keras")
    x, found = rng.standard_normal((2, 3)).astype("f"), []
    for library in (fastseq, keras):
        sums = np if library is fastseq else keras.ops

        class Own(library.Model):
            def __init__(self, library=library):
                super().__init__()
                self.dense = library.layers.Dense(
                    3, kernel_initializer="ones", kernel_regularizer="l2", activity_regularizer="l1"
                )
                self.seen = None

            def call(self, x, sums=sums):
                y = self.dense(x)
                self.add_loss(sums.mean(y))
                self.seen = len(self.losses), len(self.dense.losses)
                return self.dense(y)

        model = Own()
        model(x), model.predict(x, verbose=0), model(x)
        found.append((model.losses, model.dense.losses, model.seen))
    assert found[0][2] == found[1][2] == (3, 2)
    for ours, theirs in zip(*(entry[:2] for entry in found)):
        assert_same_losses(ours, theirs)


@pytest.mark.filterwarnings("ignore:.*does not have any trainable weights")
@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["dense", "adds", "head", "activity", "prelu"])
def test_without_a_loss_of_compile_as_keras(name):
    """What layers add is a loss alone; labels are none, or there for metrics."""
    keras = pytest.importorskip("keras")
    found = []
    for library in (fastseq, keras):
        shape, model = _made(library, name)
        x = np.random.default_rng(7).standard_normal((4, *shape)).astype("f")
        model.compile(library.optimizers.SGD(0.01))
        numbers = [*model.fit(x, epochs=2, batch_size=2, shuffle=False, verbose=0).history["loss"]]
        numbers += [model.evaluate(x, verbose=0), model.train_on_batch(x), model.test_on_batch(x)]
        model.compile(library.optimizers.SGD(0.01), metrics=["mae"])
        numbers += model.evaluate(x, np.zeros_like(np.asarray(model.predict(x, verbose=0))), verbose=0)
        found.append((numbers, model.get_weights()))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=2e-5)
    for ours, theirs in zip(found[0][1], found[1][1]):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-5)

"""Users' layers written with `from fastseq import ops` against the same classes with `from keras import ops`."""

import guide_layers
import numpy as np
import pytest
from gradient_check import check_gradients

import fastseq
from fastseq import layers
from fastseq.layers.traced_calls import untraced
from fastseq.layers.walk import all_layers

keras = pytest.importorskip("keras")
pytestmark = pytest.mark.tensorflow
B, T = 3, 6
OWN, THEIRS = guide_layers.of(fastseq), guide_layers.of(keras)
NAMES = [name for name in vars(OWN) if name != "Time2Vec" or hasattr(fastseq.ops, "sin")]
#: Those whose output at a timestep is that timestep's alone.
STREAMED = {"Normalized", "Gated", "Time2Vec"}


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("f")


def model_of(name, library, model, masked=False):
    x = start = library.Input((T, guide_layers.UNITS))
    x = library.Masking()(x) if masked else x
    x = library.LSTM(guide_layers.UNITS, return_sequences=True)(x)
    x = getattr(OWN if library is layers else THEIRS, name)()(x)
    return model(start, library.Dense(2)(x))


def pair(name, masked=False):
    """The same model of both libraries, with the same weights."""
    theirs, own = (
        model_of(name, library, model, masked)
        for library, model in ((keras.layers, keras.Model), (layers, fastseq.Model))
    )
    own.set_weights([draw(*w.shape, seed=i) * 0.5 for i, w in enumerate(own.get_weights())])
    theirs.set_weights(own.get_weights())
    return own, theirs


def assert_traced(model, x):
    program = model._programs.program(model, {"inputs": x})
    assert not program.has_python, [untraced(layer) for layer in all_layers(model)]


@pytest.mark.parametrize("name", NAMES)
def test_numbers_and_no_python(name):
    own, theirs = pair(name)
    x = draw(B, T, guide_layers.UNITS)
    np.testing.assert_allclose(own.predict(x, verbose=0), theirs.predict(x, verbose=0), rtol=2e-5, atol=2e-6)
    assert_traced(own, x)
    np.testing.assert_array_equal(own(x[1:2])[0], own(x)[1])  # a row's bits do not depend on the batch
    alone = getattr(OWN, name)()
    np.testing.assert_array_equal(alone(x).shape[:1], (B,))
    assert untraced(alone) is None


@pytest.mark.parametrize("name", NAMES)
def test_gradients_as_the_tape(name):
    def make(library, model):
        return model_of(name, library, model)

    shape = model_of(name, layers, fastseq.Model).output_shape
    check_gradients(make, draw(B, T, guide_layers.UNITS), draw(B, *shape[1:], seed=1))


@pytest.mark.parametrize("name", NAMES)
def test_training_as_keras(name):
    own, theirs = pair(name)
    x, y = draw(8, T, guide_layers.UNITS), draw(8, *own.output_shape[1:], seed=1)
    histories = []
    for model in (own, theirs):
        model.compile("sgd", "mse")
        histories.append(model.fit(x, y, epochs=5, batch_size=8, shuffle=False, verbose=0).history["loss"])
    assert histories[0] == pytest.approx(histories[1], rel=2e-5)
    (program,) = own._trainer.train_step._programs.values()
    assert not program._program.has_python


def test_a_mask_reaches_pooled():
    own, theirs = pair("Pooled", masked=True)
    x = draw(B, T, guide_layers.UNITS)
    x[1, 3:] = 0
    np.testing.assert_allclose(own.predict(x, verbose=0), theirs.predict(x, verbose=0), rtol=2e-5, atol=2e-6)
    assert_traced(own, x)


@pytest.mark.parametrize("name", NAMES)
def test_streams_or_says_why_not(name):
    own, _ = pair(name)
    x = draw(1, T, guide_layers.UNITS)
    if name not in STREAMED:
        with pytest.raises(ValueError, match="cannot run in a stream"):
            own.stream()
        return
    stream = own.stream()
    np.testing.assert_array_equal(np.stack([stream.step(x[:, t]) for t in range(T)], axis=1), own(x))


def _functions(ops):
    def masked_loss(y_true, y_pred):
        there = ops.cast(ops.not_equal(y_true, 0.0), "float32")
        return ops.sum(ops.square(y_true - y_pred) * there, axis=-1) / ops.maximum(ops.sum(there, axis=-1), 1.0)

    return masked_loss


def _f1(library):
    ops = library.ops

    class F1(library.metrics.Metric):
        def __init__(self, name="f1", **kwargs):
            super().__init__(name=name, **kwargs)
            self.hits, self.claimed, self.actual = (
                self.add_weight(shape=(), initializer="zeros", name=n) for n in ("hits", "claimed", "actual")
            )

        def update_state(self, y_true, y_pred, sample_weight=None):
            truth, claimed = ops.cast(y_true > 0.5, "float32"), ops.cast(y_pred > 0.0, "float32")
            self.hits.assign_add(ops.sum(truth * claimed))
            self.claimed.assign_add(ops.sum(claimed))
            self.actual.assign_add(ops.sum(truth))

        def result(self):
            return 2 * self.hits / (self.claimed + self.actual + 1e-7)

    return F1()


def test_a_masked_loss_and_an_f1_metric():
    own, theirs = pair("Pooled")
    x, y = draw(20, T, guide_layers.UNITS), (draw(20, 2, seed=1) > 0).astype("f")
    histories = []
    for model, library in ((own, fastseq), (theirs, keras)):
        model.compile("sgd", _functions(library.ops), metrics=[_f1(library)])
        histories.append(model.fit(x, y, epochs=5, batch_size=5, shuffle=False, verbose=0).history)
    for name in ("loss", "f1"):
        assert histories[0][name] == pytest.approx(histories[1][name], rel=2e-5)
    (program,) = own._trainer.train_step._programs.values()
    assert not program._program.has_python

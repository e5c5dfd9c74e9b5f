"""Losses against Keras on TensorFlow: values, gradients by GradientTape, configs, and what `fit` makes of a softmax."""

import numpy as np
import pytest
from loss_cases import CASES, B, C, T, sample, weights_and_mask

from fastseq import losses
from fastseq.tensors import arrays

pytestmark = pytest.mark.tensorflow
keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")


def of_keras(loss, y_true, y_pred, weight, mask):
    tensor = tf.convert_to_tensor(y_pred)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        if mask is not None:
            tensor._keras_mask = tf.convert_to_tensor(mask)
        value = loss(y_true, tensor, weight)
    return value.numpy(), tape.gradient(value, tensor).numpy()


@pytest.mark.parametrize(("name", "arguments", "kind"), CASES)
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean", "sum", "mean_with_sample_weight"])
@pytest.mark.parametrize("leading", [(B,), (B, T)])
@pytest.mark.parametrize("which", ["", "weight", "mask", "weight mask"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_and_gradients(name, arguments, kind, reduction, leading, which, dtype):
    rng = np.random.default_rng(1)
    y_true, y_pred = sample(kind, rng, leading)
    y_pred = y_pred.astype(dtype)
    weight, mask = weights_and_mask(rng, leading, which)
    own = getattr(losses, name)(reduction=reduction, dtype=dtype, **arguments)
    other = getattr(keras.losses, name)(reduction=reduction, dtype=dtype, **arguments)
    expected, by_tape = of_keras(other, y_true, y_pred, weight, mask)
    value, gradient = own.value_and_gradient(y_true, y_pred, weight, mask)
    # In float64 Keras keeps some constants (clipping, weights) in float32.
    np.testing.assert_allclose(value, expected, rtol=2e-6)
    np.testing.assert_allclose(gradient, by_tape, rtol=2e-5, atol=2e-7)
    assert own(y_true, arrays.with_mask(y_pred, mask), weight) == pytest.approx(value, rel=1e-6)
    if reduction == "sum":
        separate = getattr(losses, name)(reduction="none", **arguments)(y_true, y_pred.astype("f"), weight)
        theirs = getattr(keras.losses, name)(reduction=None, **arguments)(y_true, y_pred.astype("f"), weight)
        np.testing.assert_allclose(separate, theirs.numpy(), rtol=5e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["CategoricalCrossentropy", "BinaryCrossentropy", "KLDivergence"])
def test_probabilities_beyond_the_limits(name):
    y_pred = np.array([[0.0, 1.0, 1e-8], [1e-7, 1 - 1e-7, 0.5], [1.0, 0.0, 0.0]], "f")
    y_true = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]], "f")
    own, other = getattr(losses, name)(), getattr(keras.losses, name)()
    expected, by_tape = of_keras(other, y_true, y_pred, None, None)
    value, gradient = own.value_and_gradient(y_true, y_pred)
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    np.testing.assert_allclose(gradient, by_tape, rtol=1e-5, atol=1e-6)
    if name == "CategoricalCrossentropy":
        own, other = losses.SparseCategoricalCrossentropy(), keras.losses.SparseCategoricalCrossentropy()
        expected, by_tape = of_keras(other, np.array([0, 1, 0]), y_pred, None, None)
        value, gradient = own.value_and_gradient([0, 1, 0], y_pred)
        np.testing.assert_allclose(value, expected, rtol=1e-6)
        np.testing.assert_allclose(gradient, by_tape, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("labels", [[[1, 1, 0]], [[0, 0, 0]], [[0.2, 0.1, 0.3]]])
def test_labels_whose_sum_is_not_one(labels):
    """TensorFlow's derivative by logits is that of labels with a sum of 1; a row of zeros is pulled to no class."""
    logits = np.array([[0.5, -1.0, 2.0]], "f")
    own = losses.CategoricalCrossentropy(from_logits=True).value_and_gradient(labels, logits)
    expected = of_keras(
        keras.losses.CategoricalCrossentropy(from_logits=True), np.array(labels, "f"), logits, None, None
    )
    np.testing.assert_allclose(own[0], expected[0], rtol=1e-6)
    np.testing.assert_allclose(own[1], expected[1], rtol=1e-6)


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_axis(axis, rng):
    logits = rng.standard_normal((B, C, C)).astype("f")
    labels = np.eye(C, dtype="f")[rng.integers(0, C, (B, C))]
    labels = np.moveaxis(labels, -1, axis)
    for name in ("CategoricalCrossentropy", "BinaryCrossentropy"):
        for from_logits in (True, False):
            y_pred = logits if from_logits else 1 / (1 + np.exp(-logits))
            arguments = {"axis": axis, "from_logits": from_logits}
            expected = of_keras(getattr(keras.losses, name)(**arguments), labels, y_pred, None, None)
            own = getattr(losses, name)(**arguments).value_and_gradient(labels, y_pred)
            np.testing.assert_allclose(own[0], expected[0], rtol=2e-6)
            np.testing.assert_allclose(own[1], expected[1], rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize("eagerly", [False, True])
@pytest.mark.parametrize(("tail", "loss", "from_logits"), [
    (lambda layers: layers.Dense(C, activation="softmax"), "CategoricalCrossentropy", True),
    (lambda layers: layers.Activation("softmax"), "SparseCategoricalCrossentropy", True),
    (lambda layers: layers.Softmax(), "CategoricalCrossentropy", True),
    (lambda layers: layers.Dense(C, activation="sigmoid"), "BinaryCrossentropy", True),
    (lambda layers: layers.TimeDistributed(layers.Dense(C, activation="softmax")), "CategoricalCrossentropy", False),
])  # fmt: skip
def test_fit_goes_on_from_the_logits(tail, loss, from_logits, eagerly, rng):
    """One step of SGD shows the gradient that Keras trains with; saturated outputs tell the two ways apart."""
    model = keras.Sequential([keras.layers.Input((T, C)), keras.layers.Dense(C, use_bias=False), tail(keras.layers)])
    model.layers[0].set_weights([60 * np.eye(C, dtype="f")])
    if model.layers[1].weights:
        model.layers[1].set_weights([np.eye(C, dtype="f"), np.zeros(C, "f")])
    x = np.eye(C, dtype="f")[rng.integers(0, C, (B, T))]
    classes = (x.argmax(-1) + 1) % C
    labels = classes if loss.startswith("Sparse") else np.eye(C, dtype="f")[classes]
    model.compile(keras.optimizers.SGD(1.0), getattr(keras.losses, loss)(), run_eagerly=eagerly)
    before = model.layers[0].get_weights()[0]
    reported = model.train_on_batch(x, labels)
    found = before - model.layers[0].get_weights()[0]
    logits = 60 * x
    own = getattr(losses, loss)()
    if from_logits:
        value, gradient = own.value_and_gradient_of_logits(labels, logits)
    else:
        p = np.exp(logits - logits.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        value, by_p = own.value_and_gradient(labels, p)
        gradient = p * (by_p - (p * by_p).sum(-1, keepdims=True))
    np.testing.assert_allclose(float(np.ravel(reported)[0]), value, rtol=1e-5)
    np.testing.assert_allclose(found, np.einsum("btk,btc->kc", x, gradient), rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize(("name", "arguments", "kind"), CASES)
def test_configs_go_both_ways(name, arguments, kind):
    own, other = getattr(losses, name)(**arguments), getattr(keras.losses, name)(**arguments)
    config = own.get_config()
    assert {key: value for key, value in config.items() if key != "delta"} == other.get_config()
    again = losses.get(keras.losses.serialize(other))
    assert type(again) is type(own) and {**again.get_config(), **arguments} == config
    assert type(keras.losses.get(losses.serialize(own))) is type(other)


def test_names_are_those_of_keras():
    for name, item in losses.ALL_OBJECTS_DICT.items():
        assert keras.losses.get(name) is not None if name not in ("Loss", "LossFunctionWrapper") else True
        assert item.__name__ == (getattr(keras.losses, item.__name__, item)).__name__
    with pytest.raises(ValueError, match="There are"):
        losses.get("log_cosh")

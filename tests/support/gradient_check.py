"""check_gradients: a model's loss and gradients against Keras's GradientTape, in float32 and in float64, and against
central differences of Keras's loss in float64."""

import numpy as np
from layer_check import EPS, random_weights, rms

import fastseq
from fastseq.training.program import gradients_of

STEP = 1e-5  # of central differences, times directions of about unit elements
SLOPE_ERROR = 1e-8  # of central differences in float64, of what a slope could be


def taped(make, x, y, loss, weights, dtype, ways=None):
    """(loss, gradients) of the model that Keras makes, in `dtype`, and its slope along `ways`.

    ways: None, or for each trainable weight an array of its shape: the slope is a central difference of the loss when
    all weights move along theirs at once. Weights without a gradient move by themselves, and must not change the loss.
    loss: the name of a class.
    """
    import keras
    import tensorflow as tf

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        model = make(keras.layers, keras.Model)
        given = [np.asarray(part) for part in (x if isinstance(x, list) else [x])]
        given = [part.astype(dtype) if part.dtype.kind == "f" else part for part in given]
        given = given if isinstance(x, list) else given[0]
        model.set_weights(weights)
        loss = getattr(keras.losses, loss)(dtype=dtype)
        labels = y.astype(dtype) if y.dtype.kind == "f" else y

        def value_of():
            value = loss(labels, model(given, training=True))
            return value + sum(model.losses) if model.losses else value

        with tf.GradientTape() as tape:
            value = value_of()
        found = tape.gradient(value, model.trainable_weights)
        slope = None
        if ways is not None:
            _assert_without_effect(value_of, value, model.trainable_weights, found, ways)
            slope = _slope(value_of, model.trainable_weights, ways)
    finally:
        keras.config.set_dtype_policy(before)
    dense = [gradient if gradient is None else tf.convert_to_tensor(gradient).numpy() for gradient in found]
    return float(value), dense, slope


def _slope(value_of, weights, ways):
    starts, ends = [weight.numpy() for weight in weights], []
    for sign in (1, -1):
        for weight, start, way in zip(weights, starts, ways, strict=True):
            weight.assign(start + sign * STEP * way)
        ends.append(float(value_of()))
    return (ends[0] - ends[1]) / (2 * STEP)


def _assert_without_effect(value_of, value, weights, gradients, ways):
    idle = [(weight, way) for weight, gradient, way in zip(weights, gradients, ways, strict=True) if gradient is None]
    for weight, way in idle:
        weight.assign_add(STEP * way)
    assert not idle or float(value_of()) == float(value), [weight.path for weight, _ in idle]


def check_gradients(make, x, y, loss="MeanSquaredError", seed=0):
    """make(layers, Model): the same model of either library; loss: the name of a class.

    Errors against float64 are at most 1.5 times those of TensorFlow, and along a random direction each gradient is held
    to 2e-5 of what it could be. That TensorFlow's float64 gradients are those of the loss, all of them together, is
    checked by a central difference, which is wrong in its tenth digit or so.
    """
    model = make(fastseq.layers, fastseq.Model)
    model(x)
    weights = random_weights([variable.shape for variable in model.weights], seed)
    model.set_weights(weights)
    found_loss, found = gradients_of(model, x, y, getattr(fastseq.losses, loss)())
    ways = [np.random.default_rng(seed + 1).standard_normal(variable.shape) for variable in model.trainable_weights]
    keras_loss, keras32, _ = taped(make, x, y, loss, weights, "float32")
    true_loss, truth, slope = taped(make, x, y, loss, weights, "float64", ways)
    assert abs(found_loss - true_loss) <= max(1.5 * abs(keras_loss - true_loss), 8 * EPS * abs(true_loss))
    assert len(found) == len(truth) == len(model.trainable_weights)
    along = lengths = 0.0
    for variable, own, theirs, true, way in zip(model.trainable_weights, found, keras32, truth, ways, strict=True):
        assert (own is None) == (true is None), variable.path
        if own is None:
            continue
        assert own.shape == true.shape == variable.shape and own.dtype == np.float32
        limit = max(1.5 * rms(theirs - true), 4 * EPS * np.abs(true).max(initial=0.0))
        assert rms(own - true) <= limit, f"{variable.path}: {rms(own - true):.3g}, TensorFlow {rms(theirs - true):.3g}"
        length = np.linalg.norm(way) * np.linalg.norm(true)
        assert abs(np.vdot(own - true, way)) <= 2e-5 * length + 1e-9, (variable.path, np.vdot(own - true, way))
        along, lengths = along + np.vdot(true, way), lengths + length
    assert abs(along - slope) <= SLOPE_ERROR * lengths + 1e-9, (along, slope)
    return model, found

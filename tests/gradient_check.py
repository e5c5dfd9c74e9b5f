"""check_gradients: a model's loss and gradients against Keras's GradientTape, in float32 and in float64, and against
central differences of Keras's loss in float64."""

import numpy as np
from layer_check import EPS, random_weights, rms

import fastseq
from fastseq.training.program import gradients_of

STEP = 1e-5  # of central differences, times directions of about unit elements


def taped(make, x, y, loss, weights, dtype, ways=None):
    """(loss, gradients) of the model that Keras makes, in `dtype`, and its slopes along `ways`.

    ways: None, or for each trainable weight an array of its shape: the slope is a central difference of the loss when
    that weight alone moves along it. loss: the name of a class.
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
        model(given)
        model.set_weights(weights)
        loss = getattr(keras.losses, loss)(dtype=dtype)
        labels = y.astype(dtype) if y.dtype.kind == "f" else y

        def value_of():
            value = loss(labels, model(given, training=True))
            return value + sum(model.losses) if model.losses else value

        with tf.GradientTape() as tape:
            value = value_of()
        found = tape.gradient(value, model.trainable_weights)
        slopes = [_slope(value_of, weight, way) for weight, way in zip(model.trainable_weights, ways or ())]
    finally:
        keras.config.set_dtype_policy(before)
    dense = [gradient if gradient is None else tf.convert_to_tensor(gradient).numpy() for gradient in found]
    return float(value), dense, slopes


def _slope(value_of, weight, way):
    start, ends = weight.numpy(), []
    for sign in (1, -1):
        weight.assign(start + sign * STEP * way)
        ends.append(float(value_of()))
    weight.assign(start)
    return (ends[0] - ends[1]) / (2 * STEP)


def check_gradients(make, x, y, loss="MeanSquaredError", seed=0):
    """make(layers, Model): the same model of either library; loss: the name of a class.

    Errors against float64 are at most 1.5 times those of TensorFlow. A central difference in float64 is wrong in its
    tenth digit or so; along a random direction the gradient is held to 2e-5 of what it could be.
    """
    model = make(fastseq.layers, fastseq.Model)
    model(x)
    weights = random_weights([variable.shape for variable in model.weights], seed)
    model.set_weights(weights)
    found_loss, found = gradients_of(model, x, y, getattr(fastseq.losses, loss)())
    ways = [np.random.default_rng(seed + 1).standard_normal(variable.shape) for variable in model.trainable_weights]
    keras_loss, keras32, _ = taped(make, x, y, loss, weights, "float32")
    true_loss, truth, slopes = taped(make, x, y, loss, weights, "float64", ways)
    assert abs(found_loss - true_loss) <= max(1.5 * abs(keras_loss - true_loss), 8 * EPS * abs(true_loss))
    assert len(found) == len(truth) == len(model.trainable_weights)
    rows = zip(model.trainable_weights, found, keras32, truth, ways, slopes, strict=True)
    for variable, own, theirs, true, way, slope in rows:
        assert (own is None) == (true is None), variable.path
        if own is None:
            assert slope == 0, variable.path
            continue
        assert own.shape == true.shape == variable.shape and own.dtype == np.float32
        limit = max(1.5 * rms(theirs - true), 4 * EPS * np.abs(true).max(initial=0.0))
        assert rms(own - true) <= limit, f"{variable.path}: {rms(own - true):.3g}, TensorFlow {rms(theirs - true):.3g}"
        length = np.linalg.norm(way) * np.linalg.norm(true)
        assert abs(np.vdot(own, way) - slope) <= 2e-5 * length + 1e-9, (variable.path, np.vdot(own, way), slope)
    return model, found

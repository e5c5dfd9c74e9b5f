"""check_gradients: a model's loss and gradients against Keras's GradientTape, in float32 and in float64."""

import numpy as np
from layer_check import EPS, random_weights, rms

import fastseq
from fastseq.training.program import gradients_of


def taped(make, x, y, loss, weights, dtype):
    """(loss, gradients) of the model that Keras makes, in `dtype`."""
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
        with tf.GradientTape() as tape:
            predicted = model(given, training=True)
            value = getattr(keras.losses, loss)(dtype=dtype)
            value = value(y.astype(dtype) if y.dtype.kind == "f" else y, predicted)
            value += sum(model.losses) if model.losses else 0.0
        found = tape.gradient(value, model.trainable_weights)
    finally:
        keras.config.set_dtype_policy(before)
    dense = [gradient if gradient is None else tf.convert_to_tensor(gradient).numpy() for gradient in found]
    return float(value), dense


def check_gradients(make, x, y, loss="MeanSquaredError", seed=0):
    """make(layers, Model): the same model of either library; loss: the name of a class.

    Errors against float64 are at most 1.5 times those of TensorFlow.
    """
    model = make(fastseq.layers, fastseq.Model)
    model(x)
    weights = random_weights([variable.shape for variable in model.weights], seed)
    model.set_weights(weights)
    found_loss, found = gradients_of(model, x, y, getattr(fastseq.losses, loss)())
    keras_loss, keras32 = taped(make, x, y, loss, weights, "float32")
    true_loss, truth = taped(make, x, y, loss, weights, "float64")
    assert abs(found_loss - true_loss) <= max(1.5 * abs(keras_loss - true_loss), 8 * EPS * abs(true_loss))
    assert len(found) == len(truth) == len(model.trainable_weights)
    for variable, own, theirs, true in zip(model.trainable_weights, found, keras32, truth):
        assert (own is None) == (true is None), variable.path
        if own is None:
            continue
        assert own.shape == true.shape == variable.shape and own.dtype == np.float32
        limit = max(1.5 * rms(theirs - true), 4 * EPS * np.abs(true).max(initial=0.0))
        assert rms(own - true) <= limit, f"{variable.path}: {rms(own - true):.3g}, TensorFlow {rms(theirs - true):.3g}"
    return model, found

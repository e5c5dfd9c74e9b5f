"""K.gradients and K.function: gradients in a graph, beside TensorFlow's GradientTape through the same Keras model."""

import numpy as np
import pytest

import fastseq
from fastseq import backend as K
from fastseq import layers as L

X = np.random.default_rng(0).normal(size=(4, 6, 3)).astype(np.float32)
IDS = np.array([[1, 2, 0, 0, 3, 1], [4, 4, 2, 1, 0, 0]], np.int32)


def recurrent(layers, model):
    x = layers.Input((6, 3))
    h = layers.LSTM(5, return_sequences=True, name="h")(x)
    y = layers.Dense(2, activation="softmax")(layers.Dropout(0.5)(layers.GRU(4)(h)))
    return model(x, y)


def masked(layers, model):
    x = layers.Input((6,), dtype="int32")
    e = layers.Embedding(5, 3, mask_zero=True, name="h")(x)
    return model(x, layers.Dense(2)(layers.Bidirectional(layers.SimpleRNN(4))(e)))


def branches(layers, model):
    x = layers.Input((6, 3))
    h = layers.Dense(4, activation="tanh", name="h")(x)
    joined = layers.Concatenate()([layers.Flatten()(h), layers.LSTM(3)(h), layers.Flatten()(x)])
    return model(x, layers.Dense(2, activation="sigmoid")(joined))


MODELS = {"recurrent": (recurrent, X), "masked": (masked, IDS), "branches": (branches, X)}


def taped(theirs, x, dtype="float32"):
    """The gradients of the first output by the input (float32 alone), the layer 'h' and its first weight."""
    import tensorflow as tf
    import tf_keras

    hidden = theirs.get_layer("h")
    above = tf_keras.Model(theirs.input, [hidden.output, theirs.output])
    x = tf.constant(x)
    with tf.GradientTape(persistent=True) as tape:
        if x.dtype == tf.float32:
            tape.watch(x)
        h, y = above(x)
        loss = tf.reduce_sum(y[:, 0])
    wanted = [tape.gradient(loss, value) for value in (x, h, hidden.weights[0]) if value.dtype == tf.float32]
    return y.numpy(), [tf.convert_to_tensor(gradient).numpy() for gradient in wanted]


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", MODELS)
def test_gradients_by_inputs_hidden_layers_and_weights(name, tmp_path):
    tf_keras = pytest.importorskip("tf_keras")
    build, x = MODELS[name]
    theirs = build(tf_keras.layers, tf_keras.Model)
    mine = build(L, fastseq.Model)
    mine.set_weights(theirs.get_weights())
    y, wanted = taped(theirs, x)
    hidden = mine.get_layer("h")
    variables = [v for v in (mine.input, hidden.output, hidden.weights[0]) if v.dtype == "float32"]
    found = K.gradients(mine.output[:, 0], variables)
    assert [tensor.shape for tensor in found] == [tuple(variable.shape) for variable in variables]
    values = K.function([mine.input], [mine.output, *found])([x])
    np.testing.assert_allclose(values[0], y, rtol=1e-5, atol=1e-6)
    for gradient, keras in zip(values[1:], wanted, strict=True):
        np.testing.assert_allclose(gradient, keras, rtol=1e-4, atol=1e-6)
    # The rest of the model is as before: its bits, and those of the same rows alone.
    np.testing.assert_array_equal(values[0], mine(x))
    alone = K.function([mine.input], found[:1])([x[:1]])[0]
    if name != "masked":
        np.testing.assert_array_equal(alone, values[1][:1])


def test_saliency_follows_the_weights():
    model = recurrent(L, fastseq.Model)
    slope = K.gradients(K.max(model.output, axis=-1), model.input)[0]
    saliency = K.function([model.input], [K.max(K.abs(slope), axis=-1)])
    before = saliency([X])[0]
    assert before.shape == (4, 6)
    dense = model.layers[-1]
    kernel = dense.kernel.numpy()
    dense.kernel.assign(np.zeros_like(kernel))
    assert not saliency([X])[0].any()
    dense.kernel.assign(kernel)
    np.testing.assert_array_equal(saliency([X])[0], before)


def test_losses_together_and_what_they_do_not_depend_on():
    x, other = L.Input((3,)), L.Input((3,))
    first, second = x * x, K.exp(x)
    slope, nothing, itself = K.gradients([first, second], [x, other, first])
    assert nothing is None
    a = np.array([[0.0, 1.0, -2.0]], np.float32)
    values = K.function([x], [slope, itself])([a])
    np.testing.assert_allclose(values[0], 2 * a + np.exp(a), rtol=1e-6)
    np.testing.assert_array_equal(values[1], np.ones_like(a))
    assert K.gradients(first, [other]) == [None]
    # A path whose values change in jumps alone.
    np.testing.assert_array_equal(K.function([x], K.gradients(K.sign(x), x))([a])[0], np.zeros_like(a))


def test_a_gradient_by_a_tensor_counts_every_way_to_the_loss():
    x = L.Input((2,))
    h = K.tanh(x)
    by_x, by_h = K.gradients(h * h + x, [x, h])
    a = np.array([[0.5, -1.0]], np.float32)
    values = K.function([x], [by_x, by_h])([a])
    np.testing.assert_allclose(values[0], 2 * np.tanh(a) * (1 - np.tanh(a) ** 2) + 1, rtol=1e-6)
    np.testing.assert_allclose(values[1], 2 * np.tanh(a), rtol=1e-6)


def test_functions():
    x, y = L.Input((3,)), L.Input((3,))
    h = L.Dense(4)(x)
    a, b = np.ones((2, 3), np.float32), np.full((2, 3), 2, np.float32)
    one = K.function([x, y], x * y)
    assert isinstance(one([a, b]), np.ndarray)
    several = K.function([x, y], [x * y, h])([a, b])
    assert [value.shape for value in several] == [(2, 3), (2, 4)]
    np.testing.assert_array_equal(several[0], 2 * a)
    assert [value.tolist() for value in K.function(x, [x])(a)] == [a.tolist()]
    with pytest.raises(ValueError, match=r"graph|input"):
        K.function([x], [x * y])


def test_what_has_no_gradient_is_refused():
    x, ids = L.Input((3,)), L.Input((3,), dtype="int32")
    with pytest.raises(ValueError, match="int32"):
        K.gradients(K.sum(L.Embedding(4, 2)(ids)), ids)
    with pytest.raises(TypeError, match="tensors of a graph"):
        K.gradients(x * x, np.ones(3))
    with pytest.raises(TypeError, match="tensors of a graph"):
        K.gradients(K.variable(1.0), x)
    with pytest.raises(TypeError, match="tensors of a graph"):
        K.gradients(fastseq.KerasTensor((None, 3)), x)


def test_files_and_streams_refuse_it_by_name(tmp_path):
    model = recurrent(L, fastseq.Model)
    slopes = fastseq.Model(model.input, K.gradients(model.output, model.input))
    with pytest.raises(fastseq.UnsupportedError, match=r"'gradients\w*' is made by backend\.gradients"):
        slopes.save(tmp_path / "m.keras")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match=r"'gradients\w*' \(gradients\) cannot run in a stream"):
        slopes.stream()


def test_gradients_follow_training():
    model = branches(L, fastseq.Model)
    both = fastseq.Model(model.input, [model.output, K.gradients(model.output, model.input)[0]])
    before = both.predict(X)
    other = fastseq.Model(model.input, model.output)
    other.compile("sgd", "mse")
    other.fit(X, np.zeros((4, 2)), verbose=0)
    after = both.predict(X)
    np.testing.assert_array_equal(after[0], model(X))
    assert all((old != new).any() for old, new in zip(before, after))


def test_weights_of_no_layer_in_a_graph():
    """The model hears of their changes, and there are gradients by them."""
    w, x = K.variable(np.full((3, 2), 0.5)), L.Input((4, 3))
    y = K.dot(x, w)
    run = K.function([x], [y, *K.gradients(y, w)])
    a = X[:2, :4]
    for factor in (0.5, 2.0, -1.0):
        w.assign(np.full((3, 2), factor))
        values, gradient = run([a])
        np.testing.assert_allclose(values, a @ w.numpy(), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(gradient, np.repeat(a.sum((0, 1))[:, None], 2, 1), rtol=1e-5)


def test_a_layers_weight_in_an_operation_of_another_graph():
    dense = L.Dense(3, use_bias=False)
    dense(L.Input((3,)))
    x = L.Input((3,))
    run, a = K.function([x], K.dot(x, dense.kernel)), np.ones((2, 3), np.float32)
    for _ in range(2):
        np.testing.assert_allclose(run([a]), a @ dense.kernel.numpy(), rtol=1e-6)
        dense.kernel.assign(dense.kernel.numpy() * 3)

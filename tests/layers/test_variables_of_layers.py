"""weights, variables and their trainable parts, and what else a layer says of itself, against Keras 3.15."""

import numpy as np
import pytest

import fastseq

B, T, N = 3, 4, 6
ATTRIBUTES = (
    "supports_masking", "dtype", "compute_dtype", "variable_dtype", "trainable", "built", "stateful", "autocast",
    "return_sequences", "state_size", "output_size", "units", "rate", "dropout", "recurrent_dropout",
)  # fmt: skip


def _layers(keras):
    """name -> (the layer, built by a symbolic call)."""
    k, r = keras.layers, {"dropout": 0.2, "recurrent_dropout": 0.2}
    sequences = k.Input((T, N))

    def called(layer, *arguments):
        layer(*(arguments or (sequences,)))
        return layer

    rows, ids = k.Input((N,)), k.Input((T,), dtype="int32")
    made = [called(k.Activation(name), sequences) for name in ("relu", "softmax")]
    made += [called(layer) for layer in (
        k.ActivityRegularization(0.1), k.AlphaDropout(0.3), k.Dense(4), k.Dropout(0.3), k.Dropout(0.0), k.ELU(),
        k.EinsumDense("abc,de->abde", (T, 2, 3)), k.Flatten(), k.GRU(4, **r), k.GaussianDropout(0.3),
        k.GaussianNoise(0.3), k.GaussianNoise(0.0), k.Identity(), k.LSTM(4), k.LSTM(4, stateful=False, **r),
        k.LeakyReLU(), k.Masking(), k.PReLU(), k.Permute((2, 1)), k.ReLU(6.0), k.Reshape((N, T)), k.SimpleRNN(4, **r),
        k.Softmax(), k.SpatialDropout1D(0.3), k.RNN([k.LSTMCell(3, **r), k.SimpleRNNCell(4, **r)]),
        k.Bidirectional(k.LSTM(4, **r)), k.Bidirectional(k.GRU(2, trainable=False)), k.TimeDistributed(k.Dense(3)),
        k.TimeDistributed(k.Dense(3), trainable=False), k.LSTM(2, trainable=False),
    )]  # fmt: skip
    made += [called(layer, [sequences, sequences]) for layer in (k.Add(), k.Concatenate(), k.Dot(axes=1), k.Maximum())]
    made += [called(k.Embedding(9, 4, mask_zero=True), ids), called(k.RepeatVector(3), rows)]
    x = k.Dropout(0.2)(k.Dense(3, trainable=False)(sequences))
    inner = keras.Model(sequences, k.GRU(2, **r)(x), trainable=False)
    made += [inner, keras.Model(sequences, k.Dense(1)(inner(sequences)))]
    stack = keras.Sequential([k.Input((T, N)), k.Dropout(0.1), k.Dense(2)], trainable=False)
    # Not the same one: in Keras with TensorFlow to set trainable=False where it is False does nothing.
    other = keras.Sequential([k.Input((T, N)), k.Dropout(0.1), k.Dense(2)])
    made += [stack, keras.Sequential([k.Input((T, N)), other, k.Dropout(0.5), k.LSTM(2)])]
    made[-1].trainable = False
    made[-1].layers[2].trainable = True
    return {f"{type(layer).__name__} {number}": layer for number, layer in enumerate(made)}


def _told(layer):
    found = {name: getattr(layer, name) for name in ATTRIBUTES if hasattr(layer, name)}
    if hasattr(layer, "layers"):
        # Of a model Keras says False, and still hands the masks of the layers inside on.
        found.pop("supports_masking")
    lists = ("weights", "variables", "trainable_weights", "non_trainable_weights")
    for name in (*lists, "trainable_variables", "non_trainable_variables"):
        found[name] = [(variable.name, tuple(variable.shape), variable.trainable) for variable in getattr(layer, name)]
    return {**found, "build config": layer.get_build_config()}


@pytest.mark.tensorflow
def test_layers_as_keras():
    keras = pytest.importorskip("keras")
    ours, theirs = (_layers(library) for library in (fastseq, keras))
    assert list(ours) == list(theirs)
    for name in ours:
        mine, other = _told(ours[name]), _told(theirs[name])
        assert {key: mine[key] for key in mine if key in other} == {key: other[key] for key in mine if key in other}, (
            name
        )


class _Flags:
    """A layer of a user's own for a library, with weights in another order than they are listed in."""

    def __new__(cls, library, **kwargs):
        class Own(library.layers.Layer):
            def build(self, shape):
                self.a = self.add_weight(shape=(2,), trainable=False, name="a")
                self.b = self.add_weight(shape=(3,), name="b")
                self.c = self.add_weight(shape=(4,), name="c")
                self.built = True

            def call(self, x):
                return x

        layer = Own(**kwargs)
        layer(np.zeros((1, 2), "f"))
        return layer


@pytest.mark.tensorflow
def test_flags_as_keras():
    """Whatever is set, the order of `weights`, and so of get_weights, stays."""
    keras = pytest.importorskip("keras")

    def flags(layer):
        return [[(w.name, w.trainable) for w in found] for found in
                (layer.weights, layer.trainable_weights, layer.non_trainable_weights)]  # fmt: skip

    told = []
    for library in (fastseq, keras):
        found = [flags(_Flags(library, trainable=False))]
        layer = _Flags(library)
        found.append(flags(layer))
        for change in (
            lambda own: setattr(own.b, "trainable", False), lambda own: setattr(own, "trainable", False),
            lambda own: setattr(own, "trainable", True), lambda own: setattr(own.a, "trainable", True),
            lambda own: setattr(own, "trainable", False), lambda own: setattr(own.c, "trainable", True),
        ):  # fmt: skip
            change(layer)
            found.append(flags(layer))
        told.append(found)
    assert told[0] == told[1]


def test_a_weight_that_is_frozen_alone_stays_as_it_is(rng):
    """The order of the weights is what it was, and its regularizer adds nothing."""
    model = fastseq.Sequential([fastseq.Input((N,)), fastseq.layers.Dense(2, kernel_regularizer="l2", name="only")])
    kernel, bias = model.get_weights()
    model.layers[0].kernel.trainable = False
    assert [w.shape for w in model.get_weights()] == [(N, 2), (2,)] and model.losses == []
    model.compile(fastseq.optimizers.SGD(0.1), "mse")
    x, y = rng.standard_normal((B, N)).astype("f"), np.zeros((B, 2), "f")
    np.testing.assert_allclose(model.train_on_batch(x, y), np.mean((x @ kernel) ** 2), rtol=1e-5)
    np.testing.assert_array_equal(model.get_weights()[0], kernel)
    assert (model.get_weights()[1] != bias).all()


def test_states_of_random_numbers(rng):
    """They are where they are read: a draw shows, and putting one back draws the same again."""
    layer, x = fastseq.layers.Dropout(0.5, seed=3), rng.standard_normal((B, N)).astype("f")
    (state,) = layer.variables
    assert layer.weights == [] and state.dtype == "uint32" and state.shape == (2,) and state.path.startswith("dropout")
    start = state.numpy()
    first = layer(x, training=True)
    assert (state.numpy() != start).any()
    second = layer(x, training=True)
    state.assign(start)
    np.testing.assert_array_equal(layer(x, training=True), first)
    np.testing.assert_array_equal(layer(x, training=True), second)
    twice = fastseq.Sequential([fastseq.Sequential([layer]), fastseq.Sequential([layer])])
    assert twice.variables == twice.non_trainable_variables and len(twice.variables) == 1

"""Gradients of whole models against Keras's GradientTape: every layer, and how layers are put together."""

import numpy as np
import pytest
from gradient_check import check_gradients

import fastseq
from fastseq import layers
from fastseq.errors import UnsupportedError
from fastseq.training.program import gradients_of

keras = pytest.importorskip("keras")
CELLS = {
    "lstm": ("LSTM", {}), "gru": ("GRU", {}), "gru_before": ("GRU", {"reset_after": False}),
    "simple": ("SimpleRNN", {}),
}  # fmt: skip
B, T, N, H = 5, 4, 3, 18  # N inputs


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("f")


def sequential(*makes):
    """A model of the layers that functions of `layers` make, called one after the other."""

    def make(library, model):
        x = start = library.Input((None, N))
        for function in makes:
            x = function(library)(x)
        return model(start, x)

    return make


def lengths_mask(library):
    return library.Masking()


def padded():
    x = draw(B, T, N)
    for row, length in enumerate((4, 2, 1, 3, 0)):
        x[row, length:] = 0
    return x


@pytest.fixture(params=CELLS)
def cell(request):
    name, options = CELLS[request.param]
    return lambda library, units=H, **more: getattr(library, name)(units, **options, **more)


# ---- recurrent layers -----------------------------------------------------------------------------------------------


@pytest.mark.tensorflow
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("masked", ["", "masked", "zeros"])
def test_recurrent(cell, sequences, backwards, masked):
    options = {"return_sequences": sequences, "go_backwards": backwards}
    if masked == "zeros":
        options["zero_output_for_mask"] = True
    steps = [lengths_mask] if masked else []
    make = sequential(*steps, lambda library: cell(library, **options))
    # Masks of the loss are another test's: the last layer hides them.
    check_gradients(
        lambda library, model: make(library, model), padded() if masked else draw(B, T, N),
        draw(B, T, H, seed=1) if sequences else draw(B, H, seed=1),
    )  # fmt: skip


@pytest.mark.tensorflow
@pytest.mark.parametrize("options", [
    {"use_bias": False}, {"activation": "relu"}, {"activation": "softsign"},
    {"activation": "sigmoid"}, {"activation": "linear"},
], ids=str)  # fmt: skip
def test_recurrent_options(cell, options):
    check_gradients(sequential(lambda library: cell(library, **options)), draw(B, T, N) / 4, draw(B, H, seed=1))


@pytest.mark.tensorflow
@pytest.mark.parametrize("masked", [False, True])
def test_states_given_and_returned(cell, masked):
    """An encoder's states start a decoder, whose outputs and states all count."""

    def make(library, model):
        first, second = library.Input((None, N)), library.Input((None, 2))
        x = library.Masking()(first) if masked else first
        y = library.Masking()(second) if masked else second
        _, *states = cell(library, return_state=True)(x)
        y, *last = cell(library, return_sequences=True, return_state=True)(y, initial_state=states)
        y = library.Dense(4)(y)
        joined = library.Concatenate()(last) if len(last) > 1 else last[0]
        y = library.Add()([y, library.Dense(4)(library.RepeatVector(4)(joined))])
        return model([first, second], y)

    decoder = draw(B, 4, 2, seed=2)
    decoder[1, 2:] = decoder[2, 1:] = 0
    check_gradients(make, [padded() if masked else draw(B, T, N), decoder], draw(B, 4, 4, seed=1))


@pytest.mark.tensorflow
@pytest.mark.parametrize("merge", ["concat", "sum", "ave", "mul"])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_bidirectional(cell, merge, sequences, masked):
    steps = [lengths_mask] if masked else []
    wrapped = lambda library: library.Bidirectional(cell(library, 5, return_sequences=sequences), merge_mode=merge)  # noqa: E731
    width = 10 if merge == "concat" else 5
    y = draw(B, T, width, seed=1) if sequences else draw(B, width, seed=1)
    check_gradients(sequential(*steps, wrapped), padded() if masked else draw(B, T, N), y)


@pytest.mark.tensorflow
@pytest.mark.parametrize("sequences", [False, True])
def test_bidirectional_without_merging(cell, sequences):
    def make(library, model):
        x = library.Input((None, N))
        there, back = library.Bidirectional(cell(library, 5, return_sequences=sequences), merge_mode=None)(x)
        return model(x, library.Subtract()([there, library.Dense(5, activation="tanh")(back)]))

    check_gradients(make, draw(B, T, N), draw(B, T, 5, seed=1) if sequences else draw(B, 5, seed=1))


@pytest.mark.tensorflow
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
def test_by_the_inputs(cell, masked, backwards):
    """The gradient by a layer's inputs reaches the Dense before it; that by the last one's goes through two layers.

    Arrays of 30 elements and more: over 8 seeds errors are as TensorFlow's, but of 4 elements one is easily the double.
    """
    steps = [lengths_mask] if masked else []
    make = sequential(
        *steps, lambda library: library.Dense(32, activation="tanh"),
        lambda library: cell(library, 20, return_sequences=True, go_backwards=backwards),
        lambda library: cell(library, 12),
    )  # fmt: skip
    check_gradients(make, padded() if masked else draw(B, T, N), draw(B, 12, seed=1))


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["LSTMCell", "GRUCell", "SimpleRNNCell"])
@pytest.mark.parametrize("masked", [False, True])
def test_one_cell(name, masked):
    steps = [lengths_mask] if masked else []
    wrapped = lambda library: library.RNN(getattr(library, name)(5), return_sequences=True)  # noqa: E731
    make = sequential(*steps, wrapped, lambda library: library.Dense(2))
    check_gradients(make, padded() if masked else draw(B, T, N), draw(B, T, 2, seed=1))


@pytest.mark.tensorflow
@pytest.mark.parametrize("backwards", [False, True])
def test_stacked_cells(backwards):
    def make(library, model):
        x = library.Input((T, N))
        cells = [library.LSTMCell(5), library.GRUCell(4), library.SimpleRNNCell(3)]
        return model(x, library.RNN(cells, go_backwards=backwards, return_sequences=True)(x))

    check_gradients(make, draw(B, T, N), draw(B, T, 3, seed=1))


@pytest.mark.tensorflow
def test_one_timestep(cell):
    check_gradients(sequential(lambda library: cell(library)), draw(B, 1, N), draw(B, H, seed=1))


# ---- everything else ------------------------------------------------------------------------------------------------

OTHERS = {
    "dense": lambda L: L.Dense(6),
    "dense no bias": lambda L: L.Dense(6, use_bias=False),
    "time distributed": lambda L: L.TimeDistributed(L.Dense(6, activation="tanh")),
    "time distributed gru": lambda L: L.Bidirectional(L.GRU(4, return_sequences=True)),
    "prelu": lambda L: L.PReLU(shared_axes=[1]),
    "softmax": lambda L: L.Softmax(),
    "softmax in time": lambda L: L.Softmax(axis=1),
    "leaky": lambda L: L.LeakyReLU(negative_slope=0.2),
    "einsum": lambda L: L.EinsumDense("btc,cd->btd", (None, 5), bias_axes="d", activation="tanh"),
    "einsum in heads": lambda L: L.EinsumDense("btc,chd->bthd", (None, 2, 3), bias_axes="hd", activation="sigmoid"),
    "einsum factors": lambda L: L.EinsumDense("btc,c->btc", (None, 4)),
    "einsum of times": lambda L: L.EinsumDense("btc,tcd->btd", (T, 5), bias_axes="td"),
    "permute": lambda L: L.Permute((2, 1)),
    "reshape": lambda L: L.Reshape((N, T)),
    "flatten": lambda L: L.Flatten(),
    "masking": lambda L: L.Masking(),
    **{name: lambda L, name=name: L.Activation(name) for name in (
        "relu", "sigmoid", "softplus", "gelu", "silu", "elu", "hard_sigmoid", "log_softmax", "exponential", "glu",
        "sparsemax",
        "celu", "hard_shrink", "hard_silu", "hard_tanh", "leaky_relu", "linear", "log_sigmoid", "mish", "relu6", "selu",
        "soft_shrink", "softmax", "softsign", "sparse_plus", "squareplus", "tanh", "tanh_shrink", "sparse_sigmoid",
    )},
    "relu layer": lambda L: L.ReLU(max_value=0.5, negative_slope=0.1, threshold=0.1),
    "elu layer": lambda L: L.ELU(alpha=0.7),
    "repeat": lambda L: L.TimeDistributed(L.RepeatVector(3)),
    "identity": lambda L: L.Identity(),
}  # fmt: skip


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", OTHERS)
def test_layer(name):
    def make(library, model):
        x = library.Input((T, N))
        y = library.Dense(4, activation="tanh")(x)
        y = library.Reshape((T, 4))(y)
        y = OTHERS["reshape"](library)(x) if name == "reshape" else OTHERS[name](library)(y)
        y = library.Dense(3)(y) if name == "reshape" else y
        return model(x, y)

    shape = make(fastseq.layers, fastseq.Model)(draw(B, T, N)).shape
    check_gradients(make, draw(B, T, N), draw(B, *shape[1:], seed=1))


@pytest.mark.parametrize("options", [
    {}, {"strides": 2, "use_bias": False}, {"implementation": 2}, {"implementation": 3, "padding": "same"},
    {"data_format": "channels_first"}, {"data_format": "channels_first", "implementation": 2},
    {"data_format": "channels_first", "implementation": 3},
], ids=str)  # fmt: skip
def test_locally_connected(options):
    """Keras 3 has no such layer. The loss is a square of the weights, so its central differences are exact."""
    model = fastseq.Sequential([layers.Dense(4), layers.LocallyConnected1D(5, 3, **options)])
    x = draw(B, T, N)
    rng = np.random.default_rng(2)
    y = rng.standard_normal(model(x).shape).astype("f")
    model.set_weights([rng.standard_normal(weight.shape).astype("f") for weight in model.get_weights()])
    _, found = gradients_of(model, x, y, "mse")
    for number, weight in enumerate(model.get_weights()):
        for _ in range(3):
            way = rng.standard_normal(weight.shape).astype("f")
            ends = []
            for sign in (1, -1):
                moved = model.get_weights()
                moved[number] = weight + sign * way
                before = model.get_weights()
                model.set_weights(moved)
                ends.append(np.mean(np.square(model(x).astype("f8") - y)))
                model.set_weights(before)
            assert np.sum(found[number] * way, dtype="f8") == pytest.approx((ends[0] - ends[1]) / 2, rel=2e-4, abs=1e-4)


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "merge", ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Dot"]
)
@pytest.mark.parametrize("broadcast", [False, True])
def test_merge(merge, broadcast):
    def make(library, model):
        x = library.Input((T, N))
        left, right = library.Dense(4)(x), library.Dense(4)(x)
        if broadcast and merge not in ("Concatenate", "Dot"):
            right = library.Reshape((T, 1))(library.Dense(1)(x))
        layer = library.Dot(axes=2, normalize=broadcast) if merge == "Dot" else getattr(library, merge)()
        return model(x, layer([left, right]))

    shape = make(fastseq.layers, fastseq.Model)(draw(B, T, N)).shape
    check_gradients(make, draw(B, T, N), draw(B, *shape[1:], seed=1))


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore:Layer 'flatten.*does not support masking")
@pytest.mark.parametrize("mask_zero", [False, True])
@pytest.mark.parametrize("after", ["lstm", "dense"])
def test_embedding(mask_zero, after):
    def make(library, model):
        x = library.Input((T,), dtype="int32")
        y = library.Embedding(11, 6, mask_zero=mask_zero)(x)
        return model(x, library.LSTM(5)(y) if after == "lstm" else library.Flatten()(library.Dense(2)(y)))

    ids = np.random.default_rng(0).integers(0, 9, (B, T)).astype("i4")
    check_gradients(make, ids, draw(B, 5 if after == "lstm" else 2 * T, seed=1))


@pytest.mark.tensorflow
def test_shared_layers_and_attention():
    """One layer called twice, and an attention: softmax, products of two arrays, a sum over time."""

    def make(library, model):
        x = library.Input((T, N))
        shared = library.LSTM(6, return_sequences=True)
        once = shared(x)
        twice = shared(library.Dense(N)(once))
        scores = library.Softmax()(library.Dot(axes=2)([twice, once]))
        context = library.Dot(axes=(2, 1))([scores, once])
        return model(x, library.Concatenate()([context, twice]))

    check_gradients(make, draw(B, T, N), draw(B, T, 12, seed=1))


@pytest.mark.tensorflow
@pytest.mark.parametrize("loss, activation", [
    ("CategoricalCrossentropy", "softmax"), ("BinaryCrossentropy", "sigmoid"), ("KLDivergence", "softmax"),
    ("MeanAbsoluteError", "linear"), ("Huber", "tanh"), ("SparseCategoricalCrossentropy", "softmax"),
])  # fmt: skip
def test_losses(loss, activation):
    make = sequential(lambda L: L.GRU(6, return_sequences=True), lambda L: L.Dense(4, activation=activation))
    y = np.random.default_rng(1).random((B, T, 4)).astype("f")
    y /= y.sum(-1, keepdims=True)
    y = y.argmax(-1) if loss.startswith("Sparse") else y
    check_gradients(make, draw(B, T, N), y, loss)


# ---- what does not train --------------------------------------------------------------------------------------------


class Doubled(layers.Layer):
    def call(self, x):
        return 2 * x


class Squared(layers.Layer):
    def call(self, x):
        return x * x

    def backward(self, gradient, x):
        return 2 * x * gradient


class Product(layers.Layer):
    def call(self, inputs):
        return inputs[0] * inputs[1]

    def backward(self, gradient, left, right):
        return [gradient * right, gradient * left]


@pytest.mark.tensorflow
def test_python_layers_with_backward():
    def make(library, model):
        x = library.Input((N,))
        own = library is layers
        y = Squared()(library.Dense(4)(x)) if own else library.Dense(4)(x)
        y = y if own else library.Multiply()([y, y])
        right = library.Dense(4, activation="tanh")(x)
        return model(x, (Product() if own else library.Multiply())([y, right]))

    check_gradients(make, draw(B, N), draw(B, 4, seed=1))


def test_backward_of_another_shape_raises():
    class Wrong(Squared):
        def backward(self, gradient, x):
            return gradient[:, :1]

    model = fastseq.Sequential([layers.Dense(3), Wrong(name="odd"), layers.Dense(2)])
    with pytest.raises(ValueError, match=r"'odd'.*backward\(\) gave .*\(4, 1\).*\(4, 3\)"):
        gradients_of(model, draw(4, 5), draw(4, 2), "mse")


def test_a_python_layer_without_backward_raises():
    class InPython(Doubled):
        traced = False

    model = fastseq.Sequential([layers.Dense(3), InPython(name="twice"), layers.Dense(2)])
    with pytest.raises(UnsupportedError, match=r"'twice'.*backward"):
        gradients_of(model, draw(4, 5), draw(4, 2), "mse")


def test_before_frozen_layers_a_python_layer_is_no_obstacle():
    model = fastseq.Sequential([layers.Dense(3, trainable=False), Doubled(), layers.Dense(2)])
    _, found = gradients_of(model, draw(4, 5), draw(4, 2), "mse")
    assert [gradient.shape for gradient in found] == [(3, 2), (2,)]


def test_gradients_do_not_depend_on_threads():
    model = fastseq.Sequential([layers.Bidirectional(layers.GRU(20, return_sequences=True)), layers.LSTM(17)])
    x, y = draw(33, 12, 5), draw(33, 17, seed=1)
    expected = None
    for threads in (1, 2, 3):
        fastseq.set_num_threads(threads)
        _, found = gradients_of(model, x, y, "mse")
        expected = found if expected is None else expected
        for a, b in zip(found, expected):
            np.testing.assert_array_equal(a, b)

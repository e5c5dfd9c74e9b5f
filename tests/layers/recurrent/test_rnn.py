"""RNN over built-in cells, stacks of them and a user's own, against Keras; files, states, Bidirectional."""

import numpy as np
import pytest
from layer_check import check_layer, describe, leaves, normal, random_weights
from recurrent_tests import mask_patterns

import fastseq
from fastseq import layers


def mean_cell(k):
    """A user's cell with two states of different sizes: an echo of the input and a leaky mean that it puts out."""
    import_ops = k is not layers and pytest.importorskip("keras").ops
    matmul, total = (import_ops.matmul, import_ops.sum) if import_ops else (np.matmul, np.sum)

    class MeanCell(k.Layer):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.state_size = [units, 1]
            self.output_size = units

        def build(self, input_shape):
            self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")
            self.built = True

        def call(self, inputs, states, training=None):
            mean, level = states
            kernel = self.kernel.numpy() if k is layers else self.kernel
            mean = 0.5 * mean + matmul(inputs, kernel) * (2.0 if training else 1.0)
            level = level + 0.1 * total(inputs, -1, keepdims=True)
            return mean + level, [mean, level]

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    return MeanCell


MAKES = {
    "lstm": lambda k: k.LSTMCell(6),
    "gru": lambda k: k.GRUCell(5, reset_after=False),
    "simple": lambda k: k.SimpleRNNCell(4, activation="relu"),
    "list": lambda k: [k.LSTMCell(6), k.GRUCell(5), k.SimpleRNNCell(4)],
    "stack of one": lambda k: k.StackedRNNCells([k.LSTMCell(6)]),
    "stack in a stack": lambda k: k.StackedRNNCells([k.GRUCell(3), k.StackedRNNCells([k.LSTMCell(2), k.GRUCell(4)])]),
    "user": lambda k: mean_cell(k)(3),
    "user in a stack": lambda k: [k.GRUCell(4), mean_cell(k)(3), k.LSTMCell(5)],
}


PATTERNS = ["right", "left", "inside", "all masked"]


def check(name, x, call=None, together=None, **options):
    """check_layer of RNN; NumPy's products, in a user's cell, have other bits for one row than for many."""
    users = "user" in name
    make = lambda k: k.RNN(MAKES[name](k), **options)  # noqa: E731
    check_layer(make, x, call, rows=not users, config=not users, together=together)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", list(MAKES))
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
def test_options(name, sequences, backwards, rng):
    x = rng.standard_normal((16, 4, 3)).astype("f")
    # Of a stack in a stack, Keras says the shapes of the states wrongly.
    for state in (False, True) if name != "stack in a stack" else (False,):
        check(name, x, return_sequences=sequences, go_backwards=backwards, return_state=state)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["lstm", "list", "user"])
def test_unrolled(name, rng):
    x = rng.standard_normal((16, 4, 3)).astype("f")
    for call in ({}, {"mask": mask_patterns(16, 4, rng)["inside"]}):
        for zero in (False, True):
            check(name, x, call, unroll=True, return_sequences=True, zero_output_for_mask=zero)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["lstm", "list", "user", "user in a stack"])
@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
def test_masks(name, pattern, zero, backwards, rng):
    x, masks = rng.standard_normal((16, 4, 3)).astype("f"), mask_patterns(16, 4, rng)
    calls = {key: {"mask": masks[key]} for key in PATTERNS}
    options = {"go_backwards": backwards, "zero_output_for_mask": zero, "return_state": True}
    for sequences in (False, True):
        check(name, x, calls[pattern], list(calls.values()), return_sequences=sequences, **options)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name, sizes", [
    ("lstm", [6, 6]), ("gru", [5]), ("list", [[6, 6], [5], [4]]), ("list", [[6, 6], 5, 4]), ("user", [3, 1]),
    ("user in a stack", [[4], [3, 1], [5, 5]]),
], ids=str)  # fmt: skip
def test_initial_state(name, sizes, rng):
    x = rng.standard_normal((16, 4, 2)).astype("f")
    state = fastseq.tensors.nest.map_structure(lambda n: rng.standard_normal((16, n)).astype("f"), sizes)
    check(name, x, {"initial_state": state}, return_state=True)
    if name == "gru":
        check(name, x, {"initial_state": state[0]})


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", list(MAKES))
def test_stateful(name, rng):
    keras = pytest.importorskip("keras")
    x = rng.standard_normal((3, 4, 2)).astype("f")
    theirs, ours = (k.RNN(MAKES[name](k), stateful=True, return_sequences=True) for k in (keras.layers, layers))
    # Keras cannot reset the states of a stack, so its layer is not called before it has its weights.
    theirs.build(x.shape), ours(x)
    theirs.set_weights(ours.get_weights())
    ours.reset_state()
    for _ in range(3):
        np.testing.assert_allclose(ours(x), theirs(x), atol=2e-6)
    for found, wanted in zip(leaves(ours.states), leaves(theirs.states)):
        np.testing.assert_allclose(found, wanted, atol=2e-6)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", [name for name in MAKES if "user" not in name])
@pytest.mark.parametrize("merge", ["concat", "sum", None], ids=str)
def test_bidirectional(name, merge, rng):
    x = rng.standard_normal((24, 4, 2)).astype("f")
    for options in ({"return_sequences": True}, {"return_state": name in ("lstm", "gru")}):
        check_layer(lambda k, o=options: k.Bidirectional(k.RNN(MAKES[name](k), **o), merge_mode=merge), x)


@pytest.mark.tensorflow
def test_training_reaches_the_cell(rng):
    keras = pytest.importorskip("keras")
    x = rng.standard_normal((2, 3, 4)).astype("f")
    theirs, ours = (k.RNN(mean_cell(k)(3)) for k in (keras.layers, layers))
    theirs(x), ours(x)
    ours.set_weights(theirs.get_weights())
    for training in (False, True):
        np.testing.assert_allclose(ours(x, training=training), theirs(x, training=training), atol=1e-6)
    model = fastseq.Sequential([fastseq.Input((3, 4)), ours])
    np.testing.assert_array_equal(model(x, training=True), ours(x, training=True))


@pytest.mark.tensorflow
@pytest.mark.parametrize("form", ["keras", "weights.h5"])
@pytest.mark.parametrize("name", list(MAKES))
def test_files_both_ways(name, form, tmp_path, rng):
    keras = pytest.importorskip("keras")
    x = rng.standard_normal((3, 5, 4)).astype("f")
    cells = {"MeanCell": mean_cell(keras.layers)}, {"MeanCell": mean_cell(layers)}

    def make(library):
        i = library.Input((5, 4))
        y = library.layers.RNN(MAKES[name](library.layers), return_sequences=True)(i)
        return library.Model(i, library.layers.LSTM(2)(y))

    for library, other, custom in ((keras, fastseq, cells[1]), (fastseq, keras, cells[0])):
        model = make(library)
        model.set_weights(random_weights([np.shape(w) for w in model.get_weights()]))
        path = str(tmp_path / f"{library.__name__}.{form}")
        if form == "keras":
            model.save(path)
            load = fastseq.load_model if other is fastseq else keras.models.load_model
            again = load(path, custom_objects=custom)
        else:
            model.save_weights(path)
            again = make(other)
            again.load_weights(path)
        np.testing.assert_allclose(again(x), model(x), atol=2e-6)


@pytest.mark.tensorflow
def test_mask_in_a_model(rng):
    keras = pytest.importorskip("keras")
    x = rng.standard_normal((3, 5, 4)).astype("f")
    x[1, 2:] = x[2, :2] = 0
    models = []
    for library in (keras, fastseq):
        k = library.layers
        i = library.Input((5, 4))
        y = k.RNN([k.GRUCell(4), k.LSTMCell(3)], return_sequences=True)(k.Masking()(i))
        models.append(library.Model(i, k.RNN(k.SimpleRNNCell(2))(y)))
    models[1].set_weights(models[0].get_weights())
    np.testing.assert_allclose(models[1](x), models[0](x), atol=1e-6)
    for ours, theirs in zip(models[1].layers[-2:], models[0].layers[-2:]):
        assert normal(ours.get_config()) == normal(theirs.get_config())


# ---- without TensorFlow ----------------------------------------------------------------------------------------------


def built(layer, x):
    layer(x)
    layer.set_weights(random_weights([v.shape for v in layer.weights]))
    return layer


@pytest.mark.parametrize("name", ["LSTM", "GRU", "SimpleRNN"])
@pytest.mark.parametrize("backwards", [False, True])
def test_has_the_bits_of_the_layers(name, backwards, rng):
    x, mask = rng.standard_normal((5, 7, 6)).astype("f"), rng.random((5, 7)) < 0.7
    cell = getattr(layers, f"{name}Cell")
    whole = built(layers.RNN([cell(20), cell(17)], return_sequences=True, go_backwards=backwards), x)
    first = getattr(layers, name)(20, return_sequences=True)
    second = getattr(layers, name)(17, return_sequences=True)
    given = x[:, ::-1] if backwards else x
    first(given), second(first(given))
    first.set_weights(whole.get_weights()[:3])
    second.set_weights(whole.get_weights()[3:])
    for m in (None, mask):
        turned = m if m is None or not backwards else m[:, ::-1]
        np.testing.assert_array_equal(whole(x, mask=m), second(first(given, mask=turned), mask=turned))
    operation = {"LSTM": "lstm", "GRU": "gru", "SimpleRNN": "simple_rnn"}[name]
    kernels = [kernel for _, kernel, _ in describe(whole, x, {})]
    assert len(kernels) == 2 and all(operation in kernel for kernel in kernels), kernels


@pytest.mark.parametrize("name", ["LSTMCell", "GRUCell", "SimpleRNNCell"])
def test_dropout_in_cells(name, rng):
    x = np.ones((4, 3, 50), "f")
    for rates in ({"dropout": 0.5}, {"recurrent_dropout": 0.5}, {"dropout": 0.3, "recurrent_dropout": 0.3}):
        layer = built(layers.RNN([getattr(layers, name)(12, seed=3, **rates) for _ in range(2)]), x)
        quiet = layer(x)
        np.testing.assert_array_equal(layer(x, training=False), quiet)
        first, second = layer(x, training=True), layer(x, training=True)
        assert (first != quiet).any() and (first != second).any()


@pytest.mark.parametrize("merge", ["concat", None], ids=str)
def test_bidirectional_over_a_users_cell(merge, rng):
    x, mask = rng.standard_normal((3, 5, 4)).astype("f"), mask_patterns(3, 5, rng)["inside"]
    inner = layers.RNN([layers.GRUCell(4), mean_cell(layers)(3)], return_sequences=True, return_state=True)
    both = built(layers.Bidirectional(inner, merge_mode=merge), x)
    forward, backward = both.forward_layer(x, mask=mask), both.backward_layer(x, mask=mask)
    outputs = [forward[0], backward[0][:, ::-1]]
    wanted = [np.concatenate(outputs, -1)] if merge else outputs
    found = leaves(both(x, mask=mask))
    assert len(found) == len(wanted) + 6
    for one, other in zip(found, [*wanted, *leaves(forward[1:]), *leaves(backward[1:])]):
        np.testing.assert_array_equal(one, other)


def test_subclass_of_a_cell_runs_its_own_call(rng):
    class Twice(layers.GRUCell):
        def call(self, inputs, states, training=False):
            y, states = super().call(inputs, states, training=training)
            return 2 * y, states

    class FromOnes(layers.GRUCell):
        def get_initial_state(self, batch_size=None):
            return [np.ones((batch_size, self.units), "f")]

    x = rng.standard_normal((2, 4, 3)).astype("f")
    plain = built(layers.RNN(layers.GRUCell(5), return_sequences=True), x)
    twice, ones = (built(layers.RNN(cls(5), return_sequences=True), x) for cls in (Twice, FromOnes))
    np.testing.assert_array_equal(twice(x), 2 * plain(x))
    np.testing.assert_array_equal(ones(x), plain(x, initial_state=[np.ones((2, 5), "f")]))


def test_cell_that_is_no_layer(rng):
    class Count:
        state_size = 2

        def call(self, inputs, states):
            total = states[0] + inputs.sum(axis=(1, 2))[:, None]
            return total * [1.0, -1.0], total

    x = rng.standard_normal((2, 4, 3, 5)).astype("f")
    y, state = layers.RNN(Count(), return_state=True)(x)
    np.testing.assert_allclose(state, x.sum(axis=(1, 2, 3))[:, None] * [1, 1], atol=1e-5)
    np.testing.assert_allclose(y, state * [1, -1], atol=1e-6)


def test_cell_whose_layers_drop(rng):
    class Dropping(layers.Layer):
        state_size = 40

        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.drop = layers.Dropout(0.5, seed=1)

        def call(self, inputs, states):
            return self.drop(inputs), [inputs]

    x = rng.standard_normal((2, 3, 40)).astype("f")
    layer = layers.RNN(Dropping())
    np.testing.assert_array_equal(layer(x), x[:, -1])
    assert (layer(x, training=True) != x[:, -1]).any()


@pytest.mark.parametrize("make", [
    lambda: layers.LSTM(3, stateful=True), lambda: layers.RNN(layers.LSTMCell(3), stateful=True),
    lambda: layers.RNN([layers.GRUCell(2), layers.LSTMCell(3)], stateful=True),
])  # fmt: skip
def test_reset_state_to_given_states(make, rng):
    x = rng.standard_normal((2, 4, 3)).astype("f")
    layer = built(make(), x)
    given = fastseq.tensors.nest.map_structure(lambda s: rng.standard_normal(s.shape).astype("f"), layer.states)
    layer.reset_state()
    wanted = layer(x, initial_state=given)
    for reset in (layer.reset_state, layer.reset_states):
        reset(states=given)
        np.testing.assert_array_equal(layer(x), wanted)
    with pytest.raises(ValueError, match=rf"{layer.name}.*keeps {len(leaves(given))} states, got 1"):
        layer.reset_state(leaves(given)[:1])
    with pytest.raises(ValueError, match=rf"{layer.name}.*keeps states of shape.*got \(5, 5\)"):
        layer.reset_state([np.zeros((5, 5))] * len(leaves(given)))
    with pytest.raises(ValueError, match="not built"):
        make().reset_state(given)
    with pytest.raises(AttributeError, match="not stateful"):
        layers.LSTM(3).reset_state(given)


def test_bad_arguments(rng):
    x = rng.standard_normal((2, 3, 4)).astype("f")
    with pytest.raises(ValueError, match="`call`"):
        layers.RNN(3)
    with pytest.raises(ValueError, match="`state_size`"):
        layers.RNN(layers.Dense(3))
    with pytest.raises(ValueError, match="time_major"):
        layers.RNN(layers.LSTMCell(3), time_major=True)
    bad = layers.GRUCell(3)
    bad_size = type("Cell", (), {"call": None, "state_size": "3"})()
    with pytest.raises(ValueError, match="integer"):
        layers.RNN(bad_size)
    layer = layers.RNN([layers.LSTMCell(5), bad])
    layer(x)
    name = layer.name
    for inputs, message in (
        (x[0], rf"{name}.*\(batch, timesteps, features\).*\(3, 4\)"),
        (x[:, :0], rf"{name}.*at least one timestep.*\(2, 0, 4\)"),
        (x[..., :2], r"lstm_cell.*takes 4 features.*\(2,\)"),
    ):
        with pytest.raises(ValueError, match=message):
            layer(inputs)
    with pytest.raises(ValueError, match=rf"{name}.*mask of shape.*\(2, 3\).*\(2, 4\)"):
        layer(x, mask=np.ones((2, 4), bool))
    for count in (2, 3):
        with pytest.raises(ValueError, match=rf"{name}.*takes 3 initial states"):
            layer(x, initial_state=[np.zeros((2, 5), "f")] * count)
    with pytest.raises(ValueError, match=r"initial states of shape \(2, 3\), got \(2, 4\)"):
        layer(x, initial_state=[[np.zeros((2, 5), "f")] * 2, np.zeros((2, 4), "f")])
    with pytest.raises(ValueError, match="batch size must be known"):
        layers.RNN(layers.LSTMCell(3), stateful=True)(fastseq.Input((3, 4)))
    stateful = layers.RNN(layers.LSTMCell(3), stateful=True)
    stateful(x)
    with pytest.raises(ValueError, match=r"batch size 2.*batch of 1"):
        stateful(x[:1])
    assert layer(x[:0]).shape == (0, 3)
    empty = layers.RNN(mean_cell(layers)(3))(x[:0])
    assert empty.shape == (0, 3)

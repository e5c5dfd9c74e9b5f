"""A user's own cell in RNN: native steps in a loop, with the numbers of the same cell in Python."""

import numpy as np
import pytest

import fastseq
from fastseq import layers, ops
from fastseq.layers import traced_calls


class Mixing(layers.Layer):
    """One state; part of it is computed of the input alone."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = units

    def build(self, shape):
        self.kernel = self.add_weight((shape[-1], self.units), name="kernel")
        self.recurrent = self.add_weight((self.units, self.units), name="recurrent")

    def call(self, inputs, states):
        (h,) = states
        normal = inputs - ops.mean(inputs, axis=-1, keepdims=True)
        new = ops.tanh(ops.matmul(normal, self.kernel) + ops.matmul(h, self.recurrent) + h * 0.1)
        return new * 2.0, [new]


class Swapping(Mixing):
    """Two states that change places, and a Dense inside."""

    def __init__(self, units, **kwargs):
        super().__init__(units, **kwargs)
        self.state_size = [units, units]
        self.output_size = units
        self.dense = layers.Dense(units)

    def build(self, shape):
        self.built = True

    def call(self, inputs, states):
        h, c = states
        return h + c, [c, ops.tanh(self.dense(inputs) + h)]


class PythonMixing(Mixing):
    traced = False


class PythonSwapping(Swapping):
    traced = False


class OfInput(Mixing):
    """Its output is of the input alone, and so is a state: both stand before the loop."""

    def __init__(self, units, **kwargs):
        super().__init__(units, **kwargs)
        self.state_size = [units, units]
        self.output_size = units

    def call(self, inputs, states):
        h, _ = states
        product = ops.matmul(inputs, self.kernel)
        return product, [ops.tanh(ops.matmul(h, self.recurrent) + product), product]


class PythonOfInput(OfInput):
    traced = False


PAIRS = [(Mixing, PythonMixing), (Swapping, PythonSwapping), (OfInput, PythonOfInput)]
OPTIONS = [
    {}, {"return_sequences": True}, {"return_sequences": True, "go_backwards": True},
    {"return_sequences": True, "return_state": True}, {"return_sequences": True, "zero_output_for_mask": True},
]  # fmt: skip


def model_of(cell, masked=False, batch=None, **options):
    inputs = fastseq.Input((None, 4), batch_size=batch)
    hidden = layers.Masking()(inputs) if masked else inputs
    layer = layers.RNN(cell(4), **options)
    return fastseq.Model(inputs, layer(hidden)), layer


def steps_of(model, x):
    return model._programs.program(model, {"inputs": x}).steps


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("pair", PAIRS, ids=["one state", "two states", "of the input"])
def test_like_the_cell_in_python(rng, pair, options, masked, batch):
    x = rng.standard_normal((batch, 6, 4)).astype("f")
    if masked:
        x[:, 3:5] = 0
        x[0, 0] = 0
    (traced, layer), (python, _) = (model_of(cell, masked, **options) for cell in pair)
    python(x)  # a cell in Python builds what is inside when it is called
    python.set_weights(traced.get_weights())
    got, wanted = traced(x), python(x)
    for mine, other in zip(*((r if isinstance(r, (list, tuple)) else [r]) for r in (got, wanted)), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-6)
    steps = steps_of(traced, x)
    assert not any(step["op"] is None for step in steps), traced_calls.untraced(layer)
    assert any("loop" in step for step in steps)


def test_what_is_of_the_input_alone_comes_before_the_loop(rng):
    model, _ = model_of(Mixing, return_sequences=True)
    steps = steps_of(model, rng.standard_normal((2, 20, 4)).astype("f"))
    products = [step for step in steps if step["op"] in ("dense", "matmul")]
    assert [("loop" in step) for step in products] == [False, True]
    assert sum(step["op"] == "reduce" and "loop" not in step for step in steps) == 1


@pytest.mark.parametrize("cell", [Mixing, Swapping, OfInput])
def test_streams_rows_and_lengths_have_the_same_bits(rng, cell):
    model, _ = model_of(cell, return_sequences=True)
    x = rng.standard_normal((3, 9, 4)).astype("f")
    whole = model(x)
    stream = model.stream(3)
    np.testing.assert_array_equal(np.stack([stream.step(x[:, t]) for t in range(9)], axis=1), whole)
    for row in range(3):
        np.testing.assert_array_equal(model(x[row : row + 1])[0], whole[row])
    np.testing.assert_array_equal(model(np.ascontiguousarray(x[:, :5])), whole[:, :5])


@pytest.mark.parametrize("cell", [Mixing, Swapping])
def test_it_trains(rng, cell):
    model, _ = model_of(cell)
    x, y = rng.standard_normal((16, 7, 4)).astype("f"), rng.standard_normal((16, 4)).astype("f")
    model.compile(fastseq.optimizers.Adam(0.01), "mse")
    losses = model.fit(x, y, epochs=15, batch_size=16, verbose=0).history["loss"]
    assert losses[-1] < losses[0] and all(np.isfinite(losses))


def test_weights_that_a_call_leaves_out_are_warned_of_as_in_keras(rng):
    class Leaving(Mixing):
        def call(self, inputs, states):
            return ops.matmul(inputs, self.kernel), states

    model, _ = model_of(Leaving)
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="recurrent"):
        model.fit(rng.standard_normal((4, 3, 4)).astype("f"), np.zeros((4, 4), "f"), verbose=0)


def test_a_stateful_layer_goes_on_from_its_states(rng):
    model, layer = model_of(Mixing, batch=2, stateful=True)
    whole, _ = model_of(Mixing, batch=2)
    whole.set_weights(model.get_weights())
    x = rng.standard_normal((2, 8, 4)).astype("f")
    model(np.ascontiguousarray(x[:, :5]))
    np.testing.assert_array_equal(model(np.ascontiguousarray(x[:, 5:])), whole(x))
    layer.reset_state()
    np.testing.assert_array_equal(model(x), whole(x))


def test_a_cell_that_needs_values_runs_in_python_and_says_why(rng):
    class Deciding(Mixing):
        def call(self, inputs, states):
            return (inputs if inputs.sum() > 0 else -inputs), states

    model, layer = model_of(Deciding)
    x = rng.standard_normal((1, 5, 4)).astype("f")
    np.testing.assert_allclose(model(x), x[:, -1] if x[:, -1].sum() > 0 else -x[:, -1])
    assert "truth value" in traced_calls.untraced(layer.cell)


def test_weights_that_change_are_read_anew(rng):
    (model, _), (python, _) = model_of(Mixing), model_of(PythonMixing)
    x = rng.standard_normal((2, 5, 4)).astype("f")
    for _ in range(3):
        weights = [rng.standard_normal(w.shape).astype("f") for w in model.weights]
        model.set_weights(weights)
        python.set_weights(weights)
        np.testing.assert_allclose(model(x), python(x), rtol=1e-5, atol=1e-6)


ROWS = {
    "a number": lambda x: x / x.shape[0],
    "ones like the input": lambda x: x + ops.ones_like(x),
    "computed of ones": lambda x: ops.exp(ops.ones_like(x)) * x,
    "sums so far": lambda x: ops.cumsum(x, axis=0),
    "the row before": lambda x: ops.roll(x, 1, axis=0) + x,
    "a product of ones": lambda x: ops.matmul(ops.ones_like(x), ops.transpose(ops.ones_like(x)))[:, :1] + x,
}


@pytest.mark.parametrize("name", ROWS)
def test_what_is_made_of_the_number_of_rows_is_that_of_one_timestep(rng, name):
    """Before the loop all timesteps would be rows: such a body stays in the loop as it is."""

    class Own(Mixing):
        def call(self, inputs, states):
            new = ops.matmul(ROWS[name](inputs), self.kernel) + states[0] * 0.5
            return new, [new]

    class InPython(Own):
        traced = False

    (traced, _), (python, _) = model_of(Own, return_sequences=True), model_of(InPython, return_sequences=True)
    python.set_weights(traced.get_weights())
    x = rng.standard_normal((3, 6, 4)).astype("f")
    np.testing.assert_allclose(traced(x), python(x), rtol=1e-5, atol=1e-6)
    assert not any(step["op"] is None for step in steps_of(traced, x))


class Matrix(layers.Layer):
    """Two states, one of them a matrix for each row: its size is no list of two."""

    state_size, output_size = [(4, 4), 4], 4

    def get_initial_state(self, batch_size=None):
        return [ops.zeros((batch_size, 4, 4)), ops.ones((batch_size, 4))]

    def call(self, inputs, states):
        matrix, vector = states
        return inputs + ops.sum(matrix, axis=1), [matrix + ops.expand_dims(inputs, 1), vector * 0.5]


def test_states_have_the_shapes_of_the_cells_own_initial_ones(rng):
    """Keras 3.15 takes `state_size` for the shapes, and says of such a model that its outputs do not fit."""
    inputs, matrix = fastseq.Input((3, 4)), fastseq.Input((4, 4))
    layer = layers.RNN(Matrix(), return_state=True)
    model = fastseq.Model(inputs, layer(inputs))
    assert [tensor.shape for tensor in model.outputs] == [(None, 4), (None, 4, 4), (None, 4)]
    x = rng.standard_normal((2, 3, 4)).astype("f")
    output, end, vector = model.predict(x)
    np.testing.assert_allclose(end, np.repeat(x.sum(1)[:, None], 4, 1), rtol=1e-5)
    np.testing.assert_array_equal(vector, np.full((2, 4), 0.125, "f"))
    vectors = fastseq.Input((4,))
    going_on = fastseq.Model([inputs, matrix, vectors], layer(inputs, initial_state=[matrix, vectors])[0])
    np.testing.assert_allclose(going_on.predict([x, end, vector]), output + end.sum(1), rtol=1e-4)
    with pytest.raises(ValueError, match="takes 2 initial states"):
        layer(x, initial_state=[end])


def test_the_states_of_stacked_cells_are_in_the_structure_of_their_sizes():
    inputs = fastseq.Input((3, 4))
    layer = layers.RNN([layers.GRUCell(5), layers.LSTMCell(6)], return_state=True)
    _, first, second = layer(inputs)
    assert first.shape == (None, 5) and [state.shape for state in second] == [(None, 6), (None, 6)]


def test_a_layer_that_gives_other_outputs_than_it_says_is_named():
    class Two(layers.Layer):
        def compute_output_shape(self, input_shape):
            return input_shape

        def call(self, inputs):
            return inputs, inputs

    inputs = fastseq.Input((3,))
    model = fastseq.Model(inputs, Two(name="two")(inputs))
    with pytest.raises(ValueError, match=r"'two' \(Two\) gave outputs of the shapes .* compute_output_shape"):
        model.predict(np.ones((2, 3), "f"))

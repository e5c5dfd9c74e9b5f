"""Streams over RNN with cells, EinsumDense and LocallyConnected1D: states, first states, refusals, Keras."""

import numpy as np
import pytest
from stream_models import MAKERS, STEPS, Leaky, inputs_of, over_cells, plain, sequential, stacked_cells, stepped

import fastseq
from fastseq import layers, models


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore:Layer 'einsum_dense.*does not support masking")
@pytest.mark.parametrize("masked", [False, True])
def test_a_stack_as_a_stateful_keras_model(masked):
    keras = pytest.importorskip("keras")
    cells = [keras.layers.LSTMCell(6), keras.layers.GRUCell(5), keras.layers.SimpleRNNCell(4)]
    theirs = keras.Sequential([
        keras.Input((None, 5)), *([keras.layers.Masking()] if masked else []),
        keras.layers.RNN(cells, return_sequences=True), keras.layers.EinsumDense("abc,cd->abd", (None, 3)),
    ])  # fmt: skip
    ours = fastseq.from_keras(theirs)
    x = inputs_of(ours, 2)
    np.testing.assert_allclose(stepped(ours.stream(2), x), theirs.predict(x, verbose=0), atol=2e-6)


def test_states_of_a_stack_come_cell_by_cell():
    layer = layers.RNN(stacked_cells(), return_sequences=True, return_state=True, name="it")
    x = layers.Input((None, 5))
    model = models.Model(x, layer(x)[0])
    values = inputs_of(model, 2)
    stream = model.stream(2)
    stream.steps(values)
    _, *states = layer(values)
    state = stream.state
    assert [array.shape for array in state["it"]] == [(2, 3), (2, 2), (2, 2), (2, 4), (2, 5)]
    for found, wanted in zip(state["it"], fastseq.tensors.nest.flatten(states)):
        np.testing.assert_array_equal(found, wanted)
    state["it"][3] = state["it"][3][:1]
    with pytest.raises(ValueError, match=r"Layer 'it' has states of shapes \[.*\(2, 4\), \(2, 5\)\], got .*\(1, 4\)"):
        stream.state = state


def test_weights_of_a_cell_that_change_are_used():
    model = MAKERS["stack"]()
    x = inputs_of(model, 1)
    stream = model.stream()
    stream.steps(x)
    model.set_weights([0.5 * w for w in model.get_weights()])
    stream.reset()
    np.testing.assert_array_equal(stepped(stream, x), model(x))


def test_a_stateful_rnn_keeps_its_own_states():
    model = models.Sequential([layers.Input(batch_shape=(2, None, 5)), layers.RNN(stacked_cells(), stateful=True)])
    x = inputs_of(model, 2)
    model(x)
    kept = [state.copy() for state in fastseq.tensors.nest.flatten(model.layers[0].states)]
    stream = model.stream(2)
    found = stream.steps(x)[:, -1]
    for state, before in zip(fastseq.tensors.nest.flatten(model.layers[0].states), kept):
        np.testing.assert_array_equal(state, before)
    model.reset_states()
    np.testing.assert_array_equal(found, model(x))


class TestOwnCell:
    def test_first_states(self):
        """Streams and pools start, and start again, from what get_initial_state() says."""
        model = over_cells(Leaky(6))
        x = inputs_of(model, 2)
        whole = model(x)
        stream = model.stream(2)
        first = next(iter(stream.state.values()))
        assert (first[0] == 1).all() and (first[1] == 0).all()
        stream.steps(x)
        stream.reset(rows=1)
        stream.steps(x)
        stream.reset()
        np.testing.assert_array_equal(stream.steps(x), whole)
        pool, alone = model.stream_pool(3), model(x[:1])
        for handle in (pool.open(), pool.open()):
            for _ in range(2):
                for t in range(STEPS):
                    np.testing.assert_array_equal(pool.step({handle: x[0, t]})[handle], alone[0, t])
                pool.reset(handle)
            pool.step({handle: x[0, 0]})
            pool.close(handle)

    def test_an_exception_leaves_the_states(self):
        class Fails(Leaky):
            traced, left = False, 10**9

            def call(self, inputs, states):
                Fails.left -= 1
                if Fails.left < 0:
                    raise ArithmeticError("on purpose")
                return super().call(inputs, states)

        model = over_cells([layers.GRUCell(4), Fails(3)])
        x = inputs_of(model, 1)
        stream = model.stream()
        stream.steps(x[:, :3])
        stream.steps(x[:, :4]), stream.reset(), stream.steps(x[:, :3])
        before, Fails.left = stream.state_bytes(), 2
        with pytest.raises(ArithmeticError):
            stream.steps(x[:, 3:7])
        assert stream.state_bytes() == before
        Fails.left = 10**9
        np.testing.assert_array_equal(stream.steps(x[:, 3:]), model(x)[:, 3:])

    def test_a_state_of_another_shape(self):
        class Growing(layers.Layer):
            state_size = output_size = 5

            def get_initial_state(self, batch_size):
                return [np.zeros((1, 5), "f")]

            def call(self, inputs, states):
                return inputs + states[0], [inputs + states[0]]

        model = models.Sequential([layers.Input((None, 5)), layers.RNN(Growing(), name="it")])
        with pytest.raises(ValueError, match=r"Layer 'it'.*state of shape \(1, 5\) and gave one of \(2, 5\)"):
            model.stream(2)


REFUSED = {
    "masked own cell": (
        lambda: [layers.Masking(), layers.RNN(Leaky(3), name="it")], "masked timestep repeats the last output"
    ),
    "go_backwards": (lambda: [layers.RNN(stacked_cells(), go_backwards=True, name="it")], "backwards"),
    "time in the kernel": (lambda: [layers.EinsumDense("abc,bcd->abd", (STEPS, 4), name="it")], "for every timestep"),
    "sum over time": (lambda: [layers.EinsumDense("abc,bd->acd", (5, 4), name="it")], "for every timestep"),
    "time moved": (lambda: [layers.EinsumDense("abc,cd->adb", (4, STEPS), name="it")], "leave batch and time"),
    "batch moved": (lambda: [layers.EinsumDense("abc,cd->bad", (None, 4), name="it")], "leave batch and time"),
    "bias over time": (
        lambda: [layers.EinsumDense("abc,cd->abd", (STEPS, 4), bias_axes="bd", name="it")], r"\(9, 4\).*every timestep"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name_with_the_reason(name):
    make, reason = REFUSED[name]
    model = models.Sequential([layers.Input((STEPS, 5)), *make()])
    with pytest.raises(ValueError, match=rf"Layer 'it' \(\w+\) cannot run in a stream: .*{reason}"):
        model.stream()


def test_initial_state_of_an_rnn_is_refused():
    x = layers.Input((None, 4))
    last = layers.GRU(4)(x)
    outputs = layers.RNN(layers.GRUCell(4), name="it")(x, initial_state=[last])
    with pytest.raises(ValueError, match=r"Layer 'it'.*initial state comes from another layer"):
        models.Model(x, outputs).stream()


def test_what_stands_behind_the_last_output_may_do_as_it_likes():
    """Behind a recurrent layer without return_sequences there is no time axis that a layer could mix."""
    model = sequential(
        layers.RNN(layers.LSTMCell(6)), layers.EinsumDense("ab,bc->ac", 4), layers.Reshape((2, 2)),
        layers.LocallyConnected1D(3, 1), layers.EinsumDense("abc,bd->acd", (3, 2)),
    )  # fmt: skip
    x = inputs_of(model, 2)
    wanted = np.stack([plain(model(x[:, : t + 1])) for t in range(STEPS)], axis=1)
    stream = model.stream(2)
    np.testing.assert_array_equal(stepped(stream, x), wanted)
    stream.reset()
    np.testing.assert_array_equal(stream.steps(x), wanted)


@pytest.mark.parametrize("equation, size", [("abcc,cd->abd", 3), ("abcd,de->abe", 8), ("abcd,c->abc", 33)])
@pytest.mark.parametrize("batch", [1, 7])
def test_equations_that_numpy_computes(equation, size, batch):
    width = size if equation.endswith("c") else 6
    model = sequential(layers.EinsumDense(equation, (None, width)), shape=(None, size, size))
    x = np.random.default_rng(0).standard_normal((batch, STEPS, size, size)).astype("f")
    whole, stream = model(x), model.stream(batch)
    np.testing.assert_array_equal(stepped(stream, x), whole)
    np.testing.assert_array_equal(stream.steps(x), whole)


def test_a_mask_that_is_none_is_none():
    x = layers.Input((None, 3))
    model = fastseq.Model(x, layers.GRU(4, return_sequences=True)(x, mask=None))
    sequence = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("f")
    np.testing.assert_array_equal(model.stream(2).steps(sequence), model(sequence))

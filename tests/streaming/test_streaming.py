"""Streams: the bits of the whole sequence, refusals, failures."""

import gc
import sys

import numpy as np
import pytest
from stream_models import LAST, MAKERS, STEPS, filled, inputs_of, plain, sequential, stepped

import fastseq
from fastseq import layers, models
from fastseq.native import runtime
from fastseq.tensors import arrays


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
class TestBits:
    def test_steps_and_chunks_have_the_bits_of_the_whole(self, make, batch):
        model = make()
        x = inputs_of(model, batch)
        whole = plain(model(x))
        stream = model.stream(batch)
        np.testing.assert_array_equal(stepped(stream, x), whole)
        stream.reset()
        parts = [stream.steps(x[:, :4]), stream.step(x[:, 4])[:, None], stream.steps(x[:, 5:5]), stream.steps(x[:, 5:])]
        np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)

    def test_into_given_arrays(self, make, batch):
        model = make()
        x = inputs_of(model, batch)
        whole = plain(model(x))
        stream, y = model.stream(batch), np.empty_like(whole[:, 0])
        for t in range(4):
            assert stream.step(np.ascontiguousarray(x[:, t]), out=y) is y
            np.testing.assert_array_equal(y, whole[:, t])
        chunk = np.empty_like(whole[:, 4:])
        assert stream.steps(x[:, 4:], out=chunk) is chunk
        np.testing.assert_array_equal(chunk, whole[:, 4:])

    def test_saved_and_restored(self, make, batch):
        model = make()
        x = inputs_of(model, batch)
        whole = plain(model(x))
        first, second = model.stream(batch), model.stream(batch)
        first.steps(x[:, :4])
        second.restore(first.state_bytes())
        np.testing.assert_array_equal(second.steps(x[:, 4:]), whole[:, 4:])
        third = model.stream(batch)
        third.state = first.state
        np.testing.assert_array_equal(third.steps(x[:, 4:]), whole[:, 4:])


@pytest.mark.parametrize("make", LAST.values(), ids=LAST)
def test_last_output_is_that_of_the_sequence_so_far(make):
    model = make()
    x = inputs_of(model, 2)
    wanted = np.stack([plain(model(x[:, : t + 1])) for t in range(STEPS)], axis=1)
    stream = model.stream(2)
    np.testing.assert_array_equal(stepped(stream, x), wanted)
    stream.reset()
    np.testing.assert_array_equal(stream.steps(x), wanted)


@pytest.mark.tensorflow
@pytest.mark.parametrize("masked", [False, True])
def test_as_a_stateful_keras_model(masked):
    keras = pytest.importorskip("keras")
    stack = [keras.layers.Masking()] if masked else []
    theirs = keras.Sequential([
        keras.Input((None, 5)), *stack, keras.layers.LSTM(8, return_sequences=True),
        keras.layers.GRU(4, return_sequences=True), keras.layers.Dense(3, activation="softmax"),
    ])  # fmt: skip
    x = np.random.default_rng(0).standard_normal((2, STEPS, 5)).astype("f")
    x[:, 3:5] = 0
    stream = fastseq.from_keras(theirs).stream(2)
    np.testing.assert_allclose(stepped(stream, x), theirs.predict(x, verbose=0), atol=2e-6)


def test_several_inputs_and_outputs():
    a, b = layers.Input((None, 3), name="a"), layers.Input((None, 2), name="b")
    h, state = layers.GRU(4, return_sequences=True, return_state=True)(layers.Concatenate()([a, b]))
    model = filled(models.Model([a, b], [layers.Dense(2)(h), state]))
    rng = np.random.default_rng(0)
    x = [rng.standard_normal((2, STEPS, n)).astype("f") for n in (3, 2)]
    whole, last = model(x)
    stream = model.stream(2)
    for t in range(STEPS):
        named = {"a": x[0][:, t], "b": x[1][:, t]}
        y, state = stream.step(named if t % 2 else [x[0][:, t], x[1][:, t]])
        np.testing.assert_array_equal(y, whole[:, t])
    np.testing.assert_array_equal(state, last)
    stream.reset()
    np.testing.assert_array_equal(stream.steps(x)[0], whole)
    with pytest.raises(ValueError, match="takes 2 inputs, got 1"):
        stream.step([x[0][:, 0]])
    with pytest.raises(ValueError, match=r"named \['a', 'b'\], got \['a', 'c'\]"):
        stream.step({"a": x[0][:, 0], "c": x[1][:, 0]})
    with pytest.raises(ValueError, match="2 inputs and 2 outputs"):
        model.stream_pool(3)


class Doubling(layers.Layer):
    traced = False

    def call(self, inputs):
        return inputs * 2


# Options and classes that refuse; layers that do so whatever their options are in layers/test_every_layer.py.
REFUSED = {
    "go_backwards": ([layers.LSTM(2, go_backwards=True, name="it")], "backwards"),
    "Softmax over time": ([layers.Softmax(axis=1, name="it")], "axis is time"),
    "own class": ([Doubling(name="it")], "class of your own"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name_with_the_reason(name):
    stack, reason = REFUSED[name]
    model = models.Sequential([layers.Input((STEPS, 5)), *stack])
    with pytest.raises(ValueError, match=rf"Layer 'it' \(\w+\) cannot run in a stream: .*{reason}"):
        model.stream()
    with pytest.raises(ValueError, match="Layer 'it'"):
        model.stream_pool(2)


def test_refused_graphs():
    x = layers.Input((STEPS, 5))
    _, h, c = layers.LSTM(4, return_state=True)(x)
    decoder = layers.LSTM(4, return_sequences=True, name="it")(x, initial_state=[h, c])
    last = layers.GRU(5)(x)
    for outputs, reason in (
        (decoder, "initial state comes from another layer"),
        (layers.Add(name="it")([x, last]), "some have a time axis and some do not"),
        (layers.Concatenate(axis=1, name="it")([x, x]), "axis is time"),
        (layers.Dot(axes=2, name="it")([x, x]), "multiplies over the timesteps"),
    ):
        with pytest.raises(ValueError, match=rf"Layer 'it' .*{reason}"):
            models.Model(x, outputs).stream()
    with pytest.raises(ValueError, match=r"Layer 'it' .*last axis.*which is time"):
        models.Sequential([layers.Input((5,)), layers.Dense(2, name="it")]).stream()
    with pytest.raises(ValueError, match="not built"):
        models.Sequential([layers.GRU(3)]).stream()

    class Own(models.Model):
        def call(self, inputs):
            return inputs

    with pytest.raises(ValueError, match=r"Own.*not built yet: call it once"):
        Own().stream()


def test_recurrent_inside_time_distributed_runs_over_its_own_axis():
    x = np.random.default_rng(0).standard_normal((2, STEPS, 3, 5)).astype("f")
    inner = layers.TimeDistributed(layers.GRU(4), name="it")
    model = sequential(inner, layers.GRU(2, return_sequences=True), shape=(None, 3, 5))
    stream = model.stream(2)
    np.testing.assert_array_equal(stepped(stream, x), model(x))
    assert list(stream.state) == [model.layers[1].name]
    kept = layers.TimeDistributed(layers.GRU(4, stateful=True), name="it")
    with pytest.raises(ValueError, match=r"Layer 'it'.*the layer inside is stateful"):
        models.Sequential([layers.Input(batch_shape=(2, None, 3, 5)), kept]).stream(2)


def test_bad_arguments_name_both_shapes_and_change_nothing():
    model = MAKERS["gru"]()
    x = inputs_of(model, 2)
    stream = model.stream(2)
    stream.steps(x[:, :3])
    before = stream.state_bytes()
    for bad, message in (
        (x[:1, 0], r"one timestep of shape \(2, 5\), got \(1, 5\)"),
        (x[:, 0, :4], r"\(2, 5\), got \(2, 4\)"),
        (x, r"\(2, 5\), got \(2, 9, 5\)"),
        (arrays.with_mask(x[:, 0].copy(), np.ones(2, bool)), "no arrays with masks"),
    ):
        with pytest.raises(ValueError, match=message):
            stream.step(bad)
    with pytest.raises(ValueError, match=r"timesteps of shape \(2, n, 5\), got \(2, 5\)"):
        stream.steps(x[:, 0])
    with pytest.raises(TypeError, match="real numbers"):
        stream.step(x[:, 0].astype(object))
    step, readonly = np.ascontiguousarray(x[:, 3]), np.empty((2, 8), "f")
    readonly.flags.writeable = False
    for out in (np.empty((2, 8)), np.empty((2, 9), "f"), np.empty((8, 2), "f").T, readonly, [[0.0] * 8] * 2):
        with pytest.raises(ValueError, match=r"`out`"):
            stream.step(step, out=out)
    both = np.zeros((4, 8), "f")
    with pytest.raises(ValueError, match="shares memory"):
        stream.step(both.reshape(-1)[:10].reshape(2, 5), out=both[:2])
    assert stream.state_bytes() == before
    for bad in (0, -1, 1.5, True, "2"):
        with pytest.raises(ValueError, match="positive integer"):
            model.stream(bad)
        with pytest.raises(ValueError, match="positive integer"):
            model.stream_pool(bad)


def test_other_dtypes_and_layouts():
    model = MAKERS["gru"]()
    x = inputs_of(model, 3).round(1)
    whole = model(x.astype("f4"))
    for other in (x.astype("f8"), np.asfortranarray(x), x.tolist()):
        found = model.stream(3).steps(other)
        np.testing.assert_array_equal(found, whole)
    stream = model.stream(3)
    for t in range(STEPS):
        np.testing.assert_array_equal(stream.step(x[:, t].tolist() if t % 2 else x[:, t].astype("f8")), whole[:, t])


def test_failure_in_the_middle_leaves_the_states():
    for make in (MAKERS["embedded"], MAKERS["masked ids"]):
        model = make()
        ids = inputs_of(model, 2)
        stream = model.stream(2)
        stream.steps(ids[:, :4])
        before = stream.state_bytes()
        wrong = ids[:, 4:].copy()
        wrong[1, -1] = 7
        with pytest.raises(ValueError, match=r"range \[0, 7\), got 7"):
            stream.steps(wrong)
        with pytest.raises(ValueError, match=r"range \[0, 7\), got -1"):
            stream.step(np.array([1, -1], "i4"))
        assert stream.state_bytes() == before
        np.testing.assert_array_equal(stream.steps(ids[:, 4:]), plain(model(ids))[:, 4:])


def test_failure_of_a_python_step_leaves_the_states():
    fails = []

    def activation(x):
        if fails:
            raise ArithmeticError("on purpose")
        return np.tanh(np.asarray(x))  # not traced

    model = sequential(layers.LSTM(4, return_sequences=True), layers.Activation(activation))
    x = inputs_of(model, 1)
    stream = model.stream()
    stream.step(x[:, 0])
    before = stream.state_bytes()
    fails.append(1)
    for call in (lambda: stream.step(x[:, 1]), lambda: stream.steps(x[:, 1:])):
        with pytest.raises(ArithmeticError):
            call()
    assert stream.state_bytes() == before
    fails.clear()
    np.testing.assert_array_equal(stream.step(x[:, 1]), model(x)[:, 1])


def test_weights_instruction_sets_and_threads_change_under_a_stream():
    model = MAKERS["residual"]()
    x = inputs_of(model, 2)
    stream = model.stream(2)
    stream.step(x[:, 0])
    filled(model, 1)
    stream.reset()
    whole = plain(model(x))
    for name in runtime.available_isas():
        runtime.force_isa(name)
        stream.reset()
        found = stepped(stream, x)
        np.testing.assert_array_equal(found, model(x))
        with runtime.num_threads(2):
            stream.reset()
            np.testing.assert_array_equal(stream.steps(x), found)
        if name != "scalar":
            np.testing.assert_array_equal(found, whole)


def test_a_stateful_layer_keeps_its_own_states():
    model = models.Sequential([layers.Input(batch_shape=(2, None, 5)), layers.GRU(3, stateful=True)])
    x = inputs_of(model, 2)
    model(x)
    kept = model.layers[0].states[0].copy()
    stream = model.stream(2)
    stream.steps(x)
    np.testing.assert_array_equal(model.layers[0].states[0], kept)
    model.reset_states()
    np.testing.assert_array_equal(stream.state[model.layers[0].name][0], model(x))


def test_a_step_into_a_given_array_allocates_nothing():
    model = MAKERS["gru"]()
    stream, x, y = model.stream(), np.ones((1, 5), "f"), np.empty((1, 8), "f")
    step = stream.step
    step(x, out=y)
    gc.collect()
    gc.disable()
    try:
        repeat = [None] * 1000
        before = sys.getallocatedblocks()
        for _ in repeat:
            step(x, out=y)
        assert sys.getallocatedblocks() - before <= 2  # the loop's own
    finally:
        gc.enable()

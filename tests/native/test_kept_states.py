"""An exception at any place of a call leaves what layers keep as it was: at every line of Python, and by signals."""

import ctypes
import functools
import inspect
import itertools
import operator
import signal
import threading
import time
import tracemalloc

import numpy as np
import pytest
from raising import Stop, interrupt, needs_signals, raise_everywhere, raising_at

import fastseq
from fastseq import layers
from fastseq.decoding import Decoder, generate
from fastseq.native.kept_states import stateful_layers
from fastseq.streaming import Stream, StreamPool


class Inside(layers.Layer):
    """Calls a stateful layer of its own, twice, in Python; a model that contains it does not know of its states."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.held = (lambda layer: lambda: layer)(layers.GRU(units, stateful=True, return_sequences=True))

    def call(self, inputs):
        rows = np.asarray(inputs, np.float32)
        first = self.held()(rows.reshape(rows.shape[0], -1, rows.shape[-1]))
        return np.asarray(self.held()(first)).reshape(rows.shape)

    def compute_output_shape(self, input_shape):
        return input_shape


class Two(fastseq.Model):
    def __init__(self):
        super().__init__()
        self.one = layers.LSTM(3, stateful=True, return_sequences=True)
        self.two = layers.GRU(3, stateful=True)

    def call(self, inputs, training=None):
        return self.two(self.one(inputs))


class Halves:
    """A cell of the user's own."""

    state_size = 3

    def call(self, inputs, states):
        new = states[0] / 2 + inputs
        return new, [new]


def functional():
    x = fastseq.Input(batch_shape=(2, 4, 3))
    y = layers.LSTM(3, stateful=True, return_sequences=True)(layers.Masking(0.0)(x))
    return fastseq.Model(x, layers.Bidirectional(layers.GRU(3, stateful=True))(y))


def with_python():
    x = fastseq.Input(batch_shape=(2, 4, 3))
    y = Inside(3, name="inside")(layers.LSTM(3, stateful=True, return_sequences=True)(x))
    return fastseq.Model(x, layers.SimpleRNN(3, stateful=True)(y))


MODELS = {
    "layer": lambda: layers.LSTM(3, stateful=True),
    "cells": lambda: layers.RNN([layers.GRUCell(2), layers.LSTMCell(3)], stateful=True),
    "own cell": lambda: layers.RNN(Halves(), stateful=True),
    "activation": lambda: layers.SimpleRNN(3, stateful=True, activation=lambda x: x / 2),
    "functional": functional,
    "python": with_python,
    "subclass": Two,
}


def kept_arrays(model):
    found = stateful_layers(model)
    for layer in [model, *getattr(model, "layers", [])]:
        if isinstance(layer, Inside):
            found.append(layer.held())
    return [state for layer in found for state in fastseq.tensors.nest.flatten(layer.states or ())]


def restorer(states):
    def restore(values):
        for array, value in zip(states(), values):
            array[...] = value

    return restore


def events(model, call, every=1):
    def states():
        return kept_arrays(model)

    return raise_everywhere(call, states, restorer(states), every=every)


@pytest.fixture
def x(rng):
    x = rng.standard_normal((2, 4, 3)).astype("f")
    x[0, 1] = 0
    return x


# Stop in a generator that is being closed.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.mark.parametrize("kind", MODELS)
def test_a_call_leaves_the_states(kind, x):
    """Programs that are there, inputs that are converted, and a program that is made for another shape."""
    model = MODELS[kind]()
    model(x)
    assert events(model, lambda: model(x.astype("f8"), training=False)) > 20
    shape = (2, 4, 3) if isinstance(model, fastseq.Model) and kind != "subclass" else (2, 5, 3)
    other = np.resize(x, shape)

    def anew():
        for layer in [model, *stateful_layers(model), *getattr(model, "layers", [])]:
            layer._programs.clear()
        return model(other)

    assert events(model, anew, every=29) > 100


@pytest.mark.parametrize("kind", ["layer", "functional", "python", "subclass"])
def test_predict_and_evaluate_leave_the_states(kind, x):
    model = MODELS[kind]()
    if kind == "layer":
        model = fastseq.Sequential([fastseq.Input(batch_shape=(2, 4, 3)), model])
    data = np.concatenate([x, -x, 2 * x])
    model(x)
    assert events(model, lambda: model.predict(data, batch_size=2, verbose=0)) > 50
    assert events(model, lambda: model.predict((part for part in (x, -x)), verbose=0), every=7) > 50
    assert events(model, lambda: model.predict_on_batch(x)) > 5
    if kind == "subclass":
        return
    model.compile(loss="mse")
    labels = model.predict(data, batch_size=2, verbose=0)
    assert events(model, lambda: model.evaluate(data, labels, batch_size=2, verbose=0), every=7) > 50
    assert events(model, lambda: model.test_on_batch(x, labels[:2])) > 20


def test_a_generator_of_batches_keeps_what_it_did(x):
    """It is not asked for its batches again, so a layer that makes them is not set back with the model."""
    source, model = layers.GRU(3, stateful=True, return_sequences=True), functional()
    source(x)
    source.reset_state()
    model(x)
    before = [state.copy() for state in kept_arrays(model)]

    def batches():
        yield source(x)
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        model.predict(batches(), verbose=0)
    assert all((a == b).all() for a, b in zip(kept_arrays(model), before))
    assert source.states[0].any()


@pytest.mark.parametrize("kind", MODELS)
def test_a_first_call_that_raises_builds_nothing_twice(kind, x):
    """What the next call builds has all of its weights, once, and the states begin at the first ones."""
    whole = MODELS[kind]()
    whole(x)
    shapes, number = [weight.shape for weight in whole.weights], 0
    while True:
        number += 29
        model = MODELS[kind]()
        done, where = raising_at(number, lambda model=model: model(x))
        if done:
            break
        if not isinstance(where, str):
            continue  # it was swallowed
        assert not any(state.any() for state in kept_arrays(model)), where
        found = model(x)
        assert [weight.shape for weight in model.weights] == shapes, where
        if number % 145 == 0:
            twin = MODELS[kind]()
            twin(x)
            twin.set_weights(model.get_weights())
            for layer in (part for part in kept_arrays(twin)):
                layer[...] = 0
            inside = [part.held() for part in getattr(model, "layers", []) if isinstance(part, Inside)]
            for layer, other in zip(inside, [p.held() for p in getattr(twin, "layers", []) if isinstance(p, Inside)]):
                other.set_weights(layer.get_weights())
            np.testing.assert_array_equal(twin(x), found, err_msg=where)
    assert number > 50


# ---- streams, pools, decoding ----------------------------------------------------------------------------------------


def streamed(units=3):
    return fastseq.Sequential(
        [fastseq.Input((None, 3)), layers.LSTM(units, return_sequences=True), layers.GRU(units, return_sequences=True)]
    )


def test_streams_leave_their_states(x):
    stream = streamed().stream(2)
    stream.step(x[:, 0])

    def states():
        return [state for arrays in stream.state.values() for state in arrays]

    def restore(values):
        names = iter(values)
        stream.state = {name: [next(names) for _ in arrays] for name, arrays in stream.state.items()}

    for call in (lambda: stream.step(x[:, 1].astype("f8")), lambda: stream.steps(x)):
        assert raise_everywhere(call, states, restore) > 20


def test_pools_leave_their_states_and_rows(x):
    pool = streamed().stream_pool(3)
    handles = [pool.open() for _ in range(2)]
    pool.step({handle: x[0, 0] for handle in handles})

    def states():
        found = [state for handle in handles for arrays in pool.state(handle).values() for state in arrays]
        return [*found, np.array([len(pool), len(pool._free)])]

    def restore(values):
        values = iter(values)
        for handle in handles:
            pool.set_state(handle, {n: [next(values) for _ in a] for n, a in pool.state(handle).items()})

    inputs = {handle: x[1, number].astype("f8") for number, handle in enumerate(handles)}
    assert raise_everywhere(lambda: list(pool.step(inputs).values()), states, restore) > 20
    # Rows come and go: each is free or belongs to one handle, whatever ends a call.
    for number in range(1, 100):
        done, handle = raising_at(number, pool.open)
        if done:
            pool.close(handle)
            break
        assert len(pool) + len(pool._free) == 3 and len(pool) == 2
    for number in range(1, 100):
        handle = pool.open()
        done, _ = raising_at(number, lambda handle=handle: pool.close(handle))
        assert len(pool) + len(pool._free) == 3
        if done:
            break
        pool.close(handle)
    assert len(pool) == 2


def window_model():
    x = fastseq.Input((4,), dtype="int32")
    y = Inside(3, name="inside")(layers.Embedding(7, 3)(x))
    return fastseq.Model(x, layers.Dense(7, activation="softmax")(layers.LSTM(3)(y)))


def step_model():
    last, h, c = fastseq.Input((1,), dtype="int32"), fastseq.Input((3,)), fastseq.Input((3,))
    y = Inside(3, name="inside")(layers.Embedding(7, 3)(last))
    y, *new = layers.LSTM(3, return_state=True)(y, initial_state=[h, c])
    return fastseq.Model([last, h, c], [layers.Dense(7, activation="softmax")(y), *new])


def test_decoding_leaves_the_states_of_layers_in_python():
    """Decoders refuse stateful layers they know of; one inside of a layer in Python they do not see."""
    model = window_model()
    ids = np.array([[1, 2, 3, 4], [4, 3, 2, 1]])
    generate(model, ids, 2)
    assert events(model, lambda: list(generate(model, ids, 2))[:2], every=3) > 20
    model = step_model()
    decoder = Decoder(model, start_id=1, max_length=2)
    states = [np.zeros((2, 3), "f")] * 2
    decoder.greedy(states)
    assert events(model, lambda: list(decoder.greedy(states))) > 20
    assert events(model, lambda: list(decoder.sample(states, seed=3)), every=3) > 20
    inside = model.get_layer("inside")
    inside.held = (lambda layer: lambda: layer)(layers.GRU(3, stateful=True, return_sequences=True))
    inside.held()(np.zeros((4, 1, 3), "f"))  # for two rows of two hypotheses
    assert events(model, lambda: list(decoder.beam(states, width=2)), every=3) > 20


# ---- training --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["adam", "accumulates"])
def test_a_training_step_is_whole(optimizer, x):
    """States and weights are of one step: both from before, or both from behind it. Signals wait for its end."""
    model = fastseq.Sequential(
        [fastseq.Input(batch_shape=(2, 4, 3)), layers.LSTM(3, stateful=True), layers.Dense(2, kernel_regularizer="l2")]
        if optimizer == "accumulates"
        else [fastseq.Input(batch_shape=(2, 4, 3)), layers.LSTM(3, stateful=True), layers.Dense(2)]
    )
    model.compile("adam", "mse")
    y = np.ones((2, 2), "f")
    for _ in range(2):
        model.train_on_batch(x, y)
    variables = model.optimizer.variables

    def states():
        return [*kept_arrays(model), *[weight.numpy() for weight in (*model.weights, *variables)]]

    def restore(values):
        values = iter(values)
        for state in kept_arrays(model):
            state[...] = next(values)
        for variable in (*model.weights, *variables):
            variable._value[...] = next(values)  # in place: the program stays

    count = len(kept_arrays(model))

    def whole(before, after, found, where):
        moved = [(a != b).any() for a, b in zip(found[: count + len(model.weights)], before)]
        assert all(moved[:count]) or not any(moved[:count]), where
        if any(moved[count:]):
            for a, b in zip(found[:count], after):
                np.testing.assert_array_equal(a, b, err_msg=where)

    assert raise_everywhere(lambda: model.train_on_batch(x, y), states, restore, whole) > 30


# ---- signals ---------------------------------------------------------------------------------------------------------


def long_calls(rng):
    """name: (model, call) of 10 to 100 ms, on one thread of any machine of these years."""
    x = rng.standard_normal((2, 600, 64)).astype("f")
    layer = layers.LSTM(128, stateful=True)
    yield "layer", layer, lambda: layer(x)
    gru = layers.GRU(96, stateful=True)
    mask = np.ones((2, 600), bool)
    mask[:, 5:9] = False
    yield "mask", gru, lambda: gru(x, mask=mask)
    model = fastseq.Sequential(
        [fastseq.Input(batch_shape=(2, 600, 64)), layers.GRU(64, stateful=True, return_sequences=True)]
        + [layers.Bidirectional(layers.SimpleRNN(64, stateful=True)), layers.Dense(3)]
    )
    yield "model", model, lambda: model(x)
    parts = np.concatenate([x[:, :600], -x, x, -x])
    yield "predict", model, lambda: model.predict(parts, batch_size=2, verbose=0)
    own = Two()
    rows = rng.standard_normal((2, 900, 3)).astype("f")
    yield "subclass", own, lambda: own(rows)
    cell = layers.RNN(Halves(), stateful=True)
    yield "own cell", cell, lambda: cell(rows)
    model.compile(loss="mse")
    y = np.zeros((2, 3), "f")
    yield "test_on_batch", model, lambda: model.test_on_batch(x, y)


@needs_signals
def test_signals_in_calls_leave_the_states(rng):
    for name, model, call in long_calls(rng):
        call()

        def states(model=model):
            return kept_arrays(model)

        assert interrupt(call, states, restorer(states)) > 0, name


@needs_signals
def test_signals_in_streams_and_pools_leave_the_states(rng):
    model = fastseq.Sequential([fastseq.Input((None, 256)), layers.LSTM(512, return_sequences=True)])
    stream, pool = model.stream(64), model.stream_pool(64)
    handles = [pool.open() for _ in range(64)]
    x = rng.standard_normal((64, 3, 256)).astype("f")

    def of_stream():
        return [state for arrays in stream.state.values() for state in arrays]

    def set_stream(values):
        stream.state = {"lstm" if "lstm" in stream.state else next(iter(stream.state)): list(values)}

    for call in (lambda: stream.step(x[:, 0]), lambda: stream.steps(x), lambda: stream.steps(x.astype("f8"))):
        assert interrupt(call, of_stream, set_stream) > 0

    def of_pool():
        return pool._pool

    inputs = {handle: x[row, 0].astype("f8") for row, handle in enumerate(handles)}
    assert interrupt(lambda: list(pool.step(inputs).values()), of_pool, restorer(of_pool)) > 0


@needs_signals
def test_a_signal_while_a_pools_rows_move_takes_them_back(rng):
    """The signal comes when the pool is asked for its states for the second time, in C: no line of Python sees it."""
    model = fastseq.Sequential([fastseq.Input((None, 3)), layers.LSTM(4, return_sequences=True, name="lstm")])
    pool = model.stream_pool(2)
    handles = [pool.open() for _ in range(2)]
    inputs = {handle: rng.standard_normal(3).astype("f") for handle in handles}
    pool.step(inputs)
    other, held = pool.state_bytes(handles[1]), pool._pool
    plain = type(pool)

    def stop(*_):
        raise Stop

    def come_late(call):
        before = [state.copy() for state in held]
        come = map(ctypes.pythonapi.PyErr_SetInterruptEx, [signal.SIGALRM])
        asked = itertools.chain([held], map(operator.itemgetter(0), zip([held], come)), itertools.repeat(held))
        pool.__class__ = type("Late", (plain,), {"_pool": property(functools.partial(next, asked))})
        with pytest.raises(Stop):
            call()
        pool.__class__ = plain
        for state, old in zip(held, before):
            np.testing.assert_array_equal(state, old)
        call()
        assert all((state != old).any() for state, old in zip(held, before))

    handler = signal.signal(signal.SIGALRM, stop)
    try:
        come_late(lambda: pool.step(inputs))
        come_late(lambda: pool.restore(handles[0], other))
        come_late(lambda: pool.reset(handles[0]))
        come_late(lambda: pool.set_state(handles[0], {"lstm": [np.ones((1, 4))] * 2}))
    finally:
        signal.signal(signal.SIGALRM, handler)


def test_what_sets_states_returns_from_c():
    """A line of Python behind the change would be a place for signals."""
    for owner in (Stream, StreamPool):
        for name in ("reset", "restore"):
            assert not inspect.isfunction(getattr(owner, name)), name
    assert not inspect.isfunction(StreamPool.set_state) and not isinstance(Stream.state, property)
    for owner in (layers.LSTM, layers.RNN, layers.Bidirectional):
        for name in ("reset_state", "reset_states"):
            method = getattr(owner, name, None)
            assert method is None or hasattr(method, "__wrapped__"), (owner, name)


@needs_signals
def test_signals_in_decoding_leave_the_states():
    model = window_model()
    ids = np.array([[1, 2, 3, 4], [4, 3, 2, 1]])
    generate(model, ids, 60)

    def states():
        return kept_arrays(model)

    assert interrupt(lambda: list(generate(model, ids, 60))[:2], states, restorer(states)) > 0


@needs_signals
def test_a_handler_that_calls_layers_keeps_what_it_did(rng):
    """A call that a handler makes is its own: it stays where the call that it came in between is given up."""
    outer, own = layers.LSTM(256, stateful=True), layers.GRU(3, stateful=True)
    x, small = rng.standard_normal((2, 3000, 64)).astype("f"), rng.standard_normal((2, 4, 3)).astype("f")
    own(small)
    own.reset_state()
    outer(x)
    begun = time.perf_counter()
    outer(x)
    seconds = time.perf_counter() - begun
    outer.reset_state()

    def handler(*_):
        own(small)
        raise Stop

    before = signal.signal(signal.SIGALRM, handler)
    stopped = False
    try:
        while not stopped and seconds > 1e-5:
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.4 * seconds)
                outer(x)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except Stop:
                stopped = not any(state.any() for state in outer.states)
            if not stopped:  # the call that was timed met a busier machine: the signal came behind this one
                outer.reset_state()
                own.reset_state()
                seconds /= 2
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert stopped and own.states[0].any()


def test_setting_states_is_all_or_nothing(x):
    layer = layers.LSTM(3, stateful=True)
    layer(x)

    def states():
        return layer.states

    new = [np.ones((2, 3)), np.full((2, 3), 2.0)]

    def call(values=new):
        layer.reset_state(values)
        return [state.copy() for state in layer.states]

    number = 0
    before = [state.copy() for state in layer.states]
    while True:
        number += 1
        done, where = raising_at(number, call)
        found = [np.array_equal(a, b) for a, b in zip(layer.states, before)]
        assert all(found) or not any(found), where
        if done:
            break
        layer.reset_state(before)
    assert number > 5


def test_threads_have_scopes_of_their_own(x):
    """A call that fails on one thread puts its own layer back, and nothing that another one did meanwhile."""
    failing, other = fastseq.Sequential([layers.LSTM(3, stateful=True)]), layers.GRU(3, stateful=True)
    other(x)
    other.reset_state()
    ready, done = threading.Event(), threading.Event()

    class Waits(layers.Layer):
        def call(self, inputs):
            if np.asarray(inputs).any():
                ready.set()
                assert done.wait(30)
                raise RuntimeError("enough")
            return inputs

    failing.add(Waits())
    failed = []

    def run():
        try:
            failing(x)
        except RuntimeError as error:
            failed.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(30)
    other(x)
    done.set()
    thread.join()
    assert failed == ["enough"] and other.states[0].any()
    assert not any(state.any() for state in kept_arrays(failing))


def test_kept_states_under_a_signal_are_copied_once(x):
    """A call that runs a stateful layer many times keeps one copy of its states until it has ended, not one a time."""
    layer = layers.GRU(300, stateful=True)
    big = np.ones((40, 1, 3), "f")
    layer(big)

    class Often(layers.Layer):
        def call(self, inputs):
            for _ in range(400):
                layer(big)
            return inputs

    often = Often()
    often(x)
    tracemalloc.start()
    try:
        often(x)
        assert tracemalloc.get_traced_memory()[1] < 20 * layer.states[0].nbytes
    finally:
        tracemalloc.stop()

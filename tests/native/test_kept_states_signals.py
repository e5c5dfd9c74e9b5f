"""Signals in calls, streams, pools and decoding leave what layers keep as it was."""

import ctypes
import functools
import inspect
import itertools
import operator
import signal
import time

import numpy as np
import pytest
from kept_models import Halves, Two, kept_arrays, restorer, window_model
from raising import Stop, interrupt, needs_signals

import fastseq
from fastseq import layers
from fastseq.decoding import generate
from fastseq.streaming import Stream, StreamPool

# Stop in a generator that is being closed.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


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

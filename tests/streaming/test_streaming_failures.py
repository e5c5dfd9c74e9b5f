"""Streams that are interrupted: the states are those from before the call; long chunks run in pieces."""

import signal
import sys
import threading
import time

import numpy as np
import pytest
from stream_models import MAKERS, STEPS, filled, inputs_of, plain

from fastseq import layers, models
from fastseq.streaming import plan


class Interrupted(Exception):
    pass


class Signals:
    """Raises Interrupted in a call on the main thread, while its kernels run.

    Another thread sends the signals. It runs only while this one is inside kernels or copies: those let the GIL go, and
    else it is not handed over.
    """

    def __init__(self):
        self.wanted = self.done = False
        self.go = threading.Event()
        self.thread = threading.Thread(target=self._send)

    def _send(self):
        self.go.wait()
        while not self.done:
            signal.raise_signal(signal.SIGUSR1)
            time.sleep(0.0001)

    def handler(self, number, frame):
        if self.wanted:
            self.done = True
            raise Interrupted

    def interrupt(self, call, state):
        """Calls until a signal came inside a call, and holds the states against those from before that call."""
        self.thread.start()
        for _ in range(1000):
            before = state()
            self.go.set()
            self.wanted = True
            try:
                call()
                self.wanted = False
            except Interrupted:
                self.wanted = False
                self.thread.join()
                assert state() == before
                return
        pytest.fail("no call was interrupted")


@pytest.fixture
def interrupt():
    if not hasattr(signal, "SIGUSR1") or threading.current_thread() is not threading.main_thread():
        pytest.skip("needs signals in the main thread")
    signals, interval = Signals(), sys.getswitchinterval()
    handler = signal.signal(signal.SIGUSR1, signals.handler)
    sys.setswitchinterval(1000)
    yield signals.interrupt
    sys.setswitchinterval(interval)
    signals.done = True
    signals.go.set()
    if signals.thread.ident is not None:
        signals.thread.join()
    signal.signal(signal.SIGUSR1, handler)


def wide():
    stack = [layers.LSTM(200, return_sequences=True), layers.GRU(50, return_sequences=True)]
    return filled(models.Sequential([layers.Input((None, 200)), *stack]))


class TestInterrupts:
    @pytest.mark.parametrize("plain", [True, False])
    def test_step(self, interrupt, plain):
        model = wide()
        stream, x = model.stream(64), np.ones((64, 200), "f")
        y = stream.step(x)
        given = x if plain else x.astype("f8")
        interrupt(lambda: stream.step(given, out=y), stream.state_bytes)
        wanted = model.stream(64)
        wanted.state = stream.state
        np.testing.assert_array_equal(stream.step(x), wanted.step(x))

    @pytest.mark.parametrize("rows", [1, 3])
    def test_chunk_in_pieces(self, interrupt, rows, monkeypatch):
        monkeypatch.setattr(plan, "_MOST_WORK", 5e6)
        stream, x = wide().stream(rows), np.ones((rows, 2000, 200), "f")
        stream.steps(x[:, :10])
        assert stream._plan(1)[0].most_timesteps < 20
        interrupt(lambda: stream.steps(x), stream.state_bytes)
        stream.steps(x[:, :10])

    def test_pool(self, interrupt):
        pool = wide().stream_pool(64)
        inputs = {pool.open(): np.ones(200, "f") for _ in range(64)}
        interrupt(lambda: pool.step(inputs), lambda: [pool.state_bytes(handle) for handle in inputs])
        pool.step(inputs)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", ["lstm", "residual", "stack", "einsum", "python activation", "embedded"])
def test_pieces_have_the_bits_of_the_whole(name, batch, monkeypatch):
    for work in (1.0, 2e4, 5e4):
        monkeypatch.setattr(plan, "_MOST_WORK", work)
        model = MAKERS[name]()
        x = inputs_of(model, batch)
        whole, stream = plain(model(x)), model.stream(batch)
        np.testing.assert_array_equal(stream.steps(x), whole)
        stream.reset()
        out = np.empty_like(whole)
        assert stream.steps(x, out=out) is out
        np.testing.assert_array_equal(out, whole)


def test_failure_in_a_later_piece_leaves_the_states(monkeypatch):
    monkeypatch.setattr(plan, "_MOST_WORK", 1.0)
    model = MAKERS["embedded"]()
    ids = inputs_of(model, 2)
    stream = model.stream(2)
    assert stream._plan(1)[0].most_timesteps == 1
    stream.steps(ids[:, :4])
    before = stream.state_bytes()
    wrong = ids.copy()
    wrong[1, -1] = 7
    for n in (4, 5):  # an even and an odd number of pieces: the two sets of states change places in each
        with pytest.raises(ValueError, match=r"range \[0, 7\), got 7"):
            stream.steps(wrong[:, -n:])
        assert stream.state_bytes() == before
    np.testing.assert_array_equal(stream.steps(ids[:, 4:]), plain(model(ids))[:, 4:])


def test_length_of_pieces():
    """A chunk of a small model is one native call; one step of a large model is not cut."""
    assert MAKERS["gru"]().stream()._plan(1)[0].most_timesteps > 10_000
    large = models.Sequential([layers.Input((None, 1000)), layers.LSTM(1000), layers.Dense(1000)])
    assert large.stream()._plan(1)[0].most_timesteps in range(10, 1000)
    assert large.stream(1000)._plan(1)[0].most_timesteps == 1
    own = models.Sequential([layers.Input((None, 2)), layers.Activation(lambda x: -x)])
    assert own.stream()._plan(1)[0].most_timesteps > STEPS

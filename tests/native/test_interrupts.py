"""Ctrl-C and other signals in a long call: an exception, and the kept states as they were before."""

import os
import signal
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest
from places import SUPPORT

import fastseq
from fastseq import layers

_PREPARED = """
    import os, signal, sys, threading, time
    import numpy as np
    import fastseq
    from fastseq import layers

    def states_of(layer):
        states = getattr(layer, "states", None)
        return [] if states is None else [state.copy() for state in fastseq.tensors.nest.flatten(states)]

    def interrupted(layer, x, first, **arguments):
        '''Runs `first`, then x, with a SIGINT after 0.1 s of it (C looks every 50 ms); checks what is left behind.'''
        layer(first)
        before = states_of(layer)
        sent = []

        def send():
            sent.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)

        timer = threading.Timer(0.1, send)
        timer.start()
        try:
            layer(x, **arguments)
        except KeyboardInterrupt:
            print(f"{layer.name}: {time.monotonic() - sent[0]:.3f} s after the signal", flush=True)
        else:
            timer.join()
            sys.exit(f"{layer.name}: not interrupted")
        timer.join()
        after = states_of(layer)
        assert len(before) == len(after) and all((a == b).all() for a, b in zip(before, after)), layer.name
        # It goes on, on a workspace that the interrupt left: the same bits as a layer that was never interrupted.
        twin = type(layer).from_config(layer.get_config())
        twin(first)
        twin.set_weights(layer.get_weights())
        if before:
            for own, state in zip(fastseq.tensors.nest.flatten(twin.states), before):
                own[...] = state
        for _ in range(2):
            assert (layer(first) == twin(first)).all(), layer.name

    rng = np.random.default_rng(0)
    # One row, a few rows and many, so that threads own units, share rows at barriers, or own rows. Each would take 5 s
    # and more at 100 GFLOP/s; the memory is one vector that stands in for every timestep.
    def sequences(rows, steps, features):
        return np.zeros((rows, steps, features), "f"), rng.standard_normal((rows, 3, features)).astype("f")
"""


def run(code, threads):
    env = {**os.environ, "FASTSEQ_NUM_THREADS": str(threads)}
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_PREPARED) + textwrap.dedent(code)], capture_output=True, text=True,
        timeout=120, env=env,
    )  # fmt: skip
    print(found.stdout)
    assert found.returncode == 0, found.stderr
    return found.stdout


needs_signals = pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="this system has no POSIX signals")


@needs_signals
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    "layer",
    [
        "layers.LSTM(256, stateful=True)", "layers.GRU(256, stateful=True)", "layers.SimpleRNN(512, stateful=True)",
        "layers.GRU(256, reset_after=False, stateful=True)", "layers.LSTM(128, activation='softmax', stateful=True)",
        "layers.RNN([layers.LSTMCell(256), layers.GRUCell(256)], stateful=True)",
    ],
)  # fmt: skip
def test_recurrent_layers_are_interrupted(layer, threads):
    run(
        f"""
        interrupted({layer}, *sequences(1, 1_000_000, 64))
        interrupted({layer}, *sequences(40, 50_000, 32))
        x, first = sequences(9, 200_000, 32)
        interrupted({layer}, x, first, mask=rng.random(x.shape[:2]) < 0.7)
        """,
        threads,
    )


@needs_signals
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("rows", [1, 9])
def test_backward_through_time_is_interrupted(rows, threads):
    """One backward operation alone, of 4,000 rows and timesteps: 33 GFLOP."""
    run(
        f"""
        sys.path.insert(0, {str(SUPPORT)!r})
        from native_steps import Steps, activation_fields
        from fastseq.program import packing

        B, T, H, steps = {rows}, 4000 // {rows}, 1024, Steps()
        steps.step(
            "lstm_backward", batch=B, timesteps=T, units=H, sequences=1, dy=np.zeros((B, T, H), "f"),
            trace=np.zeros(packing.trace_shape("lstm", B, T, H), "f"), h=np.zeros((B, T, H), "f"),
            **packing.pack_recurrent_backward("lstm", np.zeros((H, 4 * H), "f")), dz=steps.out("dz", (B, T, 4 * H)),
            scratch=steps.builder.new((2, B, packing.recurrent_width("lstm", H))),
            dy_row=T * H, dy_time=H, h_row=T * H, h_time=H, dz_row=T * 4 * H, dz_time=4 * H,
            **activation_fields("activation", "a", ("tanh", ())),
            **activation_fields("recurrent_activation", "r", ("sigmoid", ())),
        )
        whole = float("inf")
        for _ in range(2):  # the shortest: another process may have had the cores meanwhile
            begun = time.monotonic()
            steps.run()
            whole = min(whole, time.monotonic() - begun)
        timer = threading.Timer(whole / 4, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        begun = time.monotonic()
        try:
            steps.run()
        except KeyboardInterrupt:
            print(f"stopped after {{time.monotonic() - begun:.2f}} of {{whole:.2f}} s", flush=True)
        else:
            sys.exit("not interrupted")
        """,
        threads,
    )


@needs_signals
@pytest.mark.parametrize("threads", [1, 2])
def test_other_layers_are_interrupted(threads):
    """Two directions at once, one of them much longer; Dense, softmax; many steps; products of two arrays."""
    run(
        """
        lstm, gru = layers.LSTM(256, stateful=True), layers.GRU(16, go_backwards=True, stateful=True)
        uneven = layers.LSTM(512, go_backwards=True, stateful=True)
        interrupted(layers.Bidirectional(lstm), *sequences(1, 500_000, 32))
        interrupted(layers.Bidirectional(lstm, backward_layer=gru), *sequences(20, 50_000, 32))
        short = layers.GRU(16, stateful=True)
        interrupted(layers.Bidirectional(short, backward_layer=uneven), *sequences(1, 500_000, 32))

        rows = np.zeros((1_000_000, 256), "f")
        interrupted(layers.Dense(4096, activation="softmax"), rows[:100_000], rows[:5])
        many = [inputs := fastseq.Input((256,)), layers.Dense(1024)(inputs)]
        again = layers.Dense(1024)
        for _ in range(300):
            many.append(again(many[-1]))
        interrupted(fastseq.Model(inputs, many[-1]), rows[:20_000], rows[:5])
        squares = fastseq.Input((1024, 1024))
        products = np.zeros((300, 1024, 1024), "f")
        interrupted(fastseq.Model(squares, layers.Dot((2, 1))([squares, squares])), products, products[:1])
        """,
        threads,
    )


@needs_signals
def test_handlers_run_during_a_call(rng):
    """Whatever a handler raises ends the call; one that does not raise may use the layer, in its own number mode."""
    layer = layers.LSTM(256)
    x = np.zeros((1, 40_000, 64), "f")  # 26 GFLOP: C looks for signals every 50 ms
    small = rng.standard_normal((1, 5, 64)).astype("f")
    wanted = layer(small)
    found = []

    def call_it(*_):
        found.append((layer(small) == wanted).all() and np.float32(1e-38) * np.float32(0.01) > 0)

    def raise_it(*_):
        raise TimeoutError("enough")

    before = signal.getsignal(signal.SIGUSR1)
    try:
        for handler in (call_it, raise_it):
            signal.signal(signal.SIGUSR1, handler)
            timer = threading.Timer(0.03, os.kill, (os.getpid(), signal.SIGUSR1))
            timer.start()
            if handler is raise_it:
                with pytest.raises(TimeoutError, match="enough"):
                    layer(x)
            else:
                y = layer(x)
                assert found == [True]
            timer.join()
            assert (layer(small) == wanted).all()
    finally:
        signal.signal(signal.SIGUSR1, before)
    # The call that the handler came in between has the bits of one in pieces.
    h = c = None
    lstm = layers.LSTM(256, return_state=True)
    lstm(small)
    lstm.set_weights(layer.get_weights())
    for start in range(0, x.shape[1], 8_000):
        y_part, h, c = lstm(x[:, start : start + 8_000], initial_state=None if h is None else [h, c])
    np.testing.assert_array_equal(y_part, y)


@needs_signals
def test_a_worker_thread_is_not_interrupted(rng):
    """Python runs handlers on its main thread alone: that one is interrupted, the others' calls end as ever."""
    run(
        """
        layer = layers.LSTM(256)
        x, first = sequences(1, 30_000, 64)
        wanted, found = layer(x), []
        worker = threading.Thread(target=lambda: found.append(layer(x)))
        worker.start()
        timer = threading.Timer(0.03, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        try:
            while True:
                time.sleep(0.01)
        except KeyboardInterrupt:
            pass
        worker.join()
        assert (found[0] == wanted).all()
        """,
        1,
    )


@pytest.mark.parametrize("threads", [1, 2])
def test_watched_steps_have_the_same_bits(threads, rng):
    """Steps long enough to be watched go in pieces; what is done piece by piece in short calls has the same bits."""
    x = rng.standard_normal((3000, 4096)).astype("f")
    ids = rng.integers(0, 50, (3000, 1000))
    with fastseq.num_threads(threads):
        for layer, inputs in (
            (layers.Activation("gelu"), x), (layers.Softmax(), x), (layers.Embedding(50, 40), ids),
            (layers.Dense(300, activation="softmax"), x), (layers.Dense(9), x), (layers.PReLU(), x),
        ):  # fmt: skip
            whole = layer(inputs)
            for rows in (slice(0, 7), slice(1500, 1511), slice(2990, 3000)):
                np.testing.assert_array_equal(whole[rows], layer(inputs[rows]), err_msg=layer.name)

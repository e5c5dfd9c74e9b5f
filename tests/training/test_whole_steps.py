"""Ctrl-C while training, at any moment: weights, optimizer and layers are of one whole step, and the model goes on."""

import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import fastseq
from fastseq import callbacks, constraints, layers, optimizers, regularizers
from fastseq.native import interrupts

pytestmark = pytest.mark.skipif(not hasattr(signal, "raise_signal"), reason="this system has no signals")

X = np.random.default_rng(0).standard_normal((24, 4, 3)).astype("f")
Y = np.random.default_rng(1).standard_normal((24, 2)).astype("f")


class OwnOptimizer(optimizers.Optimizer):
    """Without a kernel: every weight is changed by Python."""

    def __init__(self):
        super().__init__(0.01)

    def update_step(self, gradient, variable, learning_rate):
        variable.assign(variable._value - gradient * learning_rate)


# name -> (optimizer, whether weights have penalties and constraints)
CASES = {
    "one program": (lambda: optimizers.Adam(), False),
    "numbers of its own": (lambda: optimizers.Nadam(clipnorm=0.5), False),
    "penalties and constraints": (lambda: optimizers.RMSprop(momentum=0.5), True),
    "averages": (lambda: optimizers.SGD(0.01, momentum=0.9, use_ema=True, ema_overwrite_frequency=2), False),
    "accumulation": (lambda: optimizers.AdamW(0.01, gradient_accumulation_steps=2), False),
    "in Python": (OwnOptimizer, False),
}


def make(case):
    optimizer, strict = CASES[case]
    options = {"kernel_constraint": constraints.MaxNorm(0.8), "bias_regularizer": regularizers.L2(0.1)}
    model = fastseq.Sequential([layers.Input((4, 3)), layers.GRU(3), layers.Dense(2, **options if strict else {})])
    rng = np.random.default_rng(2)
    model.set_weights([rng.standard_normal(weight.shape) / 2 for weight in model.get_weights()])
    model.compile(optimizer(), "mse")
    return model


def state_of(model):
    """Everything that a step changes, as bytes."""
    return [np.asarray(value).tobytes() for value in (*model.get_weights(), *model.optimizer.variables)]


def kept(model):
    return model.get_weights(), [np.asarray(variable).copy() for variable in model.optimizer.variables]


def put_back(model, begun):
    """Where the arrays are: programs stay good, and a run has the same lines as the one before it."""
    for variable, value in zip(model.weights, begun[0]):
        variable._value[...] = value
        variable._owner._weights_changed()
    model.optimizer.set_weights(begun[1])


def train(model, steps, *more):
    model.fit(X, Y, batch_size=8, epochs=steps // 3, shuffle=False, verbose=0, callbacks=list(more))


class States(callbacks.Callback):
    """The states after each step."""

    def __init__(self):
        super().__init__()
        self.found = {}

    def on_train_batch_end(self, batch, logs=None):
        self.found[int(self.model.optimizer.variables[0])] = state_of(self.model)


class Moments:
    """Traces what runs in fastseq, line by line, and raises a SIGINT at line number `at`."""

    def __init__(self, at=None):
        self.at, self.count = at, 0
        self._folder = os.path.dirname(fastseq.__file__)

    def _trace(self, frame, event, _):
        if not frame.f_code.co_filename.startswith(self._folder):
            return None
        if event == "line":
            self.count += 1
            if self.count == self.at:
                signal.raise_signal(signal.SIGINT)
        return self._trace

    def __enter__(self):
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_):
        sys.settrace(None)


def interrupted(at, call):
    """Whether the call came to line `at`, and so to its end by KeyboardInterrupt."""
    try:
        with Moments(at):
            call()
    except KeyboardInterrupt:
        return True
    return False


@pytest.mark.parametrize("case", CASES)
def test_at_every_line_of_a_step(case):
    """What is left is what an unbroken run has after some step, whichever line of fastseq Ctrl-C comes at."""
    model, states = make(case), States()
    train(model, 3)
    begun = kept(model)
    allowed = {3: [state_of(model)]}
    train(model, 3, states)
    allowed |= {step: [state] for step, state in states.found.items()}
    allowed[6].append(state_of(model))  # in the end averages take the place of the weights
    assert [len(set(map(tuple, (allowed[3][0], allowed[step][0])))) for step in (4, 5, 6)] == [2, 2, 2]
    put_back(model, begun)
    with Moments() as moments:
        train(model, 3)
    handler, ends, count = signal.getsignal(signal.SIGINT), set(), 0
    for at in range(1, moments.count + 1, 1 + moments.count // 300):
        put_back(model, begun)
        if not interrupted(at, lambda: train(model, 3)):
            break  # weights at a new place make a program anew; here it was there
        step = int(model.optimizer.variables[0])
        ends.add(step)
        count += 1
        assert state_of(model) in allowed[step], (case, at)
        assert _puts_back(handler), (case, at)
    assert ends == {3, 4, 5, 6} and count > 50
    # It is a model as any other.
    predicted = model.predict(X, verbose=0)
    twin = make(case)
    twin.set_weights(model.get_weights())
    np.testing.assert_array_equal(predicted, twin.predict(X, verbose=0))
    assert np.isfinite(model.evaluate(X, Y, verbose=0))
    train(model, 3)


def _puts_back(handler):
    """A block that ended while handlers changed places leaves that to the next one."""
    with interrupts.whole():
        pass
    return signal.getsignal(signal.SIGINT) is handler


@pytest.mark.slow("7 s of a signal at every line")
@pytest.mark.parametrize("case", ["one program", "averages", "in Python"])
def test_at_every_line_of_apply_and_of_train_on_batch(case):
    model = make(case)
    gradients = [np.full(variable.shape, 0.1, "f") for variable in model.trainable_variables]
    for call in (lambda: model.train_on_batch(X, Y), lambda: model.optimizer.apply(gradients, model.trainable_weights)):
        call()  # which makes programs
        begun, before = kept(model), state_of(model)
        with Moments() as moments:
            call()
        after, found = state_of(model), []
        for at in range(1, moments.count + 1, 1 + moments.count // 100):
            put_back(model, begun)
            if not interrupted(at, call):
                break  # weights at a new place make a program anew; here it was there
            found.append(state_of(model))
        assert before != after and found[0] == before and found[-1] == after
        assert all(state in (before, after) for state in found) and len(found) > 20


def test_history_has_the_epochs_so_far(tmp_path):
    class Stop(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.model.optimizer.iterations == 8:
                raise KeyboardInterrupt

    model, whole = make("one program"), make("one program")
    with pytest.raises(KeyboardInterrupt):
        train(model, 12, Stop())
    train(whole, 6)
    assert model.history.epoch == [0, 1]
    assert model.history.history == whole.history.history
    assert int(model.optimizer.iterations) == 8
    model.save(tmp_path / "m.keras")
    loaded = fastseq.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))


def test_a_handler_that_does_not_raise_is_called_once_after_the_step():
    model, seen = make("one program"), []

    def note(number, frame):
        seen.append((number, int(model.optimizer.iterations)))

    class Raise(fastseq.losses.Loss):
        """A signal in the middle of every step."""

        def call_with_pullback(self, y_true, y_pred):
            signal.raise_signal(signal.SIGINT)
            return np.zeros(len(y_pred), "f"), lambda upstream: np.zeros_like(y_pred)

    before = signal.signal(signal.SIGINT, note)
    try:
        model.compile("sgd", Raise())
        train(model, 3)
        assert seen == [(signal.SIGINT, 1), (signal.SIGINT, 2), (signal.SIGINT, 3)]
        assert signal.getsignal(signal.SIGINT) is note
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_second_signal_ends_a_step_that_hangs(monkeypatch):
    monkeypatch.setattr(interrupts, "_PATIENCE", 0.0)
    with pytest.raises(KeyboardInterrupt), interrupts.whole():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("both were held back")


def test_blocks_within_blocks():
    done = []
    with pytest.raises(KeyboardInterrupt), interrupts.whole():
        with interrupts.whole(kernels_stop=True):
            signal.raise_signal(signal.SIGINT)
            done.append("inner")
        done.append("outer")
    assert done == ["inner", "outer"]
    with interrupts.whole():
        pass  # nothing is left of it


_SENDS = """
    import os, random, signal, sys, threading, time
    import numpy as np
    import fastseq
    from fastseq import callbacks, layers

    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((ROWS, TIME, 8)).astype("f"), rng.standard_normal((ROWS, 4)).astype("f")

    def make():
        noise = layers.GaussianNoise(0.01, seed=3)
        model = fastseq.Sequential([layers.Input((TIME, 8)), noise, layers.LSTM(UNITS), layers.Dense(4)])
        rng = np.random.default_rng(2)
        model.set_weights([rng.standard_normal(weight.shape) / UNITS**0.5 for weight in model.get_weights()])
        model.compile(fastseq.optimizers.Adam(1e-4), "mse")
        return model

    def state_of(model):
        kept = (*model.get_weights(), *model.optimizer.variables, model.layers[0]._random_state)
        return [np.asarray(value).tobytes() for value in kept]

    states = {}

    class States(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            states[int(self.model.optimizer.iterations)] = state_of(self.model)

    whole = make()
    whole.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0)  # to learn how long it takes
    whole = make()
    begun = time.monotonic()
    whole.fit(x, y, batch_size=BATCH, epochs=2, shuffle=False, verbose=0, callbacks=[States()])
    took = time.monotonic() - begun
    random.seed(1)
    interrupted = 0
    for _ in range(TRIES):
        model = make()
        model.train_on_batch(x[:BATCH], y[:BATCH])
        delay = random.random() * took / 2
        timer = threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT))
        try:
            timer.start()
            model.fit(x[BATCH:], y[BATCH:], batch_size=BATCH, shuffle=False, verbose=0)
            timer.join()
            time.sleep(0.05)  # it may come a little later than it was sent
        except KeyboardInterrupt:
            interrupted += 1
        timer.join()
        step = int(model.optimizer.iterations)
        assert state_of(model) == states[step], step
    print(interrupted, "interrupted")
    assert interrupted
"""


@pytest.mark.slow("7 s of signals")
@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="this system has no POSIX signals")
@pytest.mark.parametrize("sizes", [
    {"ROWS": 640, "TIME": 5, "UNITS": 8, "BATCH": 8, "TRIES": 40},
    # A step of some hundred ms, which looks for signals while kernels run.
    {"ROWS": 192, "TIME": 60, "UNITS": 256, "BATCH": 64, "TRIES": 6},
], ids=["small", "long"])  # fmt: skip
@pytest.mark.parametrize("threads", [1, 2])
def test_real_signals_at_any_time(sizes, threads):
    code = textwrap.dedent(_SENDS)
    for name, value in sizes.items():
        code = code.replace(name, str(value))
    env = {**os.environ, "FASTSEQ_NUM_THREADS": str(threads)}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, env=env)
    assert found.returncode == 0, found.stdout + found.stderr

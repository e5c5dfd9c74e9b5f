"""Many Python threads call, stream, pool, decode and train at the same time, each on several threads of its own.

Every call's bits are compared with those that one thread gave. Where a Python thread comes to no end of a call for
--patience seconds, all stacks are printed and the process ends with status 1: nothing here waits for ever.

    python threads_stress.py --seconds 60 [--threads 2] [--patience 60] [parts ...]

run.sh runs it on builds that look for data races or that widen the time between what threads do.
"""

import argparse
import faulthandler
import itertools
import os
import sys
import threading
import time

import numpy as np

import fastseq
from fastseq import decoding, layers, ops
from fastseq.training.program import gradient_function

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.standard_normal(shape).astype("f")


def small_steps():
    """A row through layers whose threads meet, some of which pay and some do not: they run one by one."""
    stack = [part for _ in range(6) for part in (layers.LSTM(128, return_sequences=True), layers.Dense(64))]
    model = fastseq.Sequential([fastseq.Input((None, 64)), *stack])
    x = np.ones((1, 5, 64), "f")
    return lambda: model(x)


def training(optimizer="sgd"):
    """Many small steps that run in one region, from the same weights again and again."""
    model = fastseq.Sequential(
        [
            fastseq.Input((10, 16)), layers.LSTM(64, return_sequences=True), layers.GRU(64, return_sequences=True),
            layers.Dense(8),
        ]
    )  # fmt: skip
    model.compile(optimizer=optimizer, loss="mse")
    x, y = np.ones((1, 10, 16), "f"), np.ones((1, 10, 8), "f")
    weights = [normal(*w.shape) * 0.2 for w in model.get_weights()]
    model.train_on_batch(x, y)
    variables = [v.numpy() for v in model.optimizer.variables]

    def run():
        model.set_weights(weights)
        for variable, value in zip(model.optimizer.variables, variables):
            variable.assign(value)
        losses = [model.train_on_batch(x, y) for _ in range(3)]
        return [np.array(losses), *model.get_weights()]

    return run


def fitting():
    """Batches of many rows, dropout, masks, labels: rows are shared out, and one region follows the other."""
    model = fastseq.Sequential(
        [
            fastseq.Input((12,), dtype="int32"), layers.Embedding(50, 16, mask_zero=True),
            layers.Bidirectional(layers.GRU(32)), layers.Dense(4, activation="softmax"),
        ]
    )  # fmt: skip
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    x, y = RNG.integers(0, 50, (64, 12)).astype("i"), RNG.integers(0, 4, 64)
    weights = [normal(*w.shape) * 0.2 for w in model.get_weights()]
    model.train_on_batch(x, y)
    variables = [v.numpy() for v in model.optimizer.variables]

    def run():
        model.set_weights(weights)
        for variable, value in zip(model.optimizer.variables, variables):
            variable.assign(value)
        found = model.fit(x, y, batch_size=32, epochs=2, verbose=0, shuffle=False).history
        return [np.array(found["loss"]), np.array(model.evaluate(x, y, verbose=0)), *model.get_weights()]

    return run


class Cell(layers.Layer):
    """Of a user's own: its loop over time runs for tiles of rows by themselves."""

    state_size = output_size = 48

    def build(self, shape):
        self.kernel = self.add_weight((shape[-1], 48))
        self.recurrent = self.add_weight((48, 48))

    def call(self, inputs, states):
        z = ops.matmul(inputs, self.kernel) + ops.matmul(states[0], self.recurrent)
        new = ops.tanh(z - ops.mean(z, axis=-1, keepdims=True))
        return new, [new]


def own_cell():
    """Calls and gradients of a cell in a native loop."""
    inputs = fastseq.Input((None, 24))
    model = fastseq.Model(inputs, layers.RNN(Cell(), return_sequences=True)(inputs))
    x, y = normal(100, 12, 24), normal(100, 12, 48)
    gradients = gradient_function(model, x, y, "mse")
    return lambda: [model(x), *gradients()[1]]


def one_layer():
    """A layer that several threads call with other shapes."""
    layer = layers.GRU(64, return_sequences=True)
    layer(normal(1, 2, 32))
    inputs = [normal(1 + i, 7 + i, 32) for i in range(3)] + [normal(40, 6, 32)]
    return lambda: [layer(x) for x in inputs]


def long_call():
    """Long enough to be watched for signals: in kernels that meet, in pieces of rows, side by side."""
    model = fastseq.Sequential(
        [
            fastseq.Input((None, 64)), layers.Bidirectional(layers.LSTM(128, return_sequences=True)),
            layers.Dense(64, activation="softmax"), layers.GRU(128, reset_after=False),
        ]
    )  # fmt: skip
    inputs = normal(1, 600, 64), normal(24, 40, 64)
    return lambda: [model(x) for x in inputs]


def masked():
    layer = layers.LSTM(96, return_sequences=True)
    x, mask = normal(6, 20, 48), RNG.random((6, 20)) < 0.7
    return lambda: layer(x, mask=mask)


def stream():
    model = fastseq.Sequential(
        [fastseq.Input((None, 64)), layers.LSTM(256, return_sequences=True), layers.GRU(128, return_sequences=True)]
    )
    x = normal(4, 6, 64)
    own = model.stream(4)

    def run():
        own.reset()
        return [own.step(np.ascontiguousarray(x[:, t])) for t in range(3)] + [own.steps(x[:, 3:])]

    return run


def pool():
    model = fastseq.Sequential([fastseq.Input((None, 64)), layers.GRU(256, return_sequences=True), layers.Dense(16)])
    x = normal(20, 4, 64)
    own = model.stream_pool(24)

    def run():
        handles = [own.open() for _ in range(len(x))]
        found = []
        for t in range(x.shape[1]):
            some = list(zip(handles, x))[: 20 - 3 * t]
            found += own.step({handle: row[t] for handle, row in some}).values()
        for handle in handles:
            own.close(handle)
        return found

    return run


def decoder_model(units):
    last, state = layers.Input((1,), dtype="int32"), layers.Input((units,))
    y, new = layers.GRU(units, return_state=True)(layers.Embedding(40, 24)(last), initial_state=[state])
    model = fastseq.Model([last, state], [layers.Dense(40, activation="softmax")(y), new])
    model.set_weights([normal(*w.shape) * 0.3 for w in model.get_weights()])
    return model


def decode():
    """Rows shared out, beams, draws; and a large model whose few rows a team decodes."""
    small, large = decoder_model(64), decoder_model(512)
    states, few = [normal(40, 64)], [normal(2, 512)]

    def run():
        writer = decoding.Decoder(small, start_id=1, max_length=12, end_id=3)
        found = [writer.greedy(states), writer.beam(states, 3), writer.sample(states, temperature=0.8, seed=5)]
        found.append(decoding.Decoder(large, start_id=1, max_length=8).greedy(few))
        return [part for one in found for part in one if part is not None]

    return run


def windows():
    """Windows side by side, of one row and of several."""
    inputs = layers.Input((12,), dtype="int32")
    y = layers.LSTM(128, return_sequences=True)(layers.Embedding(40, 32)(inputs))
    model = fastseq.Model(inputs, layers.Dense(40, activation="softmax")(layers.GRU(128)(y)))
    ids = RNG.integers(0, 40, (5, 12))
    return lambda: [
        part for some in (ids[:1], ids) for part in decoding.generate(model, some, 14, seed=2) if part is not None
    ]


# name -> (what makes a call, Python threads that call the same thing; 0: each has one of its own)
PARTS = {
    "small steps": (small_steps, 3),
    "training": (training, 0),
    "fitting": (fitting, 0),
    "own cell": (own_cell, 0),
    "one layer": (one_layer, 3),
    "long call": (long_call, 1),
    "masked": (masked, 2),
    "stream": (stream, 0),
    "pool": (pool, 0),
    "decode": (decode, 1),
    "windows": (windows, 1),
}


def parts_of(found):
    return list(found) if isinstance(found, (list, tuple)) else [found]


class Caller(threading.Thread):
    """Calls without end, and notes when it last came to the end of a call."""

    def __init__(self, name, call, expected):
        super().__init__(name=name, daemon=True)
        self.call, self.expected = call, expected
        self.calls, self.last, self.wrong = 0, time.monotonic(), None

    def run(self):
        try:
            while not STOP.is_set():
                for got, wanted in itertools.zip_longest(parts_of(self.call()), self.expected):
                    assert np.array_equal(got, wanted, equal_nan=True), "other bits than on one thread"
                self.calls += 1
                self.last = time.monotonic()
        except BaseException as error:
            self.wrong = error
            STOP.set()
            raise


STOP = threading.Event()


def give_up(callers, patience):
    print(f"{', '.join(callers)}: no end of a call after {patience} s. All stacks:", file=sys.stderr, flush=True)
    faulthandler.dump_traceback(all_threads=True)
    os._exit(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all of them where none is named")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--patience", type=float, default=60)
    options = parser.parse_args()
    # What is not watched below, such as making the callers, ends too.
    faulthandler.dump_traceback_later(options.seconds + 10 * options.patience, exit=True)
    callers = []
    for name in options.parts or PARTS:
        make, count = PARTS[name]
        for number in range(max(count, 2)):
            if number == 0 or count == 0:
                call = make()
                with fastseq.num_threads(1):
                    expected = parts_of(call())
            callers.append(Caller(f"{name} {number}", call, expected))
            if count == 1:
                break
    fastseq.set_num_threads(options.threads)
    for caller in callers:
        caller.last = time.monotonic()
        caller.start()
    end = time.monotonic() + options.seconds
    while time.monotonic() < end and not STOP.is_set():
        time.sleep(0.5)
        now = time.monotonic()
        stuck = [c.name for c in callers if now - c.last > options.patience and c.is_alive()]
        if stuck:
            give_up(stuck, options.patience)
    STOP.set()
    for caller in callers:
        caller.join(options.patience)
        if caller.is_alive():
            give_up([caller.name], options.patience)
    wrong = [caller for caller in callers if caller.wrong is not None]
    for caller in callers:
        print(f"{caller.name:16} {caller.calls:7} calls{'' if caller.wrong is None else f'  {caller.wrong!r}'}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()

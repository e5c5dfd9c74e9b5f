"""The first calls of a layer that is not built yet, from several threads: one builds it, the others find it built."""

import os
import threading

import numpy as np
import pytest

import fastseq
from fastseq import layers
from fastseq.layers import building

X = np.random.RandomState(5).randn(3, 4, 2).astype("f")


class Slow(layers.Layer):
    """Lets others run in the middle of its build, and says `built` before all is there."""

    def build(self, input_shape):
        self.built = True
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones")
        threading.Event().wait(0.05)
        self.inner = layers.GRU(3, return_sequences=True)
        self.inner.build(input_shape)
        self.shift = self.add_weight(shape=(3,), initializer="ones")

    def call(self, inputs):
        return np.asarray(self.inner(inputs * np.asarray(self.scale))) + np.asarray(self.shift)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 3)


MODELS = {
    "layer": lambda: layers.LSTM(5, return_sequences=True),
    "sequential": lambda: fastseq.Sequential([layers.LSTM(5, return_sequences=True), layers.Dense(3)]),
    "bidirectional": lambda: layers.Bidirectional(layers.GRU(4)),
    "stacked cells": lambda: layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)]),
    "time distributed": lambda: layers.TimeDistributed(layers.Dense(3)),
    "python layer": Slow,
    "python layer in a model": lambda: fastseq.Sequential([Slow(), layers.Dense(2)]),
}


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_first_calls_of_several_threads_build_once(make):
    alone = make()
    alone(X)
    for _ in range(3):
        layer, found, barrier = make(), [], threading.Barrier(4)

        def call(layer=layer, found=found, barrier=barrier):
            barrier.wait()
            try:
                found.append(np.asarray(layer(X)))
            except Exception as error:
                found.append(error)

        threads = [threading.Thread(target=call) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert [weight.shape for weight in layer.weights] == [weight.shape for weight in alone.weights]
        assert len(found) == 4
        for result in [*found, np.asarray(layer(X))]:
            assert isinstance(result, np.ndarray), result
            np.testing.assert_array_equal(result, found[0])


def test_a_build_that_fails_in_one_thread_leaves_another_ones():
    """Each of two models is built by its thread, one of them fails in between."""
    good, bad = MODELS["sequential"](), fastseq.Sequential([Slow(), layers.Dense(3, kernel_initializer="ones")])
    bad.layers[1].build = lambda shape: 1 / 0

    def fails():
        with pytest.raises(ZeroDivisionError):
            bad(X)

    threads = [threading.Thread(target=fails)]
    threads.append(threading.Thread(target=lambda: good(X)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(good.weights) == 5 and not building.under_way


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_forked_while_a_thread_builds_builds_its_own():
    begun, go_on = threading.Event(), threading.Event()

    class Waits(layers.Layer):
        def build(self, input_shape):
            begun.set()
            go_on.wait(60)
            self.built = True

        def call(self, inputs):
            return inputs

    thread = threading.Thread(target=Waits(), args=(X,))
    thread.start()
    begun.wait(60)
    child = os.fork()
    if not child:
        os._exit(0 if layers.Dense(3)(X).shape == (3, 4, 3) else 1)
    _, status = os.waitpid(child, 0)
    go_on.set()
    thread.join(60)
    assert status == 0

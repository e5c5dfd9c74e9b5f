"""Weights that are set while other threads call the model."""

import os
import pickle
import sys
import threading
import warnings

import numpy as np
import pytest
from raising import raising_at

import fastseq
from fastseq import layers
from fastseq.tensors import variable, weight_budget, weight_locks

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("large", [0, 1 << 40])
def test_threads_predict_while_weights_are_set(monkeypatch, large):
    """Each call has all weights of before or all of after, of whatever layers; never some of each."""
    monkeypatch.setattr(variable, "PACKED_ALONE", large)
    model = fastseq.Sequential([layers.Input((2, 16)), layers.LSTM(16), *[layers.Dense(16) for _ in range(6)]])
    x = RNG.normal(size=(1, 2, 16)).astype("f")
    sets, known = [], set()
    for scale in (0.1, 0.5):
        sets.append([RNG.normal(0, scale, weight.shape).astype("f") for weight in model.weights])
        model.set_weights(sets[-1])
        known.add(model(x).tobytes())
    found, ended, failures = set(), threading.Event(), []

    def predict(call):
        try:
            while not ended.is_set():
                found.add(np.asarray(call(x)).tobytes())
        except BaseException as error:
            failures.append(error)

    calls = (model, model.predict, lambda x: model.stream().steps(x)[:, -1])
    threads = [threading.Thread(target=predict, args=(call,)) for call in calls]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        number = 0
        while number < 150 or (len(found) < 2 and not failures and number < 100_000):
            model.set_weights(sets[number % 2])
            number += 1
            if number % 5 == 0:
                model.layers[0].get_weights(), pickle.dumps(model)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(interval)
    assert not failures
    assert found <= known and len(found) == 2


# Python swallows what is raised in a generator that nobody holds any more.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_stops_a_call_leaves_the_locks_free():
    """At whatever line: else every other thread would wait for ever."""
    model = fastseq.Sequential([layers.Input((3,)), layers.Dense(2)])
    x, values = np.ones((1, 3), "f"), model.get_weights()
    free = []

    def call():
        model.set_weights(values)
        weight_budget.assign_all(list(zip(model.weights, values)))
        model(x)
        return model.layers[0].kernel._held()

    def look():
        for lock in (weight_locks.building, weight_locks.changing):
            free.append(lock.acquire(timeout=1))
            if free[-1]:
                lock.release()

    number, done = 0, False
    while not done:
        number += 1
        done, where = raising_at(number, call)
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        assert all(free), where
    assert number > 300


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_has_locks_of_its_own():
    """Another thread may hold them in the moment of the fork, and is not there in the child."""
    taken, ended = threading.Event(), threading.Event()

    def hold():
        with weight_locks.building, weight_locks.changing:
            taken.set()
            ended.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    assert taken.wait(60)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads
            child = os.fork()
        if child == 0:
            free = [lock.acquire(timeout=5) for lock in (weight_locks.building, weight_locks.changing)]
            os._exit(0 if all(free) else 1)
        _, status = os.waitpid(child, 0)
    finally:
        ended.set()
        thread.join()
    assert status == 0

"""Two threads that would train the same weights: the second one gets an error, and may call the model meanwhile."""

import contextlib
import gc
import os
import threading

import numpy as np
import pytest

import fastseq
from fastseq import callbacks, layers, metrics, models
from fastseq.training import turns

X, Y = np.ones((8, 4, 3), "f"), np.ones((8, 2), "f")
REFUSED = "another thread trains or evaluates it"


def compiled(*stack, optimizer="sgd"):
    model = fastseq.Sequential([layers.Input((4, 3)), *(stack or (layers.LSTM(5), layers.Dense(2)))])
    model.compile(optimizer, "mse")
    return model


def in_thread(function, *arguments):
    """What function(*arguments) returns, or raises, on a thread of its own."""
    found = []

    def work():
        try:
            found.append(function(*arguments))
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert found, "no end after 60 seconds"
    return found[0]


class During(callbacks.Callback):
    """Calls something in the middle of a fit, on another thread."""

    def __init__(self, *calls):
        super().__init__()
        self.calls, self.found = calls, None

    def on_train_batch_end(self, batch, logs=None):
        if self.found is None:
            self.found = [in_thread(call) for call in self.calls]


def training_calls(model):
    return [
        lambda: model.fit(X, Y, verbose=0), lambda: model.train_on_batch(X, Y),
        lambda: model.evaluate(X, Y, verbose=0), lambda: model.test_on_batch(X, Y),
    ]  # fmt: skip


def test_a_model_is_trained_by_one_thread_at_a_time():
    model = compiled()
    during = During(*training_calls(model), lambda: model.predict(X, verbose=0), lambda: model(X))
    model.fit(X, Y, batch_size=4, verbose=0, callbacks=[during])
    *refused, predicted, called = during.found
    for error in refused:
        assert isinstance(error, RuntimeError) and REFUSED in str(error) and model.name in str(error)
    assert predicted.shape == called.shape == (8, 2)
    # When it is over others may.
    assert not any(isinstance(in_thread(call), Exception) for call in training_calls(model))


def test_a_metric_of_two_models_is_used_by_one_thread_at_a_time():
    metric = metrics.MeanAbsoluteError()
    one, other = compiled(), compiled()
    one.compile("sgd", "mse", metrics=[metric])
    other.compile("sgd", "mse", metrics={other.output_names[0]: [metric]})
    during = During(*training_calls(other))
    one.fit(X, Y, batch_size=4, verbose=0, callbacks=[during])
    for error in during.found:
        assert isinstance(error, RuntimeError) and REFUSED in str(error)
    assert not any(isinstance(in_thread(call), Exception) for call in training_calls(other))


def test_steps_and_evaluations_of_several_threads():
    """Not even while a single step, or an evaluation, runs: a generator's batch is asked for in the middle of it."""
    model = compiled()
    found = []

    def batches():
        found.extend(in_thread(call) for call in training_calls(model))
        yield X, Y

    model.evaluate(batches(), verbose=0)
    assert len(found) == 4 and all(isinstance(error, RuntimeError) for error in found)


def test_what_shares_weights_or_the_optimizer():
    shared = layers.Dense(2)
    model, other = compiled(layers.Flatten(), shared), compiled(layers.LSTM(12), shared)
    same_optimizer, apart = compiled(optimizer=model.optimizer), compiled()
    again = models.Sequential([layers.Input((4, 3)), *model.layers])
    again.compile("sgd", "mse")
    for one in (other, same_optimizer, apart, again):
        one.predict(X, verbose=0)
    during = During(*(lambda one=one: one.train_on_batch(X, Y) for one in (other, same_optimizer, again, apart)))
    model.fit(X, Y, verbose=0, callbacks=[during])
    *refused, allowed = during.found
    assert all(isinstance(error, RuntimeError) and REFUSED in str(error) for error in refused)
    assert isinstance(allowed, float)


def test_evaluating_what_shares_weights_is_allowed():
    shared = layers.Dense(2)
    model, other = compiled(layers.Flatten(), shared), compiled(layers.LSTM(12), shared)
    during = During(lambda: other.evaluate(X, Y, verbose=0))
    model.fit(X, Y, verbose=0, callbacks=[during])
    assert isinstance(during.found[0], float)


def test_a_callback_may_train_and_evaluate():
    model = compiled()

    class Nested(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            for call in training_calls(self.model)[1:]:
                call()

    model.fit(X, Y, epochs=2, verbose=0, callbacks=[Nested()])
    assert not turns._taken


@pytest.mark.parametrize("number", range(4))
def test_an_error_ends_the_turn(number):
    model = compiled()
    model.train_on_batch(X, Y)
    wrong = [
        lambda: model.fit(X, Y[:3], verbose=0), lambda: model.train_on_batch(X, Y[:3]),
        lambda: model.evaluate(X, Y[:3], verbose=0), lambda: model.test_on_batch(X, Y[:3]),
    ]  # fmt: skip
    with pytest.raises(ValueError):
        wrong[number]()
    assert not turns._taken
    assert isinstance(in_thread(model.train_on_batch, X, Y), float)


def test_a_turn_that_nobody_holds_is_over():
    """As Ctrl-C leaves one that comes before its end can be reached."""
    model = compiled()
    model.train_on_batch(X, Y)
    turns.Turn(model._trainer, trains=True)
    gc.collect()
    assert isinstance(in_thread(model.train_on_batch, X, Y), float)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_may_train_what_a_thread_of_its_parent_trained():
    model = compiled()
    model.train_on_batch(X, Y)
    begun, ended = threading.Event(), threading.Event()

    class Wait(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            begun.set()
            ended.wait(60)

    thread = threading.Thread(target=model.fit, args=(X, Y), kwargs={"verbose": 0, "callbacks": [Wait()]})
    thread.start()
    try:
        assert begun.wait(60)
        child = os.fork()
        if child == 0:
            status = 1
            with contextlib.suppress(BaseException):
                model.train_on_batch(X, Y)
                status = 0
            os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        with pytest.raises(RuntimeError, match=REFUSED):
            model.train_on_batch(X, Y)
    finally:
        ended.set()
        thread.join(60)

"""`losses` and `add_loss` without Keras: when penalties are computed, what training refuses, threads, streams."""

import threading

import numpy as np
import pytest
from adding_layers import Adds, B, N, T, draw, trained

import fastseq
from fastseq import layers
from fastseq.errors import UnsupportedError
from fastseq.program import added_losses

# ---- penalties of outputs --------------------------------------------------------------------------------------------


def test_penalties_are_those_of_what_was_put_out():
    """Whatever the caller does to the array that he got, and without a sum before `losses` is read."""
    asked = []

    def regularizer(x):
        asked.append(x.shape)
        return np.sum(np.abs(x))

    for make in (
        lambda **o: layers.Dense(N, **o),
        lambda **o: layers.Activation("linear", **o),
        lambda **o: layers.ELU(**o),
        lambda **o: layers.Reshape((N,), **o),
    ):
        layer, x = make(activity_regularizer=regularizer), draw(B, N)
        for _ in range(3):
            y = layer(x)
            expected = np.sum(np.abs(y)) / B
            y[...] = 0
        assert not asked
        for _ in range(2):
            assert layer.losses == [np.float32(expected)]
        assert asked == [(B, N)]
        asked.clear()


def test_the_list_is_new_every_time():
    layer = layers.Dense(N, activity_regularizer="l1", kernel_regularizer="l1")
    layer(draw(B, N))
    layer.losses.clear()
    assert len(layer.losses) == 2 and all(isinstance(loss, np.float32) for loss in layer.losses)


def test_weights_changed_after_the_call_change_their_penalties_alone():
    layer = layers.Dense(N, activity_regularizer="l1", kernel_regularizer="l1")
    layer(draw(B, N))
    before = layer.losses
    layer.set_weights([np.ones((N, N)), np.ones(N)])
    assert layer.losses == [before[0], np.float32(0.01 * N * N)]


def test_batches_of_no_rows_and_scalars():
    layer = layers.Dense(N, activity_regularizer="l1")
    layer(np.zeros((0, N), "f"))
    assert layer.losses == [0.0]

    class Total(layers.Layer):
        def call(self, x):
            return np.sum(x)

    total = Total(activity_regularizer="l1")
    total(np.full((B, N), 2.0, "f"))
    np.testing.assert_allclose(total.losses, [0.01 * 2 * B * N], rtol=1e-6)


def test_simple_rnn_has_its_activity_regularizer():
    """Keras 3.15 forgets it, beside tf_keras and its own LSTM and GRU."""
    layer = layers.SimpleRNN(N, activity_regularizer="l2")
    y = layer(draw(B, T, N))
    np.testing.assert_allclose(layer.losses, [0.01 * np.sum(y * y) / B], rtol=1e-6)


@pytest.mark.parametrize("make", [
    lambda: layers.RNN(layers.LSTMCell(N, activity_regularizer="l2", name="inner")),
    lambda: layers.RNN([layers.GRUCell(N), layers.GRUCell(N, activity_regularizer="l2", name="inner")]),
    lambda: layers.RNN(layers.StackedRNNCells([layers.GRUCell(N)], activity_regularizer="l2", name="inner")),
], ids=["cell", "one of two", "stack"])  # fmt: skip
def test_penalties_of_cells_raise(make):
    """What they are nobody computes; to run the layer is no harm."""
    model, x = fastseq.Sequential([make()]), draw(B, T, N)
    assert model.predict(x, verbose=0).shape == (B, N)
    with pytest.raises(UnsupportedError, match="Cell 'inner'"):
        model.losses  # noqa: B018
    before = model.get_weights()
    with pytest.raises(UnsupportedError, match="Cell 'inner'"):
        trained(model, x)
    for now, then in zip(model.get_weights(), before):
        np.testing.assert_array_equal(now, then)


def test_penalties_of_cells_in_python():
    class Cell(layers.Layer):
        state_size = N

        def call(self, x, states):
            self.add_loss(np.sum(x))
            return x + states[0], [x + states[0]]

    x = draw(B, T, N)
    layer = layers.RNN(Cell(activity_regularizer="l1"))
    layer(x)
    sums = np.cumsum(x, axis=1)
    penalties = [0.01 * np.abs(sums[:, t]).sum() / B for t in range(T)]
    expected = [[x[:, t].sum(), penalty, penalty] for t, penalty in enumerate(penalties)]
    np.testing.assert_allclose(layer.losses, np.ravel(expected), rtol=1e-5)


# ---- the short way ---------------------------------------------------------------------------------------------------


def test_layers_without_penalties_keep_the_short_way():
    """A weight's regularizer makes no difference to a call; an activity regularizer does."""
    x = draw(B, T, N)
    for regularized in ({}, {"kernel_regularizer": "l2"}):
        model = fastseq.Sequential([layers.LSTM(N, return_sequences=True, **regularized), layers.Dense(N)])
        program = model._programs.program(model, {"inputs": x}) if model(x) is None else None
        program = model._programs.program(model, {"inputs": x})
        assert not program.penalties and len(program.outputs) == 1
        for _ in range(2):
            model(x)
        model._call_any = None  # the short way does not come by
        model(x)
    model = fastseq.Sequential([layers.Dense(N, activity_regularizer="l1")])
    assert model(x) is not None
    assert len(model._programs.program(model, {"inputs": x}).outputs) == 2


def test_an_added_loss_leaves_the_short_way_open():
    """It is forgotten by the next call, the one after takes the short way again."""
    inner = layers.Dense(N)
    model, x = fastseq.Sequential([inner]), draw(B, N)
    for _ in range(3):
        model(x)
    inner.add_loss(np.float32(1))
    assert len(model.losses) == 1
    np.testing.assert_array_equal(model(x), inner(x))
    assert model.losses == inner.losses == []
    model(x)
    model._call_any = None
    model(x)


# ---- add_loss --------------------------------------------------------------------------------------------------------


def test_shapes_are_found_without_a_loss():
    layer = Adds()
    layer.compute_output_shape((None, N)), layer(fastseq.Input((N,)))
    assert layer.losses == []
    model = fastseq.Sequential([fastseq.Input((N,)), layer])
    assert model.losses == []


def test_values_stay_what_they_are():
    given = [np.float32(1), np.arange(3), np.array(True), np.ones((2, 1), "f8")]

    class Many(layers.Layer):
        traced = False

        def call(self, x):
            self.add_loss(given)
            return x

    model = fastseq.Sequential([Many(), layers.Dense(N, trainable=False)])
    x = draw(B, N)
    model(x)
    assert [a is b for a, b in zip(model.losses, given)] == [True] * 4
    model.compile("sgd", "mse")
    y = model.predict(x, verbose=0)
    np.testing.assert_allclose(model.test_on_batch(x, y), 1 + 3 + 1 + 2, rtol=1e-6)


def test_a_call_that_fails_leaves_no_losses():
    class Fails(Adds):
        def call(self, x):
            self.add_loss(np.sum(x))
            if x[0, 0] > 100:
                raise RuntimeError
            return x

    layer, x = Fails(), draw(B, N)
    layer(x)
    for call in (layer, fastseq.Sequential([layer])):
        with pytest.raises(RuntimeError):
            call(np.full((B, N), 1000, "f"))
        assert layer.losses == [] and added_losses.current() is None
        call(x)
        assert len(layer.losses) == 1


def test_losses_of_layers_that_are_none_of_the_model():
    """As in Keras only those in the model's tree are its losses."""
    foreign = layers.Dense(N, activity_regularizer="l1", kernel_initializer="ones")

    class Calls(layers.Layer):
        def call(self, x, layer=foreign):
            return layer(x)

    model = fastseq.Sequential([Calls(), layers.Dense(N, trainable=False)])
    x = draw(B, N)
    model(x)
    assert len(foreign.losses) == 1 and model.losses == []
    model.compile("sgd", "mse")
    np.testing.assert_allclose(model.test_on_batch(x, model.predict(x, verbose=0)), 0, atol=1e-12)


def test_threads_do_not_mix():
    """Each call's losses are one call's, whole."""
    model = fastseq.Sequential([Adds(), layers.Dense(N, activity_regularizer="l1")])
    xs = [draw(B, N, seed=seed) for seed in range(4)]
    model(xs[0])
    alone = []
    for x in xs:
        model(x)
        alone.append(tuple(map(float, model.losses)))
    first, second = ({losses[i] for losses in alone} for i in (0, 1))
    wrong = []

    def run(x):
        for _ in range(200):
            model(x)
            own, penalty = model.layers[0].losses, model.layers[1].losses
            if (
                len(own) > 1
                or len(penalty) > 1
                or not {*map(float, own)} <= first
                or not {*map(float, penalty)} <= second
            ):
                wrong.append((own, penalty))

    threads = [threading.Thread(target=run, args=(x,)) for x in xs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_streams_run_layers_that_add_losses():
    inner = Adds()
    parts = [layers.TimeDistributed(inner), layers.GRU(N, return_sequences=True)]
    model, x = fastseq.Sequential([fastseq.Input((None, N)), *parts]), draw(1, T, N)
    stream = model.stream()
    found = np.stack([stream.step(x[:, t]) for t in range(T)], axis=1)
    np.testing.assert_array_equal(found, model(x))


def test_an_interrupt_at_a_calls_very_end_leaves_no_open_call(monkeypatch):
    """Later calls are outermost ones again, whose losses arrive."""

    def interrupted(*_):
        raise KeyboardInterrupt

    model, x = fastseq.Sequential([Adds(), layers.Dense(N, activity_regularizer="l1")]), draw(B, N)
    model(x)
    with monkeypatch.context() as patched:
        patched.setattr(added_losses.collecting, "__exit__", interrupted)
        try:
            model(x)
            raise AssertionError
        except KeyboardInterrupt:
            pass
    assert added_losses.current() is None
    model(2 * x)
    np.testing.assert_allclose(model.losses[0], 4 * np.sum(x * x), rtol=1e-6)

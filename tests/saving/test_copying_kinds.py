"""Copies and pickles of what goes with models: streams, decoders, histories, losses and the like; and what has none."""

import copy
import pickle

import numpy as np
import pytest

import fastseq
from fastseq import layers, optimizers
from fastseq.decoding import Decoder

X = np.random.default_rng(0).standard_normal((2, 5, 4)).astype("f")
Y = np.random.default_rng(1).standard_normal((2, 3)).astype("f")
WAYS = {"deepcopy": copy.deepcopy, "pickle": lambda item: pickle.loads(pickle.dumps(item))}


@pytest.fixture(params=WAYS)
def way(request):
    return WAYS[request.param]


@pytest.mark.parametrize("kind", [*WAYS, "copy"])
def test_streams_go_on(kind):
    model = fastseq.Sequential([layers.Input((None, 4)), layers.GRU(3, return_sequences=True), layers.Dense(2)])
    stream = model.stream(2)
    stream.steps(X)
    other = {**WAYS, "copy": copy.copy}[kind](stream)
    assert (other.model is model) == (kind == "copy") and other.batch_size == 2
    np.testing.assert_array_equal(other.steps(X), stream.steps(X))


def test_pools_and_symbolic_tensors_say_why_not():
    model = fastseq.Sequential([layers.Input((None, 4)), layers.GRU(3, return_sequences=True)])
    for way in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match=r"pool of model '.*state_bytes\(handle\)"):
            way(model.stream_pool(3))
        with pytest.raises(TypeError, match="pickle or copy the model"):
            way(model.inputs[0])


def test_decoders(way):
    token, state = layers.Input((1,), dtype="int32"), layers.Input((3,))
    y, h = layers.GRU(3, return_state=True)(layers.Embedding(5, 4)(token), initial_state=state)
    model = fastseq.Model([token, state], [layers.Dense(5, activation="softmax")(y), h])
    decoder = Decoder(model, start_id=1, end_id=2, max_length=7)
    start = X[:, :3, 0]
    for own, twin in zip(decoder.beam(start, width=2), way(decoder).beam(start, width=2), strict=True):
        np.testing.assert_array_equal(own, twin)


def test_history_and_callbacks(way):
    model = fastseq.Sequential([layers.Input((5, 4)), layers.GRU(3)])
    model.compile("adam", "mse")
    stop = fastseq.callbacks.EarlyStopping(monitor="loss", patience=1, restore_best_weights=True)
    history = model.fit(X, Y, epochs=2, verbose=0, callbacks=[stop])
    other = way(history)
    assert other.history == history.history and other.epoch == history.epoch
    np.testing.assert_array_equal(other.model(X), model(X))
    assert way(stop).best == stop.best


def test_losses_metrics_and_the_rest_of_the_kinds(way):
    for item in (
        fastseq.losses.Huber(2.0), fastseq.metrics.MeanAbsoluteError(name="mine"), fastseq.regularizers.L1L2(0.1, 0.2),
        fastseq.constraints.MaxNorm(3.0), fastseq.initializers.HeNormal(seed=4), optimizers.SGD(0.1, momentum=0.9),
        optimizers.schedules.ExponentialDecay(0.1, 10, 0.9),
    ):  # fmt: skip
        other = way(item)
        assert type(other) is type(item) and other is not item and other.get_config() == item.get_config()
    metric = fastseq.metrics.Mean()
    metric.update_state([1.0, 3.0])
    assert way(metric).result() == 2.0


def test_a_shallow_copy_of_a_layer_has_the_same_weights():
    layer = layers.Bidirectional(layers.GRU(3))
    y = layer(X)
    other = copy.copy(layer)
    assert other is not layer and all(own is twin for own, twin in zip(layer.weights, other.weights, strict=True))
    np.testing.assert_array_equal(other(X), y)

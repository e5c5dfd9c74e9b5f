"""An exception at any place of a call leaves what layers keep as it was: at every line of Python."""

import threading
import tracemalloc

import numpy as np
import pytest
from kept_models import MODELS, Inside, events, functional, kept_arrays, window_model
from raising import raise_everywhere, raising_at

import fastseq
from fastseq import layers
from fastseq.decoding import Decoder, generate
from fastseq.native.kept_states import stateful_layers


@pytest.fixture
def x(rng):
    x = rng.standard_normal((2, 4, 3)).astype("f")
    x[0, 1] = 0
    return x


# Stop in a generator that is being closed.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.mark.parametrize("kind", MODELS)
def test_a_call_leaves_the_states(kind, x):
    """Programs that are there, inputs that are converted, and a program that is made for another shape."""
    model = MODELS[kind]()
    model(x)
    assert events(model, lambda: model(x.astype("f8"), training=False)) > 20
    shape = (2, 4, 3) if isinstance(model, fastseq.Model) and kind != "subclass" else (2, 5, 3)
    other = np.resize(x, shape)

    def anew():
        for layer in [model, *stateful_layers(model), *getattr(model, "layers", [])]:
            layer._programs.clear()
        return model(other)

    assert events(model, anew, every=61) > 100


@pytest.mark.parametrize("kind", ["layer", "functional", "python", "subclass"])
def test_predict_and_evaluate_leave_the_states(kind, x):
    model = MODELS[kind]()
    if kind == "layer":
        model = fastseq.Sequential([fastseq.Input(batch_shape=(2, 4, 3)), model])
    data = np.concatenate([x, -x, 2 * x])
    model(x)
    assert events(model, lambda: model.predict(data, batch_size=2, verbose=0)) > 50
    assert events(model, lambda: model.predict((part for part in (x, -x)), verbose=0), every=7) > 50
    assert events(model, lambda: model.predict_on_batch(x)) > 5
    if kind == "subclass":
        return
    model.compile(loss="mse")
    labels = model.predict(data, batch_size=2, verbose=0)
    assert events(model, lambda: model.evaluate(data, labels, batch_size=2, verbose=0), every=7) > 50
    assert events(model, lambda: model.test_on_batch(x, labels[:2])) > 20


def test_a_generator_of_batches_keeps_what_it_did(x):
    """It is not asked for its batches again, so a layer that makes them is not set back with the model."""
    source, model = layers.GRU(3, stateful=True, return_sequences=True), functional()
    source(x)
    source.reset_state()
    model(x)
    before = [state.copy() for state in kept_arrays(model)]

    def batches():
        yield source(x)
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        model.predict(batches(), verbose=0)
    assert all((a == b).all() for a, b in zip(kept_arrays(model), before))
    assert source.states[0].any()


@pytest.mark.parametrize("kind", MODELS)
def test_a_first_call_that_raises_builds_nothing_twice(kind, x):
    """What the next call builds has all of its weights, once, and the states begin at the first ones."""
    whole = MODELS[kind]()
    whole(x)
    shapes, number = [weight.shape for weight in whole.weights], 0
    while True:
        number += 97  # of some thousand lines, those of tracing among them
        model = MODELS[kind]()
        done, where = raising_at(number, lambda model=model: model(x))
        if done:
            break
        if not isinstance(where, str):
            continue  # it was swallowed
        assert not any(state.any() for state in kept_arrays(model)), where
        found = model(x)
        assert [weight.shape for weight in model.weights] == shapes, where
        if number % 485 == 0:
            twin = MODELS[kind]()
            twin(x)
            twin.set_weights(model.get_weights())
            for layer in (part for part in kept_arrays(twin)):
                layer[...] = 0
            inside = [part.held() for part in getattr(model, "layers", []) if isinstance(part, Inside)]
            for layer, other in zip(inside, [p.held() for p in getattr(twin, "layers", []) if isinstance(p, Inside)]):
                other.set_weights(layer.get_weights())
            np.testing.assert_array_equal(twin(x), found, err_msg=where)
    assert number > 50


# ---- streams, pools, decoding ----------------------------------------------------------------------------------------


def streamed(units=3):
    return fastseq.Sequential(
        [fastseq.Input((None, 3)), layers.LSTM(units, return_sequences=True), layers.GRU(units, return_sequences=True)]
    )


def test_streams_leave_their_states(x):
    stream = streamed().stream(2)
    stream.step(x[:, 0])

    def states():
        return [state for arrays in stream.state.values() for state in arrays]

    def restore(values):
        names = iter(values)
        stream.state = {name: [next(names) for _ in arrays] for name, arrays in stream.state.items()}

    for call in (lambda: stream.step(x[:, 1].astype("f8")), lambda: stream.steps(x)):
        assert raise_everywhere(call, states, restore) > 20


def test_pools_leave_their_states_and_rows(x):
    pool = streamed().stream_pool(3)
    handles = [pool.open() for _ in range(2)]
    pool.step({handle: x[0, 0] for handle in handles})

    def states():
        found = [state for handle in handles for arrays in pool.state(handle).values() for state in arrays]
        return [*found, np.array([len(pool), len(pool._free)])]

    def restore(values):
        values = iter(values)
        for handle in handles:
            pool.set_state(handle, {n: [next(values) for _ in a] for n, a in pool.state(handle).items()})

    inputs = {handle: x[1, number].astype("f8") for number, handle in enumerate(handles)}
    assert raise_everywhere(lambda: list(pool.step(inputs).values()), states, restore) > 20
    # Rows come and go: each is free or belongs to one handle, whatever ends a call.
    for number in range(1, 100):
        done, handle = raising_at(number, pool.open)
        if done:
            pool.close(handle)
            break
        assert len(pool) + len(pool._free) == 3 and len(pool) == 2
    for number in range(1, 100):
        handle = pool.open()
        done, _ = raising_at(number, lambda handle=handle: pool.close(handle))
        assert len(pool) + len(pool._free) == 3
        if done:
            break
        pool.close(handle)
    assert len(pool) == 2


def step_model():
    last, h, c = fastseq.Input((1,), dtype="int32"), fastseq.Input((3,)), fastseq.Input((3,))
    y = Inside(3, name="inside")(layers.Embedding(7, 3)(last))
    y, *new = layers.LSTM(3, return_state=True)(y, initial_state=[h, c])
    return fastseq.Model([last, h, c], [layers.Dense(7, activation="softmax")(y), *new])


def test_decoding_leaves_the_states_of_layers_in_python():
    """Decoders refuse stateful layers they know of; one inside of a layer in Python they do not see."""
    model = window_model()
    ids = np.array([[1, 2, 3, 4], [4, 3, 2, 1]])
    generate(model, ids, 2)
    assert events(model, lambda: list(generate(model, ids, 2))[:2], every=3) > 20
    model = step_model()
    decoder = Decoder(model, start_id=1, max_length=2)
    states = [np.zeros((2, 3), "f")] * 2
    decoder.greedy(states)
    assert events(model, lambda: list(decoder.greedy(states))) > 20
    assert events(model, lambda: list(decoder.sample(states, seed=3)), every=3) > 20
    inside = model.get_layer("inside")
    inside.held = (lambda layer: lambda: layer)(layers.GRU(3, stateful=True, return_sequences=True))
    inside.held()(np.zeros((4, 1, 3), "f"))  # for two rows of two hypotheses
    assert events(model, lambda: list(decoder.beam(states, width=2)), every=3) > 20


# ---- training --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["adam", "accumulates"])
def test_a_training_step_is_whole(optimizer, x):
    """States and weights are of one step: both from before, or both from behind it. Signals wait for its end."""
    model = fastseq.Sequential(
        [fastseq.Input(batch_shape=(2, 4, 3)), layers.LSTM(3, stateful=True), layers.Dense(2, kernel_regularizer="l2")]
        if optimizer == "accumulates"
        else [fastseq.Input(batch_shape=(2, 4, 3)), layers.LSTM(3, stateful=True), layers.Dense(2)]
    )
    model.compile("adam", "mse")
    y = np.ones((2, 2), "f")
    for _ in range(2):
        model.train_on_batch(x, y)
    variables = model.optimizer.variables

    def states():
        return [*kept_arrays(model), *[weight.numpy() for weight in (*model.weights, *variables)]]

    def restore(values):
        values = iter(values)
        for state in kept_arrays(model):
            state[...] = next(values)
        for variable in (*model.weights, *variables):
            variable._value[...] = next(values)  # in place: the program stays

    count = len(kept_arrays(model))

    def whole(before, after, found, where):
        moved = [(a != b).any() for a, b in zip(found[: count + len(model.weights)], before)]
        assert all(moved[:count]) or not any(moved[:count]), where
        if any(moved[count:]):
            for a, b in zip(found[:count], after):
                np.testing.assert_array_equal(a, b, err_msg=where)

    assert raise_everywhere(lambda: model.train_on_batch(x, y), states, restore, whole) > 30


def test_setting_states_is_all_or_nothing(x):
    layer = layers.LSTM(3, stateful=True)
    layer(x)

    def states():
        return layer.states

    new = [np.ones((2, 3)), np.full((2, 3), 2.0)]

    def call(values=new):
        layer.reset_state(values)
        return [state.copy() for state in layer.states]

    number = 0
    before = [state.copy() for state in layer.states]
    while True:
        number += 1
        done, where = raising_at(number, call)
        found = [np.array_equal(a, b) for a, b in zip(layer.states, before)]
        assert all(found) or not any(found), where
        if done:
            break
        layer.reset_state(before)
    assert number > 5


def test_threads_have_scopes_of_their_own(x):
    """A call that fails on one thread puts its own layer back, and nothing that another one did meanwhile."""
    failing, other = fastseq.Sequential([layers.LSTM(3, stateful=True)]), layers.GRU(3, stateful=True)
    other(x)
    other.reset_state()
    ready, done = threading.Event(), threading.Event()

    class Waits(layers.Layer):
        def call(self, inputs):
            if np.asarray(inputs).any():
                ready.set()
                assert done.wait(30)
                raise RuntimeError("enough")
            return inputs

    failing.add(Waits())
    failed = []

    def run():
        try:
            failing(x)
        except RuntimeError as error:
            failed.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(30)
    other(x)
    done.set()
    thread.join()
    assert failed == ["enough"] and other.states[0].any()
    assert not any(state.any() for state in kept_arrays(failing))


def test_kept_states_under_a_signal_are_copied_once(x):
    """A call that runs a stateful layer many times keeps one copy of its states until it has ended, not one a time."""
    layer = layers.GRU(300, stateful=True)
    big = np.ones((40, 1, 3), "f")
    layer(big)

    class Often(layers.Layer):
        def call(self, inputs):
            for _ in range(100):
                layer(big)
            return inputs

    often = Often()
    often(x)
    tracemalloc.start()
    try:
        often(x)
        assert tracemalloc.get_traced_memory()[1] < 20 * layer.states[0].nbytes
    finally:
        tracemalloc.stop()

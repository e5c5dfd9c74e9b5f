"""Masks beside tf_keras, which is Keras 2, and Keras 3.15: models of both in one run, and the files between them."""

import functools
import os
import warnings

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
keras = pytest.importorskip("keras")
keras2 = pytest.importorskip("tf_keras")

import fastseq  # noqa: E402

pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("no_gpu_functions")]
RNG = np.random.default_rng(6)
IDS = np.array([[0, 0, 3, 5], [3, 5, 0, 0], [0, 2, 0, 1]], "int32")
OTHERS = np.array([[1, 2, 0, 0], [0, 3, 0, 1], [4, 4, 4, 0]], "int32")
WORDS = np.stack([IDS, OTHERS, OTHERS * (IDS == 0)], axis=1)


@pytest.fixture(scope="module")
def no_gpu_functions():
    """tf_keras traces each LSTM and GRU twice more, and gradients, in case a GPU is there: three fifths of its time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tf_keras.src.layers.rnn.gru_lstm_utils.function_register", lambda *arguments, **options: None)
        yield


def masked(L, tensor, units=3):
    return L.Embedding(9, units, mask_zero=True)(tensor)


def initial_states(k, L):
    tokens, h, c = k.Input((4,)), k.Input((3,)), k.Input((3,))
    return [tokens, h, c], L.LSTM(3, return_sequences=True)(masked(L, tokens), initial_state=[h, c])


def states_of_an_encoder(k, L):
    a, b = k.Input((4,)), k.Input((4,))
    _, h = L.GRU(3, return_state=True)(masked(L, a))
    return [a, b], L.Dense(2)(L.GRU(3, return_sequences=True)(masked(L, b), initial_state=h))


def states_of_both_directions(k, L):
    a, b = k.Input((4,)), k.Input((4,))
    _, *states = L.Bidirectional(L.LSTM(3, return_state=True))(masked(L, a))
    return [a, b], L.Bidirectional(L.LSTM(3, return_sequences=True))(masked(L, b), initial_state=list(states))


def stacked_cells(k, L):
    tokens, h, g = k.Input((4,)), k.Input((3,)), k.Input((2,))
    return [tokens, h, g], L.RNN([L.GRUCell(3), L.SimpleRNNCell(2)])(masked(L, tokens), initial_state=[h, g])


def merge(name):
    def build(k, L):
        a, b = k.Input((4,)), k.Input((4,))
        return [a, b], L.LSTM(3, return_sequences=True)(getattr(L, name)()([masked(L, a), masked(L, b)]))

    return build


def merge_with_unmasked(name):
    def build(k, L):
        a, b = k.Input((4,)), k.Input((4, 3))
        return [a, b], L.GRU(3, return_sequences=True)(getattr(L, name)()([masked(L, a), b]))

    return build


def joined_in_time(k, L):
    a, b = k.Input((4,)), k.Input((4,))
    return [a, b], L.GRU(3, return_sequences=True)(L.Concatenate(axis=1)([masked(L, a), masked(L, b)]))


def words(inner):
    def build(k, L):
        a = k.Input((3, 4))
        x = L.TimeDistributed(inner(L))(masked(L, a))
        return [a], L.LSTM(3, return_sequences=True)(x)

    return build


def timesteps_of_words(k, L):
    a = k.Input((3, 4))
    x = L.TimeDistributed(L.Embedding(9, 3, mask_zero=True))(a)
    return [a], L.GRU(3, return_sequences=True)(L.TimeDistributed(L.Dense(2))(L.TimeDistributed(L.LSTM(3))(x)))


def identity(k, L):
    a = k.Input((4,))
    return [a], L.LSTM(3)(L.Identity()(masked(L, a)))


def given(k, L):
    a, mask = k.Input((4, 3)), k.Input((4,), dtype="bool")
    return [a, mask], L.GRU(3, return_sequences=True)(L.LSTM(3, return_sequences=True)(a, mask=mask))


def without(make):
    """Calls that say mask=None: in Keras 2 their input has none then, in Keras 3 the input's own is filled in."""

    def build(k, L):
        a = k.Input((4,))
        return [a], make(k, L)(masked(L, a, 4), mask=None)

    return build


def inner_model(k, L):
    x = k.Input((4, 4))
    return k.Model(x, L.LSTM(3, return_sequences=True)(x))


def words_joined_in_time(k, L):
    """Masks of words as long as there are words, and more features: each is taken as it is."""
    a = k.Input((3, 4))
    x = L.TimeDistributed(L.GRU(6))(masked(L, a, 5))
    return [a], L.GRU(2, return_sequences=True)(L.Concatenate(axis=-2)([x, x]))


def in_a_model(k, L):
    a, b = k.Input((4,)), k.Input((4,))
    x, y = k.Input((4, 3)), k.Input((4, 3))
    inner = k.Model([x, y], L.Maximum()([x, y]))
    return [a, b], L.LSTM(3)(inner([masked(L, a), masked(L, b)]))


def taken_names(k, L):
    a, b = k.Input((4,)), k.Input((4,))
    joined = L.Concatenate(name="concatenate")([masked(L, a), masked(L, b, 2)])
    return [a, b], L.LSTM(3, name="not_equal")(joined)


def crossed(k, L):
    """Masks whose operations move branches among the layers: the order in which files keep weights."""
    a, b = k.Input((4,)), k.Input((4,))
    x = L.Concatenate()([masked(L, a, 2), L.LSTM(2, return_sequences=True)(masked(L, b, 2))])
    y = L.LSTM(2, return_sequences=True)(L.LSTM(2, return_sequences=True)(masked(L, b, 2)))
    return [a, b], L.Add()([L.LSTM(2)(x), L.LSTM(2)(y)])


MODELS = {
    "initial states": initial_states,
    "states of an encoder": states_of_an_encoder,
    "states of both directions": states_of_both_directions,
    "stacked cells": stacked_cells,
    **{name: merge(name) for name in ("Add", "Multiply", "Average", "Maximum", "Minimum", "Subtract", "Concatenate")},
    **{f"{name}, one unmasked": merge_with_unmasked(name) for name in ("Add", "Multiply", "Minimum", "Concatenate")},
    "joined in time": joined_in_time,
    "LSTM over words": words(lambda L: L.LSTM(3)),
    "both directions over words": words(lambda L: L.Bidirectional(L.GRU(2))),
    "Flatten of words": words(lambda L: L.Reshape((12,))),
    "timesteps of words": timesteps_of_words,
    "Identity": identity,
    "given": given,
    "LSTM, mask=None": without(lambda k, L: L.LSTM(3)),
    "GRU, mask=None": without(lambda k, L: L.GRU(3, return_sequences=True)),
    "RNN, mask=None": without(lambda k, L: L.RNN(L.SimpleRNNCell(3))),
    "both directions, mask=None": without(lambda k, L: L.Bidirectional(L.GRU(3, return_sequences=True))),
    "timesteps, mask=None": without(lambda k, L: L.TimeDistributed(L.Dense(3))),
    "Softmax, mask=None": without(lambda k, L: L.Softmax(axis=1)),
    "a model, mask=None": without(inner_model),
    "a Sequential, mask=None": without(lambda k, L: k.Sequential([L.LSTM(3)])),
    "words joined in time": words_joined_in_time,
    "in a model": in_a_model,
    "taken names": taken_names,
    "crossed": crossed,
}
# What Keras itself refuses: compute_mask of a layer without masks raises in Keras 2, a mask of words does not fit an
# LSTM over timesteps in Keras 3, and two layers take one name there.
REFUSED = {
    "tf_keras": ("Flatten of words",),
    "keras": ("LSTM over words", "both directions over words", "Flatten of words", "taken names", "Softmax, mask=None"),
}


def made(k, name):
    k.backend.clear_session()
    inputs, outputs = MODELS[name](k, k.layers)
    model = k.Model(inputs, outputs)
    model.set_weights([RNG.uniform(-1, 1, weight.shape).astype("float32") for weight in model.get_weights()])
    arrays = []
    for position, tensor in enumerate(model.inputs):
        shape = tuple(tensor.shape)
        if shape == (None, 3, 4):
            arrays.append(WORDS)
        elif "bool" in str(tensor.dtype):
            arrays.append(IDS != 0)
        elif shape == (None, 4):
            arrays.append([IDS, OTHERS][position])
        else:
            arrays.append(RNG.uniform(-1, 1, (3, *shape[1:])).astype("float32"))
    return model, arrays


@functools.cache
def made_by_keras_2(name):
    """(model, inputs, what it predicts)."""
    model, arrays = made(keras2, name)
    return model, arrays, model.predict(arrays, verbose=0)


def cases(module):
    return [name for name in MODELS if name not in REFUSED[module.__name__]]


def check(model, arrays, expected):
    assert np.allclose(model.predict(arrays), expected, atol=2e-6)
    try:
        stream = model.stream(3)
    except ValueError:
        return  # it needs later timesteps
    steps = [[array[:, t] for array in arrays] for t in range(arrays[0].shape[1])]
    outputs = [stream.step(step if len(step) > 1 else step[0]) for step in steps]
    assert np.array_equal(np.stack(outputs, 1) if expected.ndim == 3 else outputs[-1], model.predict(arrays))


@pytest.mark.parametrize("name", cases(keras2))
@pytest.mark.parametrize("ending", [".h5", ".keras"])
def test_models_of_keras_2(name, ending, tmp_path):
    model, arrays, expected = made_by_keras_2(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(tmp_path / f"m{ending}")
        loaded = fastseq.load_model(tmp_path / f"m{ending}")
        check(loaded, arrays, expected)
        check(fastseq.from_keras(model), arrays, expected)
        # fastseq's own files keep the rules, and Keras 3.15 finds every weight at its place in them.
        for own in (".keras", ".h5"):
            loaded.save(tmp_path / f"own{own}")
            check(fastseq.load_model(tmp_path / f"own{own}"), arrays, expected)
            if name in REFUSED["keras"]:
                continue
            try:
                there = keras.saving.load_model(tmp_path / f"own{own}")
            except ValueError as error:
                # Keras's own operations take names that layers have: `keras.layers.Concatenate(name="concatenate")`.
                assert "used 2 times" in str(error)
                continue
            for layer in loaded.layers:
                for mine, its in zip(layer.get_weights(), there.get_layer(layer.name).get_weights(), strict=True):
                    assert np.array_equal(mine, its), layer.name


@pytest.mark.parametrize("name", cases(keras))
def test_models_of_keras_3(name, tmp_path):
    model, arrays = made(keras, name)
    expected = np.asarray(model(arrays if len(arrays) > 1 else arrays[0]))  # predict would trace it first
    model.save(tmp_path / "m.keras")
    check(fastseq.load_model(tmp_path / "m.keras"), arrays, expected)
    check(fastseq.from_keras(model), arrays, expected)


def test_a_step_of_training_beside_keras_2():
    model, arrays = made(keras2, "Add")
    twin = fastseq.from_keras(model)
    y = RNG.uniform(-1, 1, (3, 4, 3)).astype("float32")
    for each, sgd in ((model, keras2.optimizers.SGD(0.5)), (twin, fastseq.optimizers.SGD(0.5))):
        each.compile(sgd, "mse")
        for _ in range(2):
            each.train_on_batch(arrays, y)
    for mine, its in zip(twin.get_weights(), model.get_weights(), strict=True):
        assert np.allclose(mine, its, atol=1e-5)


@pytest.mark.parametrize("name", ["initial states", "Add", "Multiply, one unmasked", "timesteps of words", "Identity"])
def test_keras_3_computes_differently_where_the_warning_says_so(name, tmp_path):
    model, arrays, expected = made_by_keras_2(name)
    twin = fastseq.from_keras(model)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        twin.save(tmp_path / "m.keras")
    told = [str(warning.message) for warning in told if "rules of masks" in str(warning.message)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = keras.saving.load_model(tmp_path / "m.keras").predict(arrays, verbose=0)
    except ValueError:
        assert told
        return
    if not np.allclose(found, expected, atol=2e-6):
        assert len(told) == 1

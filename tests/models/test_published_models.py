"""Published models with the weights of the same model in Keras: outputs, bits, files both ways, a step of training."""

import layer_check
import numpy as np
import pytest
from published_models import MODELS, random_weights

import fastseq
from fastseq.layers import binding
from fastseq.native import runtime

BATCH = 3
# Bounds are of errors beside float64, over the largest value: Keras's own times 1.5, and this where it is smaller: the
# 1,536 products of a sum in DeepMoji's LSTMs are added in one order, by which its errors are twice Keras's.
LEAST = 8 * np.finfo(np.float32).eps
OWN_LAYERS = "DeepMoji", "transformer", "DTLN"  # classes that are made where the model is
ISAS = [name for name in runtime.available_isas() if name != "scalar"]  # which rounds between product and sum
STREAMED = "TCN", "WaveNet"


def made(k, name):
    model = MODELS[name].make(k)
    model.set_weights(random_weights(model))
    return model


def drawn(name, batch=BATCH):
    x = MODELS[name].inputs(np.random.default_rng(1), batch)
    return x if len(x) > 1 else x[0]


def rows(x, number):
    return [part[number] for part in x] if isinstance(x, list) else x[number]


FIRST = "CNN-LSTM", "GuitarLSTM"  # the others are built by Keras in 3 to 6 s each, twice
COMPARED = [
    name if name in FIRST else pytest.param(name, marks=pytest.mark.slow("Keras builds it twice")) for name in MODELS
]
ALL = [pytest.param(name, marks=pytest.mark.slow("10 M weights")) if name == "DeepMoji" else name for name in MODELS]


@pytest.mark.parametrize("name", ALL)
def test_rows_threads_and_instruction_sets_change_nothing(name):
    model, x = made(fastseq, name), drawn(name)
    expected = None
    for isa in ISAS:
        with layer_check.isa(isa):
            for threads in (1, 3):
                with fastseq.num_threads(threads):
                    found = model(x)
                expected = found if expected is None else expected
                np.testing.assert_array_equal(found, expected)
    for number in range(BATCH):
        np.testing.assert_array_equal(model(rows(x, slice(number, number + 1)))[0], expected[number])


@pytest.mark.parametrize("name", ALL)
def test_all_steps_are_native(name):
    model, x = made(fastseq, name), drawn(name)
    model(x)
    program = model._programs.program(model, binding.convert(model, binding.bind(model, (x,), {})))
    assert not program.has_python


@pytest.mark.parametrize("name", COMPARED)
def test_outputs_are_those_of_keras(name):
    keras = pytest.importorskip("keras")
    model, x = made(fastseq, name), drawn(name)
    theirs = made(keras, name)
    for mine, other in zip(model.weights, theirs.weights, strict=True):
        assert mine.shape == tuple(other.shape)
    model.set_weights(theirs.get_weights())
    expected = exact(keras, name, theirs.get_weights(), x)
    error, bound = (np.abs(np.asarray(y) - expected).max() / np.abs(expected).max() for y in (model(x), theirs(x)))
    assert error <= max(1.5 * bound, LEAST)


def exact(keras, name, weights, x):
    """Keras's outputs in float64."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    try:
        model = MODELS[name].make(keras)
        model.set_weights(weights)
        return np.asarray(model(x))
    finally:
        keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("name", ALL)
def test_a_step_of_training_lowers_the_loss(name):
    model, x = made(fastseq, name), drawn(name)
    y = np.zeros_like(model(x))
    y[..., 0] = 1.0
    shares = np.allclose(model(x).sum(-1), 1)  # of classes
    model.compile(fastseq.optimizers.Adam(1e-3), "categorical_crossentropy" if shares else "mse")
    before = model.evaluate(x, y, verbose=0)
    model.fit(x, y, epochs=1, batch_size=BATCH, verbose=0)
    assert model.evaluate(x, y, verbose=0) < before


@pytest.mark.parametrize("name", [name for name in MODELS if name not in OWN_LAYERS])
def test_a_file_gives_the_same_bits(name, tmp_path):
    model, x = made(fastseq, name), drawn(name)
    model.save(tmp_path / "m.keras")
    np.testing.assert_array_equal(fastseq.load_model(tmp_path / "m.keras")(x), model(x))


@pytest.mark.parametrize("name", STREAMED)
def test_streams_give_the_bits_of_the_whole_sequence(name):
    model = made(fastseq, name)
    x = drawn(name, 1)
    x = x[:, :40]
    whole, stream = model(x), model.stream()
    steps = [stream.step(x[:, t]) for t in range(x.shape[1])]
    np.testing.assert_array_equal(np.stack(steps, axis=1), whole)

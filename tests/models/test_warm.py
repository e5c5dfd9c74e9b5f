"""Model.warm: the first call finds everything made, and nothing but that has changed."""

import numpy as np
import pytest

import fastseq
from fastseq import layers
from fastseq.errors import UnsupportedError
from fastseq.program import cache

RNG = np.random.default_rng(0)


def programs_made(monkeypatch):
    made = []
    whole = cache.ProgramCache._make
    monkeypatch.setattr(
        cache.ProgramCache, "_make", lambda self, *given: made.append(given) or whole(self, *given)
    )  # fmt: skip
    return made


def sequential():
    return fastseq.Sequential([layers.Input((None, 6)), layers.LSTM(8), layers.Dropout(0.5), layers.Dense(3)])


def not_built():
    return fastseq.Sequential([layers.LSTM(8), layers.Dense(3)])


def of_ids():
    return fastseq.Sequential([layers.Embedding(9, 4, mask_zero=True), layers.GRU(8)])


def two_inputs():
    a, b = layers.Input((5, 6), name="a"), layers.Input((3,), name="b")
    return fastseq.Model([a, b], layers.Concatenate()([layers.GRU(4)(a), b]))


def of_a_dict():
    a, b = layers.Input((5, 6), name="a"), layers.Input((3,), name="b")
    return fastseq.Model({"a": a, "b": b}, layers.Concatenate()([layers.GRU(4)(a), b]))


MODELS = {
    "sequential": (sequential, (2, 5, 6), np.float32),
    "not built": (not_built, (2, 5, 6), np.float32),
    "ids": (of_ids, (2, 5), np.int32),
    "two inputs": (two_inputs, [(2, 5, 6), (2, 3)], np.float32),
    "dict": (of_a_dict, {"a": (2, 5, 6), "b": (2, 3)}, np.float32),
}


@pytest.mark.parametrize("kind", MODELS)
def test_calls_find_their_programs(monkeypatch, kind):
    make, shape, dtype = MODELS[kind]
    model = make()
    assert model.warm(shape) is model and model.built
    made = programs_made(monkeypatch)
    x = fastseq.tensors.nest.map_shapes(lambda sizes: np.ones(sizes, dtype), shape)
    y = model(x)
    np.testing.assert_array_equal(model.predict(x), y)
    np.testing.assert_array_equal(model.predict_on_batch(x), y)
    assert made == []
    twin = make()
    twin(x)
    twin.set_weights(model.get_weights())
    assert twin(x).tobytes() == y.tobytes()


def test_shapes_of_arrays_and_lists():
    model = sequential()
    x = np.zeros((2, 5, 6), "f")
    model.warm(x.shape).warm(list(x.shape)).warm(tuple(np.array(x.shape)))
    assert len(model._programs) == 2  # for calls, and for predict, which says training=False


def test_large_weights_are_packed(monkeypatch):
    from fastseq.tensors import variable

    monkeypatch.setattr(variable, "PACKED_ALONE", 0)
    model = sequential().warm((1, 5, 6))
    assert type(model.layers[0].kernel._content).__name__ == "PackedValue"


def test_states_and_random_numbers_stay():
    model = fastseq.Sequential([
        layers.Input((5, 6), batch_size=2), layers.LSTM(4, stateful=True, return_sequences=True),
        layers.GaussianNoise(0.1, seed=3), layers.GRU(4, stateful=True),
    ])  # fmt: skip
    x = RNG.normal(size=(2, 5, 6)).astype("f")
    twin = fastseq.models.clone_model(model)
    twin.set_weights(model.get_weights())
    model.warm((2, 5, 6))
    assert not any(np.asarray(state).any() for layer in (model.layers[0], model.layers[2]) for state in layer.states)
    for _ in range(2):
        assert model(x).tobytes() == twin(x).tobytes()
        model.warm((2, 5, 6)), model.warm((2, 7, 6))
        assert model(x, training=True).tobytes() == twin(x, training=True).tobytes()


def test_what_it_refuses():
    model = sequential()
    for shape in [(None, 5, 6), (2, -1, 6), (2, 5.0, 6), (True, 5, 6), 5, None, (), "abc"]:
        with pytest.raises(ValueError, match="batch size first"):
            model.warm(shape)
    with pytest.raises(ValueError):
        model.warm((2, 5, 7))
    with pytest.raises(ValueError):
        model.warm((2, 5))
    with pytest.raises(ValueError):
        two_inputs().warm((2, 5, 6))

    class Own(fastseq.Model):
        def call(self, inputs):
            return inputs

    with pytest.raises(UnsupportedError, match="Python"):
        Own().warm((2, 3))


def test_layers_in_python_are_asked_for_their_shapes():
    class Doubled(layers.Layer):
        shapes = []

        def call(self, inputs):
            self.shapes.append(inputs.shape)
            return inputs * 2

    model = fastseq.Sequential([layers.Input((3,)), Doubled(), layers.Dense(2)])
    model.warm((4, 3))
    assert (4, 3) in Doubled.shapes
    x = RNG.normal(size=(4, 3)).astype("f")
    np.testing.assert_allclose(model(x), 2 * x @ model.layers[-1].kernel.numpy(), rtol=1e-5)

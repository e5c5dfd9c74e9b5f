"""predict: every kind of input, one result whatever the batches, and errors for what does not fit."""

import sys
import time

import model_zoo as zoo
import numpy as np
import pytest

import fastseq
from fastseq import Input, Model, Sequential
from fastseq.data import predict as prediction
from fastseq.layers import GRU, LSTM, Dense, Layer


@pytest.fixture
def model():
    return Sequential([Input((None, 3), name="x"), GRU(4), Dense(2)], name="m")


@pytest.fixture
def x(rng):
    return rng.standard_normal((50, 6, 3)).astype("f")


class Batches:
    """What keras.utils.PyDataset is to predict."""

    def __init__(self, x, size, wrap=lambda x: x):
        self.x, self.size, self.wrap = x, size, wrap

    def __len__(self):
        return -(-len(self.x) // self.size)

    def __getitem__(self, index):
        return self.wrap(self.x[index * self.size : (index + 1) * self.size])


@pytest.mark.parametrize("batch_size", [None, 1, 7, 32, 49, 50, 51, 10_000])
def test_same_bits_for_every_batch_size(model, x, batch_size):
    expected = np.asarray(model(x))
    found = model.predict(x, batch_size=batch_size)
    assert type(found) is np.ndarray and found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: (x,), lambda x: (x, 1), lambda x: (x, 1, 2), lambda x: [x, 1]])
def test_batches_made_by_the_caller(model, x, wrap):
    expected = model.predict(x)
    parts = [x[:8], x[8:9], x[9:]]
    np.testing.assert_array_equal(model.predict(wrap(part) for part in parts), expected)
    np.testing.assert_array_equal(model.predict(Batches(x, 16, wrap)), expected)
    np.testing.assert_array_equal(model.predict(map(wrap, parts)), expected)


def test_steps(model, x):
    expected = model.predict(x)

    def forever():
        while True:
            yield x[:5]

    np.testing.assert_array_equal(model.predict(forever(), steps=3), np.tile(expected[:5], (3, 1)))
    np.testing.assert_array_equal(model.predict(x, batch_size=8, steps=2), expected[:16])
    np.testing.assert_array_equal(model.predict(x, steps=1), expected[:32])
    np.testing.assert_array_equal(model.predict(Batches(x, 10), steps=2), expected[:20])
    with pytest.warns(UserWarning, match="ran out of data after 7 of 9"):
        np.testing.assert_array_equal(model.predict(x, batch_size=8, steps=9), expected)
    # A generator is not asked for more than it is needed for.
    source = iter([x[:5], x[5:9], x[9:]])
    model.predict(source, steps=2)
    assert next(source).shape == (41, 6, 3)


def test_other_lengths_in_each_batch(model, rng):
    parts = [rng.standard_normal((2, steps, 3)).astype("f") for steps in (3, 9, 1)]
    np.testing.assert_array_equal(
        model.predict(part for part in parts), np.concatenate([model.predict(part) for part in parts])
    )
    sequences = Sequential([GRU(4, return_sequences=True)])
    with pytest.raises(ValueError, match=r"shapes.*\(1, 4\), \(3, 4\), \(9, 4\)"):
        sequences.predict(part for part in parts)


def test_structures(rng):
    a, b = Input((3,), name="a"), Input((2,), name="b")
    ya, yb = Dense(2)(a), Dense(1)(b)
    model = Model({"a": a, "b": b}, {"q": [ya, yb], "p": (ya,)})
    x = {"a": rng.standard_normal((70, 3)), "b": rng.standard_normal((70, 2))}
    for source in (x, [x["a"], x["b"]], ({"a": x["a"][i : i + 30], "b": x["b"][i : i + 30]} for i in (0, 30, 60))):
        found = model.predict(source) if not isinstance(source, dict) else model.predict(source, batch_size=30)
        assert set(found) == {"p", "q"} and isinstance(found["p"], tuple) and isinstance(found["q"], list)
        np.testing.assert_array_equal(found["q"][0], model(x)["q"][0])
        np.testing.assert_array_equal(found["q"][1], model(x)["q"][1])
        assert found["q"][1].shape == (70, 1)


def test_predict_on_batch(model, x):
    found = model.predict_on_batch(x)
    assert type(found) is np.ndarray
    np.testing.assert_array_equal(found, model.predict(x))


def test_masks_stay_inside():
    model = Sequential([GRU(2, return_sequences=True)])
    x = fastseq.tensors.arrays.with_mask(np.ones((2, 3, 4), "f"), np.ones((2, 3), bool))
    assert fastseq.tensors.arrays.mask_of(model(x)) is not None
    assert type(model.predict(x)) is np.ndarray and type(model.predict_on_batch(x)) is np.ndarray


def test_empty(model):
    assert model.predict(np.zeros((0, 6, 3))).shape == (0, 2)
    assert model.predict_on_batch(np.zeros((0, 6, 3))).shape == (0, 2)
    two = zoo.dicts(fastseq)
    found = two.predict({"a": np.zeros((0, 5, 4)), "b": np.zeros((0, 3))})
    assert found["z"].shape == (0, 5, 2) and found["h"].shape == (0, 3)
    with pytest.raises(ValueError, match="no batch"):
        model.predict(iter([]))


def test_dtypes_and_layouts(model, x):
    expected = model.predict(x)
    np.testing.assert_array_equal(model.predict(x.astype("f8")), expected)
    np.testing.assert_array_equal(model.predict(x.astype(">f4")), expected)
    np.testing.assert_array_equal(model.predict(np.asfortranarray(x)), expected)
    np.testing.assert_array_equal(model.predict(x[::-1], batch_size=8), expected[::-1])
    read_only = x.copy()
    read_only.flags.writeable = False
    np.testing.assert_array_equal(model.predict(read_only), expected)
    found = model.predict(x)
    found[:] = 0
    np.testing.assert_array_equal(model.predict(x), expected)


@pytest.mark.parametrize("value", [None, "abc", 3, [[1.0, 2.0]], [], {}, [np.ones((2, 3)), 5], object()])
def test_what_is_no_input(model, value):
    with pytest.raises(ValueError, match="Unrecognized data type"):
        model.predict(value)


def test_wrong_values(model, x):
    with pytest.raises(ValueError, match=r"cardinality.*50, 3"):
        zoo.shared(fastseq).predict([np.zeros((50, 2, 4)), np.zeros((3, 2, 4))])
    with pytest.raises(ValueError, match="single value"):
        model.predict(np.float32(3))
    with pytest.raises(ValueError, match="4 items"):
        model.predict(iter([(x, 1, 2, 3)]))
    with pytest.raises(ValueError):
        model.predict(x[..., :2])
    with pytest.raises(TypeError, match="real numbers"):
        model.predict(x.astype(object))
    for arguments in ({"batch_size": 0}, {"batch_size": -1}, {"batch_size": 2.5}, {"batch_size": True}, {"steps": 0},
                      {"verbose": 3}, {"verbose": "loud"}, {"callbacks": [print]}):  # fmt: skip
        with pytest.raises(ValueError):
            model.predict(x, **arguments)
    for name in ("export", "quantize"):
        with pytest.raises(AttributeError):
            getattr(model, name)


def test_an_error_in_a_generator_reaches_the_caller(model, x):
    def broken():
        yield x[:3]
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        model.predict(broken())


def test_stateful(rng):
    model = Sequential([Input((4, 3), batch_size=5), LSTM(2, stateful=True)])
    x = rng.standard_normal((10, 4, 3)).astype("f")
    # The second batch goes on from the states of the first.
    found = model.predict(x)
    model.reset_states()
    np.testing.assert_array_equal(found, np.concatenate([model(x[:5]), model(x[5:])]))
    model.reset_states()
    np.testing.assert_array_equal(model.predict(x, batch_size=5), found)
    with pytest.raises(ValueError, match=r"stateful network.*Found: 9 samples. Batch size: 5"):
        model.predict(x[:9])


def test_layers_in_python_get_batches_of_keras_size():
    sizes = []

    class Count(Layer):
        def call(self, x):
            sizes.append(len(x))
            return x

    model = Sequential([Input((3,)), Count(), Dense(2)])
    sizes.clear()
    model.predict(np.ones((70, 3)))
    assert {32, 6} <= set(sizes) and max(sizes) == 32


def test_memory_of_a_batch_is_bounded():
    model = Sequential([Input((None, 64)), GRU(64, return_sequences=True), GRU(64)])
    rows = prediction._automatic_batch_size(model, [np.empty((1, 1000, 64), "f")], None)
    assert rows == prediction._CHUNK_VALUES // (1000 * 64 * 2 + 64)
    assert prediction._automatic_batch_size(model, [np.empty((1, 1, 64), "f")], None) == prediction._MOST_ROWS


def test_silent_by_default_when_short(model, x, capsys):
    sys.modules.pop("tqdm", None)
    model.predict(x, batch_size=1)
    model.predict(x, batch_size=1, verbose=1)
    output = capsys.readouterr()
    assert output.out == output.err == "" and "tqdm" not in sys.modules


def test_bar_of_a_long_run(model, x, capsys, monkeypatch):
    monkeypatch.setattr(prediction, "_BAR_DELAY", 0.02)

    def slow():
        for _ in range(10):
            time.sleep(0.01)
            yield x[:2]

    model.predict(slow(), verbose=0)
    assert capsys.readouterr().err == ""
    model.predict(slow(), steps=10)
    output = capsys.readouterr()
    assert "10/10" in output.err and "m:" in output.err and output.out == ""


def test_one_line_at_the_end(model, x, capsys):
    model.predict(x, batch_size=10, verbose=2)
    assert capsys.readouterr().err.startswith("m: 5 batches in ")


@pytest.mark.tensorflow
def test_py_dataset_of_keras(model, x):
    keras = pytest.importorskip("keras")

    class Data(keras.utils.PyDataset):
        def __len__(self):
            return 5

        def __getitem__(self, index):
            return x[index * 10 : index * 10 + 10], np.zeros(10)

    np.testing.assert_array_equal(model.predict(Data()), model.predict(x))
    twin = keras.Sequential([keras.Input((None, 3)), keras.layers.GRU(4), keras.layers.Dense(2)])
    twin.set_weights(model.get_weights())
    np.testing.assert_allclose(model.predict(Data()), twin.predict(Data(), verbose=0), atol=1e-6)

"""Files in both directions, and live models, against Keras on TensorFlow in the same run."""

import numpy as np
import pytest

import fastseq
from fastseq import layers
from fastseq.errors import UnsupportedError

pytestmark = pytest.mark.tensorflow
keras = pytest.importorskip("keras")


def randomize(model, seed=0):
    rng = np.random.default_rng(seed)
    model.set_weights([rng.uniform(-0.8, 0.8, np.shape(w)).astype(np.float32) for w in model.get_weights()])
    return model


def stack(k):
    """Works with `k` = keras and with `k` = fastseq: the API is the same."""
    return k.Sequential(
        [
            k.Input((6, 3)),
            k.layers.Masking(0.5),
            k.layers.Bidirectional(k.layers.LSTM(4, return_sequences=True), merge_mode="sum"),
            k.layers.GRU(5, return_sequences=True, reset_after=False),
            k.layers.TimeDistributed(k.layers.Dense(4, activation="relu")),
            k.layers.Dropout(0.5),
            k.layers.SimpleRNN(3, go_backwards=True),
            k.layers.Dense(2, activation="softmax"),
        ]
    )


def graph(k):
    """Two inputs, a mask, states handed over, a shared model, several outputs."""
    ids = k.Input((None,), name="ids")
    x = k.layers.Embedding(9, 4, mask_zero=True)(ids)
    x, state = k.layers.GRU(4, return_sequences=True, return_state=True)(x)
    other = k.Input((None, 3), name="other")
    y = k.layers.GRU(4, return_sequences=True, name="decoder")(other, initial_state=state)
    inner_input = k.Input((None, 4))
    inner = k.Model(inner_input, k.layers.Dense(4, activation="tanh")(inner_input), name="inner")
    joined = k.layers.Concatenate()([inner(y), inner(inner(y))])
    return k.Model([ids, other], [k.layers.TimeDistributed(k.layers.Dense(2))(joined), k.layers.LSTM(3)(x)])


RNG = np.random.default_rng(3)
STACK_INPUT = np.where(RNG.random((5, 6, 1)) < 0.3, 0.5, RNG.standard_normal((5, 6, 3))).astype(np.float32)
GRAPH_INPUT = [RNG.integers(0, 9, (4, 7)).astype(np.float32), RNG.standard_normal((4, 5, 3)).astype(np.float32)]
CASES = [(stack, STACK_INPUT), (graph, GRAPH_INPUT)]


def outputs(model, x):
    result = model.predict(x, verbose=0)
    return result if isinstance(result, list) else [result]


def same(first, second, x):
    for ours, theirs in zip(outputs(first, x), outputs(second, x), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-6)


@pytest.mark.parametrize("make, x", CASES, ids=["stack", "graph"])
@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_we_read_keras(tmp_path, make, x, ending):
    theirs = randomize(make(keras))
    theirs.save(tmp_path / f"m{ending}")
    same(fastseq.load_model(tmp_path / f"m{ending}"), theirs, x)


@pytest.mark.parametrize("make, x", CASES, ids=["stack", "graph"])
def test_keras_reads_us(tmp_path, make, x):
    ours = randomize(make(fastseq))
    ours.save(tmp_path / "m.keras")
    same(ours, keras.saving.load_model(tmp_path / "m.keras"), x)


@pytest.mark.parametrize("make, x", CASES, ids=["stack", "graph"])
def test_keras_reads_back_what_it_wrote_through_us(tmp_path, make, x):
    theirs = randomize(make(keras))
    theirs.save(tmp_path / "theirs.keras")
    fastseq.load_model(tmp_path / "theirs.keras").save(tmp_path / "ours.keras")
    same(keras.saving.load_model(tmp_path / "ours.keras"), theirs, x)


@pytest.mark.parametrize("make, x", CASES, ids=["stack", "graph"])
def test_weight_files_both_ways(tmp_path, make, x):
    theirs, ours = randomize(make(keras), 1), make(fastseq)
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    ours.load_weights(tmp_path / "theirs.weights.h5")
    same(ours, theirs, x)
    randomize(ours, 2).save_weights(tmp_path / "ours.weights.h5")
    theirs.load_weights(tmp_path / "ours.weights.h5")
    same(ours, theirs, x)


@pytest.mark.parametrize("make, x", CASES, ids=["stack", "graph"])
def test_live_models(make, x):
    theirs = randomize(make(keras))
    ours = fastseq.from_keras(theirs)
    same(ours, theirs, x)
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
    assert ours.count_params() == theirs.count_params()


def test_live_subclassed_model_is_refused():
    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(UnsupportedError, match="subclassed"):
        fastseq.from_keras(Own())
    with pytest.raises(UnsupportedError, match="Keras model"):
        fastseq.from_keras(fastseq.Sequential([fastseq.Input((3,)), layers.Dense(2)]))


def test_unbuilt_bfloat16_and_trainable_do_not_change_the_weights(tmp_path):
    """A frozen layer's weights stand at the same place in the file."""
    theirs = randomize(stack(keras))
    theirs.layers[1].trainable = False
    theirs.save(tmp_path / "m.keras")
    theirs.save(tmp_path / "m.h5")
    for name in ("m.keras", "m.h5"):
        ours = fastseq.load_model(tmp_path / name)
        same(ours, theirs, STACK_INPUT)
        assert len(ours.trainable_weights) == len(theirs.trainable_weights)

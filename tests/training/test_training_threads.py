"""Steps of training on several threads: the bits of one, and nothing half done where a step fails."""

import numpy as np
import pytest

import fastseq
from fastseq import layers

THREADS = (1, 2, 3)
RNG = np.random.default_rng(3)


def classes(*shape, of):
    return np.eye(of, dtype="f")[RNG.integers(0, of, shape)]


def normal(*shape):
    return RNG.standard_normal(shape).astype("f")


# name -> (layers, loss, x, y). The first three are of many small steps, which run in one region; the fourth has a pair
# of steps that run side by side, the last one is long enough to be watched for interrupts.
MODELS = {
    "tagger": (
        lambda: [layers.Input((64, 15)), layers.GRU(16, return_sequences=True), layers.Dense(8, activation="softmax")],
        "categorical_crossentropy", normal(128, 64, 15), classes(128, 64, of=8),
    ),
    "one row": (
        lambda: [layers.Input((100, 64)), layers.LSTM(64, return_sequences=True)],
        "mse", normal(1, 100, 64), normal(1, 100, 64),
    ),
    "reviews": (
        lambda: [
            layers.Input((30,), dtype="int32"), layers.Embedding(50, 16, mask_zero=True), layers.LSTM(32),
            layers.Dropout(0.2, seed=1), layers.Dense(1, activation="sigmoid"),
        ],
        "binary_crossentropy", RNG.integers(0, 50, (24, 30)).astype("i"), RNG.integers(0, 2, (24, 1)),
    ),
    "both ways": (
        lambda: [layers.Input((20, 5)), layers.Bidirectional(layers.LSTM(16)), layers.Dense(3, activation="softmax")],
        "categorical_crossentropy", normal(32, 20, 5), classes(32, of=3),
    ),
    "large": (
        lambda: [layers.Input((30, 64)), layers.LSTM(256), layers.Dense(4, activation="softmax")],
        "categorical_crossentropy", normal(32, 30, 64), classes(32, of=4),
    ),
}  # fmt: skip


@pytest.fixture
def threads():
    before = fastseq.get_num_threads()
    yield fastseq.set_num_threads
    fastseq.set_num_threads(before)


def built(name):
    made, loss, _, _ = MODELS[name]
    model = fastseq.Sequential(made())
    rng = np.random.default_rng(5)
    model.set_weights([rng.uniform(-0.3, 0.3, w.shape).astype("f") for w in model.get_weights()])
    model.compile("rmsprop", loss, metrics=["accuracy"] if loss != "mse" else None)
    return model


@pytest.mark.parametrize("name", MODELS)
def test_bits_do_not_depend_on_threads(name, threads):
    _, _, x, y = MODELS[name]
    found = []
    for count in THREADS:
        threads(count)
        model = built(name)
        logs = [np.ravel(model.train_on_batch(x, y)).tolist() for _ in range(3)]
        found.append((logs, [w.tobytes() for w in model.get_weights()]))
    assert found[1] == found[0] and found[2] == found[0]
    assert found[0][0][0] != found[0][0][2], "nothing was learnt"


@pytest.mark.parametrize("count", THREADS)
def test_a_wrong_label_changes_no_weight(count, threads):
    threads(count)
    model = fastseq.Sequential(MODELS["tagger"][0]())
    model.compile("rmsprop", "sparse_categorical_crossentropy")
    x, y = normal(128, 64, 15), RNG.integers(0, 8, (128, 64))
    model.train_on_batch(x, y)
    before = [w.tobytes() for w in model.get_weights()]
    wrong = y.copy()
    wrong[100, 3] = 8
    with pytest.raises(ValueError, match="class 8 is outside the 8 classes"):
        model.train_on_batch(x, wrong)
    assert [w.tobytes() for w in model.get_weights()] == before
    assert int(model.optimizer.iterations) == 1
    model.train_on_batch(x, y)
    assert int(model.optimizer.iterations) == 2

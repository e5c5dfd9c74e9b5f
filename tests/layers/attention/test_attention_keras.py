"""The attention layers beside Keras: every argument, masks, gradients, and files of both Kerases."""

import numpy as np
import pytest

import fastseq
from fastseq import layers

pytestmark = pytest.mark.tensorflow
pytest.importorskip("keras")

from attention_check import check_attention  # noqa: E402  imports TensorFlow
from gradient_check import check_gradients  # noqa: E402
from layer_check import random_weights  # noqa: E402

B, T, S, N = 3, 5, 7, 6
RNG = np.random.default_rng(3)
QUERY, VALUE, KEY = (RNG.standard_normal((B, length, N)).astype("f") for length in (T, S, S))
# The second row's value is hidden as a whole, in the third nothing is hidden.
MASKS = np.arange(T) < np.array([[3], [4], [5]]), np.arange(S) < np.array([[2], [0], [7]])
SEEN = RNG.random((B, T, S)) < 0.5
SEEN[0, 1] = False

HEADS = {
    "plain": lambda k: k.MultiHeadAttention(2, 3),
    "sizes": lambda k: k.MultiHeadAttention(2, 3, value_dim=5, output_shape=(3, 2), use_bias=False),
    "dropout": lambda k: k.MultiHeadAttention(2, 3, dropout=0.3, seed=1),
    "window": lambda k: k.MultiHeadAttention(2, 3, sliding_window=2, output_shape=4),
    "gate": lambda k: k.MultiHeadAttention(3, 2, use_gate=True, kernel_initializer="he_normal"),
    "grouped": lambda k: k.GroupQueryAttention(3, 4, 2),
    "grouped dropout": lambda k: k.GroupQueryAttention(3, 4, 1, dropout=0.3, use_bias=False),
    "grouped window": lambda k: k.GroupQueryAttention(2, 2, 2, sliding_window=3, use_gate=True),
}
CALLS = {
    "all": {},
    "causal": {"use_causal_mask": True},
    "scores": {"return_attention_scores": True},
    "mask": {"attention_mask": SEEN},
    "everything": {"attention_mask": SEEN, "use_causal_mask": True, "return_attention_scores": True},
}
SCORED = {
    "dot": lambda k: k.Attention(),
    "scale": lambda k: k.Attention(use_scale=True),
    "concat": lambda k: k.Attention(score_mode="concat"),
    "scaled concat": lambda k: k.Attention(True, "concat", 0.2, seed=4),
    "additive": lambda k: k.AdditiveAttention(),
    "additive without scale": lambda k: k.AdditiveAttention(use_scale=False, dropout=0.2),
}


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", HEADS)
def test_heads_as_in_keras(name, call, masked):
    check_attention(HEADS[name], [QUERY, VALUE], CALLS[call], MASKS if masked else ())


@pytest.mark.parametrize("call", ["all", "causal", "scores"])
def test_keys_of_their_own(call):
    for name in ("plain", "grouped"):
        masks = (*MASKS, np.arange(S) < np.array([[6], [5], [1]]))
        check_attention(HEADS[name], [QUERY, VALUE, KEY], CALLS[call], masks)
    check_attention(lambda k: k.Attention(), [[QUERY, VALUE[..., :4], KEY]], CALLS[call])
    check_attention(lambda k: k.AdditiveAttention(), [[QUERY, VALUE[..., :2], KEY]], CALLS[call], MASKS)


@pytest.mark.parametrize("axes, query, value", [
    ((1, 2), (2, 3, 4, N), (2, 5, 2, N)), (-2, (2, 3, 4, N), (2, 3, 2, N)), (1, (2, 3, 4, N), (2, 5, 4, N)),
    (None, (2, 3, 4, N), (2, 3, 5, N)),
])  # fmt: skip
def test_several_axes(axes, query, value):
    rng = np.random.default_rng(4)
    arrays = [rng.standard_normal(shape).astype("f") for shape in (query, value)]
    for call in ({}, {"return_attention_scores": True}):
        check_attention(lambda k: k.MultiHeadAttention(2, 3, attention_axes=axes), arrays, call)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("call", ["all", "causal", "scores"])
@pytest.mark.parametrize("name", SCORED)
def test_scores_as_in_keras(name, call, masked):
    check_attention(SCORED[name], [[QUERY, VALUE]], CALLS[call], MASKS if masked else ())


@pytest.mark.parametrize("name", [*HEADS, *SCORED])
def test_gradients_as_the_tape(name):
    """Dropout, which draws other numbers, is left out by a rate of 0. The keys' bias, which moves all scores of a query
    alike, has a gradient by the penalty on what the products give alone."""
    call = {} if name in SCORED else {"use_causal_mask": "grouped" in name}

    def make(library, model):
        query, value = library.Input((T, N)), library.Input((S, N))
        layer = (HEADS.get(name) or SCORED[name])(library)
        penalty = {} if name in SCORED else {"activity_regularizer": "l2"}
        layer = type(layer).from_config({**layer.get_config(), "dropout": 0.0, **penalty})
        inner = library.Dense(N, use_bias=False)
        given = [[inner(query), value]] if name in SCORED else [inner(query), value]
        return model([query, value], layer(*given, **call))

    y = make(layers, fastseq.Model)([QUERY, VALUE])
    check_gradients(make, [QUERY, VALUE], np.random.default_rng(5).standard_normal(y.shape).astype("f"))


# ---- models and files ------------------------------------------------------------------------------------------------


def _graph(k, model, old=False):
    """Two blocks over masked words; each of Keras 3's layers hands on, or loses, the masks that Keras's does."""
    words = k.Input((T,), dtype="int32")
    x = k.Embedding(9, N, mask_zero=True)(words)
    y = k.MultiHeadAttention(2, 3)(x, x, **({} if old else {"use_causal_mask": True}))
    x = k.Add()([x, y])
    z, scores = k.MultiHeadAttention(2, 3, value_dim=4)(query=y, value=x, key=x, return_attention_scores=True)
    w = k.Attention(use_scale=True)([z, x])
    w = k.AdditiveAttention()([w, x, y])
    if not old:
        w = k.GroupQueryAttention(2, 4, 2)(w, x)
    return model(words, [k.GRU(3)(w), scores])


def _words():
    return np.random.default_rng(1).integers(0, 9, (B, T)).astype("i4")


def _filled(model):
    model.set_weights(random_weights([tuple(weight.shape) for weight in model.weights]))
    return model


def _assert_close(found, wanted):
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, np.asarray(other), rtol=0, atol=2e-6)


@pytest.mark.filterwarnings("ignore:.*does not support masking")
@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_files_both_ways(ending, tmp_path):
    import keras

    theirs, words = _filled(_graph(keras.layers, keras.Model)), _words()
    theirs.save(tmp_path / f"theirs.{ending}")
    ours = fastseq.load_model(tmp_path / f"theirs.{ending}")
    _assert_close(ours(words), theirs(words))
    live = fastseq.from_keras(theirs)
    _assert_close(live(words), theirs(words))
    made = _graph(layers, fastseq.Model)
    made.set_weights(ours.get_weights())
    _assert_close(made(words), theirs(words))
    made.save(tmp_path / f"ours.{ending}")
    _assert_close(ours(words), keras.models.load_model(tmp_path / f"ours.{ending}")(words))


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_files_of_keras_2(ending, tmp_path):
    tf_keras = pytest.importorskip("tf_keras")
    theirs, words = _filled(_graph(tf_keras.layers, tf_keras.Model, old=True)), _words()
    theirs.save(tmp_path / f"old.{ending}")
    ours = fastseq.load_model(tmp_path / f"old.{ending}")
    _assert_close(ours(words), theirs(words))
    _assert_close(fastseq.from_keras(theirs)(words), theirs(words))


def test_causal_layers_of_keras_2():
    """Before `use_causal_mask` was an argument of the call, Attention(causal=True) was one of the layer."""
    tf_keras = pytest.importorskip("tf_keras")
    for name in ("Attention", "AdditiveAttention"):
        theirs = getattr(tf_keras.layers, name)(causal=True)
        theirs([QUERY, VALUE])
        weights = random_weights([tuple(weight.shape) for weight in theirs.weights])
        theirs.set_weights(weights)
        ours = getattr(layers, name)(causal=True)
        ours([QUERY, VALUE])
        ours.set_weights(weights)
        _assert_close([ours([QUERY, VALUE])], [theirs([QUERY, VALUE])])
        again = type(ours).from_config(ours.get_config())
        assert again.causal and again.get_config() == ours.get_config()

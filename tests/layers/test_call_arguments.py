"""What a call is given and cannot take: an error of its kind that names the layer, what came and what is wanted."""

import numpy as np
import pytest

import fastseq
from fastseq import layers
from fastseq.decoding import generate


class Ragged:
    """As a tf.RaggedTensor looks from outside."""

    shape, dtype, ragged_rank = (2, None), np.dtype("f"), 1
    row_splits = np.array([0, 1, 3])

    def __len__(self):
        return 2

    def __getitem__(self, row):
        if row > 1:
            raise IndexError
        return np.ones(row + 1)


class Sparse:
    shape, dtype, dense_shape = (2, 3), np.dtype("f"), (2, 3)


X = np.ones((2, 3, 4), "f")
WRONG = {
    "text": "x", "whole": 5, "fraction": 1.5, "bools": [True], "nested bools": [[True] * 3] * 2, "object": object(),
    "array of text": np.array("x"), "ragged": Ragged(), "sparse": Sparse(), "nested list": X.tolist(),
    "dict": {"a": X}, "array and number": [X, 1.5], "array and text": [X, "x"], "bytes": b"x", "complex": 1j,
    "empty": [],
}  # fmt: skip
LAYERS = {
    "lstm": lambda: layers.LSTM(3), "bidirectional": lambda: layers.Bidirectional(layers.GRU(3)),
    "rnn": lambda: layers.RNN(layers.GRUCell(3)), "time distributed": lambda: layers.TimeDistributed(layers.Dense(2)),
    "sequential": lambda: fastseq.Sequential([fastseq.Input((3, 4)), layers.LSTM(3)]),
    "softmax": lambda: layers.Softmax(), "dense": lambda: layers.Dense(3), "masking": lambda: layers.Masking(),
}  # fmt: skip
ERRORS = (TypeError, ValueError)


@pytest.mark.parametrize("value", WRONG)
@pytest.mark.parametrize("kind", LAYERS)
def test_inputs_and_masks(kind, value):
    """Keras refuses them too, a nested list of numbers among them ("Only input tensors may be passed ...")."""
    layer, wrong = LAYERS[kind](), WRONG[value]
    layer(X)
    with pytest.raises(ERRORS, match=layer.name):
        layer(wrong)
    if (kind, value) == ("sequential", "empty"):
        return  # no masks: that is what it has
    if kind == "softmax" and value in ("bools", "nested list"):
        return  # masks that broadcast to its input
    with pytest.raises(ERRORS, match=f"{layer.name}|lstm" if kind == "sequential" else layer.name):
        layer(X, mask=wrong)
    assert layer(X).shape[0] == 2


@pytest.mark.parametrize("value", [name for name in WRONG if name not in ("whole", "fraction")])
@pytest.mark.parametrize("kind", ["lstm", "bidirectional", "rnn", "sequential"])
def test_training_and_initial_states(kind, value):
    layer, wrong = LAYERS[kind](), WRONG[value]
    layer(X)
    with pytest.raises(ERRORS, match=layer.name):
        layer(X, training=wrong)
    if kind != "sequential":
        with pytest.raises(ERRORS, match=f"{layer.name}|forward_gru"):
            layer(X, initial_state=wrong)


@pytest.mark.parametrize("value", [5, 0, 1.5, np.bool_(True), np.array(True), np.int64(1), None])
def test_training_is_any_number(value):
    """As in Keras, where whatever is true is true; but not text and lists, of which nobody knows what they mean."""
    layer = layers.Dropout(0.99, seed=1)
    dropped = (layer(np.ones((50, 50), "f"), training=value) == 0).any()
    assert dropped == (value is not None and bool(value))


def test_masks_of_numbers_and_lists_with_arrays_stay():
    layer, mask = layers.LSTM(3), np.array([[1, 1, 0], [1, 0, 0]])
    wanted = layer(X, mask=mask.astype(bool))
    for given in (mask, mask.astype("f"), [mask.astype(bool), None]):
        np.testing.assert_array_equal(layer(X, mask=given), wanted)


def test_models_of_several_inputs():
    a, b = fastseq.Input((4,)), fastseq.Input((4,))
    model, x = fastseq.Model([a, b], layers.Add()([a, b])), np.ones((2, 4), "f")
    for wrong in (1.5, "x", 1j, object(), Ragged()):
        with pytest.raises(ERRORS, match=model.name):
            model([x, wrong])
        with pytest.raises(ERRORS, match="add"):
            layers.Add(name="add")([x, wrong])
        with pytest.raises(ERRORS, match="add"):
            layers.Add(name="add")([x, x], mask=[None, wrong])


def test_lists_of_numbers_are_told_of():
    model = LAYERS["sequential"]()
    with pytest.raises(ValueError, match=r"takes arrays as `inputs`, got 1.0.*np.array\(values\)"):
        model(X.tolist())
    model.compile("sgd", "mse")
    for call in (model.predict, lambda x, **how: model.fit(x, np.ones((2, 3)), **how)):
        with pytest.raises(ValueError, match=r"Unrecognized data type.*np.array\(x\)"):
            call(X.tolist(), verbose=0)


WORDS = fastseq.Sequential([layers.Input((3,)), layers.Embedding(9, 3), layers.LSTM(2), layers.Dense(9)])


@pytest.mark.parametrize("wrong", [Ragged(), Sparse()])
def test_ragged_and_sparse_tensors_are_named(wrong):
    model = LAYERS["sequential"]()
    model.compile("sgd", "mse")
    match = r"ragged tensors are not supported\. Pad" if isinstance(wrong, Ragged) else "sparse ones are not supported"
    y = np.ones((2, 3))
    for call in (
        model, model.predict, model.predict_on_batch, layers.LSTM(3), lambda x: model.fit(x, y),
        lambda x: model.evaluate(x, y), lambda x: model.train_on_batch(x, y), lambda x: model.fit(X, x),
        lambda x: model.fit(X, y, sample_weight=x), lambda x: generate(WORDS, x, 2),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=match):
            call(wrong)


@pytest.mark.tensorflow
def test_tensorflows_own_ragged_tensor():
    tf = pytest.importorskip("tensorflow")
    ragged = tf.ragged.constant([[[1.0, 2, 3, 4]], [[1.0, 2, 3, 4]] * 2], ragged_rank=1)
    sparse = tf.sparse.from_dense(np.eye(4, dtype="f"))
    model = LAYERS["sequential"]()
    for call in (model, model.predict):
        with pytest.raises(ValueError, match=r"ragged tensors are not supported\. Pad"):
            call(ragged)
        with pytest.raises(ValueError, match="sparse ones are not supported"):
            call(sparse)


@pytest.mark.parametrize("value", [*WRONG, "none"])
def test_methods_of_models(value):
    model = LAYERS["sequential"]()
    model.compile("sgd", "mse")
    wrong, y = WRONG.get(value), np.ones((2, 3), "f")
    weights = model.get_weights()
    for call in (
        lambda: model.predict(wrong, verbose=0), lambda: model.predict_on_batch(wrong),
        lambda: model.fit(wrong, y, verbose=0), lambda: model.evaluate(wrong, y, verbose=0),
        lambda: model.train_on_batch(wrong, y), lambda: model.test_on_batch(wrong, y),
        lambda: model.fit(X, wrong, verbose=0), lambda: model.evaluate(X, wrong, verbose=0),
    ):  # fmt: skip
        with pytest.raises(ERRORS):
            call()
    if value not in ("none", "dict", "empty"):
        for name in ("class_weight", "callbacks"):
            with pytest.raises(ERRORS, match=name):
                model.fit(X, y, verbose=0, **{name: wrong})
    for old, new in zip(weights, model.get_weights()):
        np.testing.assert_array_equal(old, new)


# ---- stateful models -------------------------------------------------------------------------------------------------


def stateful():
    model = fastseq.Sequential([fastseq.Input(batch_shape=(2, 3, 4)), layers.LSTM(3, stateful=True)])
    model.compile("sgd", "mse")
    return model


def data(rows):
    return np.ones((rows, 3, 4), "f"), np.ones((rows, 3), "f")


@pytest.mark.parametrize(
    ("rows", "options", "match"),
    [
        (5, {"batch_size": 2}, "5 rows and batch_size=2, which leaves 1 for the last one"),
        (6, {"batch_size": 3}, "takes batches of 2 rows.*batch_size=2"),
        (64, {}, "takes batches of 2 rows"),
        (5, {"batch_size": 2, "steps_per_epoch": 2, "epochs": 2}, "leaves 1"),
        (8, {"batch_size": 2, "validation_split": 0.3}, "leaves 1"),
        (4, {"batch_size": 2, "validation_data": data(3)}, "validation.*leaves 1"),
    ],
)
def test_rows_that_do_not_divide_are_found_before_the_first_step(rows, options, match):
    model = stateful()
    before = [*model.get_weights(), *model.layers[0].states]
    before = [array.copy() for array in before]
    with pytest.raises(ValueError, match=match):
        model.fit(*data(rows), verbose=0, **options)
    if "validation_split" not in options and "validation_data" not in options and "epochs" not in options:
        with pytest.raises(ValueError, match=match):
            model.evaluate(*data(rows), verbose=0, **options)
    for old, new in zip(before, [*model.get_weights(), *model.layers[0].states]):
        np.testing.assert_array_equal(old, new)


def test_rows_that_divide_are_trained_with():
    model = stateful()
    model.fit(*data(6), batch_size=2, verbose=0)
    model.fit(*data(5), batch_size=2, steps_per_epoch=2, verbose=0)
    model.evaluate(*data(4), batch_size=2, verbose=0)
    # Of a generator nothing is known: its smaller batch raises when it comes.
    with pytest.raises(ValueError, match="All batches of a stateful layer have the same number of rows"):
        model.fit((data(rows) for rows in (2, 1)), verbose=0)


# ---- ids -------------------------------------------------------------------------------------------------------------


def id_models():
    yield "layer", layers.Embedding(5, 2)
    yield "mask_zero", layers.Embedding(5, 2, mask_zero=True)
    for mask in (False, True):
        yield "model", fastseq.Sequential([fastseq.Input((1,)), layers.Embedding(5, 2, mask_zero=mask)])
    inputs = fastseq.Input((1,))
    yield "computed", fastseq.Model(inputs, layers.Embedding(5, 2)(layers.Add()([inputs, layers.Identity()(inputs)])))


def out_of_range():
    """Ids that are none, and the dtypes that hold them."""
    for value in (2.0**40, 2.0**31, -(2.0**40), -3.0, 5.0, np.inf, -np.inf, np.nan):
        for dtype in ("f4", "f8", "i8", "u4", "u8"):
            least, most = (-np.inf, np.inf) if dtype[0] == "f" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
            if least <= value <= most or dtype[0] == "f":
                yield value, dtype


@pytest.mark.parametrize(("value", "dtype"), [*out_of_range()])
def test_an_id_out_of_range_is_reported_as_it_was(value, dtype):
    ids = np.array([[value]]).astype(dtype)
    for kind, model in id_models():
        with pytest.raises(ValueError) as raised:
            model(ids)
        text = str(raised.value)
        if np.isnan(value):
            assert "NaN" in text or "nan" in text, (kind, text)
        elif np.isinf(value):
            assert "inf" in text or "2**63" in text, (kind, text)
        else:
            told = 2 * value if kind == "computed" else value
            assert f"{told:.0f}" in text, (kind, text)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_ids_with_fractions_are_cut_off(dtype):
    """Towards zero, as Keras's cast does: -0.5 is id 0."""
    layer = layers.Embedding(5, 2)
    for value, row in ((-0.5, 0), (-0.9, 0), (0.99, 0), (1.7, 1), (4.99, 4)):
        np.testing.assert_array_equal(layer(np.array([value], dtype))[0], layer.embeddings.numpy()[row])


def test_generate_tells_of_scaled_ids():
    model = fastseq.Sequential([fastseq.Input((3, 1)), layers.LSTM(3), layers.Dense(5, activation="softmax")])
    with pytest.raises(ValueError, match="one number for each token, such as an id that was scaled"):
        generate(model, [[1, 2, 3]], 2)

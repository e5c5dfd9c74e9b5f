"""Losses: gradients against central differences, arguments, shapes, names; values of Keras stand in the other file."""

import numpy as np
import pytest
from loss_cases import CASES, REDUCTIONS, B, C, T, probabilities, sample, weights_and_mask
from public_names import classes_of

from fastseq import losses
from fastseq.tensors import arrays


@pytest.mark.parametrize(("name", "arguments", "kind"), CASES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("leading", [(B,), (B, T)])
@pytest.mark.parametrize("which", ["", "weight", "mask", "weight mask"])
def test_gradients_are_those_of_central_differences(name, arguments, kind, reduction, leading, which):
    rng = np.random.default_rng(0)
    y_true, y_pred = sample(kind, rng, leading)
    weight, mask = weights_and_mask(rng, leading, which)
    loss = getattr(losses, name)(reduction=reduction, dtype="float64", **arguments)
    value, gradient = loss.value_and_gradient(y_true, y_pred, weight, mask)
    assert type(value) is float and gradient.shape == y_pred.shape and gradient.dtype == np.float64
    assert value == loss(y_true, arrays.with_mask(y_pred, mask), weight)
    differences, step = np.empty(y_pred.shape), 1e-6
    for at in np.ndindex(y_pred.shape):
        moved = [y_pred.copy(), y_pred.copy()]
        moved[0][at] += step
        moved[1][at] -= step
        values = [loss.value_and_gradient(y_true, m, weight, mask)[0] for m in moved]
        differences[at] = (values[0] - values[1]) / (2 * step)
    np.testing.assert_allclose(gradient, differences, rtol=1e-5, atol=2e-8)
    assert np.abs(gradient).max() > 1e-3
    single = getattr(losses, name)(reduction=reduction, **arguments)
    value32, gradient32 = single.value_and_gradient(y_true, y_pred, weight, mask)
    assert gradient32.dtype == np.float32 and value32 == pytest.approx(value, rel=1e-6)
    np.testing.assert_allclose(gradient32, gradient, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["CategoricalCrossentropy", "BinaryCrossentropy"])
@pytest.mark.parametrize("logits", [False, True])
@pytest.mark.parametrize("axis", [1, 2, -1, -2])
@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_of_classes_along_another_axis(name, logits, axis, weighted, rng):
    kind = ("logits of classes" if logits else "soft") if name[0] == "C" else "logits of bits" if logits else "binary"
    y_true, y_pred = (np.moveaxis(part, -1, axis).copy() for part in sample(kind, rng, (B, T)))
    loss = getattr(losses, name)(from_logits=logits, axis=axis, label_smoothing=0.1, dtype="float64")
    weight = rng.uniform(0.1, 2, np.delete(y_pred.shape, axis)) if weighted else None
    value, gradient = loss.value_and_gradient(y_true, y_pred, weight)
    # As along the last axis, but for labels' smoothing, which Keras divides by the size of the last axis all the same.
    if not (name[0] == "C" and y_pred.shape[-1] != C):
        last = getattr(losses, name)(from_logits=logits, label_smoothing=0.1, dtype="float64")
        same = last.value_and_gradient(np.moveaxis(y_true, axis, -1), np.moveaxis(y_pred, axis, -1), weight)
        assert value == pytest.approx(same[0], rel=1e-12)
        np.testing.assert_allclose(gradient, np.moveaxis(same[1], -1, axis), rtol=1e-10)
    way = rng.standard_normal(y_pred.shape)
    ends = [loss.value_and_gradient(y_true, y_pred + sign * 1e-6 * way, weight)[0] for sign in (1, -1)]
    # TensorFlow's derivative by logits is that of labels with a sum of 1, which smoothing by another size is not.
    if not (logits and name[0] == "C" and y_pred.shape[-1] != C):
        slope = (ends[0] - ends[1]) / 2e-6
        assert np.vdot(gradient, way) == pytest.approx(slope, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize(("name", "kind"), [
    ("CategoricalCrossentropy", "logits of classes"),
    ("SparseCategoricalCrossentropy", "logits of numbers"),
    ("BinaryCrossentropy", "logits of bits"),
])  # fmt: skip
def test_going_on_from_what_went_into_the_activation(name, kind, rng):
    y_true, logits = sample(kind, rng)
    loss = getattr(losses, name)()
    value, gradient = loss.value_and_gradient_of_logits(y_true, logits)
    same = getattr(losses, name)(from_logits=True).value_and_gradient(y_true, logits)
    assert value == same[0]
    np.testing.assert_array_equal(gradient, same[1])
    # A prediction that is wrong beyond what float32 can tell from 0 is still pulled back.
    far = np.where(np.arange(C) == 0, 200.0, 0.0)[None].astype("f")
    label = np.array([2]) if name.startswith("Sparse") else np.eye(C, dtype="f")[[2]]
    value, gradient = loss.value_and_gradient_of_logits(label, far)
    assert value > 49 and gradient[0, 0] > 0.2 and gradient[0, 2] < -0.1


def test_values():
    y_true, y_pred = np.array([[0.0, 1.0], [2.0, 3.0]]), np.array([[1.0, 1.0], [0.0, 0.0]])
    np.testing.assert_allclose(losses.mean_squared_error(y_true, y_pred), [0.5, 6.5])
    np.testing.assert_allclose(losses.mean_absolute_error(y_true, y_pred), [0.5, 2.5])
    np.testing.assert_allclose(losses.huber(y_true, y_pred), [0.25, 2.0])
    assert losses.MeanSquaredError()(y_true, y_pred) == 3.5
    assert losses.MeanSquaredError("sum")(y_true, y_pred) == 7.0
    assert losses.MeanSquaredError("mean_with_sample_weight")(y_true, y_pred, [1, 3]) == 5.0
    np.testing.assert_allclose(losses.MeanSquaredError("none")(y_true, y_pred, [1, 3]), [0.5, 19.5])
    assert losses.MeanSquaredError()(y_true, y_pred, [0, 0]) == 0
    labels = np.array([[0, 1], [1, 1]])
    assert losses.BinaryCrossentropy()(labels, np.full((2, 2), 0.5)) == pytest.approx(np.log(2))
    assert losses.SparseCategoricalCrossentropy()([0, 1], np.full((2, 4), 0.25)) == pytest.approx(np.log(4))
    assert losses.KLDivergence()([[0.5, 0.5]], [[0.5, 0.5]]) == 0


def test_a_mask_of_nothing_is_a_loss_of_nothing(rng):
    y_true, y_pred = sample("real", rng, (B, T))
    value, gradient = losses.MeanSquaredError().value_and_gradient(y_true, y_pred, mask=np.zeros((B, T), bool))
    assert value == 0 and not gradient.any()


def test_a_mask_counts_its_entries_only(rng):
    y_true, y_pred = sample("real", rng, (B, T))
    mask = rng.uniform(size=(B, T)) > 0.5
    expected = np.mean(np.square(y_true - y_pred)[mask])
    assert losses.MeanSquaredError()(y_true, arrays.with_mask(y_pred, mask)) == pytest.approx(expected, rel=1e-6)


def test_ranks_that_differ_by_an_axis_of_one(rng):
    y_pred = rng.standard_normal((B, 1)).astype("f")
    for loss in (losses.MeanSquaredError(), losses.BinaryCrossentropy(from_logits=True)):
        value, gradient = loss.value_and_gradient(np.ones(B), y_pred)
        same = loss.value_and_gradient(np.ones((B, 1)), y_pred)
        assert value == same[0] and gradient.shape == (B, 1)
        np.testing.assert_array_equal(gradient, same[1])
    sequence = rng.standard_normal((B, T, 1)).astype("f")
    value, gradient = losses.MeanSquaredError().value_and_gradient(np.ones((B, T)), sequence)
    assert value == pytest.approx(np.mean(np.square(sequence - 1)), rel=1e-6)
    np.testing.assert_allclose(gradient, 2 * (sequence - 1) / sequence.size, rtol=1e-5)
    p = probabilities(rng, B, C)
    column = losses.SparseCategoricalCrossentropy()(np.zeros((B, 1), int), p)
    assert column == losses.SparseCategoricalCrossentropy()(np.zeros(B, int), p)


@pytest.mark.parametrize("name", ["mse", "mae", "huber", "kld", "categorical_crossentropy", "binary_crossentropy"])
@pytest.mark.parametrize(("labels", "predictions"), [
    ((B, T, C), (B, C)), ((B, C), (B, T, C)), ((B, C + 1), (B, C)), ((B, 1), (B, C)), ((B + 1, C), (B, C)),
])  # fmt: skip
def test_labels_of_another_shape_raise(name, labels, predictions):
    for call in (losses.for_output(name, None, None), losses.get(name)):
        with pytest.raises(ValueError) as caught:
            call(np.zeros(labels), np.full(predictions, 0.5))
        assert str(labels) in str(caught.value) and str(predictions) in str(caught.value)


@pytest.mark.parametrize("labels", [(B, T), (B, C), (B + 1,), (B, 1, 2)])
def test_class_numbers_of_another_shape_raise(labels):
    with pytest.raises(ValueError) as caught:
        losses.SparseCategoricalCrossentropy()(np.zeros(labels), np.full((B, C), 0.25))
    assert str(labels) in str(caught.value) and str((B, C)) in str(caught.value)


def test_classes_that_are_not_there_raise():
    for wrong in (C, -1, np.nan, np.inf):
        with pytest.raises(ValueError, match=f"class {wrong} is outside the {C}"):
            losses.SparseCategoricalCrossentropy()([0, wrong], np.full((2, C), 0.25))


def test_a_users_function(rng):
    def fourth(y_true, y_pred):
        return np.mean((y_true - y_pred) ** 4, axis=-1)

    y_true, y_pred = sample("real", rng)
    loss = losses.for_output(fourth, y_true, y_pred)
    assert loss.name == "fourth"
    assert loss(y_true, y_pred) == pytest.approx(np.mean((y_true - y_pred) ** 4), rel=1e-5)
    with pytest.raises(ValueError, match=r"'fourth' has no gradient.*with_gradient"):
        loss.value_and_gradient(y_true, y_pred)
    told = losses.with_gradient(fourth, lambda y_true, y_pred: 4 * (y_pred - y_true) ** 3 / y_pred.shape[-1])
    loss = losses.for_output(told, y_true, y_pred)
    value, gradient = loss.value_and_gradient(y_true, y_pred, np.arange(B))
    weights = np.arange(B)[:, None]
    assert loss.name == "fourth"
    assert value == pytest.approx(np.mean(weights * (y_true - y_pred) ** 4), rel=1e-5)
    np.testing.assert_allclose(gradient, weights * 4 * (y_pred - y_true) ** 3 / y_pred.size, rtol=1e-4, atol=1e-6)
    wrong = losses.with_gradient(fourth, lambda y_true, y_pred: np.zeros(3))
    with pytest.raises(ValueError, match=r"\(3,\)"):
        losses.for_output(wrong, y_true, y_pred).value_and_gradient(y_true, y_pred)
    wrong = losses.with_gradient(lambda y_true, y_pred: np.zeros(3), lambda y_true, y_pred: y_pred)
    with pytest.raises(ValueError, match=r"\(3,\)"):
        losses.for_output(wrong, y_true, y_pred).value_and_gradient(y_true, y_pred)


def test_a_users_class(rng):
    class Fourth(losses.Loss):
        def call(self, y_true, y_pred):
            return np.mean((y_true - y_pred) ** 4, axis=-1)

    y_true, y_pred = sample("real", rng)
    assert Fourth()(y_true, y_pred) == pytest.approx(np.mean((y_true - y_pred) ** 4), rel=1e-5)
    with pytest.raises(ValueError, match="no gradient"):
        Fourth().value_and_gradient(y_true, y_pred)


def test_names():
    for name in ("mse", "MSE", "mean_squared_error"):
        assert losses.get(name) is losses.mean_squared_error
    assert type(losses.get("MeanSquaredError")) is losses.MeanSquaredError
    assert type(losses.get(losses.Huber)) is losses.Huber
    assert losses.get(None) is None and losses.for_output(None, None, None) is None
    for wrong in ("poisson", "nope", 3):
        with pytest.raises(ValueError, match="SparseCategoricalCrossentropy"):
            losses.get(wrong)
    with pytest.raises(AttributeError, match="KLDivergence"):
        _ = losses.Poisson
    loss = losses.Huber(0.25, "sum")
    again = losses.get(losses.serialize(loss))
    assert again.get_config() == loss.get_config() and again._fn_kwargs == {"delta": 0.25}
    assert losses.deserialize(losses.serialize(losses.huber)) is losses.huber
    wrapped = losses.for_output("huber", None, None)
    assert type(wrapped) is losses.Huber and wrapped.name == "huber"


def test_crossentropy_is_chosen_by_the_shapes():
    def chosen(labels, predictions):
        return type(losses.for_output("crossentropy", np.zeros(labels), np.zeros(predictions)))

    assert chosen((B, 1), (B, 1)) is chosen((B,), (B, 1)) is losses.BinaryCrossentropy
    assert chosen((B,), (B, C)) is chosen((B, 1), (B, C)) is losses.SparseCategoricalCrossentropy
    assert chosen((B, C), (B, C)) is losses.CategoricalCrossentropy


def test_refusals(rng):
    y_true, y_pred = sample("real", rng)
    with pytest.raises(ValueError, match="reduction"):
        losses.MeanSquaredError("median")
    with pytest.raises(ValueError, match="float32, float64"):
        losses.MeanSquaredError(dtype="float16")
    with pytest.raises(ValueError, match=r"\(5,\).*\(3,\)"):
        losses.MeanSquaredError()(y_true, y_pred, np.ones(3))
    with pytest.raises(ValueError, match="axis=-1"):
        losses.SparseCategoricalCrossentropy(axis=0)([0], [[1.0]])
    with pytest.raises(ValueError, match="`int`"):
        losses.CategoricalCrossentropy(axis=True)(y_true, y_pred)
    with pytest.warns(SyntaxWarning, match="one class"):
        losses.categorical_crossentropy(np.ones((2, 1)), np.ones((2, 1)))


def test_nan_goes_through():
    for name in ("MeanSquaredError", "CategoricalCrossentropy", "BinaryCrossentropy", "KLDivergence"):
        value, gradient = getattr(losses, name)().value_and_gradient(np.ones((2, 3)), [[np.nan] * 3, [0.5] * 3])
        assert np.isnan(value) and gradient.shape == (2, 3)


def test_percentages_of_nothing():
    """Keras divides by 1e-7 at least; where prediction and label are one, nothing pulls."""
    loss = losses.MeanAbsolutePercentageError(reduction="sum")
    y_true, y_pred = np.array([[0.0, 2.0], [-4.0, 0.0]], "f"), np.array([[1.0, 2.0], [-5.0, 0.0]], "f")
    values = losses.mean_absolute_percentage_error(y_true, y_pred)
    np.testing.assert_allclose(values, [100 * 1e7 / 2, 100 * 0.25 / 2], rtol=1e-6)
    value, gradient = loss.value_and_gradient(y_true, y_pred)
    assert value == pytest.approx(values.sum())
    np.testing.assert_allclose(gradient, [[5e8, 0.0], [-12.5, 0.0]], rtol=1e-6)
    for name in ("mape", "MAPE"):
        assert losses.get(name) is losses.mean_absolute_percentage_error


def test_every_loss_has_a_case():
    own_files = {"CTC"}  # test_ctc_loss_keras.py: labels and predictions of other shapes
    assert {name for name, _, _ in CASES} | own_files == classes_of(
        losses.ALL_OBJECTS_DICT, "Loss", "LossFunctionWrapper"
    )

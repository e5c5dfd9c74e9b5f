"""Losses and accuracies as native steps, against fastseq.losses in float64 and fastseq.metrics, on every ISA."""

import numpy as np
import pytest
from loss_cases import CASES, REDUCTIONS, probabilities
from native_steps import on_every_isa

from fastseq import layers, losses, metrics
from fastseq.models import Sequential
from fastseq.program.builder import Builder
from fastseq.program.program import Program
from fastseq.tensors import arrays
from fastseq.training.compiled import Compiled
from fastseq.training.program import Output
from fastseq.training.targets import NativeTarget, PythonTarget, targets_for

NATIVE = [case for case in CASES if "ignore_class" not in case[1]]
# rows as (batch,) or (batch, timesteps); less and more than a block of 32; classes within 16 lanes, past them, and past
# a block of 128.
LEADING = [(1,), (5,), (70,), (6, 9)]
CLASSES = [1, 3, 8, 16, 37, 300]


def labels_and_predictions(kind, rng, leading, classes):
    if kind == "real":
        x = rng.standard_normal((*leading, classes))
        return rng.standard_normal(x.shape).astype("f"), np.where(rng.uniform(size=x.shape) < 0.1, 0, x).astype("f")
    if kind in ("binary", "logits of bits"):
        y = rng.integers(0, 2, (*leading, classes)).astype("f")
        p = rng.uniform(0, 1, y.shape)
        return y, (p if kind == "binary" else 6 * rng.standard_normal(y.shape)).astype("f")
    logits = 4 * rng.standard_normal((*leading, classes))
    predictions = logits if kind.startswith("logits") else probabilities(rng, *leading, classes)
    numbers = rng.integers(0, classes, leading)
    if kind in ("sparse", "logits of numbers"):
        return numbers.astype(np.int32), predictions.astype("f")
    y = probabilities(rng, *leading, classes) if kind == "soft" else np.eye(classes)[numbers]
    return y.astype("f"), predictions.astype("f")


def run_native(loss, y, x, weights=None, mask=None, chosen=(), factor=1.0):
    """[loss, gradient, ...] of one output by its native steps."""
    compiled = Compiled(["output"], loss, list(chosen), [factor], None)
    p = Builder(trains=True)
    slot, taken = p.input(x.shape, "float32"), [x]
    inputs = [slot]
    if mask is not None:
        inputs.append(p.input(mask.shape, "bool"))
        slot, taken = slot.with_mask(inputs[-1]), [x, mask]
    compiled.prepare([y], [slot])
    output = Output(slot, compiled.losses[0], y)
    target = targets_for(compiled, [y], [weights], native=True)(p, [output], [])
    assert isinstance(target, NativeTarget)
    results, ((_, gradient),) = target.add(p, inputs, trains=True)
    program = Program(p, inputs, [*results, gradient])
    *found, gradient = program.run((*taken, *target.arrays([y], [weights])))
    results = target.read(found)
    return [np.float64(results.loss), gradient, *(np.array(hits[1:]) for hits in results.hits)]


def assert_same_loss(found, loss, y, x, weights, mask, factor=1.0):
    truth, gradient = loss.value_and_gradient(y, x.astype("f8"), weights, mask)
    # The rounding of a probability near 1 is what is left in its logarithm.
    np.testing.assert_allclose(found[0], truth * factor, rtol=4e-6, atol=2e-7)
    scale = np.abs(gradient).max()
    np.testing.assert_allclose(found[1], gradient * factor, rtol=1e-5, atol=2e-6 * scale * factor)


def native_with_classes():
    """What is done natively, with numbers of classes: a single one is not, of categories."""
    for name, options, kind in NATIVE:
        for classes in CLASSES:
            if classes > 1 or not name.endswith("CategoricalCrossentropy"):
                yield name, options, kind, classes


@pytest.mark.parametrize("leading", LEADING, ids=str)
@pytest.mark.parametrize("name, options, kind, classes", [*native_with_classes()], ids=str)
def test_loss(name, options, kind, leading, classes):
    y, x = labels_and_predictions(kind, np.random.default_rng(classes), leading, classes)
    # What clips does so at float32's limits, so the float64 twin gets nothing between them and its own.
    x = np.clip(x, 2e-7, 1 - 2e-7) if kind in ("binary", "soft", "categorical", "sparse") else x
    twin = getattr(losses, name)(**options, dtype="float64")
    on_every_isa(
        lambda: np.concatenate([np.ravel(part) for part in run_native(getattr(losses, name)(**options), y, x)]),
        lambda found: assert_same_loss([found[0], found[1:].reshape(x.shape)], twin, y, x, None, None),
    )


@pytest.mark.parametrize("which", ["weights", "mask", "weights and mask", "nothing left", "weights of zero"])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name, options, kind", NATIVE, ids=str)
def test_weights_masks_and_reductions(name, options, kind, reduction, which):
    rng = np.random.default_rng(3)
    y, x = labels_and_predictions(kind, rng, (7, 6), 5)
    x = np.clip(x, 2e-7, 1 - 2e-7) if kind in ("binary", "soft", "categorical", "sparse") else x
    weights = rng.uniform(0, 2, (7, 6)).astype("f") if "weights" in which else None
    if which == "weights of zero":
        weights *= 0
    mask = rng.uniform(size=(7, 6)) < 0.6 if "mask" in which else None
    if which == "nothing left":
        mask = np.zeros((7, 6), bool)
    made = getattr(losses, name)(**options, reduction=reduction)
    twin = getattr(losses, name)(**options, reduction=reduction, dtype="float64")
    found = run_native(made, y, x, weights, mask, factor=0.5)
    assert_same_loss(found, twin, y, x, weights, mask, factor=0.5)


@pytest.mark.parametrize("name, options, kind", NATIVE, ids=str)
def test_probabilities_of_0_and_1_are_clipped(name, options, kind):
    y, x = labels_and_predictions(kind, np.random.default_rng(6), (40,), 6)
    x = np.round(x) if kind in ("binary", "soft", "categorical", "sparse") else 10 * np.round(x)
    loss, gradient = run_native(getattr(losses, name)(**options), y, x)[:2]
    truth, slopes = getattr(losses, name)(**options).value_and_gradient(y, x)
    np.testing.assert_allclose(loss, truth, rtol=4e-6)
    # A probability near 1 minus 1, rounded, over 40 rows.
    np.testing.assert_allclose(gradient, slopes, rtol=1e-5, atol=2**-23 / 40)


@pytest.mark.parametrize("name, options, kind", NATIVE, ids=str)
def test_nan_and_infinity_go_through(name, options, kind):
    y, x = labels_and_predictions(kind, np.random.default_rng(4), (40,), 6)
    x[3, 2] = np.nan
    loss, gradient = run_native(getattr(losses, name)(**options), y, x)[:2]
    assert np.isnan(loss)
    twin = getattr(losses, name)(**options).value_and_gradient(y, x)[1]
    np.testing.assert_array_equal(np.isnan(gradient), np.isnan(twin))


@pytest.mark.parametrize("which", ["nothing", "mask"])
@pytest.mark.parametrize("leading", LEADING, ids=str)
@pytest.mark.parametrize(
    "name, options, metric, kind",
    [
        ("CategoricalCrossentropy", {}, metrics.CategoricalAccuracy(), "categorical"),
        ("SparseCategoricalCrossentropy", {}, metrics.SparseCategoricalAccuracy(), "sparse"),
        ("BinaryCrossentropy", {}, metrics.BinaryAccuracy(), "binary"),
        ("BinaryCrossentropy", {}, metrics.BinaryAccuracy(threshold=0.3), "binary"),
        ("MeanSquaredError", {}, metrics.CategoricalAccuracy(), "categorical"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_accuracy(name, options, metric, kind, leading, which):
    rng = np.random.default_rng(5)
    y, x = labels_and_predictions(kind, rng, leading, 4)
    x = np.round(x, 1)  # so that there are ties
    mask = rng.uniform(size=leading) < 0.6 if which == "mask" else None
    metric.reset_state()
    metric.update_state(y, x if mask is None else arrays.with_mask(x, mask))
    expected = [float(metric.total), float(metric.count)]
    on_every_isa(
        lambda: run_native(getattr(losses, name)(**options), y, x, None, mask, [metric])[2],
        lambda found: np.testing.assert_allclose(found, expected, rtol=1e-12),
    )


def test_the_largest_is_the_first_nan():
    x = np.array([[0, 1, np.nan, 5], [np.nan, 1, 2, 9]], "f")
    y = np.eye(4, dtype="f")[[2, 3]]
    found = run_native(losses.MeanSquaredError(), y, x, chosen=[metrics.CategoricalAccuracy()])[2]
    np.testing.assert_array_equal(found, [1, 2])


# ---- which steps a model gets ------------------------------------------------------------------------------------


def trained(loss, more=(), units=3, activation="softmax", **compiled):
    model = Sequential([layers.Input((4, 2)), layers.GRU(5), *more, layers.Dense(units, activation=activation)])
    model.compile(loss=loss, **compiled)
    return model


def target_of(model, y, sample_weight=None):
    x = np.random.default_rng(0).standard_normal((len(y), 4, 2)).astype("f")
    model.train_on_batch(x, y, sample_weight)
    return list(model._trainer.train_step._programs.values())[-1].target


ONE_HOT = np.eye(3, dtype="f")[[0, 2, 1, 1, 0, 2]]


@pytest.mark.parametrize(
    "loss, y",
    [
        ("categorical_crossentropy", ONE_HOT),
        ("categorical_crossentropy", ONE_HOT.astype("f8")),
        ("categorical_crossentropy", ONE_HOT.astype(bool)),
        ("sparse_categorical_crossentropy", ONE_HOT.argmax(-1)),
        ("sparse_categorical_crossentropy", ONE_HOT.argmax(-1)[:, None].astype(np.uint8)),
        ("sparse_categorical_crossentropy", ONE_HOT.argmax(-1).astype("f")),
        ("mse", ONE_HOT),
    ],
    ids=lambda value: str(getattr(value, "dtype", value)),
)
def test_plain_losses_are_native(loss, y):
    model = trained(loss, metrics=["accuracy"] if loss != "mse" else None)
    target = target_of(model, y)
    assert isinstance(target, NativeTarget) and not target._wants_values


@pytest.mark.parametrize(
    "activation, loss", [("softmax", "categorical_crossentropy"), ("sigmoid", "binary_crossentropy")]
)
def test_the_loss_is_of_what_went_into_the_last_activation(activation, loss):
    model = trained(loss, activation=activation)
    output = target_of(model, ONE_HOT)._outputs[0]
    assert output.end is not output.slot


def test_what_native_steps_do_not_know_runs_in_numpy():
    own = losses.with_gradient(lambda y, p: np.square(p - y), lambda y, p: 2 * (p - y))
    assert isinstance(target_of(trained(own), ONE_HOT), PythonTarget)
    ignoring = losses.SparseCategoricalCrossentropy(ignore_class=1)
    assert isinstance(target_of(trained(ignoring), ONE_HOT.argmax(-1)), PythonTarget)
    active = [layers.Dense(4, activity_regularizer="l2")]
    # The loss is native, and the penalty a step in Python beside it.
    assert isinstance(target_of(trained("mse", active), ONE_HOT), NativeTarget)
    assert target_of(trained("mse", metrics=["mae"]), ONE_HOT)._wants_values


def test_labels_of_one_form_after_another():
    """The same shapes and dtypes, but fractions: the program for whole numbers does not do."""
    model = trained("sparse_categorical_crossentropy")
    y = ONE_HOT.argmax(-1).astype("f")
    assert isinstance(target_of(model, y), NativeTarget)
    assert isinstance(target_of(model, y + 0.25), PythonTarget)
    assert len(model._trainer.train_step._programs) == 2


def test_classes_outside_raise_before_anything_changes():
    model = trained("sparse_categorical_crossentropy")
    y = ONE_HOT.argmax(-1)
    target_of(model, y)
    before = [weight.copy() for weight in model.get_weights()]
    for wrong in (3, -1, 2**40):
        with pytest.raises(ValueError, match=f"class {wrong} is outside the 3 classes"):
            target_of(model, np.array([0, 1, wrong, 2, 0, 1]))
    for weight, old in zip(model.get_weights(), before):
        np.testing.assert_array_equal(weight, old)
    assert int(model.optimizer.iterations) == 1


def test_clipping_switched_on_later_takes_part():
    weights = []
    for late in (False, True):
        model = trained("mse", optimizer="sgd", activation=None)
        rng = np.random.default_rng(1)
        model.set_weights([rng.standard_normal(weight.shape) for weight in model.get_weights()])
        if late:
            target_of(model, ONE_HOT)
            rng = np.random.default_rng(1)
            model.set_weights([rng.standard_normal(weight.shape) for weight in model.get_weights()])
        model.optimizer.clipnorm = 1e-3
        target_of(model, ONE_HOT)
        weights.append(model.get_weights())
    for first, second in zip(*weights):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("classes", [2, 40])
def test_percentages_of_nothing(classes):
    y, x = labels_and_predictions("real", np.random.default_rng(6), (40,), classes)
    y[::3] = 0
    x[::5] = y[::5]
    y[1, 0], x[2, 1] = np.nan, np.inf
    loss = losses.MeanAbsolutePercentageError()
    finite = np.isfinite(x).all(-1) & np.isfinite(y).all(-1)
    for rows in (finite, ~finite):
        with np.errstate(invalid="ignore"):
            truth, slopes = loss.value_and_gradient(y[rows], x[rows])
        on_every_isa(
            lambda rows=rows: np.append(*run_native(loss, y[rows], x[rows])[:2]),
            lambda found, truth=truth, slopes=slopes: np.testing.assert_allclose(
                found, np.append(truth, slopes), rtol=4e-6
            ),
        )

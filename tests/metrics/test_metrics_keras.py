"""Metrics against Keras over uneven batches, with weights and masks, on samples and on sequences."""

import numpy as np
import pytest
from metric_cases import CASES, UNEVEN, C, data, fed

from fastseq import losses, metrics
from fastseq.tensors import arrays

pytestmark = pytest.mark.tensorflow
keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")


def masked_tensor(scores, mask):
    tensor = tf.convert_to_tensor(scores)
    if mask is not None:
        tensor._keras_mask = tf.convert_to_tensor(mask)
    return tensor


def values(metric):
    return np.asarray(metric.result())


@pytest.mark.parametrize(("name", "arguments", "kind"), CASES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("sequence", [False, True])
def test_results(name, arguments, kind, weighted, masked, sequence):
    own, other = getattr(metrics, name)(**arguments), getattr(keras.metrics, name)(**arguments)
    fed(own, kind, weighted, masked, sequence, before=arrays.with_mask)
    fed(other, kind, weighted, masked, sequence, before=masked_tensor)
    np.testing.assert_allclose(own.result(), values(other), rtol=2e-6)
    # Where thresholds are even Keras subtracts float32 totals, so its error is a part of these.
    ours, theirs = [v.numpy() for v in own.variables], [v.numpy() for v in other.variables]
    np.testing.assert_allclose(ours, theirs, rtol=2e-6, atol=1e-7 * np.max(theirs))
    assert {**own.get_config(), "name": None} == {**other.get_config(), "name": None}
    assert own._direction == other._direction


@pytest.mark.parametrize(
    ("name", "labels", "predictions"),
    [
        ("BinaryAccuracy", (5,), (5, 1)),
        ("BinaryAccuracy", (5, 1), (5, 1)),
        ("BinaryAccuracy", (5, 4), (5, 4, 1)),
        ("SparseCategoricalAccuracy", (5, 1), (5, C)),
        ("SparseCategoricalAccuracy", (5, 4, 1), (5, 4, C)),
        ("SparseCategoricalAccuracy", (5, 1, 1), (5, 1, C)),
        ("SparseTopKCategoricalAccuracy", (5,), (5, C)),
        ("SparseTopKCategoricalAccuracy", (5, 4), (5, 4, C)),
    ],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_an_axis_of_one(name, labels, predictions, weighted, rng):
    labels, scores = rng.integers(0, 2, labels), rng.uniform(size=predictions).astype("f")
    weight = rng.uniform(size=5).astype("f") if weighted else None
    own, other = getattr(metrics, name)(), getattr(keras.metrics, name)()
    assert own(labels, scores, weight) == pytest.approx(float(other(labels, scores, weight)), rel=2e-6)


@pytest.mark.parametrize("function", ["mean_squared_error", "categorical_crossentropy", "kl_divergence"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_functions_as_metrics(function, weighted, masked):
    own = metrics.MeanMetricWrapper(getattr(losses, function))
    other = keras.metrics.MeanMetricWrapper(getattr(keras.losses, function))
    fed(own, "one-hot", weighted, masked, True, before=arrays.with_mask)
    fed(other, "one-hot", weighted, masked, True, before=masked_tensor)
    assert own.result() == pytest.approx(float(other.result()), rel=2e-6)


def test_a_loss_that_masks_by_itself():
    """The mask that ignore_class makes counts where there are sample weights, and not without: so does Keras's."""
    for weighted in (False, True):
        own = metrics.MeanMetricWrapper(losses.sparse_categorical_crossentropy, ignore_class=2)
        other = keras.metrics.MeanMetricWrapper(keras.losses.sparse_categorical_crossentropy, ignore_class=2)
        for seed, rows in enumerate(UNEVEN):
            labels, scores, weight, _ = data("classes", rows, seed, True)
            own.update_state(labels, scores, weight if weighted else None)
            other.update_state(labels.astype("f"), scores, weight if weighted else None)
        assert own.result() == pytest.approx(float(other.result()), rel=2e-6)


@pytest.mark.parametrize("labels", [(4,), (4, 1), (4, C), (4, 3), (4, 3, 1), (4, 3, C)])
@pytest.mark.parametrize("predictions", [(4, 1), (4, C), (4, 3, 1), (4, 3, C)])
def test_accuracy_is_the_one_that_keras_chooses(labels, predictions):
    from keras.src.trainers.compile_utils import get_loss, get_metric

    y_true, y_pred = np.zeros(labels, "f"), np.zeros(predictions, "f")
    own, other = metrics.for_output("accuracy", y_true, y_pred), get_metric("accuracy", y_true, y_pred)
    assert type(own).__name__ == type(other).__name__ and own.name == other.name
    assert losses.for_output("ce", y_true, y_pred).fn.__name__ == get_loss("ce", y_true, y_pred).fn.__name__


@pytest.mark.parametrize(("name", "arguments", "kind"), CASES)
def test_configs_go_both_ways(name, arguments, kind):
    own, other = getattr(metrics, name)(**arguments), getattr(keras.metrics, name)(**arguments)
    again = metrics.get(keras.metrics.serialize(other))
    assert type(again) is type(own) and again.get_config() == {**own.get_config(), "name": again.name}
    assert type(keras.metrics.get(metrics.serialize(own))) is type(other)


def test_names_are_those_of_keras():
    for name in metrics.ALL_OBJECTS_DICT:
        if name not in ("Metric", "metric", "MeanMetricWrapper", "mean_metric_wrapper"):
            assert type(keras.metrics.get(name)).__name__ == type(metrics.get(name)).__name__
    assert set(metrics.__all__) <= set(dir(keras.metrics))

"""Metrics: over uneven batches as over one, names, shapes, configs, and what is refused."""

import numpy as np
import pytest
from metric_cases import CASES, UNEVEN, C, T, data, fed
from public_names import classes_of

from fastseq import losses, metrics
from fastseq.tensors import arrays


@pytest.mark.parametrize(("name", "arguments", "kind"), CASES)
@pytest.mark.parametrize("weighted", [False, True])
def test_uneven_batches_are_as_one(name, arguments, kind, weighted):
    batches = fed(getattr(metrics, name)(**arguments), kind, weighted)
    whole = getattr(metrics, name)(**arguments)
    parts = [data(kind, rows, seed) for seed, rows in enumerate(UNEVEN)]
    labels, scores, weight, _ = (np.concatenate(part) for part in zip(*parts))
    found = whole(labels, scores, sample_weight=weight if weighted else None)
    np.testing.assert_allclose(batches.result(), found, rtol=1e-12)
    assert type(found) is float or found.dtype == np.float32
    assert 0 < np.max(found)
    batches.reset_state()
    assert not np.any(batches.result())
    assert batches.result() is not None and len(batches.variables) == 2


def test_a_mask_takes_entries_out():
    labels, scores, weight, mask = data("classes", 9, sequence=True)
    metric = metrics.SparseCategoricalAccuracy()
    hits = labels == scores.argmax(-1)
    assert metric(labels, arrays.with_mask(scores, mask)) == pytest.approx(hits[mask].mean())
    metric.reset_state()
    expected = (hits * weight * mask).sum() / (weight * mask).sum()
    assert metric(labels, arrays.with_mask(scores, mask), sample_weight=weight) == pytest.approx(expected)


def test_mean():
    mean = metrics.Mean()
    assert mean.result() == 0
    mean.update_state([1, 2, 3])
    mean.update_state(6)
    assert mean.result() == 3
    mean.update_state([[1, 3], [5, 7]], sample_weight=[1, 3])
    assert mean.result() == pytest.approx((12 + 2 + 18) / (4 + 4))
    with pytest.raises(ValueError, match=r"\(3,\).*\(2,\)"):
        mean.update_state([1, 2], sample_weight=[1, 2, 3])


def test_sums_of_many_small_numbers():
    mean = metrics.Mean()
    for _ in range(20):
        mean.update_state(np.full(1_000_000, 0.1, "f"))
    assert mean.result() == pytest.approx(np.float32(0.1), rel=1e-12)


def test_top_k():
    scores = np.array([[0.1, 0.4, 0.4, 0.1], [np.nan, 0.3, 0.2, 0.1], [0.7, 0.1, 0.1, 0.1]], "f")
    # Ties count for the label; a prediction of NaN and a class that is not there are misses.
    np.testing.assert_array_equal(metrics.sparse_top_k_categorical_accuracy([2, 1, 9], scores, k=1), [1, 0, 0])
    np.testing.assert_array_equal(metrics.sparse_top_k_categorical_accuracy([0, 0, 3], scores, k=3), [1, 0, 1])
    ids = np.array([[2, 1, 0], [0, 2, 1]])
    np.testing.assert_array_equal(metrics.sparse_top_k_categorical_accuracy([1, 1], ids, 2, True), [1, 0])
    metric = metrics.SparseTopKCategoricalAccuracy(2, from_sorted_ids=True)
    assert metric([1, 1], ids) == 0.5 and metric.get_config()["from_sorted_ids"]


@pytest.mark.parametrize(("labels", "predictions", "name"), [
    ((5, 1), (5, 1), "BinaryAccuracy"),
    ((5,), (5, 1), "BinaryAccuracy"),
    ((5, T, 1), (5, T, 1), "BinaryAccuracy"),
    ((5,), (5, C), "SparseCategoricalAccuracy"),
    ((5, 1), (5, C), "SparseCategoricalAccuracy"),
    ((5, T), (5, T, C), "SparseCategoricalAccuracy"),
    ((5, C), (5, C), "CategoricalAccuracy"),
])  # fmt: skip
def test_accuracy_is_chosen_by_the_shapes(labels, predictions, name):
    for identifier in ("accuracy", "acc", "Accuracy"):
        metric = metrics.for_output(identifier, np.zeros(labels), np.zeros(predictions))
        assert type(metric).__name__ == name and metric.name == identifier
        assert metric(np.zeros(labels), np.zeros(predictions)) in (0.0, 1.0)


def test_for_output(rng):
    def spread(y_true, y_pred):
        return np.abs(y_true - y_pred).max(-1)

    metric = metrics.for_output(spread, None, None)
    labels, scores, _, _ = data("real", 4)
    assert type(metric) is metrics.MeanMetricWrapper and metric.name == "spread"
    assert metric(labels, scores) == pytest.approx(np.abs(labels - scores).max(-1).mean())
    for name in ("mse", "MAE", "precision", "top_k_categorical_accuracy"):
        assert metrics.for_output(name, None, None).name == name
    own = metrics.Recall(name="mine")
    assert metrics.for_output(own, None, None) is own and own.name == "mine"
    loss = metrics.for_output(losses.mean_squared_error, None, None)
    assert loss.name == "mean_squared_error" and loss._direction == "down"
    with pytest.raises(ValueError, match="None"):
        metrics.for_output(None, None, None)


def test_names():
    for name in ("mse", "MSE", "mean_squared_error", "MeanSquaredError"):
        assert type(metrics.get(name)) is metrics.MeanSquaredError
    assert metrics.get(None) is None
    for wrong in ("auc", "AUC", "nope", 3):
        with pytest.raises(ValueError, match="top_k_categorical_accuracy"):
            metrics.get(wrong)
    with pytest.raises(AttributeError, match="Recall"):
        _ = metrics.AUC


@pytest.mark.parametrize(("name", "arguments", "kind"), CASES)
def test_configs(name, arguments, kind):
    metric = getattr(metrics, name)(name="own", **arguments)
    again = metrics.get(metrics.serialize(metric))
    assert type(again) is type(metric) and again.get_config() == metric.get_config()
    np.testing.assert_array_equal(fed(again, kind, True).result(), fed(metric, kind, True).result())


def test_wrapper_config():
    metric = metrics.MeanMetricWrapper(losses.huber, name="h", delta=0.5)
    again = metrics.get(metrics.serialize(metric))
    labels, scores, _, _ = data("real", 4)
    assert again(labels, scores) == metric(labels, scores) == pytest.approx(losses.Huber(0.5)(labels, scores))


def test_other_shapes_raise():
    for name, labels, scores in (
        ("BinaryAccuracy", (5, 2), (5, 3)),
        ("CategoricalAccuracy", (5, 1), (5, 3)),
        ("SparseCategoricalAccuracy", (5, 3), (5, 3)),
        ("TopKCategoricalAccuracy", (5, 2), (5, 3)),
        ("SparseTopKCategoricalAccuracy", (4,), (5, 3)),
        ("Precision", (5, 2), (5, 3)),
        ("MeanSquaredError", (5, 2), (5, 3)),
    ):
        with pytest.raises(ValueError) as caught:
            getattr(metrics, name)()(np.zeros(labels), np.zeros(scores))
        assert str(labels) in str(caught.value) and str(scores) in str(caught.value), name


def test_refusals():
    for wrong in (1.5, -0.1, [0.5, None]):
        with pytest.raises(ValueError, match=r"\[0, 1\]"):
            metrics.Recall(wrong)
    with pytest.raises(ValueError, match="2D"):
        metrics.Precision(class_id=1)([0, 1], [0.2, 0.7])
    for method in ("update_state", "result"):
        with pytest.raises(NotImplementedError, match=method):
            getattr(metrics.Metric(), method)()


def test_a_users_metric():
    class Largest(metrics.Metric):
        def __init__(self, name="largest"):
            super().__init__(name=name)
            self.found = self.add_weight(name="found")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.found.assign(max(float(self.found), np.max(y_pred)))

        def result(self):
            return float(self.found)

    metric = metrics.for_output(Largest(), None, None)
    metric(0, [1, 3])
    assert metric(0, [2]) == 3 and [v.path for v in metric.variables] == ["largest/found"]
    metric.reset_state()
    assert metric.result() == 0 and repr(metric) == "<Largest name=largest>"


def test_every_metric_has_a_case():
    """Mean, which takes no labels, and MeanMetricWrapper, which takes a function, have tests of their own above."""
    beside = ("Metric", "Mean", "MeanMetricWrapper")
    assert {name for name, _, _ in CASES} == classes_of(metrics.ALL_OBJECTS_DICT, *beside)

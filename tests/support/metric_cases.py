"""Every metric with every option, and data for it; shared by the tests of metrics."""

import numpy as np

C, T = 6, 3


def data(kind, rows, seed=0, sequence=False):
    """(labels, predictions) of a kind, sample weights and a mask; timesteps between where `sequence`."""
    rng = np.random.default_rng(seed)
    lead = (rows, T) if sequence else (rows,)
    scores = rng.uniform(0, 1, (*lead, C)).astype("f")
    classes = rng.integers(0, C, lead)
    labels = {
        "one-hot": np.eye(C, dtype="f")[classes],
        "classes": classes,
        "bits": rng.integers(0, 2, (*lead, C)).astype("f"),
        "equal": np.where(rng.uniform(size=(*lead, C)) < 0.5, scores, 0).astype("f"),
        "real": rng.standard_normal((*lead, C)).astype("f"),
    }[kind]
    return labels, scores, rng.uniform(0, 2, lead).astype("f"), rng.uniform(size=lead) < 0.7


CASES = [
    ("Accuracy", {}, "equal"),
    ("BinaryAccuracy", {}, "bits"),
    ("BinaryAccuracy", {"threshold": 0.3}, "bits"),
    ("CategoricalAccuracy", {}, "one-hot"),
    ("SparseCategoricalAccuracy", {}, "classes"),
    ("TopKCategoricalAccuracy", {"k": 2}, "one-hot"),
    ("TopKCategoricalAccuracy", {}, "one-hot"),
    ("SparseTopKCategoricalAccuracy", {"k": 3}, "classes"),
    ("MeanSquaredError", {}, "real"),
    ("MeanAbsoluteError", {}, "real"),
    ("MeanAbsolutePercentageError", {}, "real"),
    ("Precision", {}, "bits"),
    ("Precision", {"thresholds": 0.7}, "bits"),
    ("Precision", {"thresholds": [0.2, 0.9]}, "bits"),
    ("Precision", {"thresholds": [0.0, 0.25, 0.5, 0.75, 1.0]}, "bits"),
    ("Precision", {"top_k": 2}, "one-hot"),
    ("Precision", {"top_k": 2, "class_id": 3}, "one-hot"),
    ("Precision", {"class_id": 1, "thresholds": 0.4}, "bits"),
    ("Recall", {}, "bits"),
    ("Recall", {"thresholds": [0.2, 0.9]}, "bits"),
    ("Recall", {"thresholds": [0.0, 0.5, 1.0]}, "bits"),
    ("Recall", {"top_k": 3}, "one-hot"),
    ("Recall", {"class_id": 4}, "bits"),
]
UNEVEN = [7, 1, 12, 3]


def fed(metric, kind, weighted, masked=False, sequence=False, sizes=UNEVEN, before=lambda array, mask: array):
    for seed, rows in enumerate(sizes):
        labels, scores, weight, mask = data(kind, rows, seed, sequence)
        scores = before(scores, mask if masked else None)
        metric.update_state(labels, scores, sample_weight=weight if weighted else None)
    return metric

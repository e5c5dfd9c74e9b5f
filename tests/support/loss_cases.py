"""Every loss with every option, and labels and predictions for it; shared by the tests of losses."""

import numpy as np

B, T, C = 5, 3, 4


def probabilities(rng, *shape):
    x = np.exp(rng.standard_normal(shape))
    return x / x.sum(-1, keepdims=True)


def sample(kind, rng, leading=(B,)):
    """Labels and predictions of a kind of loss."""
    if kind == "categorical":
        return np.eye(C)[rng.integers(0, C, leading)], probabilities(rng, *leading, C)
    if kind == "soft":
        return probabilities(rng, *leading, C), probabilities(rng, *leading, C)
    if kind == "sparse":
        return rng.integers(0, C, leading), probabilities(rng, *leading, C)
    if kind == "binary":
        return rng.integers(0, 2, (*leading, C)).astype("f"), rng.uniform(0.05, 0.95, (*leading, C))
    if kind == "logits of classes":
        return np.eye(C)[rng.integers(0, C, leading)], 3 * rng.standard_normal((*leading, C))
    if kind == "logits of numbers":
        return rng.integers(0, C, leading), 3 * rng.standard_normal((*leading, C))
    if kind == "logits of bits":
        return rng.integers(0, 2, (*leading, C)).astype("f"), 3 * rng.standard_normal((*leading, C))
    return rng.standard_normal((*leading, C)), rng.standard_normal((*leading, C))


CASES = [
    ("MeanSquaredError", {}, "real"),
    ("MeanAbsoluteError", {}, "real"),
    ("MeanAbsolutePercentageError", {}, "real"),
    ("Huber", {}, "real"),
    ("Huber", {"delta": 0.3}, "real"),
    ("KLDivergence", {}, "soft"),
    ("CategoricalCrossentropy", {}, "categorical"),
    ("CategoricalCrossentropy", {}, "soft"),
    ("CategoricalCrossentropy", {"label_smoothing": 0.2}, "categorical"),
    ("CategoricalCrossentropy", {"from_logits": True}, "logits of classes"),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "logits of classes"),
    ("SparseCategoricalCrossentropy", {}, "sparse"),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, "logits of numbers"),
    ("SparseCategoricalCrossentropy", {"ignore_class": 1}, "sparse"),
    ("SparseCategoricalCrossentropy", {"ignore_class": 2, "from_logits": True}, "logits of numbers"),
    ("BinaryCrossentropy", {}, "binary"),
    ("BinaryCrossentropy", {"label_smoothing": 0.2}, "binary"),
    ("BinaryCrossentropy", {"from_logits": True}, "logits of bits"),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "logits of bits"),
]
REDUCTIONS = ["sum_over_batch_size", "sum", "mean_with_sample_weight"]


def weights_and_mask(rng, leading, which):
    weight = rng.uniform(0.1, 2, leading) if "weight" in which else None
    mask = rng.uniform(size=leading) > 0.4 if "mask" in which else None
    return weight, mask

"""Accuracy in its forms. https://keras.io/api/metrics/accuracy_metrics/

Every function gives float32 ones and zeros, one for each label.
"""

import numpy as np

from fastseq.losses.base import squeeze_or_expand_to_same_rank
from fastseq.metrics.base import FunctionMetric


def _alike(name, y_true, y_pred):
    y_true, y_pred = squeeze_or_expand_to_same_rank(np.asarray(y_true), np.asarray(y_pred))
    return _checked(name, y_true, y_pred, y_pred.shape)


def _checked(name, y_true, y_pred, wanted):
    if y_true.shape != wanted:
        raise ValueError(f"Metric {name}: labels of shape {y_true.shape} do not go with predictions of {y_pred.shape}.")
    return y_true, y_pred


def accuracy(y_true, y_pred):
    """1 where both are equal."""
    y_true, y_pred = _alike("accuracy", y_true, y_pred)
    return (y_true.astype(y_pred.dtype) == y_pred).astype(np.float32)


def binary_accuracy(y_true, y_pred, threshold=0.5):
    """1 where `y_pred`, told apart by the threshold, is the label 0 or 1.

    Args:
        y_true (array): Labels 0 and 1, (B, ...).
        y_pred (array): Predictions, of the same shape.
        threshold (float, default 0.5): What a prediction of class 1 lies above.

    Returns:
        float32 ones and zeros, one for each label.

    Raises:
        ValueError: Labels of another shape than the predictions.

    Example:
        >>> metrics.binary_accuracy([0, 1], [0.2, 0.3])
        array([1., 0.], dtype=float32)
    """
    y_true, y_pred = _alike("binary_accuracy", y_true, y_pred)
    return (y_true == (y_pred > np.float32(threshold))).astype(np.float32)


def categorical_accuracy(y_true, y_pred):
    """1 where the largest prediction is that of the one-hot label's class.

    Args:
        y_true (array): One-hot labels, (B, ..., C).
        y_pred (array): Predictions, (B, ..., C).

    Returns:
        float32 ones and zeros, (B, ...).

    Raises:
        ValueError: Labels of another shape than the predictions.

    Example:
        >>> metrics.categorical_accuracy([[0, 1], [1, 0]], [[0.2, 0.8], [0.3, 0.7]])
        array([1., 0.], dtype=float32)
    """
    y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
    _checked("categorical_accuracy", y_true, y_pred, y_pred.shape)
    return (y_true.argmax(-1) == y_pred.argmax(-1)).astype(np.float32)


def sparse_categorical_accuracy(y_true, y_pred):
    """1 where the largest prediction is that of the class.

    Args:
        y_true (array): Class numbers, (B, ...) or (B, ..., 1).
        y_pred (array): Predictions, (B, ..., C).

    Returns:
        float32 ones and zeros, one for each label.

    Raises:
        ValueError: Labels that are no class numbers of the predictions' shape.

    Example:
        >>> metrics.sparse_categorical_accuracy([1, 0], [[0.2, 0.8], [0.3, 0.7]])
        array([1., 0.], dtype=float32)
    """
    y_true, y_pred = _class_numbers("sparse_categorical_accuracy", y_true, y_pred)
    matches = (y_true == y_pred.argmax(-1)).astype(np.float32)
    return matches[..., 0] if matches.ndim > 1 and matches.shape[-1] == 1 else matches


def top_k_categorical_accuracy(y_true, y_pred, k=5):
    """1 where fewer than `k` predictions are above that of the one-hot label's class.

    Args:
        y_true (array): One-hot labels, (B, ..., C).
        y_pred (array): Predictions, (B, ..., C).
        k (int, default 5): How many of the largest predictions count.

    Returns:
        float32 ones and zeros, (B, ...).

    Raises:
        ValueError: Labels of another shape than the predictions.

    Example:
        >>> metrics.top_k_categorical_accuracy([[0, 0, 1], [1, 0, 0]], [[0.1, 0.5, 0.4], [0.1, 0.5, 0.4]], k=2)
        array([1., 0.], dtype=float32)
    """
    y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
    _checked("top_k_categorical_accuracy", y_true, y_pred, y_pred.shape)
    return _in_top_k(y_true.argmax(-1), y_pred, k)


def sparse_top_k_categorical_accuracy(y_true, y_pred, k=5, from_sorted_ids=False):
    """1 where fewer than `k` predictions are above that of the class.

    Args:
        y_true (array): Class numbers, (B, ...) or (B, ..., 1).
        y_pred (array): Predictions, (B, ..., C).
        k (int, default 5): How many of the largest predictions count.
        from_sorted_ids (bool, default False): Whether `y_pred` holds class numbers, best first.

    Returns:
        float32 ones and zeros, one for each label.

    Raises:
        ValueError: Labels that are no class numbers of the predictions' shape.

    Example:
        >>> metrics.sparse_top_k_categorical_accuracy([2, 0], [[0.1, 0.5, 0.4], [0.1, 0.5, 0.4]], k=2)
        array([1., 0.], dtype=float32)
    """
    if from_sorted_ids:
        y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
        _checked("sparse_top_k_categorical_accuracy", y_true, y_pred, y_pred.shape[:-1])
        return (y_true[..., None] == y_pred[..., :k]).any(-1).astype(np.float32)
    shape = np.shape(y_true)
    y_true, y_pred = _class_numbers("sparse_top_k_categorical_accuracy", y_true, y_pred)
    return _in_top_k(y_true.astype(np.int64), y_pred, k).reshape(shape)


def _class_numbers(name, y_true, y_pred):
    y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
    given = y_true
    if y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1:
        y_true = y_true[..., 0]
    _checked(name, given if y_true.shape != y_pred.shape[:-1] else y_true, y_pred, y_pred.shape[:-1])
    return y_true, y_pred


def _in_top_k(classes, y_pred, k):
    """TensorFlow's in_top_k: ties count for the label; a class that is not there or a prediction of NaN is a miss."""
    there = (classes >= 0) & (classes < y_pred.shape[-1])
    own = np.take_along_axis(y_pred, np.where(there, classes, 0)[..., None], -1)
    found = (y_pred > own).sum(-1) < k
    return (found & there & np.isfinite(y_pred).all(-1)).astype(np.float32)


class _Accuracy(FunctionMetric):
    _direction = "up"


class Accuracy(_Accuracy):
    """How many predictions equal their labels.

    Args:
        name (str, default "accuracy"): Of the metric, which logs have.
        dtype (str, default None): Kept in the config; the state is float64 whatever it says.

    Raises:
        ValueError: When it is updated, for labels of another shape than the predictions.

    Example:
        >>> metrics.Accuracy()([1, 2, 3, 4], [1, 2, 3, 5])
        0.75
    """

    def __init__(self, name="accuracy", dtype=None):
        super().__init__(accuracy, name, dtype)


class BinaryAccuracy(_Accuracy):
    """The mean of `binary_accuracy`.

    Args:
        name (str, default "binary_accuracy"): Of the metric, which logs have.
        dtype (str, default None): Kept in the config; the state is float64 whatever it says.
        threshold (float, default 0.5): What a prediction of class 1 lies above.

    Raises:
        ValueError: When it is updated, for labels of another shape than the predictions.

    Example:
        >>> metrics.BinaryAccuracy()([[0], [1]], [[0.2], [0.3]])
        0.5
    """

    def __init__(self, name="binary_accuracy", dtype=None, threshold=0.5):
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)


class CategoricalAccuracy(_Accuracy):
    """The mean of `categorical_accuracy`.

    Args:
        name (str, default "categorical_accuracy"): Of the metric, which logs have.
        dtype (str, default None): Kept in the config; the state is float64 whatever it says.

    Raises:
        ValueError: When it is updated, for labels of another shape than the predictions.

    Example:
        >>> metrics.CategoricalAccuracy()([[0, 1], [1, 0]], [[0.2, 0.8], [0.3, 0.7]])
        0.5
    """

    def __init__(self, name="categorical_accuracy", dtype=None):
        super().__init__(categorical_accuracy, name, dtype)


class SparseCategoricalAccuracy(_Accuracy):
    """The mean of `sparse_categorical_accuracy`.

    Args:
        name (str, default "sparse_categorical_accuracy"): Of the metric, which logs have.
        dtype (str, default None): Kept in the config; the state is float64 whatever it says.

    Raises:
        ValueError: When it is updated, for labels that are no class numbers of the predictions' shape.

    Example:
        >>> metrics.SparseCategoricalAccuracy()([1, 0], [[0.2, 0.8], [0.3, 0.7]])
        0.5
    """

    def __init__(self, name="sparse_categorical_accuracy", dtype=None):
        super().__init__(sparse_categorical_accuracy, name, dtype)


class TopKCategoricalAccuracy(_Accuracy):
    """The mean of `top_k_categorical_accuracy`.

    Args:
        k (int, default 5): How many of the largest predictions count.
        name (str, default "top_k_categorical_accuracy"): Of the metric, which logs have.
        dtype (str, default None): Kept in the config; the state is float64 whatever it says.

    Raises:
        ValueError: When it is updated, for labels of another shape than the predictions.

    Example:
        >>> metrics.TopKCategoricalAccuracy(k=2)([[0, 0, 1], [1, 0, 0]], [[0.1, 0.5, 0.4], [0.1, 0.5, 0.4]])
        0.5
    """

    def __init__(self, k=5, name="top_k_categorical_accuracy", dtype=None):
        super().__init__(top_k_categorical_accuracy, name, dtype, k=k)


class SparseTopKCategoricalAccuracy(_Accuracy):
    """The mean of `sparse_top_k_categorical_accuracy`.

    Args:
        k (int, default 5): How many of the largest predictions count.
        name (str, default "sparse_top_k_categorical_accuracy"): Of the metric, which logs have.
        dtype (str, default None): Kept in the config; the state is float64 whatever it says.
        from_sorted_ids (bool, default False): Whether `y_pred` holds class numbers, best first.

    Raises:
        ValueError: When it is updated, for labels that are no class numbers of the predictions' shape.

    Example:
        >>> metrics.SparseTopKCategoricalAccuracy(k=2)([2, 0], [[0.1, 0.5, 0.4], [0.1, 0.5, 0.4]])
        0.5
    """

    def __init__(self, k=5, name="sparse_top_k_categorical_accuracy", dtype=None, from_sorted_ids=False):
        arguments = {"from_sorted_ids": True} if from_sorted_ids else {}
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype, k=k, **arguments)

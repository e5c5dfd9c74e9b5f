"""Losses of real-valued predictions. https://keras.io/api/losses/regression_losses/

Every function takes `y_true` and `y_pred` of shape (B, ..., N) and gives values of shape (B, ...), means over N.
"""

import numpy as np

from fastseq.losses.base import Loss, LossFunctionWrapper, check_same_shape, squeeze_or_expand_to_same_rank
from fastseq.tensors import settings


def _mean_of_differences(name, formula):
    """The loss function whose values are means of formula(y_pred - y_true), with its pullback.

    formula: gives the terms and their derivatives.
    """

    def with_pullback(y_true, y_pred, **arguments):
        y_pred = _floating(y_pred)
        given = y_pred.shape
        y_true, y_pred = squeeze_or_expand_to_same_rank(np.asarray(y_true, y_pred.dtype), y_pred)
        check_same_shape(name, y_true, y_pred)
        terms, derivatives = formula(y_pred - y_true, **arguments)
        values = np.mean(terms, axis=-1, dtype=np.float64).astype(y_pred.dtype)

        def pullback(upstream):
            return (upstream[..., None] / y_pred.dtype.type(y_pred.shape[-1]) * derivatives).reshape(given)

        return values, pullback

    return with_pullback


def _floating(y_pred):
    y_pred = np.asarray(y_pred)
    return y_pred if y_pred.dtype in (np.float32, np.float64) else y_pred.astype(np.float32)


def _huber_terms(error, delta):
    size = np.abs(error)
    delta = error.dtype.type(delta)
    inside = size <= delta
    half = error.dtype.type(0.5)
    terms = np.where(inside, half * np.square(error), delta * size - half * np.square(delta))
    return terms, np.where(inside, error, delta * np.sign(error))


def _percentage_with_pullback(y_true, y_pred):
    y_pred = _floating(y_pred)
    given = y_pred.shape
    y_true, y_pred = squeeze_or_expand_to_same_rank(np.asarray(y_true, y_pred.dtype), y_pred)
    check_same_shape("mean_absolute_percentage_error", y_true, y_pred)
    size = np.maximum(np.abs(y_true), y_pred.dtype.type(settings.epsilon()))
    with np.errstate(all="ignore"):
        parts = (y_pred - y_true) / size
    hundred = y_pred.dtype.type(100)
    values = hundred * np.mean(np.abs(parts), axis=-1, dtype=np.float64).astype(y_pred.dtype)

    def pullback(upstream):
        each = upstream[..., None] / y_pred.dtype.type(y_pred.shape[-1]) * hundred
        return (each * (np.sign(parts) / size)).reshape(given)

    return values, pullback


def mean_squared_error(y_true, y_pred):
    """``mean((y_true - y_pred)^2)`` over the last axis.

    Args:
        y_true (array): Labels, (B, ..., N).
        y_pred (array): Predictions, (B, ..., N). float64, which a list of floats is too, is computed in float64, all
            else in float32.

    Returns:
        (B, ...) in the dtype of `y_pred`, a value for each sample or timestep.

    Raises:
        ValueError: Labels and predictions of different shapes.

    Example:
        >>> losses.mean_squared_error([[0.0, 1.0]], [[1.0, 3.0]])
        array([2.5])
    """
    return mean_squared_error.with_pullback(y_true, y_pred)[0]


def mean_absolute_error(y_true, y_pred):
    """``mean(|y_true - y_pred|)`` over the last axis; its derivative at no difference is 0.

    Args:
        y_true (array): Labels, (B, ..., N).
        y_pred (array): Predictions, (B, ..., N). float64, which a list of floats is too, is computed in float64, all
            else in float32.

    Returns:
        (B, ...) in the dtype of `y_pred`, a value for each sample or timestep.

    Raises:
        ValueError: Labels and predictions of different shapes.

    Example:
        >>> losses.mean_absolute_error([[0.0, 1.0]], [[1.0, 3.0]])
        array([1.5])
    """
    return mean_absolute_error.with_pullback(y_true, y_pred)[0]


def mean_absolute_percentage_error(y_true, y_pred):
    """``100 mean(|y_true - y_pred| / max(|y_true|, 1e-7))``, in per cent; its derivative at no difference is 0.

    Args:
        y_true (array): Labels, (B, ..., N).
        y_pred (array): Predictions, (B, ..., N). float64, which a list of floats is too, is computed in float64, all
            else in float32.

    Returns:
        (B, ...) in the dtype of `y_pred`, a value for each sample or timestep.

    Raises:
        ValueError: Labels and predictions of different shapes.

    Example:
        >>> losses.mean_absolute_percentage_error([[2.0, 4.0]], [[1.0, 4.0]])
        array([25.])
    """
    return mean_absolute_percentage_error.with_pullback(y_true, y_pred)[0]


def huber(y_true, y_pred, delta=1.0):
    """Half the squared difference up to `delta`, from there on a straight line; the mean over the last axis.

    Source: Huber 1964, https://doi.org/10.1214/aoms/1177703732.

    Args:
        y_true (array): Labels, (B, ..., N).
        y_pred (array): Predictions, (B, ..., N). float64, which a list of floats is too, is computed in float64, all
            else in float32.
        delta (float, default 1.0): The difference from which on the loss grows in proportion.

    Returns:
        (B, ...) in the dtype of `y_pred`, a value for each sample or timestep.

    Raises:
        ValueError: Labels and predictions of different shapes.

    Example:
        >>> losses.huber([[0.0, 0.0]], [[1.0, 3.0]])
        array([1.5])
    """
    return huber.with_pullback(y_true, y_pred, delta)[0]


mean_squared_error.with_pullback = _mean_of_differences("mean_squared_error", lambda e: (np.square(e), 2 * e))
mean_absolute_error.with_pullback = _mean_of_differences("mean_absolute_error", lambda e: (np.abs(e), np.sign(e)))
mean_absolute_percentage_error.with_pullback = _percentage_with_pullback
_huber = _mean_of_differences("huber", _huber_terms)
huber.with_pullback = lambda y_true, y_pred, delta=1.0: _huber(y_true, y_pred, delta=delta)


class MeanSquaredError(LossFunctionWrapper):
    """The loss of `mean_squared_error`, reduced.

    Args:
        reduction (str, default "sum_over_batch_size"): "sum_over_batch_size" or "mean" (the sum divided by the number
            of values), "sum", "mean_with_sample_weight" (divided by the sum of the weights), "none" or None.
        name (str, default "mean_squared_error"): Of the loss, which logs have where there are several.
        dtype (str, default None): "float32", which None means, or "float64".

    Raises:
        ValueError: As `Loss`.

    Example:
        >>> float(losses.MeanSquaredError()([[0.0, 1.0]], [[1.0, 3.0]]))
        2.5
    """

    def __init__(self, reduction="sum_over_batch_size", name="mean_squared_error", dtype=None):
        super().__init__(mean_squared_error, reduction, name, dtype)

    def get_config(self):
        return Loss.get_config(self)


class MeanAbsoluteError(LossFunctionWrapper):
    """The loss of `mean_absolute_error`, reduced.

    Args:
        reduction (str, default "sum_over_batch_size"): "sum_over_batch_size" or "mean" (the sum divided by the number
            of values), "sum", "mean_with_sample_weight" (divided by the sum of the weights), "none" or None.
        name (str, default "mean_absolute_error"): Of the loss, which logs have where there are several.
        dtype (str, default None): "float32", which None means, or "float64".

    Raises:
        ValueError: As `Loss`.

    Example:
        >>> float(losses.MeanAbsoluteError()([[0.0, 1.0]], [[1.0, 3.0]]))
        1.5
    """

    def __init__(self, reduction="sum_over_batch_size", name="mean_absolute_error", dtype=None):
        super().__init__(mean_absolute_error, reduction, name, dtype)

    def get_config(self):
        return Loss.get_config(self)


class MeanAbsolutePercentageError(LossFunctionWrapper):
    """The loss of `mean_absolute_percentage_error`, reduced.

    Args:
        reduction (str, default "sum_over_batch_size"): "sum_over_batch_size" or "mean" (the sum divided by the number
            of values), "sum", "mean_with_sample_weight" (divided by the sum of the weights), "none" or None.
        name (str, default "mean_absolute_percentage_error"): Of the loss, which logs have where there are several.
        dtype (str, default None): "float32", which None means, or "float64".

    Raises:
        ValueError: As `Loss`.

    Example:
        >>> float(losses.MeanAbsolutePercentageError()([[2.0, 4.0]], [[1.0, 4.0]]))
        25.0
    """

    def __init__(self, reduction="sum_over_batch_size", name="mean_absolute_percentage_error", dtype=None):
        super().__init__(mean_absolute_percentage_error, reduction, name, dtype)

    def get_config(self):
        return Loss.get_config(self)


class Huber(LossFunctionWrapper):
    """The loss of `huber`, reduced.

    Args:
        delta (float, default 1.0): The difference from which on the loss grows in proportion.
        reduction (str, default "sum_over_batch_size"): "sum_over_batch_size" or "mean" (the sum divided by the number
            of values), "sum", "mean_with_sample_weight" (divided by the sum of the weights), "none" or None.
        name (str, default "huber_loss"): Of the loss, which logs have where there are several.
        dtype (str, default None): "float32", which None means, or "float64".

    Raises:
        ValueError: As `Loss`.

    Example:
        >>> float(losses.Huber()([[0.0, 0.0]], [[1.0, 3.0]]))
        1.5
    """

    def __init__(self, delta=1.0, reduction="sum_over_batch_size", name="huber_loss", dtype=None):
        super().__init__(huber, reduction, name, dtype, delta=delta)

    def get_config(self):
        # Keras 3.15 leaves delta out and so forgets it on saving; its own from_config reads it back all the same.
        return {**Loss.get_config(self), "delta": self._fn_kwargs["delta"]}

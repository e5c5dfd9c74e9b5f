"""Losses of predicted probabilities. https://keras.io/api/losses/probabilistic_losses/

Numbers are those of Keras on TensorFlow: probabilities are clipped to [1e-7, 1 - 1e-7] as float32 has these, and where
they are the output of a softmax or sigmoid (whichever of the two) that ends a model, `fit` goes on from what went into
it instead (`value_and_gradient_of_logits`). Values have the shape of `y_pred` without the axis of the classes.
"""

import warnings

import numpy as np

from fastseq.losses.base import Loss, LossFunctionWrapper, check_same_shape
from fastseq.losses.regression import _floating
from fastseq.tensors import arrays, settings


def _limits(dtype):
    return dtype.type(settings.epsilon()), dtype.type(1 - settings.epsilon())


def _clipped(p):
    """Probabilities within Keras's limits, and 1 where the derivative goes through, which it does at the limits too."""
    low, high = _limits(p.dtype)
    return np.clip(p, low, high), ((p >= low) & (p <= high)).astype(p.dtype)


def _sum(x, axis):
    return np.sum(x, axis=axis, dtype=np.float64).astype(x.dtype)


def _log_softmax(logits, axis):
    shifted = logits - logits.max(axis=axis, keepdims=True)
    total = np.sum(np.exp(shifted), axis=axis, keepdims=True, dtype=np.float64)
    return shifted - np.log(total).astype(logits.dtype)


def _categorical(y_true, y_pred, from_logits=False, label_smoothing=0.0, axis=-1):
    if isinstance(axis, bool):
        raise ValueError(f"`axis` must be of type `int`. Received: axis={axis} of type {type(axis)}")
    y_pred = _floating(y_pred)
    y_true = np.asarray(y_true, y_pred.dtype)
    if y_pred.shape[-1:] == (1,):
        warnings.warn(
            f"Loss categorical_crossentropy got predictions of shape {y_pred.shape}, one class. For two classes told "
            "by one number use binary_crossentropy.",
            SyntaxWarning,
            stacklevel=4,
        )
    check_same_shape("categorical_crossentropy", y_true, y_pred)
    if label_smoothing:
        y_true = y_true * y_pred.dtype.type(1 - label_smoothing)
        y_true = y_true + y_pred.dtype.type(label_smoothing) / y_pred.dtype.type(y_true.shape[-1])
    if from_logits:
        logs = _log_softmax(y_pred, axis)
        # TensorFlow's own derivative, which takes the labels to sum to 1 even where they do not.
        return -_sum(y_true * logs, axis), lambda u: np.expand_dims(u, axis) * (np.exp(logs) - y_true)
    total = np.sum(y_pred, axis=axis, keepdims=True, dtype=np.float64).astype(y_pred.dtype)
    p = y_pred / total
    clipped, inside = _clipped(p)

    def pullback(upstream):
        by_p = -np.expand_dims(upstream, axis) * y_true / clipped * inside
        return (by_p - np.sum(by_p * p, axis=axis, keepdims=True)) / total

    return -_sum(y_true * np.log(clipped), axis), pullback


def _sparse(y_true, y_pred, from_logits=False, ignore_class=None, axis=-1):
    y_true, y_pred = np.asarray(y_true), _floating(y_pred)
    if axis not in (-1, y_pred.ndim - 1):
        raise ValueError(f"Only axis=-1 is currently supported. Received: axis={axis}")
    given = y_true.shape
    if y_true.ndim == y_pred.ndim and given[-1] == 1:
        y_true = y_true[..., 0]
    if y_true.shape != y_pred.shape[:-1]:
        raise ValueError(
            f"Loss sparse_categorical_crossentropy: the labels have shape {given}, the predictions {y_pred.shape}; the "
            "labels must be class numbers, of the predictions' shape without the last axis."
        )
    valid = None
    if ignore_class is not None:
        valid = y_true != ignore_class
        y_true, y_pred = np.where(valid, y_true, 0), np.where(valid[..., None], y_pred, y_pred.dtype.type(0))
    wrong = ~((y_true > -1) & (y_true < y_pred.shape[-1]))  # NaN is no class either
    if wrong.any():
        raise ValueError(
            f"Loss sparse_categorical_crossentropy: class {y_true[wrong].flat[0]:.17g} is outside the "
            f"{y_pred.shape[-1]} classes of the predictions (labels of shape {given}, predictions of {y_pred.shape})."
        )
    classes = y_true.astype(np.int64)
    inside = clipped = 1
    logits = y_pred
    if not from_logits:
        clipped, inside = _clipped(y_pred)
        logits = np.log(clipped)
    logs = _log_softmax(logits, -1)
    values = -np.take_along_axis(logs, classes[..., None], -1)[..., 0]

    def pullback(upstream):
        derivative = np.exp(logs)
        one = np.take_along_axis(derivative, classes[..., None], -1) - 1
        np.put_along_axis(derivative, classes[..., None], one, -1)
        upstream = upstream if valid is None else np.where(valid, upstream, 0)
        return (upstream[..., None] * derivative / clipped * inside).astype(y_pred.dtype)

    if valid is not None:
        values = arrays.with_mask(np.where(valid, values, values.dtype.type(0)), valid)
    return values, pullback


def _binary(y_true, y_pred, from_logits=False, label_smoothing=0.0, axis=-1):
    y_pred = _floating(y_pred)
    y_true = np.asarray(y_true, y_pred.dtype)
    check_same_shape("binary_crossentropy", y_true, y_pred)
    if label_smoothing:
        y_true = y_true * y_pred.dtype.type(1 - label_smoothing) + y_pred.dtype.type(0.5 * label_smoothing)
    one = y_pred.dtype.type(1)
    if from_logits:
        small = np.exp(-np.abs(y_pred))
        terms = np.maximum(y_pred, 0) - y_pred * y_true + np.log1p(small)
        derivatives = np.where(y_pred >= 0, one, small) / (one + small) - y_true
    else:
        clipped, inside = _clipped(y_pred)
        terms = -(y_true * np.log(clipped) + (one - y_true) * np.log(one - clipped))
        derivatives = ((one - y_true) / (one - clipped) - y_true / clipped) * inside
    count = y_pred.dtype.type(y_pred.shape[axis])
    values = np.mean(terms, axis=axis, dtype=np.float64).astype(y_pred.dtype)
    return values, lambda upstream: np.expand_dims(upstream / count, axis) * derivatives


def _divergence(y_true, y_pred):
    y_pred = _floating(y_pred)
    y_true = np.asarray(y_true, y_pred.dtype)
    check_same_shape("kl_divergence", y_true, y_pred)
    low, high = y_pred.dtype.type(settings.epsilon()), y_pred.dtype.type(1)
    inside = (y_pred >= low) & (y_pred <= high)
    y_true, p = np.clip(y_true, low, high), np.clip(y_pred, low, high)
    return _sum(y_true * np.log(y_true / p), -1), lambda upstream: -upstream[..., None] * y_true / p * inside


def categorical_crossentropy(y_true, y_pred, from_logits=False, label_smoothing=0.0, axis=-1):
    """``-sum(y_true * log(y_pred))`` over the classes, of which `y_true` gives the probabilities (one-hot labels).

    Args:
        y_true (array): Probabilities of the classes, (B, ..., C).
        y_pred (array): Predicted probabilities or logits, (B, ..., C).
        from_logits (bool, default False): Whether `y_pred` are logits, rather than probabilities.
        label_smoothing (float, default 0.0): This much of every label, from 0 to 1, goes to all classes alike.
        axis (int, default -1): The axis of the classes.

    Returns:
        (B, ...) in the dtype of `y_pred`, a value for each sample or timestep.

    Raises:
        ValueError: Labels and predictions of different shapes.

    Example:
        >>> losses.categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).round(4)
        array([0.6931])
    """
    return _categorical(y_true, y_pred, from_logits, label_smoothing, axis)[0]


def sparse_categorical_crossentropy(y_true, y_pred, from_logits=False, ignore_class=None, axis=-1):
    """`categorical_crossentropy` for class numbers.

    Args:
        y_true (array): Class numbers, (B, ...) or (B, ..., 1).
        y_pred (array): Predicted probabilities or logits, (B, ..., C).
        from_logits (bool, default False): Whether `y_pred` are logits, rather than probabilities.
        ignore_class (int, default None): Samples of this class count nothing; None is no class.
        axis (int, default -1): -1 only.

    Returns:
        (B, ...) in the dtype of `y_pred`, a value for each sample or timestep.

    Raises:
        ValueError: Another axis, labels of another shape, and a class outside [0, C).

    Example:
        >>> losses.sparse_categorical_crossentropy([1], [[0.5, 0.5]]).round(4)
        array([0.6931])
    """
    return _sparse(y_true, y_pred, from_logits, ignore_class, axis)[0]


def binary_crossentropy(y_true, y_pred, from_logits=False, label_smoothing=0.0, axis=-1):
    """The mean over `axis` of ``-y_true * log(y_pred) - (1 - y_true) * log(1 - y_pred)``.

    Args:
        y_true (array): Labels from 0 to 1, (B, ..., N).
        y_pred (array): Predicted probabilities or logits, (B, ..., N).
        from_logits (bool, default False): Whether `y_pred` are logits, rather than probabilities.
        label_smoothing (float, default 0.0): Labels are moved towards 0.5 by half of it, from 0 to 1.
        axis (int, default -1): The axis that the mean is over.

    Returns:
        (B, ...) in the dtype of `y_pred`, a value for each sample or timestep.

    Raises:
        ValueError: Labels and predictions of different shapes.

    Example:
        >>> losses.binary_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).round(4)
        array([0.6931])
    """
    return _binary(y_true, y_pred, from_logits, label_smoothing, axis)[0]


def kl_divergence(y_true, y_pred):
    """``sum(y_true * log(y_true / y_pred))`` over the last axis.

    Source: Kullback and Leibler 1951, https://doi.org/10.1214/aoms/1177729694.

    Args:
        y_true (array): Labels, (B, ..., N).
        y_pred (array): Predictions, (B, ..., N). float64, which a list of floats is too, is computed in float64, all
            else in float32.

    Returns:
        (B, ...) in the dtype of `y_pred`, a value for each sample or timestep.

    Raises:
        ValueError: Labels and predictions of different shapes.

    Example:
        >>> losses.kl_divergence([[0.5, 0.5]], [[0.25, 0.75]]).round(4)
        array([0.1438])
    """
    return _divergence(y_true, y_pred)[0]


categorical_crossentropy.with_pullback = _categorical
sparse_categorical_crossentropy.with_pullback = _sparse
binary_crossentropy.with_pullback = _binary
kl_divergence.with_pullback = _divergence


class _Crossentropy(LossFunctionWrapper):
    """What the crossentropies share: a loss that can go on from what went into a model's last activation."""

    def takes_logits(self, y_true, y_pred):
        """Whether Keras computes such a loss from the logits, which went into the softmax or sigmoid.

        Keras does not where it has made another tensor of the predictions before: in another dtype, with zeros for a
        class to ignore, or without the last axis of 1 for labels (B, T).
        """
        ranks = len(y_pred.shape) - len(y_true.shape)
        squeezed = ranks == 1 and y_pred.shape[-1] == 1 and len(y_true.shape) > 1
        return self.dtype == "float32" and self._fn_kwargs.get("ignore_class") is None and not squeezed

    def value_and_gradient_of_logits(self, y_true, logits, sample_weight=None, mask=None):
        """`value_and_gradient` of the logits, which went into a model's last softmax or sigmoid.

        As Keras does where that activation is the last thing a model does: Dense, Activation or Softmax, but not within
        a TimeDistributed, nor before a Reshape. Nothing is clipped then.
        """

        def call(y_true, logits):
            return self._of_logits.call_with_pullback(y_true, logits)

        return self._value_and_gradient(call, y_true, logits, sample_weight, mask)

    @property
    def _of_logits(self):
        return LossFunctionWrapper(self.fn, dtype=self.dtype, name=self.name, **self._fn_kwargs | {"from_logits": True})

    def get_config(self):
        kept = {key: value for key, value in self._fn_kwargs.items() if key in self._in_config}
        return {**Loss.get_config(self), **kept}


class CategoricalCrossentropy(_Crossentropy):
    """The loss of `categorical_crossentropy`, reduced.

    Args:
        from_logits (bool, default False): Whether `y_pred` are logits, rather than probabilities.
        label_smoothing (float, default 0.0): This much of every label, from 0 to 1, goes to all classes alike.
        axis (int, default -1): The axis of the classes.
        reduction (str, default "sum_over_batch_size"): "sum_over_batch_size" or "mean" (the sum divided by the number
            of values), "sum", "mean_with_sample_weight" (divided by the sum of the weights), "none" or None.
        name (str, default "categorical_crossentropy"): Of the loss, which logs have where there are several.
        dtype (str, default None): "float32", which None means, or "float64".

    Raises:
        ValueError: As `Loss`.

    Example:
        >>> round(float(losses.CategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
        0.6931
    """

    _in_config = ("from_logits", "label_smoothing", "axis")

    def __init__(
        self,
        from_logits=False,
        label_smoothing=0.0,
        axis=-1,
        reduction="sum_over_batch_size",
        name="categorical_crossentropy",
        dtype=None,
    ):
        arguments = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(categorical_crossentropy, reduction, name, dtype, **arguments)


class SparseCategoricalCrossentropy(_Crossentropy):
    """The loss of `sparse_categorical_crossentropy`, reduced.

    Args:
        from_logits (bool, default False): Whether `y_pred` are logits, rather than probabilities.
        ignore_class (int, default None): Samples of this class count nothing; None is no class.
        reduction (str, default "sum_over_batch_size"): "sum_over_batch_size" or "mean" (the sum divided by the number
            of values), "sum", "mean_with_sample_weight" (divided by the sum of the weights), "none" or None.
        axis (int, default -1): -1 only.
        name (str, default "sparse_categorical_crossentropy"): Of the loss, which logs have where there are several.
        dtype (str, default None): "float32", which None means, or "float64".

    Raises:
        ValueError: As `Loss`.

    Example:
        >>> round(float(losses.SparseCategoricalCrossentropy()([1], [[0.5, 0.5]])), 4)
        0.6931
    """

    _in_config = ("from_logits", "ignore_class")

    def __init__(
        self,
        from_logits=False,
        ignore_class=None,
        reduction="sum_over_batch_size",
        axis=-1,
        name="sparse_categorical_crossentropy",
        dtype=None,
    ):
        arguments = {"from_logits": from_logits, "ignore_class": ignore_class, "axis": axis}
        super().__init__(sparse_categorical_crossentropy, reduction, name, dtype, **arguments)


class BinaryCrossentropy(_Crossentropy):
    """The loss of `binary_crossentropy`, reduced.

    Args:
        from_logits (bool, default False): Whether `y_pred` are logits, rather than probabilities.
        label_smoothing (float, default 0.0): Labels are moved towards 0.5 by half of it, from 0 to 1.
        axis (int, default -1): The axis that the mean is over.
        reduction (str, default "sum_over_batch_size"): "sum_over_batch_size" or "mean" (the sum divided by the number
            of values), "sum", "mean_with_sample_weight" (divided by the sum of the weights), "none" or None.
        name (str, default "binary_crossentropy"): Of the loss, which logs have where there are several.
        dtype (str, default None): "float32", which None means, or "float64".

    Raises:
        ValueError: As `Loss`.

    Example:
        >>> round(float(losses.BinaryCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
        0.6931
    """

    _in_config = ("from_logits", "label_smoothing", "axis")

    def __init__(
        self,
        from_logits=False,
        label_smoothing=0.0,
        axis=-1,
        reduction="sum_over_batch_size",
        name="binary_crossentropy",
        dtype=None,
    ):
        arguments = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(binary_crossentropy, reduction, name, dtype, **arguments)


class KLDivergence(LossFunctionWrapper):
    """The loss of `kl_divergence`, reduced.

    Args:
        reduction (str, default "sum_over_batch_size"): "sum_over_batch_size" or "mean" (the sum divided by the number
            of values), "sum", "mean_with_sample_weight" (divided by the sum of the weights), "none" or None.
        name (str, default "kl_divergence"): Of the loss, which logs have where there are several.
        dtype (str, default None): "float32", which None means, or "float64".

    Raises:
        ValueError: As `Loss`.

    Example:
        >>> round(float(losses.KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]])), 4)
        0.1438
    """

    def __init__(self, reduction="sum_over_batch_size", name="kl_divergence", dtype=None):
        super().__init__(kl_divergence, reduction, name, dtype)

    def get_config(self):
        return Loss.get_config(self)

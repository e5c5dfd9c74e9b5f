"""Loss: reduction, sample weights and masks, and the gradient of the reduced loss. https://keras.io/api/losses/

A loss function gives one value per sample (or timestep). Beside it stands, as its attribute `with_pullback`, the same
together with what turns the derivatives by those values into those by the predictions. Arrays are of the loss's dtype,
float32 unless it says otherwise; sums are taken in float64.
"""

import functools

import numpy as np

from fastseq.configs import serialization
from fastseq.errors import UnsupportedError
from fastseq.tensors import arrays, naming

_REDUCTIONS = ("sum_over_batch_size", "sum", None, "none", "mean", "mean_with_sample_weight")
_DTYPES = ("float32", "float64")


class Loss:
    """Base class of losses. A user's own one defines ``call(y_true, y_pred)``.

    In training it is traced and differentiated where it computes with `fastseq.ops`, `fastseq.backend`, NumPy's
    functions and operators; else it defines `call_with_pullback`, too.

    Args:
        name (str, default None): Of the loss; None makes one from the class's name.
        reduction (str, default "sum_over_batch_size"): "sum_over_batch_size" or "mean" (the sum divided by the number
            of values), "sum", "mean_with_sample_weight" (divided by the sum of the weights), "none" or None.
        dtype (str, default None): "float32", which None means, or "float64".

    Raises:
        ValueError: Another reduction; in a call, labels of a rank or size that does not go with the predictions.
        UnsupportedError: Another dtype; in training, a loss without a gradient.

    Example:
        >>> class Largest(losses.Loss):
        ...     def call(self, y_true, y_pred):
        ...         return np.max(np.abs(y_true - y_pred), axis=-1)
        >>> float(Largest()(np.zeros((2, 3)), np.array([[1, 2, 3], [0, 0, 1]])))
        2.0
    """

    def __init__(self, name=None, reduction="sum_over_batch_size", dtype=None):
        self.name = name or naming.auto_name(type(self).__name__)
        if reduction not in _REDUCTIONS:
            raise ValueError(
                f"Invalid value for argument `reduction`. Expected one of {_REDUCTIONS}. Received: "
                f"reduction={reduction}"
            )
        if dtype not in (None, *_DTYPES):
            raise UnsupportedError(f"Loss '{self.name}': dtype is one of {', '.join(_DTYPES)}. Received: {dtype}")
        self.reduction = reduction
        self.dtype = dtype or "float32"

    def __call__(self, y_true, y_pred, sample_weight=None):
        """The reduced loss, a NumPy scalar; with reduction "none" one value per sample.

        y_true, y_pred: array-likes; a mask that rides on `y_pred` counts. sample_weight: of the values' shape, or one
        that broadcasts to it.
        Raises ValueError for labels of a rank or size that does not go with the predictions, naming both shapes.
        """
        mask = arrays.mask_of(y_pred)
        y_true, y_pred = self._arrays(y_true, y_pred)
        with np.errstate(all="ignore"):
            values = self.call(y_true, y_pred)
        weights = _weights(values, sample_weight, _both(mask, arrays.mask_of(values)), self.reduction)
        values = np.asarray(values)
        if self.reduction in (None, "none"):
            return values if weights is None else _product(*_ranked(values, weights)).astype(self.dtype)
        return np.dtype(self.dtype).type(_reduced(values, weights, self.reduction)[0])

    def value_and_gradient(self, y_true, y_pred, sample_weight=None, mask=None):
        """The reduced loss and its derivative by the predictions.

        With reduction "none", as Keras trains, the mean of the values and the derivative of their sum.

        Args:
            y_true (array): Labels.
            y_pred (array): Predictions; a mask that rides on them counts.
            sample_weight (array, default None): Of the values' shape, or one that broadcasts to it.
            mask (array, default None): bool, beside the one that rides on `y_pred`.

        Returns:
            (float, array of `y_pred`'s shape).

        Raises:
            ValueError: Labels of a rank or size that does not go with the predictions.
            UnsupportedError: A loss without a gradient.
        """
        return self._value_and_gradient(self.call_with_pullback, y_true, y_pred, sample_weight, mask)

    def _value_and_gradient(self, call, y_true, y_pred, sample_weight, mask):
        mask = _both(mask, arrays.mask_of(y_pred))
        y_true, y_pred = self._arrays(y_true, y_pred)
        # NaN and infinity go through, as everywhere; `fit` looks at the loss.
        with np.errstate(all="ignore"):
            values, pullback = call(y_true, y_pred)
            weights = _weights(values, sample_weight, _both(mask, arrays.mask_of(values)), self.reduction)
            values = np.asarray(values)
            if self.reduction in (None, "none"):
                total, upstream = _reduced(values, weights, "mean")[0], _reduced(values, weights, "sum")[1]
            else:
                total, upstream = _reduced(values, weights, self.reduction)
            gradient = pullback(upstream.astype(self.dtype)).reshape(y_pred.shape)
        return float(total), np.asarray(gradient, self.dtype)

    def _arrays(self, y_true, y_pred):
        y_true = np.asarray(y_true)
        # Whole numbers stay: float32 has no class 16777217.
        y_true = y_true if y_true.dtype.kind in "iu" else y_true.astype(self.dtype)
        return y_true, np.asarray(y_pred, self.dtype)

    def call(self, y_true, y_pred):
        """The loss of each sample or timestep, not reduced yet; a subclass defines it.

        Args:
            y_true (array): Labels; floats in the loss's dtype, integers as they are.
            y_pred (array): Predictions, in the loss's dtype.

        Returns:
            array, shape (B,) or (B, T) ...

        Raises:
            NotImplementedError: A subclass does not define it.
        """
        raise NotImplementedError(f"Loss '{type(self).__name__}' does not define call(y_true, y_pred).")

    def call_with_pullback(self, y_true, y_pred):
        """`call`, and how derivatives by its values become those by the predictions; training needs it.

        Args:
            y_true (array): As `call` gets it.
            y_pred (array): As `call` gets it.

        Returns:
            (values, pullback): what `call` gives, and a function that takes the derivatives by these, of their shape,
            and gives those by `y_pred`, of its shape.

        Raises:
            UnsupportedError: A subclass does not define it.
        """
        raise UnsupportedError(
            f"Loss '{self.name}' has no gradient, so nothing can be trained with it. Give it a method "
            "call_with_pullback, or use fastseq.losses.with_gradient(function, gradient)."
        )

    def get_config(self):
        """The arguments that make another one like it.

        Returns:
            dict, as `from_config` takes it.
        """
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config):
        """One of these arguments.

        Args:
            config (dict): What `get_config` gives.

        Returns:
            A Loss.
        """
        return cls(**config)


class LossFunctionWrapper(Loss):
    """A loss from a function of `y_true` and `y_pred`; further arguments go to the function."""

    def __init__(self, fn, reduction="sum_over_batch_size", name=None, dtype=None, **kwargs):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.fn = fn
        self._fn_kwargs = kwargs

    def call(self, y_true, y_pred):
        return self.fn(*squeeze_or_expand_to_same_rank(y_true, y_pred), **self._fn_kwargs)

    def call_with_pullback(self, y_true, y_pred):
        function = getattr(self.fn, "with_pullback", None)
        if function is None:
            return super().call_with_pullback(y_true, y_pred)
        return function(*squeeze_or_expand_to_same_rank(y_true, y_pred), **self._fn_kwargs)

    def get_config(self):
        config = {"fn": serialization.serialize_keras_object(self.fn)}
        return {**super().get_config(), **config, **serialization.serialize_keras_object(self._fn_kwargs)}

    @classmethod
    def from_config(cls, config):
        if "fn" in config:
            function = serialization.deserialize_of_kind(config["fn"], "losses")
            config = {**serialization.deserialize_keras_object({**config, "fn": None}), "fn": function}
        return cls(**config)

    def __repr__(self):
        return f"<LossFunctionWrapper({self.fn}, kwargs={self._fn_kwargs})>"


def with_gradient(function, gradient):
    """`function` as a loss that can be trained with.

    Args:
        function (function): function(y_true, y_pred) gives one value per sample or timestep: an array of `y_pred`'s
            shape without its last axis or axes, or of all of it.
        gradient (function): gradient(y_true, y_pred) gives an array of `y_pred`'s shape, the derivative of each such
            value by the predictions it came from.

    Returns:
        A function that is called like `function` and has its name, for `compile(loss=...)`.

    Raises:
        ValueError: When it is used, where an array has another shape.

    Example:
        >>> def cubic(y_true, y_pred):
        ...     return np.mean(np.abs(y_pred - y_true) ** 3, axis=-1)
        >>> def derivative(y_true, y_pred):
        ...     return 3 * (y_pred - y_true) * np.abs(y_pred - y_true) / y_pred.shape[-1]
        >>> loss = losses.with_gradient(cubic, derivative)
        >>> loss(np.zeros((1, 2)), np.full((1, 2), 2.0)).tolist()
        [8.0]
    """

    @functools.wraps(function)
    def loss(y_true, y_pred):
        return function(y_true, y_pred)

    def with_pullback(y_true, y_pred):
        values = np.asarray(function(y_true, y_pred))
        derivative = np.asarray(gradient(y_true, y_pred))
        if derivative.shape != y_pred.shape:
            raise ValueError(
                f"The gradient of loss '{function.__name__}' has shape {derivative.shape}, the predictions "
                f"{y_pred.shape}."
            )
        if values.shape != y_pred.shape[: values.ndim]:
            raise ValueError(
                f"Loss '{function.__name__}' gave values of shape {values.shape} for predictions of {y_pred.shape}."
            )
        rest = (1,) * (y_pred.ndim - values.ndim)
        return values, lambda upstream: upstream.reshape(values.shape + rest) * derivative

    loss.with_pullback = with_pullback
    return loss


def squeeze_or_expand_to_same_rank(a, b, expand_rank_1=True):
    """Gives two arrays one rank, as Keras does, where they differ by a last axis of size 1; others stay as they are."""
    if a.ndim == b.ndim + 1 and a.shape[-1] == 1:
        return (a, b[..., None]) if b.ndim == 1 and expand_rank_1 else (a[..., 0], b)
    if b.ndim == a.ndim + 1 and b.shape[-1] == 1:
        return (a[..., None], b) if a.ndim == 1 and expand_rank_1 else (a, b[..., 0])
    return a, b


def check_same_shape(loss, y_true, y_pred):
    """Raises ValueError unless both have one shape; NumPy would broadcast (B, 1) against (B, 3) without a word."""
    if y_true.shape != y_pred.shape:
        raise ValueError(
            f"Loss {loss}: the labels have shape {y_true.shape}, the predictions {y_pred.shape}; the two must be alike."
        )


def apply_mask(sample_weight, mask, reduction):
    """Sample weights (float64, or None) with the mask in them: valid entries of a mean weigh total / valid."""
    if mask is None:
        return sample_weight
    weights = np.asarray(mask, np.float64)
    if reduction in ("mean", "sum_over_batch_size"):
        valid = weights.sum()
        weights = weights * (weights.size / valid if valid else 0.0)
    if sample_weight is None:
        return weights
    return _product(*squeeze_or_expand_to_same_rank(weights, sample_weight))


def _both(mask, other):
    return mask if other is None else other if mask is None else mask & other


def _weights(values, sample_weight, mask, reduction):
    if sample_weight is not None:
        sample_weight = np.asarray(sample_weight, np.float64)
    return apply_mask(sample_weight, mask, reduction)


def _ranked(values, weights):
    return squeeze_or_expand_to_same_rank(np.asarray(values), weights)


def _product(a, b):
    try:
        return a * b
    except ValueError:
        raise ValueError(f"Sample weights or masks of shapes {a.shape} and {b.shape} do not go together.") from None


def _reduced(values, weights, reduction):
    """The reduced loss (float64), and the derivatives of it by `values`, of their shape."""
    shape = values.shape
    if weights is None:
        count, ones = values.size, np.ones(shape)
        divisor = 1.0 if reduction == "sum" else float(count)
        return _divided(values.sum(dtype=np.float64), divisor), _divided(ones, divisor)
    values, weights = _ranked(values, weights)
    product = _product(values, weights)
    divisor = float(product.size)
    if reduction == "sum":
        divisor = 1.0
    elif reduction == "mean_with_sample_weight":
        divisor = float(weights.sum())
    upstream = np.broadcast_to(weights, product.shape)
    # Where there are more weights than values, a value counts once for each of its weights.
    extra = product.ndim - values.ndim
    axes = (*range(extra), *(i + extra for i, n in enumerate(values.shape) if n == 1 and product.shape[i + extra] > 1))
    upstream = upstream.sum(axis=axes, keepdims=True).reshape(shape) if axes else upstream.reshape(shape)
    return _divided(product.sum(), divisor), _divided(upstream, divisor)


def _divided(value, divisor):
    return value / divisor if divisor else value * 0.0

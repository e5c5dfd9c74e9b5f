"""Metric, Mean and MeanMetricWrapper. https://keras.io/api/metrics/

Totals are kept in float64: over the uneven batches of an epoch they are those of the epoch as one batch.
"""

import inspect

import numpy as np

from fastseq import initializers, losses
from fastseq.configs import serialization
from fastseq.losses.base import apply_mask, squeeze_or_expand_to_same_rank
from fastseq.tensors import arrays, naming
from fastseq.tensors.state_variable import StateVariable


class Metric:
    """Base class of metrics. A user's own one defines `update_state` and `result`, and keeps what `add_variable` gives.

    Totals are kept in float64: over the uneven batches of an epoch they are those of the epoch as one batch.

    Args:
        dtype (str, default None): Kept in the config; the state is float64 whatever it says.
        name (str, default None): Of the metric; None makes one from the class's name.

    Raises:
        NotImplementedError: In a call, where a subclass does not define `update_state` and `result`.

    Example:
        >>> class Count(metrics.Metric):
        ...     def __init__(self):
        ...         super().__init__(name="count")
        ...         self.seen = self.add_variable((), "zeros", name="seen")
        ...     def update_state(self, y_true, y_pred, sample_weight=None):
        ...         self.seen.assign_add(len(y_true))
        ...     def result(self):
        ...         return float(self.seen)
        >>> count = Count()
        >>> count.update_state(np.zeros(3), np.zeros(3))
        >>> count.result()
        3.0
    """

    def __init__(self, dtype=None, name=None):
        self.name = name or naming.auto_name(type(self).__name__)
        self.dtype = dtype or "float32"
        self._variables = []

    def add_variable(self, shape, initializer, dtype=None, aggregation="sum", name=None):
        """A new variable of the metric's state.

        Args:
            shape (tuple of int): Its shape.
            initializer (str, Initializer or function): What it begins as.
            dtype (str, default None): Not looked at: the state is float64.
            aggregation (str, default "sum"): Not looked at: there is one process.
            name (str, default None): Of the variable; None is "variable".

        Returns:
            A variable, with `assign`, `assign_add` and `numpy`.
        """
        value = initializers.get(initializer)(shape, dtype="float64")
        name = name or "variable"
        self._variables.append(StateVariable(value, name, f"{self.name}/{name}", "float64"))
        return self._variables[-1]

    def add_weight(self, shape=(), initializer="zeros", dtype=None, name=None):
        """Older name of `add_variable`.

        Args:
            shape (tuple of int, default ()): Its shape.
            initializer (str, Initializer or function, default "zeros"): What it begins as.
            dtype (str, default None): Not looked at: the state is float64.
            name (str, default None): Of the variable; None is "variable".

        Returns:
            A variable, as `add_variable`.
        """
        return self.add_variable(shape, initializer, dtype, name=name)

    @property
    def variables(self):
        """The state: a new list of what `add_variable` gave."""
        return self._variables[:]

    def reset_state(self):
        """Forgets what was seen."""
        for variable in self._variables:
            variable.assign(np.zeros(variable.shape))

    def update_state(self, *args, **kwargs):
        """Counts a batch; a subclass defines it.

        Args:
            *args: Labels and predictions, arrays of the same number of rows.
            **kwargs: `sample_weight`, an array or None.

        Raises:
            NotImplementedError: A subclass does not define it.
        """
        raise NotImplementedError(f"Metric '{type(self).__name__}' does not define update_state().")

    def result(self):
        """What the batches so far make; a subclass defines it.

        Returns:
            float, or an array.

        Raises:
            NotImplementedError: A subclass does not define it.
        """
        raise NotImplementedError(f"Metric '{type(self).__name__}' does not define result().")

    def __call__(self, *args, **kwargs):
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self):
        """The arguments that make another one like it.

        Returns:
            dict, as `from_config` takes it.
        """
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config):
        """One of these arguments.

        Args:
            config (dict): What `get_config` gives.

        Returns:
            A Metric.
        """
        return cls(**config)

    def __repr__(self):
        return f"<{type(self).__name__} name={self.name}>"


class Mean(Metric):
    """The mean of all values seen, weighted by sample weights of their shape or that of their first axes.

    Args:
        name (str, default "mean"): Of the metric, which logs have.
        dtype (str, default None): Kept in the config; the state is float64 whatever it says.

    Example:
        >>> mean = metrics.Mean()
        >>> mean.update_state([1.0, 2.0])
        >>> mean.update_state([6.0])
        >>> mean.result()
        3.0
    """

    def __init__(self, name="mean", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), "zeros", name="total")
        self.count = self.add_variable((), "zeros", name="count")

    def update_state(self, values, sample_weight=None):
        """Counts values.

        Args:
            values (array): Shape (B, ...); the mean over all but the first axis is one sample's.
            sample_weight (array, default None): Of their shape, or that of their first axes.
        """
        values, weights = _samplewise(values, sample_weight)
        if weights is not None:
            count = weights.sum()
        else:
            count = values.shape[0] if values.ndim else 1
        self.total.assign_add(values.sum())
        self.count.assign_add(count)

    def add(self, total, count):
        """Adds a sum of values that count so much together."""
        self.total._value += total
        self.count._value += count

    def result(self):
        """The mean; 0 before anything was seen.

        Returns:
            float.
        """
        return float(self.total) / float(self.count) if float(self.count) else 0.0


class MeanMetricWrapper(Mean):
    """The mean of what a function of `y_true` and `y_pred` gives.

    Args:
        fn (function): fn(y_true, y_pred, **kwargs) gives a value for each sample or timestep.
        name (str, default None): Of the metric; None makes one from the class's name.
        dtype (str, default None): Kept in the config; the state is float64 whatever it says.
        **kwargs: Further arguments of the function.

    Example:
        >>> metric = metrics.MeanMetricWrapper(losses.huber, delta=2.0)
        >>> metric([[0.0, 0.0]], [[1.0, 3.0]])
        2.25
    """

    def __init__(self, fn, name=None, dtype=None, **kwargs):
        super().__init__(name=name or naming.auto_name(type(self).__name__), dtype=dtype)
        self._fn = fn
        self._fn_kwargs = kwargs
        if fn in _loss_functions() or isinstance(fn, losses.Loss):
            self._direction = "down"

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Counts a batch. A mask that rides on `y_pred` counts beside the weights.

        Args:
            y_true (array): Labels.
            y_pred (array): Predictions.
            sample_weight (array, default None): Weights of the function's values.
        """
        mask = arrays.mask_of(y_pred)
        values = self._fn(np.asarray(y_true), np.asarray(y_pred), **self._fn_kwargs)
        if sample_weight is not None:
            sample_weight = np.asarray(sample_weight, np.float64)
        super().update_state(values, apply_mask(sample_weight, mask, "sum"))

    def get_config(self):
        config = {"fn": serialization.serialize_keras_object(self._fn)}
        return {**super().get_config(), **config, **serialization.serialize_keras_object(self._fn_kwargs)}

    @classmethod
    def from_config(cls, config):
        if "fn" in config:
            function = serialization.deserialize_of_kind(config["fn"], "metrics")
            config = {**serialization.deserialize_keras_object({**config, "fn": None}), "fn": function}
        return cls(**config)


class FunctionMetric(MeanMetricWrapper):
    """A metric of a built-in function, whose config holds its arguments rather than the function."""

    def get_config(self):
        return {**Metric.get_config(self), **self._fn_kwargs}


def _loss_functions():
    return [item for item in losses.ALL_OBJECTS_DICT.values() if not inspect.isclass(item)]


def _samplewise(values, sample_weight):
    """Values and weights (or None), one of each for each sample, as Keras reduces them."""
    mask = arrays.mask_of(values)
    values = np.asarray(values, np.float64)
    if sample_weight is not None:
        weights = np.asarray(sample_weight, np.float64)
        if mask is not None:
            weights = apply_mask(weights, mask, "sum")
        values, weights = squeeze_or_expand_to_same_rank(values, weights)
        if values.ndim > weights.ndim:
            values = values.mean(axis=tuple(range(weights.ndim, values.ndim)))
        try:
            weights = np.broadcast_to(weights, values.shape)
        except ValueError:
            raise ValueError(
                f"Sample weights of shape {weights.shape} do not go with values of shape {values.shape}."
            ) from None
        values = values * weights
        sample_weight = weights.mean(axis=tuple(range(1, weights.ndim))) if weights.ndim > 1 else weights
    if values.ndim > 1:
        values = values.mean(axis=tuple(range(1, values.ndim)))
    return values, sample_weight

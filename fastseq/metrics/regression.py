"""Metrics of real-valued predictions. https://keras.io/api/metrics/regression_metrics/"""

from fastseq.losses import mean_absolute_error, mean_absolute_percentage_error, mean_squared_error
from fastseq.metrics.base import FunctionMetric


class MeanSquaredError(FunctionMetric):
    """The mean of `losses.mean_squared_error`."""

    def __init__(self, name="mean_squared_error", dtype=None):
        super().__init__(mean_squared_error, name, dtype)


class MeanAbsoluteError(FunctionMetric):
    """The mean of `losses.mean_absolute_error`."""

    def __init__(self, name="mean_absolute_error", dtype=None):
        super().__init__(mean_absolute_error, name, dtype)


class MeanAbsolutePercentageError(FunctionMetric):
    """The mean of `losses.mean_absolute_percentage_error`."""

    def __init__(self, name="mean_absolute_percentage_error", dtype=None):
        super().__init__(mean_absolute_percentage_error, name, dtype)

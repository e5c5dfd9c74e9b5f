"""Metrics of real-valued predictions. https://keras.io/api/metrics/regression_metrics/"""

from fastseq.losses import mean_absolute_error, mean_absolute_percentage_error, mean_squared_error
from fastseq.metrics.base import FunctionMetric


class MeanSquaredError(FunctionMetric):
    """The mean of `losses.mean_squared_error`.

    Args:
        name (str, default "mean_squared_error"): Of the metric, which logs have.
        dtype (str, default None): Kept in the config; the state is float64 whatever it says.

    Raises:
        ValueError: When it is updated, for labels of another shape than the predictions.

    Example:
        >>> metrics.MeanSquaredError()([[0.0, 1.0]], [[1.0, 3.0]])
        2.5
    """

    def __init__(self, name="mean_squared_error", dtype=None):
        super().__init__(mean_squared_error, name, dtype)


class MeanAbsoluteError(FunctionMetric):
    """The mean of `losses.mean_absolute_error`.

    Args:
        name (str, default "mean_absolute_error"): Of the metric, which logs have.
        dtype (str, default None): Kept in the config; the state is float64 whatever it says.

    Raises:
        ValueError: When it is updated, for labels of another shape than the predictions.

    Example:
        >>> metrics.MeanAbsoluteError()([[0.0, 1.0]], [[1.0, 3.0]])
        1.5
    """

    def __init__(self, name="mean_absolute_error", dtype=None):
        super().__init__(mean_absolute_error, name, dtype)


class MeanAbsolutePercentageError(FunctionMetric):
    """The mean of `losses.mean_absolute_percentage_error`, in per cent.

    Args:
        name (str, default "mean_absolute_percentage_error"): Of the metric, which logs have.
        dtype (str, default None): Kept in the config; the state is float64 whatever it says.

    Raises:
        ValueError: When it is updated, for labels of another shape than the predictions.

    Example:
        >>> metrics.MeanAbsolutePercentageError()([[2.0, 4.0]], [[1.0, 4.0]])
        25.0
    """

    def __init__(self, name="mean_absolute_percentage_error", dtype=None):
        super().__init__(mean_absolute_percentage_error, name, dtype)

"""Metrics with Keras's names, arguments and numbers. https://keras.io/api/metrics/"""

from fastseq.configs import serialization
from fastseq.configs.lazy_names import own_face, publish
from fastseq.losses import choose
from fastseq.losses.regression import mean_absolute_error, mean_absolute_percentage_error, mean_squared_error
from fastseq.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from fastseq.metrics.base import Mean, MeanMetricWrapper, Metric
from fastseq.metrics.confusion import Precision, Recall
from fastseq.metrics.regression import MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredError
from fastseq.tensors.naming import to_snake_case

_CLASSES = (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    Mean,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanMetricWrapper,
    MeanSquaredError,
    Metric,
    Precision,
    Recall,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
)
ALL_OBJECTS_DICT = {cls.__name__: cls for cls in _CLASSES}
ALL_OBJECTS_DICT |= {to_snake_case(cls.__name__): cls for cls in _CLASSES}
for _names, _class in (
    ("mae MAE", MeanAbsoluteError),
    ("mape MAPE", MeanAbsolutePercentageError),
    ("mse MSE", MeanSquaredError),
):
    ALL_OBJECTS_DICT |= dict.fromkeys(_names.split(), _class)
FUNCTIONS = (
    binary_accuracy,
    categorical_accuracy,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
ALL_FUNCTIONS_DICT = {function.__name__: function for function in FUNCTIONS}
__all__ = [
    *(cls.__name__ for cls in _CLASSES),
    *(function.__name__ for function in FUNCTIONS),
    "deserialize",
    "get",
    "serialize",
]
publish(globals())


def serialize(metric):
    """The config dict of a metric.

    Args:
        metric (Metric or function): What is described.

    Returns:
        dict, in Keras's form.

    Raises:
        UnsupportedError: A lambda, or an object without `get_config()`.

    Example:
        >>> metrics.serialize(metrics.Mean())["class_name"]
        'Mean'
    """
    return serialization.serialize_keras_object(metric)


def deserialize(config, custom_objects=None):
    """The metric of a config dict, or the object of a name.

    Args:
        config (dict or str): What `serialize` gives.
        custom_objects (dict, default None): Name -> class or function of your own, beside the registered ones.

    Returns:
        A Metric or a function; a name that nobody has is returned as it is, as in Keras.

    Raises:
        UnsupportedError: A class or function that nobody registered.
        FileFormatError: A config of no known form.

    Example:
        >>> metrics.deserialize(metrics.serialize(metrics.Precision(top_k=2))).top_k
        2
    """
    return serialization.deserialize_keras_object(config, custom_objects, module_objects=ALL_OBJECTS_DICT)


def get(identifier):
    """A metric from its name, config dict, class, or any callable.

    Args:
        identifier (str, dict, class or function): What is meant; None gives None.

    Returns:
        A Metric, a function, or None.

    Raises:
        ValueError: No such metric.

    Example:
        >>> metrics.get("mae").name
        'mean_absolute_error'
    """
    names = sorted({to_snake_case(name) for name in ALL_OBJECTS_DICT} - {"metric", "mean_metric_wrapper"})
    return serialization.callable_of(identifier, "metric", ALL_OBJECTS_DICT, names)


def for_output(identifier, y_true, y_pred):
    """The `Metric` that compile's `identifier` means for an output with such labels and predictions.

    "accuracy" and "acc" choose one by the shapes, as Keras does. A string is also the metric's name, a function's name
    in snake case that of its mean. Raises ValueError for None and unknown names.
    """
    if identifier is None:
        raise ValueError("Expected a metric, received None.")
    if isinstance(identifier, str) and identifier.lower() in ("accuracy", "acc"):
        return choose(y_true, y_pred, BinaryAccuracy, SparseCategoricalAccuracy, CategoricalAccuracy)(name=identifier)
    found = get(identifier)
    if isinstance(found, Metric):
        if isinstance(identifier, str):
            found.name = identifier
        return found
    name = getattr(found, "name", None) or to_snake_case(getattr(found, "__name__", None) or type(found).__name__)
    return MeanMetricWrapper(found, name=name)


__getattr__, __dir__ = own_face(globals())

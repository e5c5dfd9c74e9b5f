"""Losses with Keras's names, arguments and numbers, and their gradients. https://keras.io/api/losses/"""

from fastseq.configs import serialization
from fastseq.configs.lazy_names import own_face, publish
from fastseq.losses.base import Loss, LossFunctionWrapper, with_gradient
from fastseq.losses.ctc import CTC, ctc
from fastseq.losses.probabilistic import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    KLDivergence,
    SparseCategoricalCrossentropy,
    binary_crossentropy,
    categorical_crossentropy,
    kl_divergence,
    sparse_categorical_crossentropy,
)
from fastseq.losses.regression import (
    Huber,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    huber,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
)

_CLASS_OF = {
    binary_crossentropy: BinaryCrossentropy,
    categorical_crossentropy: CategoricalCrossentropy,
    ctc: CTC,
    huber: Huber,
    kl_divergence: KLDivergence,
    mean_absolute_error: MeanAbsoluteError,
    mean_absolute_percentage_error: MeanAbsolutePercentageError,
    mean_squared_error: MeanSquaredError,
    sparse_categorical_crossentropy: SparseCategoricalCrossentropy,
}
ALL_OBJECTS_DICT = {item.__name__: item for pair in _CLASS_OF.items() for item in pair}
ALL_OBJECTS_DICT |= {"Loss": Loss, "LossFunctionWrapper": LossFunctionWrapper}
for _names, _function in (
    ("bce BCE", binary_crossentropy),
    ("kld KLD", kl_divergence),
    ("mae MAE", mean_absolute_error),
    ("mape MAPE", mean_absolute_percentage_error),
    ("mse MSE", mean_squared_error),
):
    ALL_OBJECTS_DICT |= dict.fromkeys(_names.split(), _function)
_PUBLIC = [name for name, item in ALL_OBJECTS_DICT.items() if name == item.__name__ and name != "LossFunctionWrapper"]
__all__ = sorted(_PUBLIC) + ["deserialize", "get", "serialize", "with_gradient"]
publish(globals())


def serialize(loss):
    """The config of a loss or loss function.

    Args:
        loss (Loss or function): What is described.

    Returns:
        dict, in Keras's form.

    Raises:
        UnsupportedError: A lambda, or an object without `get_config()`.

    Example:
        >>> losses.serialize(losses.Huber())["config"]["delta"]
        1.0
    """
    return serialization.serialize_keras_object(loss)


def deserialize(name, custom_objects=None):
    """The loss of a config dict, or the object of a name.

    Args:
        name (dict or str): What `serialize` gives.
        custom_objects (dict, default None): Name -> class or function of your own, beside the registered ones.

    Returns:
        A Loss or a function; a name that nobody has is returned as it is, as in Keras.

    Raises:
        UnsupportedError: A class or function that nobody registered.
        FileFormatError: A config of no known form.

    Example:
        >>> losses.deserialize("mse").__name__
        'mean_squared_error'
    """
    return serialization.deserialize_keras_object(name, custom_objects, module_objects=ALL_OBJECTS_DICT)


def get(identifier):
    """A loss or loss function from its name, config dict, class, or any callable.

    Args:
        identifier (str, dict, class or function): What is meant; None gives None.

    Returns:
        A Loss, a function, or None.

    Raises:
        ValueError: No such loss.

    Example:
        >>> losses.get("mse").__name__
        'mean_squared_error'
    """
    return serialization.callable_of(identifier, "loss", ALL_OBJECTS_DICT, sorted(_PUBLIC))


def for_output(identifier, y_true, y_pred):
    """The `Loss` that compile's `identifier` means for an output with such labels and predictions; None is None.

    "crossentropy" and "ce" choose one by the shapes, as Keras does. A built-in function becomes the class of its name.
    """
    if identifier is None or isinstance(identifier, Loss):
        return identifier
    if isinstance(identifier, str) and identifier.lower() in ("crossentropy", "ce"):
        found = choose(y_true, y_pred, binary_crossentropy, sparse_categorical_crossentropy, categorical_crossentropy)
    else:
        found = get(identifier)
    if isinstance(found, Loss):
        return found
    name = identifier if isinstance(identifier, str) else getattr(found, "__name__", type(found).__name__)
    if found in _CLASS_OF:
        return _CLASS_OF[found](name=name)
    return LossFunctionWrapper(found, name=name)


def choose(y_true, y_pred, binary, sparse, categorical):
    """One of three by the shapes of labels and predictions: how Keras tells what "accuracy" and "crossentropy" mean."""
    truth, predicted = y_true.shape, y_pred.shape
    if predicted[-1] == 1:
        return binary
    return sparse if len(truth) < len(predicted) or truth[-1] == 1 else categorical


__getattr__, __dir__ = own_face(globals())

"""Optimizers and learning-rate schedules with Keras's names, arguments and numbers. https://keras.io/api/optimizers/"""

from fastseq.configs import serialization
from fastseq.configs.lazy_names import own_face, publish
from fastseq.optimizers import schedules
from fastseq.optimizers.adadelta import Adadelta
from fastseq.optimizers.adagrad import Adagrad
from fastseq.optimizers.adam import Adam, AdamW
from fastseq.optimizers.base import Optimizer
from fastseq.optimizers.nadam import Nadam
from fastseq.optimizers.rmsprop import RMSprop
from fastseq.optimizers.sgd import SGD

_CLASSES = (Adadelta, Adagrad, Adam, AdamW, Nadam, Optimizer, RMSprop, SGD)
ALL_OBJECTS_DICT = {cls.__name__: cls for cls in _CLASSES}
# Names in lower case, as "rmsprop", name an optimizer too.
_BY_NAME = {**ALL_OBJECTS_DICT, **{cls.__name__.lower(): cls for cls in _CLASSES}}
__all__ = [*ALL_OBJECTS_DICT, "deserialize", "get", "schedules", "serialize"]
publish(globals())


def serialize(optimizer):
    """The config dict of an optimizer.

    Args:
        optimizer (Optimizer): What is described.

    Returns:
        dict, in Keras's form.

    Raises:
        UnsupportedError: An object without `get_config()`.

    Example:
        >>> optimizers.serialize(optimizers.SGD(0.5))["config"]["learning_rate"]
        0.5
    """
    return serialization.serialize_keras_object(optimizer)


def deserialize(config, custom_objects=None):
    """The optimizer of a config dict; the class's name may be in any case.

    Args:
        config (dict): What `serialize` gives.
        custom_objects (dict, default None): Name -> class or function of your own, beside the registered ones.

    Returns:
        An Optimizer.

    Raises:
        UnsupportedError: A class that nobody registered.
        FileFormatError: A config of no known form.

    Example:
        >>> optimizers.deserialize({"class_name": "sgd", "config": {"learning_rate": 0.5}}).name
        'sgd...'
    """
    name = config.get("class_name")
    if isinstance(name, str) and name.lower() in _BY_NAME:
        config = {**config, "class_name": name.lower()}
    return serialization.deserialize_keras_object(config, custom_objects, module_objects=_BY_NAME)


def get(identifier):
    """An optimizer from its name, config dict, class, or itself.

    Args:
        identifier (str, dict, class or Optimizer): What is meant; a name may be in any case. None gives None.

    Returns:
        An Optimizer, or None.

    Raises:
        ValueError: No such optimizer.

    Example:
        >>> type(optimizers.get("adam")).__name__
        'Adam'
    """
    if identifier is None:
        return None
    found = identifier
    if isinstance(identifier, str):
        found = _BY_NAME.get(identifier.lower(), identifier)
    elif isinstance(identifier, dict):
        found = deserialize(identifier)
    if isinstance(found, type) and issubclass(found, Optimizer):
        found = found()
    if isinstance(found, Optimizer):
        return found
    raise ValueError(f"Could not interpret optimizer identifier: {identifier}. There are: {_names()}.")


def _names():
    return ", ".join(name for name in ALL_OBJECTS_DICT if name != "Optimizer")


__getattr__, __dir__ = own_face(globals())

"""Keras's weight initializers on NumPy's random generators.

Called as ``initializer(shape, dtype=None)``, they return an array of that shape, float32 unless ``dtype`` says
otherwise. Distributions, arguments and the meaning of seeds are Keras's: the same integer seed gives the same values
at every call, also after a restart; the values themselves differ from those of Keras's backends, which differ from one
another too. Reference: https://keras.io/api/layers/initializers/
"""

import inspect

import numpy as np

from fastseq.configs import serialization
from fastseq.configs.lazy_names import own_face, publish
from fastseq.initializers.base import Initializer, RandomInitializer
from fastseq.initializers.constant import Constant, Identity, Ones, Zeros
from fastseq.initializers.random import Orthogonal, RandomNormal, RandomUniform, TruncatedNormal
from fastseq.initializers.scaling import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    VarianceScaling,
    compute_fans,
)
from fastseq.tensors.naming import to_snake_case
from fastseq.tensors.seeds import SeedGenerator

_CLASSES = (
    *(Initializer, Constant, Identity, Ones, Zeros, GlorotNormal, GlorotUniform, HeNormal, HeUniform, LecunNormal),
    *(LecunUniform, Orthogonal, RandomNormal, RandomUniform, TruncatedNormal, VarianceScaling),
)
# What makes seeds, which configs name beside them.
RANDOM_OBJECTS_DICT = {"SeedGenerator": SeedGenerator}
ALL_OBJECTS_DICT = {
    **{cls.__name__: cls for cls in _CLASSES},
    **{to_snake_case(cls.__name__): cls for cls in _CLASSES},
    "IdentityInitializer": Identity,
    "OrthogonalInitializer": Orthogonal,
    "normal": RandomNormal,
    "uniform": RandomUniform,
    "one": Ones,
    "zero": Zeros,
}
zeros, ones, constant, identity, orthogonal = Zeros, Ones, Constant, Identity, Orthogonal
IdentityInitializer, OrthogonalInitializer = Identity, Orthogonal
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal
variance_scaling, glorot_normal, glorot_uniform = VarianceScaling, GlorotNormal, GlorotUniform
he_normal, he_uniform, lecun_normal, lecun_uniform = HeNormal, HeUniform, LecunNormal, LecunUniform
__all__ = [
    *(cls.__name__ for cls in _CLASSES),
    *(to_snake_case(cls.__name__) for cls in _CLASSES[1:]),
    "IdentityInitializer",
    "OrthogonalInitializer",
    "RandomInitializer",
    "compute_fans",
    "deserialize",
    "get",
    "serialize",
]
publish(globals())


def serialize(initializer):
    """The config dict of an initializer.

    Args:
        initializer (Initializer): What is described.

    Returns:
        dict, in Keras's form.

    Raises:
        UnsupportedError: A lambda, or an object without `get_config()`.

    Example:
        >>> initializers.serialize(initializers.Constant(2.0))["config"]
        {'value': 2.0}
    """
    return serialization.serialize_keras_object(initializer)


def deserialize(config, custom_objects=None):
    """The initializer of a config dict or name.

    Args:
        config (dict or str): What `serialize` gives.
        custom_objects (dict, default None): Name -> class or function of your own, beside the registered ones.

    Returns:
        An Initializer; a name that nobody has is returned as it is, as in Keras.

    Raises:
        UnsupportedError: A class that nobody registered.
        FileFormatError: A config of no known form.

    Example:
        >>> initializers.deserialize(initializers.serialize(initializers.Constant(2.0))).value
        2.0
    """
    return serialization.deserialize_keras_object(config, custom_objects, module_objects=ALL_OBJECTS_DICT)


def get(identifier):
    """An initializer from its name, config dict, class, an array of the weight's shape, or any callable.

    Args:
        identifier (str, dict, class, array or function): What is meant; None gives None.

    Returns:
        An Initializer or a function of (shape, dtype), or None.

    Raises:
        ValueError: No such initializer.

    Example:
        >>> initializers.get("ones")((2,))
        array([1., 1.], dtype=float32)
    """
    if identifier is None:
        return None
    found = identifier
    if isinstance(identifier, (dict, str)):
        found = deserialize(identifier)
    elif isinstance(identifier, (np.ndarray, np.generic)):
        found = _given_values(identifier)
    if inspect.isclass(found):
        found = found()
    if callable(found):
        return found
    raise ValueError(
        f"Could not interpret initializer identifier: {identifier}. "
        f"The built-in ones are {', '.join(sorted(to_snake_case(cls.__name__) for cls in _CLASSES[1:]))}."
    )


def _given_values(array):
    """An initializer that files and copies can hold: a Constant."""
    found = Constant(array)
    found._only_its_shape = True
    return found


__getattr__, __dir__ = own_face(globals())

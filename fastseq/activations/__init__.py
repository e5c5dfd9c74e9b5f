"""Keras's activation functions on NumPy arrays.

Each function computes in the floating dtype of its input, so that a float64 input gives the float64 answer that the
native kernels are tested against. Integers, booleans and plain Python numbers and lists become float32, the float
type of Keras. Shapes are kept, except by ``glu``, which halves one axis. Reference: https://keras.io/api/layers/activations/
"""

import functools
import inspect
import math

from fastseq.activations.piecewise import (
    hard_shrink,
    hard_sigmoid,
    hard_sigmoid_keras2,
    hard_silu,
    hard_tanh,
    leaky_relu,
    linear,
    relu,
    relu6,
    soft_shrink,
    sparse_plus,
    sparse_sigmoid,
    threshold,
)
from fastseq.activations.rows import log_softmax, softmax, sparsemax
from fastseq.activations.smooth import (
    celu,
    elu,
    exponential,
    gelu,
    glu,
    log_sigmoid,
    mish,
    selu,
    sigmoid,
    silu,
    softplus,
    softsign,
    squareplus,
    tanh,
    tanh_shrink,
)
from fastseq.configs import registry, serialization
from fastseq.configs.lazy_names import own_face, publish

ALL_OBJECTS_DICT = {
    function.__name__: function
    for function in (
        *(relu, leaky_relu, relu6, softmax, celu, elu, selu, softplus, softsign, squareplus, soft_shrink, sparse_plus),
        *(silu, gelu, glu, tanh, tanh_shrink, threshold, sigmoid, sparse_sigmoid, exponential, hard_sigmoid),
        *(hard_silu, hard_tanh, hard_shrink, linear, mish, log_softmax, log_sigmoid, sparsemax),
        # Not a name of Keras 3, which therefore refuses a file with it: no other activation gives its numbers.
        hard_sigmoid_keras2,
    )
}
swish = ALL_OBJECTS_DICT["swish"] = silu
hard_swish = ALL_OBJECTS_DICT["hard_swish"] = hard_silu
__all__ = [*ALL_OBJECTS_DICT, "deserialize", "get", "serialize"]
publish(globals())


def serialize(activation):
    """The name of a built-in activation, or the config dict of any other function or object.

    Args:
        activation (function or object): What is described.

    Returns:
        str or dict.

    Raises:
        UnsupportedError: A lambda, or an object with neither a name nor a get_config().

    Example:
        >>> activations.serialize(activations.relu)
        'relu'
    """
    if ALL_OBJECTS_DICT.get(getattr(activation, "__name__", None)) is activation:
        return activation.__name__
    return serialization.serialize_keras_object(activation)


def deserialize(config, custom_objects=None):
    """The activation a config names.

    Args:
        config (str or dict): What `serialize` gives.
        custom_objects (dict, default None): Name -> class or function of your own, beside the registered ones.

    Returns:
        A function or layer; ``config`` itself if it is no activation's name, as in Keras.

    Raises:
        UnsupportedError: A class or function that nobody registered.
        FileFormatError: A config of no known form.

    Example:
        >>> activations.deserialize("relu") is activations.relu
        True
    """
    return serialization.deserialize_keras_object(config, custom_objects, module_objects=ALL_OBJECTS_DICT)


def get(identifier):
    """An activation from its name, its config dict, or a callable, which is returned as it is.

    A name that is no built-in activation is looked up among the custom objects.

    Args:
        identifier (str, dict or function): What is meant; None is ``linear``.

    Returns:
        A function or layer.

    Raises:
        ValueError: No such activation.

    Example:
        >>> activations.get("relu") is activations.relu
        True
    """
    if identifier is None:
        return linear
    found = identifier
    if isinstance(identifier, dict):
        found = deserialize(identifier)
    elif isinstance(identifier, str):
        found = ALL_OBJECTS_DICT.get(identifier) or registry.get_registered_object(identifier)
    if callable(found):
        return found
    raise ValueError(
        f"Could not interpret activation function identifier: {identifier}. "
        f"The built-in ones are {', '.join(sorted(ALL_OBJECTS_DICT))}."
    )


# Which arguments of an activation its native kernel takes, in its order of parameters.
_NATIVE_PARAMETERS = {
    "relu": ("negative_slope", "max_value", "threshold"),
    "leaky_relu": ("negative_slope",),
    "elu": ("alpha",),
    "celu": ("alpha",),
    "squareplus": ("b",),
    "soft_shrink": ("threshold",),
    "hard_shrink": ("threshold",),
    "threshold": ("threshold", "default_value"),
}


def native_spec(activation):
    """``(name, params)`` of the native kernel that computes ``activation``, or None if no kernel does.

    ``activation`` is a function of this module, or a ``functools.partial`` of one with keyword arguments. ``params``
    are up to three floats; relu's missing ``max_value`` is inf. A row-wise kernel works on the last axis only, and a
    ``threshold`` without its arguments cannot be called, so those give None, like any function of a user.
    """
    keywords = {}
    if isinstance(activation, functools.partial) and not activation.args:
        activation, keywords = activation.func, activation.keywords
    name = getattr(activation, "__name__", None)
    if name not in ALL_OBJECTS_DICT or ALL_OBJECTS_DICT[name] is not activation:
        return None
    arguments = {
        key: keywords.get(key, parameter.default)
        for key, parameter in list(inspect.signature(activation).parameters.items())[1:]
    }
    if set(keywords) - set(arguments) or inspect.Parameter.empty in arguments.values():
        return None
    if arguments.pop("axis", -1) != -1:
        return None
    if arguments.pop("approximate", False):
        name = "gelu_tanh"
    if name == "relu" and arguments["max_value"] is None:
        arguments["max_value"] = math.inf
    return name, tuple(float(arguments[key]) for key in _NATIVE_PARAMETERS.get(name, ()))


__getattr__, __dir__ = own_face(globals())

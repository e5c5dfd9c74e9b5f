"""Keras's weight constraints: called on an array, they return one that obeys. https://keras.io/api/layers/constraints/

Results have the dtype and shape of a floating input. Norms are those of the vectors along ``axis`` (an int, or several
of them): 0 for a Dense kernel (inputs, units) constrains the incoming weights of every unit.
"""

import numpy as np

from fastseq.configs import serialization
from fastseq.configs.lazy_names import own_face
from fastseq.tensors import settings
from fastseq.tensors.naming import to_snake_case


class Constraint:
    """Base class of constraints: a subclass defines ``__call__(w)``, which returns an array, and ``get_config``.

    Example:
        >>> class AtMostOne(constraints.Constraint):
        ...     def __call__(self, w):
        ...         return np.minimum(w, 1)
        >>> AtMostOne()(np.array([0.5, 2.0]))
        array([0.5, 1. ])
    """

    def __call__(self, w):
        return w

    def get_config(self):
        """The arguments that make another one like it.

        Returns:
            dict, as `from_config` takes it.
        """
        return {}

    @classmethod
    def from_config(cls, config):
        """One of these arguments.

        Args:
            config (dict): What `get_config` gives.

        Returns:
            A Constraint.
        """
        return cls(**config)


class MaxNorm(Constraint):
    """Scales vectors longer than ``max_value`` down to that norm. Source: Srivastava et al. 2014,
    https://jmlr.org/papers/v15/srivastava14a.html.

    Args:
        max_value (float, default 2): The largest norm.
        axis (int or list, default 0): The axis, or axes, along which the vectors lie whose norm counts: 0 for a Dense
            kernel (inputs, units) constrains the incoming weights of every unit.

    Example:
        >>> constraints.MaxNorm(1.0)(np.array([[3.0], [4.0]])).round(4)
        array([[0.6],
               [0.8]])
    """

    def __init__(self, max_value=2, axis=0):
        self.max_value = max_value
        self.axis = axis

    def __call__(self, w):
        w, norms = _with_norms(w, self.axis)
        return w * (np.clip(norms, 0, self.max_value) / (settings.epsilon() + norms))

    def get_config(self):
        return {"max_value": self.max_value, "axis": self.axis}


class NonNeg(Constraint):
    """Sets negative weights to zero.

    Example:
        >>> constraints.NonNeg()(np.array([-1.0, 2.0]))
        array([0., 2.])
    """

    def __call__(self, w):
        return np.maximum(w, 0)


class UnitNorm(Constraint):
    """Scales every vector to norm 1.

    Args:
        axis (int or list, default 0): The axis, or axes, along which the vectors lie whose norm counts: 0 for a Dense
            kernel (inputs, units) constrains the incoming weights of every unit.

    Example:
        >>> constraints.UnitNorm()(np.array([[3.0], [4.0]])).round(4)
        array([[0.6],
               [0.8]])
    """

    def __init__(self, axis=0):
        self.axis = axis

    def __call__(self, w):
        w, norms = _with_norms(w, self.axis)
        return w / (settings.epsilon() + norms)

    def get_config(self):
        return {"axis": self.axis}


class MinMaxNorm(Constraint):
    """Moves norms towards the range from ``min_value`` to ``max_value``.

    Args:
        min_value (float, default 0.0): The smallest norm.
        max_value (float, default 1.0): The largest norm.
        rate (float, default 1.0): How far norms are moved; 1 is all the way.
        axis (int or list, default 0): The axis, or axes, along which the vectors lie whose norm counts: 0 for a Dense
            kernel (inputs, units) constrains the incoming weights of every unit.

    Example:
        >>> constraints.MinMaxNorm(10.0, 20.0)(np.array([[3.0], [4.0]])).round(4)
        array([[6.],
               [8.]])
    """

    def __init__(self, min_value=0.0, max_value=1.0, rate=1.0, axis=0):
        self.min_value = min_value
        self.max_value = max_value
        self.rate = rate
        self.axis = axis

    def __call__(self, w):
        w, norms = _with_norms(w, self.axis)
        wanted = self.rate * np.clip(norms, self.min_value, self.max_value) + (1 - self.rate) * norms
        return w * (wanted / (settings.epsilon() + norms))

    def get_config(self):
        return {"min_value": self.min_value, "max_value": self.max_value, "rate": self.rate, "axis": self.axis}


def _with_norms(w, axis):
    w = np.asarray(w)
    w = w if w.dtype.kind == "f" else w.astype(np.float32)
    # A list of axes comes out of a JSON config, where NumPy wants a tuple.
    axis = tuple(axis) if isinstance(axis, list) else axis
    return w, np.sqrt(np.sum(np.square(w), axis=axis, keepdims=True))


_CLASSES = (Constraint, MaxNorm, MinMaxNorm, NonNeg, UnitNorm)
ALL_OBJECTS_DICT = {
    **{cls.__name__: cls for cls in _CLASSES},
    **{to_snake_case(cls.__name__): cls for cls in _CLASSES},
}
max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm
__all__ = [
    *(cls.__name__ for cls in _CLASSES),
    "max_norm",
    "min_max_norm",
    "non_neg",
    "unit_norm",
    "deserialize",
    "get",
    "serialize",
]


def serialize(constraint):
    """The config dict of a constraint.

    Args:
        constraint (Constraint): What is described.

    Returns:
        dict, in Keras's form.

    Raises:
        UnsupportedError: A lambda, or an object without `get_config()`.

    Example:
        >>> constraints.serialize(constraints.UnitNorm())["config"]
        {'axis': 0}
    """
    return serialization.serialize_keras_object(constraint)


def deserialize(config, custom_objects=None):
    """The constraint of a config dict, or the object of a name.

    Args:
        config (dict or str): What `serialize` gives.
        custom_objects (dict, default None): Name -> class or function of your own, beside the registered ones.

    Returns:
        A Constraint; a name that nobody has is returned as it is, as in Keras.

    Raises:
        UnsupportedError: A class that nobody registered.
        FileFormatError: A config of no known form.

    Example:
        >>> constraints.deserialize(constraints.serialize(constraints.MaxNorm(3.0))).max_value
        3.0
    """
    return serialization.deserialize_keras_object(config, custom_objects, module_objects=ALL_OBJECTS_DICT)


def get(identifier):
    """A constraint from its name, config dict, class, or any callable.

    Args:
        identifier (str, dict, class or function): What is meant; None gives None.

    Returns:
        A Constraint or a function of an array, or None.

    Raises:
        ValueError: No such constraint.

    Example:
        >>> constraints.get("non_neg")(np.array([-1.0, 2.0]))
        array([0., 2.])
    """
    names = ("max_norm", "min_max_norm", "non_neg", "unit_norm")
    return serialization.callable_of(identifier, "constraint", ALL_OBJECTS_DICT, names)


__getattr__, __dir__ = own_face(globals())

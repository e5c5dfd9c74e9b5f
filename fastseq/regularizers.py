"""Keras's weight penalties: called on an array, they return a float. https://keras.io/api/layers/regularizers/"""

import math

import numpy as np

from fastseq.configs import serialization
from fastseq.configs.lazy_names import own_face
from fastseq.tensors import settings
from fastseq.tensors.naming import to_snake_case


class Regularizer:
    """Base class of regularizers: a subclass defines ``__call__(x)``, which returns a number, and ``get_config``.

    Training differentiates a call that computes with `fastseq.ops`, NumPy's functions and operators; any other needs a
    method ``gradient(x)``.

    Example:
        >>> class Largest(regularizers.Regularizer):
        ...     def __call__(self, x):
        ...         return float(np.abs(x).max())
        >>> Largest()(np.array([1.0, -3.0]))
        3.0
    """

    def __call__(self, x):
        return 0.0

    def get_config(self):
        """The arguments that make another one like it.

        Returns:
            dict, as `from_config` takes it.

        Raises:
            NotImplementedError: A subclass does not define it.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define get_config().")

    @classmethod
    def from_config(cls, config):
        """One of these arguments.

        Args:
            config (dict): What `get_config` gives.

        Returns:
            A Regularizer.
        """
        return cls(**config)


class _Factors(Regularizer):
    """Base of those with factors."""

    def for_integers(self):
        """The regularizer of an integer array, for which Keras makes the factors integers too."""
        if type(self) not in (L1, L2, L1L2):
            return self
        return type(self)(**{name: int(factor) for name, factor in self.get_config().items()})


class L1L2(_Factors):
    """``l1 * sum(|x|) + l2 * sum(x^2)``, a float.

    Args:
        l1 (float, default 0.0): Factor of the sum of absolute values, not negative.
        l2 (float, default 0.0): Factor of the sum of squares, not negative.

    Raises:
        ValueError: A factor that is negative or not finite.

    Example:
        >>> regularizers.L1L2(l1=1.0, l2=0.5)(np.array([1.0, -3.0]))
        9.0
    """

    def __init__(self, l1=0.0, l2=0.0):
        self.l1 = _factor(0.0 if l1 is None else l1, "l1")
        self.l2 = _factor(0.0 if l2 is None else l2, "l2")

    def __call__(self, x):
        penalty = 0.0
        # A factor of zero keeps an infinite weight out of the sum, where 0 * inf would be nan.
        if self.l1 != 0.0:
            penalty += self.l1 * _sum(np.abs(x))
        if self.l2 != 0.0:
            penalty += self.l2 * _sum(_square(x))
        return penalty

    def get_config(self):
        return {"l1": self.l1, "l2": self.l2}


class L1(_Factors):
    """``l1 * sum(|x|)``, a float.

    Args:
        l1 (float, default 0.01): Factor of the sum of absolute values, not negative.

    Raises:
        ValueError: A factor that is negative or not finite.

    Example:
        >>> regularizers.L1(0.5)(np.array([1.0, -3.0]))
        2.0
    """

    def __init__(self, l1=0.01):
        self.l1 = _factor(0.01 if l1 is None else l1, "l1")

    def __call__(self, x):
        return self.l1 * _sum(np.abs(x))

    def get_config(self):
        return {"l1": self.l1}


class L2(_Factors):
    """``l2 * sum(x^2)``, a float.

    Args:
        l2 (float, default 0.01): Factor of the sum of squares, not negative.

    Raises:
        ValueError: A factor that is negative or not finite.

    Example:
        >>> regularizers.L2(0.5)(np.array([1.0, -3.0]))
        5.0
    """

    def __init__(self, l2=0.01):
        self.l2 = _factor(0.01 if l2 is None else l2, "l2")

    def __call__(self, x):
        return self.l2 * _sum(_square(x))

    def get_config(self):
        return {"l2": self.l2}


class OrthogonalRegularizer(Regularizer):
    """``factor`` times the mean absolute cosine between every two rows, or columns, of a matrix; a float.

    Args:
        factor (float, default 0.01): Not negative.
        mode (str, default "rows"): "rows" or "columns".

    Raises:
        ValueError: An invalid factor or mode; in a call, an array that is no matrix.

    Example:
        >>> round(regularizers.OrthogonalRegularizer(1.0)(np.array([[1.0, 0.0], [1.0, 1.0]])), 4)
        0.7071
    """

    def __init__(self, factor=0.01, mode="rows"):
        self.factor = _factor(factor, "factor")
        if mode not in ("rows", "columns"):
            raise ValueError(f"`mode` should be 'rows' or 'columns'. Received: mode={mode}")
        self.mode = mode

    def __call__(self, x):
        products = self._products(x)[-1]
        with np.errstate(invalid="ignore"):
            return float(0.5 * self._share(len(products)) * np.sum(np.abs(products)))

    def gradient(self, x):
        """The derivative of the penalty by a matrix.

        Args:
            x (array): Shape (m, n).

        Returns:
            float32 array, shape (m, n).

        Raises:
            ValueError: An array that is no matrix.
        """
        units, lengths, products = self._products(x)
        with np.errstate(invalid="ignore"):
            by_units = self._share(len(units)) * (np.sign(products) @ units)
            # A change along a vector changes only its length, and the length counts only where it is below epsilon.
            along = np.sum(by_units * units, axis=1, keepdims=True) * (lengths > settings.epsilon())
            found = (by_units - along * units) / np.maximum(lengths, settings.epsilon())
        return (found if self.mode == "rows" else found.T).astype(np.float32)

    def _products(self, x):
        """The vectors of length 1, their former lengths, and the products of every two of them."""
        x = np.asarray(x, dtype=np.float64)
        if x.ndim != 2:
            raise ValueError(f"OrthogonalRegularizer takes matrices. Received: inputs.shape={x.shape}")
        vectors = x if self.mode == "rows" else x.T
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        units = vectors / np.maximum(lengths, settings.epsilon())
        products = units @ units.T
        np.fill_diagonal(products, 0)
        return units, lengths, products

    def _share(self, size):
        """What one pair counts. One vector has none: 0 / 0, which Keras answers with nan too."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.factor / np.float64(size * (size - 1) / 2)

    def get_config(self):
        return {"factor": self.factor, "mode": self.mode}


def _sum(x):
    return float(np.sum(x, dtype=np.float64))


def _square(x):
    return np.square(x, dtype=np.float64)


def _factor(value, name):
    if not isinstance(value, (float, int)) or not math.isfinite(value) or value < 0:
        raise ValueError(f"`{name}` should be a non-negative number. Received: {name}={value}")
    return float(value)


_CLASSES = (Regularizer, L1, L2, L1L2, OrthogonalRegularizer)
ALL_OBJECTS_DICT = {
    **{cls.__name__: cls for cls in _CLASSES},
    **{to_snake_case(cls.__name__): cls for cls in _CLASSES},
    # The name of the public function, which Keras 2 took as a string too.
    "l1_l2": L1L2,
}
l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer
__all__ = [
    *(cls.__name__ for cls in _CLASSES),
    "l1",
    "l1_l2",
    "l2",
    "orthogonal_regularizer",
    "deserialize",
    "get",
    "serialize",
]


def serialize(regularizer):
    """The config dict of a regularizer.

    Args:
        regularizer (Regularizer): What is described.

    Returns:
        dict, in Keras's form.

    Raises:
        UnsupportedError: A lambda, or an object without `get_config()`.

    Example:
        >>> regularizers.serialize(regularizers.L2(0.5))["config"]
        {'l2': 0.5}
    """
    return serialization.serialize_keras_object(regularizer)


def deserialize(config, custom_objects=None):
    """The regularizer of a config dict, or the object of a name.

    Args:
        config (dict or str): What `serialize` gives.
        custom_objects (dict, default None): Name -> class or function of your own, beside the registered ones.

    Returns:
        A Regularizer; a name that nobody has is returned as it is, as in Keras.

    Raises:
        UnsupportedError: A class that nobody registered.
        FileFormatError: A config of no known form.

    Example:
        >>> regularizers.deserialize(regularizers.serialize(regularizers.L2(0.5))).l2
        0.5
    """
    return serialization.deserialize_keras_object(config, custom_objects, module_objects=ALL_OBJECTS_DICT)


def get(identifier):
    """A regularizer from its name, config dict, class, or any callable.

    Args:
        identifier (str, dict, class or function): What is meant; None gives None.

    Returns:
        A Regularizer or a function of an array, or None.

    Raises:
        ValueError: No such regularizer.

    Example:
        >>> regularizers.get("l2")(np.array([1.0, -3.0]))
        0.1
    """
    names = ("l1", "l1_l2", "l2", "orthogonal_regularizer")
    return serialization.callable_of(identifier, "regularizer", ALL_OBJECTS_DICT, names)


__getattr__, __dir__ = own_face(globals())

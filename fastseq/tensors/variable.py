"""Weights: float32 arrays with a name and an owner that hears of every change."""

import numpy as np

from fastseq.tensors import copyable


class Variable:
    """A layer's weight: a float32 array that hears of every change.

    Reading gives a copy, so the only way to change a weight is `assign`, which also drops the packed copies and the
    programs that were made from the old value.

    Args:
        value (array): What it begins as; it becomes float32.
        name (str): The last part of its path.
        trainable (bool, default True): Whether training changes it. As in Keras it may change, also with the layer's
            `trainable`; whether the layer lists the weight among its trainable ones, before the others, was settled
            when it was made (`listed_trainable`).
        owner (Layer, default None): The layer that it belongs to; None is none.
        initializer (Initializer, default None): What made the value; kept as it is.
        regularizer (Regularizer, default None): Its penalty in training; None is none.
        constraint (Constraint, default None): Applied to it after each step of training; None is none.

    Example:
        >>> w = fastseq.Variable([1.0, 2.0], "w")
        >>> w.assign([3.0, 4.0]).numpy()
        array([3., 4.], dtype=float32)
    """

    def __init__(self, value, name, trainable=True, owner=None, initializer=None, regularizer=None, constraint=None):
        self._value = np.array(value, dtype=np.float32)
        self.name = name
        self.trainable = self.listed_trainable = bool(trainable)
        self.initializer = initializer
        self.regularizer = regularizer
        self.constraint = constraint
        self._owner = owner

    @property
    def shape(self):
        """The sizes, a tuple of int."""
        return self._value.shape

    @property
    def ndim(self):
        """The number of axes."""
        return self._value.ndim

    @property
    def dtype(self):
        """The name of the dtype, "float32"."""
        return "float32"

    @property
    def path(self):
        """The layer's path and the name, with "/" between them."""
        return f"{self._owner.path}/{self.name}" if self._owner is not None else self.name

    @property
    def value(self):
        """A copy of the value, as `numpy()` gives it."""
        return self.numpy()

    def numpy(self):
        """A copy of the value.

        Returns:
            float32 array of the variable's shape.
        """
        return self._value.copy()

    def __array__(self, dtype=None, copy=None):
        return self._value.astype(dtype or np.float32, copy=True)

    def assign(self, value):
        """Replaces the value.

        Args:
            value (array): Of the variable's shape, any real dtype.

        Returns:
            The variable itself.

        Raises:
            ValueError: Another shape.
            TypeError: Values that are not real numbers.
        """
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"Variable '{self.path}' takes real numbers, got dtype {array.dtype}.")
        if array.shape != self.shape:
            raise ValueError(f"Variable '{self.path}' has shape {self.shape}, got a value of shape {array.shape}.")
        # A new array, not the old one overwritten: programs that run at this moment keep reading the old value.
        self._value = np.array(array, dtype=np.float32)
        if self._owner is not None:
            self._owner._weights_changed()
        return self

    def __reduce__(self):
        return copyable.carrier().pickled(self)

    def __deepcopy__(self, memo):
        """A weight of no layer."""
        return copyable.carrier().deep_copy(self)

    def __repr__(self):
        return f"<Variable path={self.path}, shape={self.shape}, dtype=float32, value={self._value}>"

"""Weights: float32 arrays with a name and an owner that hears of every change."""

import numpy as np


class Variable:
    """A layer's weight.

    value: float32 array; reading gives a copy, so the only way to change a weight is `assign`, which also drops the
    packed copies and the programs that were made from the old value. copy: False where nobody else has the array.
    trainable: as in Keras it may change, also with the layer's `trainable`; whether the layer lists the weight among
    its trainable ones, before the others, was settled when it was made (`listed_trainable`).
    """

    def __init__(
        self, value, name, trainable=True, owner=None, initializer=None, regularizer=None, constraint=None, copy=True
    ):  # fmt: skip
        self._value = np.array(value, dtype=np.float32) if copy else value
        self.name = name
        self.trainable = self.listed_trainable = bool(trainable)
        self.initializer = initializer
        self.regularizer = regularizer
        self.constraint = constraint
        self._owner = owner

    @property
    def shape(self):
        return self._value.shape

    @property
    def ndim(self):
        return self._value.ndim

    @property
    def dtype(self):
        return "float32"

    @property
    def path(self):
        return f"{self._owner.path}/{self.name}" if self._owner is not None else self.name

    @property
    def value(self):
        return self.numpy()

    def numpy(self):
        """A copy of the value, float32."""
        return self._value.copy()

    def __array__(self, dtype=None, copy=None):
        return self._value.astype(dtype or np.float32, copy=True)

    def assign(self, value, copy=True):
        """Replaces the value.

        value: array of the variable's shape, any real dtype. copy: False where it is an array that nobody else has.
        Raises ValueError for another shape, TypeError for values that are not real numbers.
        """
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"Variable '{self.path}' takes real numbers, got dtype {array.dtype}.")
        if array.shape != self.shape:
            raise ValueError(f"Variable '{self.path}' has shape {self.shape}, got a value of shape {array.shape}.")
        # A new array, not the old one overwritten: programs that run at this moment keep reading the old value.
        self._value = np.array(array, np.float32) if copy else np.asarray(array, np.float32, order="C")
        if self._owner is not None:
            self._owner._weights_changed()
        return self

    def __reduce__(self):
        from fastseq.saving import copying

        return copying.pickled(self)

    def __deepcopy__(self, memo):
        """A weight of no layer."""
        from fastseq.saving import copying

        return copying.deep_copy(self)

    def __repr__(self):
        return f"<Variable path={self.path}, shape={self.shape}, dtype=float32, value={self._value}>"

"""What optimizers, metrics and random numbers keep between steps."""

import numpy as np

from fastseq.tensors.variable import ReadWhileTraced, Variable


class StateVariable(np.lib.mixins.NDArrayOperatorsMixin):
    """An array that stays at one place in memory, where native steps point to it.

    value: array of `dtype`. It stands for its array in NumPy's functions and operators, and for a number in `float()`.
    """

    trainable = False

    def __init__(self, value, name, path, dtype="float32"):
        self._value = np.array(value, dtype=dtype, order="C")
        self.name = name
        self.path = path

    @property
    def shape(self):
        return self._value.shape

    @property
    def dtype(self):
        return self._value.dtype.name

    @property
    def value(self):
        return self.numpy()

    def numpy(self):
        """A copy of the value."""
        return self._read().copy()

    def _read(self):
        """The value. Raises ReadWhileTraced where a traced call would have the value of now for ever."""
        if Variable.read_as.found is not None:
            raise ReadWhileTraced(f"the value of '{self.path}', which changes between calls, is asked for")
        return self._value

    def assign(self, value):
        """Replaces the value. Raises ValueError for another shape, as a weight's `assign` does."""
        array = np.asarray(value)
        if array.shape != self.shape:
            raise ValueError(f"Variable '{self.path}' has shape {self.shape}, got a value of shape {array.shape}.")
        self._value[...] = array
        return self

    def assign_add(self, value):
        return self.assign(self._value + np.asarray(value, self.dtype))

    def assign_sub(self, value):
        return self.assign(self._value - np.asarray(value, self.dtype))

    def __array__(self, dtype=None, copy=None):
        return self._read().astype(dtype or self._value.dtype, copy=True)

    def __array_ufunc__(self, ufunc, method, *inputs, **keywords):
        inputs = [item._read() if isinstance(item, StateVariable) else item for item in inputs]
        return getattr(ufunc, method)(*inputs, **keywords)

    def __float__(self):
        return float(self._read())

    def __int__(self):
        return int(self._read())

    def __format__(self, spec):
        return format(self._value.item() if self.shape == () else self._value, spec)

    def __repr__(self):
        return f"<StateVariable path={self.path}, shape={self.shape}, dtype={self.dtype}, value={self._value}>"

"""Weights: float32 arrays with a name and an owner that hears of every change.

A large weight that kernels read in a packed layout is kept in that layout alone: beside what Keras would have, a model
would take its size twice. Whoever reads it gets it unpacked; what changes it in place asks for it with `_held`.
"""

import threading

import numpy as np

from fastseq.tensors import copyable, weight_locks
from fastseq.tensors.operators import Operators

# Bytes from which on a weight is kept in its packed form alone. Smaller ones are kept in both: whoever reads a packed
# one waits for its unpacking, at 1.5 to 3 GB/s, and 100 such weights are 25 MB.
PACKED_ALONE = 1 << 18


class ReadWhileTraced(TypeError):
    """A traced call asks for a value that it would not hear the changes of."""


class _ReadAs(threading.local):
    found = None  # None, or what a traced call has in the place of a variable's value, a function of it


class Variable(Operators):
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
        copy (bool, default True): False where nobody else has the array.

    Example:
        >>> w = fastseq.Variable([1.0, 2.0], "w")
        >>> w.assign([3.0, 4.0]).numpy()
        array([3., 4.], dtype=float32)
    """

    #: Of each thread: what `numpy`, `value` and arithmetic give while a call is traced.
    read_as = _ReadAs()
    __ne__ = object.__ne__
    #: Whether a program for its gradients reads it where it stands, so that optimizers change it there.
    trained_in_place = False

    def __init__(
        self, value, name, trainable=True, owner=None, initializer=None, regularizer=None, constraint=None, copy=True
    ):  # fmt: skip
        # A float32 array, or a program.packed_weights.PackedValue; replaced as a whole, as running programs read it.
        self._content = np.array(value, dtype=np.float32) if copy else value
        self._is_held = False
        self.name = name
        self.trainable = self.listed_trainable = bool(trainable)
        self.initializer = initializer
        self.regularizer = regularizer
        self.constraint = constraint
        self._owner = owner
        self._users = None  # of a weight of no layer: the ProgramUsers whose programs read it (ops.values.lift)

    @property
    def shape(self):
        """The sizes, a tuple of int."""
        return self._content.shape

    @property
    def ndim(self):
        """The number of axes."""
        return len(self._content.shape)

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
        if self.read_as.found is not None:
            return self.read_as.found(self)
        content = self._content
        return content.copy() if type(content) is np.ndarray else content.unpacked()

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        inputs = [part.numpy() if isinstance(part, Variable) else part for part in inputs]
        return getattr(ufunc, method)(*inputs, **kwargs)

    def __array__(self, dtype=None, copy=None):
        if self.read_as.found is not None:
            raise TypeError("numpy.asarray() asks for the values of a weight")
        value = self.numpy()
        return value if dtype is None else value.astype(dtype, copy=False)

    # ---- forms -------------------------------------------------------------------------------------------------------

    @property
    def _value(self):
        """The value, to be read only: the variable's own array, or a new one of a weight that is kept packed."""
        content = self._content
        return content if type(content) is np.ndarray else content.unpacked()

    @_value.setter
    def _value(self, array):
        self._content = array

    def _held(self):
        """The variable's own array, which from now on is kept: for what reads it at its place, or changes it there.

        Training does both. No packed form takes the array's place any more, so that it stays where it is until the
        value is replaced.
        """
        content = self._content
        if self._is_held and type(content) is np.ndarray:
            return content
        with weight_locks.changing:
            self._is_held, content = True, self._content
            if type(content) is not np.ndarray:
                self._content = content = content.unpacked()
        return content

    def packed(self, form, kind):
        """The value in a packed form, a list of arrays.

        form: how it is laid out; kind: the class program.packed_weights.PackedValue. A large weight is kept in the
        first form that is asked for, unless it is held, and then packed no second time.
        """
        content = self._content
        if type(content) is not np.ndarray:
            return content.arrays if content.form == form else kind.pack(content.unpacked(), form)
        arrays = kind.pack(content, form)
        if content.nbytes >= PACKED_ALONE:
            packed = kind(arrays, form, content.shape)
            with weight_locks.changing:
                # Meanwhile it may have got another value, or a training program that reads and writes this array.
                if self._content is content and not self._is_held:
                    self._content = packed
        return arrays

    def _take_packed(self, packed):
        """Replaces the value by a PackedValue, whose arrays may be anybody's, read-only ones too.

        They must not change while the variable has them. Raises ValueError for a value of another shape.
        """
        if packed.shape != self.shape:
            raise ValueError(f"Variable '{self.path}' has shape {self.shape}, got a value of shape {packed.shape}.")
        with weight_locks.changing:
            self._is_held = False
            self._put(packed)

    def _put(self, content):
        """Replaces what the variable has, whose owner then drops what was made of it."""
        self._content = content
        if self._owner is not None:
            self._owner._weights_changed()
        elif self._users is not None:
            self._users.clear()

    # ---- changes -----------------------------------------------------------------------------------------------------

    def assign(self, value, copy=True):
        """Replaces the value.

        Args:
            value (array): Of the variable's shape, any real dtype.
            copy (bool, default True): False where it is an array that nobody else has.

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
        array = np.array(array, np.float32, order="C") if copy else np.asarray(array, np.float32, order="C")
        with weight_locks.changing:
            self._put(array)
        return self

    def __reduce__(self):
        return copyable.carrier().pickled(self)

    def __deepcopy__(self, memo):
        """A weight of no layer."""
        return copyable.carrier().deep_copy(self)

    def __repr__(self):
        return f"<Variable path={self.path}, shape={self.shape}, dtype=float32, value={self._value}>"

"""What comes in from the caller: any array-like becomes a contiguous, aligned, native-endian array."""

import numpy as np

_INT32 = np.iinfo(np.int32)


class MaskedArray(np.ndarray):
    """A result that carries a Keras mask in `_keras_mask`, as eager Keras tensors do; the next layer picks it up.

    Anything computed from it is a plain array as far as masks go.
    """

    _keras_mask = None

    def __array_finalize__(self, obj):
        self._keras_mask = None


def with_mask(array, mask):
    """`array` as it is where `mask` is None, else a view of it that carries `mask` (bool)."""
    if mask is None:
        return array
    view = array.view(MaskedArray)
    view._keras_mask = mask
    return view


def mask_of(value):
    return getattr(value, "_keras_mask", None)


def standardize(value, who, dtype=None):
    """`value` as a contiguous float32, int32 or bool array.

    dtype: the wanted one; None keeps the kind: floats become float32, integers int32, booleans stay.
    Raises TypeError for objects, strings and complex numbers, ValueError for integers outside int32.
    """
    array = value if type(value) is np.ndarray else np.asarray(value)
    kind = array.dtype.kind
    if kind not in "fiub":
        given = f"dtype {array.dtype} (of type {type(value).__name__})"
        raise TypeError(f"{who} takes arrays of real numbers, got {given}.")
    if dtype is None:
        dtype = {"f": "float32", "b": "bool"}.get(kind, "int32")
    if dtype == "int32" and kind in "iu" and not np.can_cast(array.dtype, np.int32) and array.size:
        low, high = array.min(), array.max()
        if low < _INT32.min or high > _INT32.max:
            raise ValueError(f"{who} takes integers of 32 bits, got values from {low} to {high}.")
    if dtype == "int32" and kind == "f" and array.size:
        # NaN and values past the end of int32 have no defined conversion.
        if not (np.abs(array) <= _INT32.max).all():
            raise ValueError(f"{who} takes integers of 32 bits, got NaN or a value outside their range.")
    with np.errstate(over="ignore"):
        return np.require(array, dtype=np.dtype(dtype), requirements=("C", "A"))

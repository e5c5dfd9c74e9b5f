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


def refuse_uneven(value, who):
    """Raises ValueError for ragged and sparse tensors, of TensorFlow or SciPy, by what they have."""
    if hasattr(value, "row_splits") or getattr(value, "ragged_rank", None):  # 0 or None of a dense symbolic tensor
        raise ValueError(
            f"{who} takes arrays, and rows of one length: ragged tensors are not supported. Pad the rows, as "
            "x.to_tensor() and pad_sequences do; a Masking layer, or mask_zero=True in Embedding, leaves padding out."
        )
    if hasattr(value, "dense_shape") or hasattr(value, "tocsr"):
        raise ValueError(f"{who} takes arrays: sparse ones are not supported, got a {type(value).__name__}.")


def standardize(value, who, dtype=None):
    """`value` as a contiguous float32, int32 or bool array.

    dtype: the wanted one; None keeps the kind: floats become float32, integers int32, booleans stay.
    Raises TypeError for objects, strings and complex numbers, ValueError for integers outside int32.
    """
    if type(value) is np.ndarray:
        array = value
    else:
        refuse_uneven(value, who)
        array = np.asarray(value)
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
        # As float32, INT32.max is 2^31 already; both ends here are numbers of any float type.
        fits = (array > -2147483904.0 if array.dtype == np.float32 else array > -2147483649.0) & (array < 2147483648.0)
        if not fits.all():
            bad = np.ravel(array)[np.argmin(np.ravel(fits))]
            raise ValueError(f"{who} takes integers of 32 bits, got {bad:.17g}, which is none.")
    with np.errstate(over="ignore"):
        return np.require(array, dtype=np.dtype(dtype), requirements=("C", "A"))

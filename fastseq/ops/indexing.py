"""Parts of arrays, by Python's indexing and by arrays of places. https://keras.io/api/ops/core/"""

import builtins
import math

import numpy as np

from fastseq.errors import UnsupportedError
from fastseq.ops import elementwise as e
from fastseq.ops import places as steps
from fastseq.ops.documented import ARRAY, documented
from fastseq.ops.operation import operation
from fastseq.ops.reductions import reduced
from fastseq.ops.shapes import axis_of, expand_dims, ravel, reshape, whole_axis
from fastseq.ops.values import MixesTimesteps, Traced, broadcast, cast, is_number, lift, view, working_dtype
from fastseq.program.slots import strides_of

_SAME = "An array of the dtype of `x`."
_INDICES = "(int32 array): Places along the axis; those below 0 count from its end."
_OUTSIDE = {"IndexError": "An index is out of bounds."}


# ---- Python's indexing -----------------------------------------------------------------------------------------------


def _is_int(key):
    return isinstance(key, (int, np.integer)) and not isinstance(key, (bool, np.bool_))


def _is_array(key):
    return isinstance(key, (np.ndarray, Traced))


def _expanded(x, key):
    """The key as a list with one entry for each axis, and None for each new one."""
    keys = list(key) if isinstance(key, (list, tuple)) else [key]
    for at, one in enumerate(keys):
        if isinstance(one, (np.ndarray, np.generic)) and one.ndim == 0 and one.dtype.kind in "iu":
            keys[at] = int(one)
        elif isinstance(one, (bool, np.bool_)) or (_is_array(one) and str(one.dtype) == "bool"):
            raise UnsupportedError(
                "ops.get_item: a boolean array as index gives a shape that depends on its values, which a program for "
                "fixed shapes cannot have. Take ops.where(mask, x, 0)."
            )
        elif not (_is_int(one) or _is_array(one) or one is None or one is Ellipsis or isinstance(one, builtins.slice)):
            raise ValueError(f"Unsupported key type for array slice. Received: `{key}`")
    ellipses = sum(one is Ellipsis for one in keys)
    if ellipses > 1:
        raise ValueError(f"Slice should only have one ellipsis. Received: `{key}`")
    if not ellipses:
        keys.append(Ellipsis)
    missing = x.ndim - sum(one is not None and one is not Ellipsis for one in keys)
    if missing < 0:
        raise IndexError(f"ops.get_item: an array of shape {x.shape} has not as many axes as {key} asks for.")
    at = next(i for i, one in enumerate(keys) if one is Ellipsis)
    return [*keys[:at], *[builtins.slice(None)] * missing, *keys[at + 1 :]]


def _place(x, axis, key):
    """An int key counted from 0."""
    size = x.shape[axis]
    if axis == x.time:
        raise MixesTimesteps("it takes one timestep by its number")
    if not -size <= key < size and size not in getattr(x.p, "unknown", ()):
        raise IndexError(f"ops.get_item: index {key} is out of bounds for axis {axis} of an array of shape {x.shape}.")
    return key % size if size else 0


def _range(x, axis, key):
    """(first element, step, how many) of a slice."""
    size = x.shape[axis]
    parts = (key.start, key.stop, key.step)
    if any(part is not None and not _is_int(part) for part in parts):
        raise UnsupportedError(
            f"ops.get_item: slices are made of integers, got {key}. ops.slice takes starts that are computed."
        )
    whole = key.start in (None, 0) and key.stop is None and key.step in (None, 1)
    if axis == x.time and not whole:
        raise MixesTimesteps("it takes some of the timesteps")
    start, stop, step = key.indices(size)
    count = size if whole else len(range(start, stop, step))
    if size in getattr(x.p, "unknown", ()):
        count = size  # however many there will be, nobody knows
    return start if count else 0, step, count


@operation("GetItem", plain=("key",))
@documented(
    "`x[key]`.",
    {"x": ARRAY, "key": "(int, slice, None, Ellipsis, an int32 array, or a tuple of these): As in NumPy. One array may "
     "be among them, beside which integers stand together."},
    _SAME,
    "ops.get_item([[1, 2], [3, 4]], (slice(None), -1))\n"
    "array([2, 4], dtype=int32)",
    {"IndexError": "An index is out of bounds, or there are more than axes.", "ValueError": "No such key.",
     "UnsupportedError": "A boolean array, or several arrays."},
)  # fmt: skip
def get_item(x, key):
    keys = _expanded(x, key)
    arrays = [at for at, one in enumerate(keys) if _is_array(one)]
    if len(arrays) > 1:
        raise UnsupportedError(
            f"ops.get_item: one array is known among the indices, got {len(arrays)}. See ops.take_along_axis."
        )
    if arrays:
        chosen = [at for at, one in enumerate(keys) if _is_array(one) or _is_int(one)]
        if chosen != list(range(chosen[0], chosen[-1] + 1)):
            raise UnsupportedError("ops.get_item: integers beside an array of indices stand next to it.")
    sizes, strides, offset, taken, time, axis = [], [], 0, None, None, 0
    for one in keys:
        if one is None:
            sizes, strides = [*sizes, 1], [*strides, 0]
            continue
        stride = math.prod(x.shape[axis + 1 :])
        if _is_int(one):
            offset += _place(x, axis, one) * stride
        else:
            if _is_array(one):
                taken, one = (one, len(sizes)), builtins.slice(None)
            start, step, count = _range(x, axis, one)
            if axis == x.time:
                time = len(sizes)
            offset += start * stride
            sizes, strides = [*sizes, count], [*strides, step * stride]
        axis += 1
    plain = list(strides) == strides_of(sizes, strides) and math.prod(sizes) == x.size
    y = Traced(x.p, x.slot.reshaped(sizes), time) if plain else view(x, sizes, strides, offset if x.size else 0, time)
    return y if taken is None else _take(y, taken[0], taken[1], "get_item")


# ---- places ----------------------------------------------------------------------------------------------------------


def _take(x, indices, axis, name):
    if x.time == axis:
        raise MixesTimesteps("it takes timesteps by their numbers")
    shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
    time = x.time if x.time is None or x.time < axis else x.time + indices.ndim - 1
    if isinstance(indices, Traced) and indices.time is not None:
        if time is not None:
            raise MixesTimesteps("it takes by indices of timesteps from what has timesteps itself")
        time = axis + indices.time
    places = steps.checked(x.p, indices, x.shape[axis], name)
    return steps.gather(x, places, axis, shape, time=time)


def _all_in_one(x, axis, name):
    """(`x` of one axis where `axis` is None, the axis counted from 0)."""
    if axis is not None:
        return x, axis_of(x, axis, name)
    return ravel(x), 0


@operation("Take", options=("axis",), integers=("indices",))
@documented(
    "Elements at places along an axis.",
    {"x": ARRAY, "indices": _INDICES, "axis": "(int, default None): None is of all elements in one row."},
    "An array of the dtype of `x`, with the axes of `indices` in the place of the axis.",
    "ops.take([[1, 2], [3, 4]], [1, 0], axis=1)\narray([[2, 1],\n       [4, 3]], dtype=int32)",
    _OUTSIDE,
)
def take(x, indices, axis=None):
    if is_number(indices) and axis is not None:
        key = [builtins.slice(None)] * axis_of(x, axis, "take")
        return get_item(x, (*key, indices))
    x, axis = _all_in_one(lift(indices.p, x) if not isinstance(x, Traced) else x, axis, "take")
    return _take(x, indices if isinstance(indices, Traced) else lift(x.p, np.asarray(indices)), axis, "take")


@operation("TakeAlongAxis", options=("axis",))
@documented(
    "Elements at places of their own along an axis.",
    {"x": ARRAY, "indices": "(int32 array): Of as many axes as `x`, broadcast with it along the others; places below 0 "
     "count from the end.", "axis": "(int, default None): None is of all elements in one row."},
    "An array of the dtype of `x`.",
    "ops.take_along_axis([[1, 2], [3, 4]], [[1], [0]], axis=1)\n"
    "array([[2],\n"
    "       [3]], dtype=int32)",
    _OUTSIDE,
)  # fmt: skip
def take_along_axis(x, indices, axis=None):
    x, axis = _all_in_one(x, axis, "take_along_axis")
    if x.ndim != indices.ndim:
        raise ValueError(f"ops.take_along_axis: x and indices have the shapes {x.shape} and {indices.shape}.")
    return along(x, indices, axis, "take_along_axis")


def along(x, indices, axis, name, inside=False):
    """take_along_axis; indices: Traced of as many axes; inside: whether they are known to be within the axis."""
    if axis in (x.time, indices.time):
        raise MixesTimesteps("it takes timesteps by their numbers")
    times = {operand.time for operand in (x, indices)} - {None}
    if len(times) > 1 or any(one.time is None and one.shape[at] != 1 for one in (x, indices) for at in times):
        raise MixesTimesteps("it meets timesteps with other axes, or with values for each of them")
    others = [[1 if at == axis else size for at, size in enumerate(one.shape)] for one in (x, indices)]
    shared = x.p.broadcast_shapes(*others)

    def whole(one):
        shape = [one.shape[axis] if at == axis else size for at, size in enumerate(shared)]
        return broadcast(Traced(one.p, one.slot), shape)

    x, indices = whole(x), whole(indices)
    indices = indices if inside else steps.checked(x.p, indices, x.shape[axis], name)
    time = times.pop() if times else None
    return steps.gather(x, indices, axis, indices.shape, own=True, each=True, time=time)


# ---- parts -----------------------------------------------------------------------------------------------------------


def _starts(p, start_indices, ndim, name):
    """A list of ints, or of int32 Traced of one element."""
    if isinstance(start_indices, Traced):
        found = [get_item(start_indices, at) for at in range(start_indices.shape[0])]
    else:
        found = list(np.asarray(start_indices)) if isinstance(start_indices, np.ndarray) else list(start_indices)
        found = [one if isinstance(one, Traced) else int(one) for one in found]
    if len(found) != ndim:
        raise ValueError(f"ops.{name}: {len(found)} start indices for {ndim} axes.")
    return found


def _walked(p, start, size):
    """int32 Traced: start, start + 1 ... of `size` places."""
    places = steps.known(p, (size,), lambda: np.arange(size))
    return e.add(reshape(cast(start, "int32"), (1,)), places) if isinstance(start, Traced) else e.add(places, start)


@operation("Slice", "core", options=("shape",), plain=("start_indices",))
@documented(
    "The part of a shape that begins at an element.",
    {"inputs": ARRAY, "start_indices": "(list of int, or int32 array): Where it begins, an entry for each axis.",
     "shape": "(tuple of int): Its sizes; -1 is the rest."},
    "An array of the dtype of `inputs`.",
    "ops.slice([[1, 2, 3], [4, 5, 6]], [0, 1], [2, 2])\n"
    "array([[2, 3],\n"
    "       [5, 6]], dtype=int32)",
    {"ValueError": "It reaches beyond the array.", "IndexError": "Computed starts do."},
)  # fmt: skip
def slice(inputs, start_indices, shape):
    x, starts = inputs, _starts(inputs.p, start_indices, inputs.ndim, "slice")
    if len(shape) != x.ndim:
        raise ValueError(f"ops.slice: shape={tuple(shape)} for an array of shape {x.shape}.")
    unknown = getattr(x.p, "unknown", ())
    key = []
    for axis, (start, size) in enumerate(zip(starts, shape)):
        size = int(size)
        if isinstance(start, Traced):
            if size == -1:
                if not unknown:
                    raise ValueError("ops.slice: -1 takes a start that is no computed value.")
                size = max(unknown)
            key.append(builtins.slice(None))
            x = _take(x, _walked(x.p, start, size), axis, "slice")
            continue
        if x.shape[axis] in unknown and size != -1:
            key.append(builtins.slice(None))  # as many as asked for, of those that will be there
            x = _take(x, _walked(x.p, start, size), axis, "slice")
            continue
        stop = x.shape[axis] if size == -1 else start + size
        if not (0 <= start <= stop <= x.shape[axis]):
            raise ValueError(f"ops.slice: {size} elements from {start} on reach beyond axis {axis} of {x.shape}.")
        key.append(builtins.slice(None) if start == 0 and size == -1 else builtins.slice(start, stop))
    return get_item(x, tuple(key))


@operation("SliceUpdate", "core", plain=("start_indices",))
@documented(
    "The array, with a part of it replaced.",
    {"inputs": ARRAY, "start_indices": "(list of int, or int32 array): Where the part begins, an entry for each axis; "
     "one that would reach beyond the end begins earlier.", "updates": "(array): The part."},
    "An array of the shape and dtype of `inputs`.",
    "ops.slice_update([1, 2, 3], [1], [7])\n"
    "array([1, 7, 3], dtype=int32)",
    {"ValueError": "The part is larger than the array, or has other axes."},
)  # fmt: skip
def slice_update(inputs, start_indices, updates):
    x, p = inputs, inputs.p
    updates = cast(lift(p, updates), x.dtype)
    starts = _starts(p, start_indices, x.ndim, "slice_update")
    unknown = getattr(p, "unknown", ())
    if updates.ndim != x.ndim or any(a > b and not {a, b} & set(unknown) for a, b in zip(updates.shape, x.shape)):
        raise ValueError(f"ops.slice_update: updates of shape {updates.shape} into an array of shape {x.shape}.")
    if x.time is not None or updates.time is not None:
        raise MixesTimesteps("it replaces a part of the array")
    places = None
    for axis, (start, size, stride) in enumerate(zip(starts, updates.shape, strides_of(x.shape))):
        most = max(x.shape[axis] - size, 0)
        start = e.clip(cast(start, "int32"), 0, most) if isinstance(start, Traced) else min(max(start, 0), most)
        own = e.multiply(_walked(p, start, size), stride)
        own = reshape(own, [size if at == axis else 1 for at in range(x.ndim)])
        places = own if places is None else e.add(places, own)
    if places is None:
        return updates
    places = broadcast(places, updates.shape)
    return steps.scatter(x, places, updates, x.shape, (1, x.size, 1), "set")


def _flat_places(p, indices, sizes, name):
    """int32 Traced (count,) of places among all elements of `sizes`; indices: (..., one for each of sizes)."""
    found = None
    for at, stride in enumerate(strides_of(sizes)):
        column = steps.checked(p, get_item(indices, (Ellipsis, at)), sizes[at], name, wraps=False)
        own = column if stride == 1 else e.multiply(column, stride)
        found = own if found is None else e.add(found, own)
    return found


def _scattered(x, indices, values, shape, kind, name):
    if (x is not None and x.time is not None) or indices.time is not None or values.time is not None:
        raise MixesTimesteps("it puts elements to places of any timestep")
    depth = indices.shape[-1] if indices.ndim else 0
    if not 1 <= depth <= len(shape) or values.shape != (*indices.shape[:-1], *shape[depth:]):
        if not set(values.shape) & set(getattr(values.p, "unknown", ())):
            raise ValueError(
                f"ops.{name}: indices of shape {indices.shape} and values of shape {values.shape} do not fit an array "
                f"of shape {tuple(shape)}."
            )
    places = _flat_places(values.p, indices, shape[:depth], name)
    return steps.scatter(x, places, values, shape, (1, math.prod(shape[:depth]), math.prod(shape[depth:])), kind)


@operation("Scatter", "core", options=("shape",))
@documented(
    "Zeros, with values added at places.",
    {"indices": "(int32 array (..., k)): The first k indices of a place.", "values": "(array (..., *shape[k:])): What "
     "is put there; what meets is added.", "shape": "(tuple of int): Of the result."},
    "An array of the dtype of `values`.",
    "ops.scatter([[1], [3]], [5.0, 7.0], (4,))\n"
    "array([0., 5., 0., 7.], dtype=float32)",
    {"ValueError": "The shapes do not fit.", "IndexError": "A place is out of bounds."},
)  # fmt: skip
def scatter(indices, values, shape):
    return _scattered(None, indices, values, tuple(int(size) for size in shape), "add", "scatter")


@operation("ScatterUpdate", "core", options=("reduction",))
@documented(
    "The array, with values put to places.",
    {"inputs": ARRAY, "indices": "(int32 array (count, k)): The first k indices of each place.",
     "updates": "(array (count, *inputs.shape[k:])): What is put there.",
     "reduction": '(str, default None): None replaces, the last one wins; "add", "mul", "max", "min" take it together '
     "with what is there."},
    "An array of the shape and dtype of `inputs`.",
    "ops.scatter_update([0.0, 0.0], [[1], [1]], [2.0, 3.0], reduction='add')\n"
    "array([0., 5.], dtype=float32)",
    {"ValueError": "The shapes do not fit, or an unknown reduction.", "IndexError": "A place is out of bounds."},
)  # fmt: skip
def scatter_update(inputs, indices, updates, reduction=None):
    kind = "set" if reduction is None else str(reduction).lower()
    if kind not in ("set", "add", "mul", "max", "min") or reduction == "set":
        raise ValueError(f"Invalid reduction: {reduction}. Supported values are: None, 'add', 'max', 'min', 'mul'.")
    return _scattered(inputs, indices, cast(updates, inputs.dtype), inputs.shape, kind, "scatter_update")


# ---- classes ---------------------------------------------------------------------------------------------------------


@operation("OneHot", "nn", options=("num_classes", "axis", "dtype", "sparse"))
@documented(
    "A one at the place of each class, zeros elsewhere.",
    {"x": "(int32 array): Classes; one outside of [0, num_classes) has no one.", "num_classes": "(int): How many.",
     "axis": "(int, default -1): Where the new axis stands.", "dtype": "(str, default None): None is float32.",
     "sparse": "(bool): True is not supported."},
    "An array with one axis more than `x`.",
    "ops.one_hot([0, 2], 3)\n"
    "array([[1., 0., 0.],\n"
    "       [0., 0., 1.]], dtype=float32)",
    {"UnsupportedError": "sparse=True.", "ValueError": "A negative `num_classes`, and an axis that there is not."},
)  # fmt: skip
def one_hot(x, num_classes, axis=-1, dtype=None, sparse=False):
    if sparse:
        raise UnsupportedError("ops.one_hot: fastseq has no sparse arrays, sparse=True is not supported.")
    if (num_classes := whole_axis(num_classes, "one_hot", "num_classes")) < 0:
        raise ValueError(f"ops.one_hot: num_classes is not negative, got {num_classes}.")
    if axis != -1 and not 0 <= axis <= x.ndim:
        raise ValueError(f"axis must be -1 or between [0, {x.ndim}], but received {axis}.")
    axis = x.ndim if axis == -1 else axis
    shape = (num_classes, *[1] * (x.ndim - axis))
    classes = steps.known(x.p, shape, lambda: np.arange(shape[0]).reshape(shape))
    return cast(e.equal(expand_dims(cast(x, "int32"), axis), classes), working_dtype(dtype or "float32"))


@operation("MultiHot", "nn", options=("num_classes", "axis", "dtype", "sparse"))
@documented(
    "A one at the place of each class of a row, zeros elsewhere.",
    {"inputs": "(int32 array): Rows of classes, or one row.", "num_classes": "(int): How many.",
     "axis": "(int, default -1): Where the new axis stands.", "dtype": "(str, default None): None is float32.",
     "sparse": "(bool): True is not supported."},
    "An array with the axis of classes in the place of axis 1, or of axis 0 where that is the only one.",
    "ops.multi_hot([0, 2], 4)\n"
    "array([1., 0., 1., 0.], dtype=float32)",
    {"ValueError": "No num_classes.", "UnsupportedError": "sparse=True."},
)  # fmt: skip
def multi_hot(inputs, num_classes=None, axis=-1, dtype=None, sparse=False):
    if num_classes is None:
        raise ValueError("Argument `num_classes` must be specified.")
    hot = one_hot(inputs, num_classes, axis, dtype, sparse)
    kind = "max" if hot.dtype == "float32" else "max_int32"
    return reduced(kind, hot, 1 if inputs.ndim > 1 else 0, False, "multi_hot", hot.dtype)

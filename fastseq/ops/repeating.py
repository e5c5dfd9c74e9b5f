"""Elements again, turned, moved and surrounded by others. https://keras.io/api/ops/numpy/"""

import math
from functools import partial

import numpy as np

from fastseq.ops import places as steps
from fastseq.ops.documented import ARRAY, documented
from fastseq.ops.joining import concatenate, part
from fastseq.ops.operation import operation
from fastseq.ops.reductions import axes_of
from fastseq.ops.shapes import axis_of, ravel, reordered, reshape, whole_axis
from fastseq.ops.values import MixesTimesteps, Traced, broadcast, cast, lift, reshaped, view
from fastseq.program.slots import strides_of

_SAME = "An array of the dtype of `x`."
_NO_AXIS = {"ValueError": "An axis that is not there."}


def _numbers(value, what, name):
    """A tuple of ints."""
    found = value if isinstance(value, (list, tuple, np.ndarray)) else (value,)
    if not all(isinstance(one, (int, np.integer)) and not isinstance(one, bool) for one in found):
        raise ValueError(f"ops.{name}: {what}={value!r} is made of other things than integers.")
    return tuple(int(one) for one in found)


# ---- turned and moved ------------------------------------------------------------------------------------------------


@operation("Flip", options=("axis",))
@documented(
    "The elements in the opposite order.",
    {"x": ARRAY, "axis": "(int or tuple, default None): The axes; None is all."},
    _SAME,
    "ops.flip([1, 2, 3])\narray([3, 2, 1], dtype=int32)",
    _NO_AXIS,
)
def flip(x, axis=None):
    axes = axes_of(x, axis, "flip")
    if x.time in axes:
        raise MixesTimesteps("it turns the timesteps round")
    strides = strides_of(x.shape)
    offset = sum((x.shape[at] - 1) * strides[at] for at in axes) if x.size else 0
    return view(x, x.shape, [-s if at in axes else s for at, s in enumerate(strides)], offset, x.time)


@operation("Fliplr")
@documented("The elements of axis 1 in the opposite order.", {"x": ARRAY}, _SAME, "ops.fliplr([[1, 2]])\n"
    "array([[2, 1]], dtype=int32)",
            {"ValueError": "Less than two axes."})  # fmt: skip
def fliplr(x):
    return flip(x, 1)


@operation("Flipud")
@documented("The elements of axis 0 in the opposite order.", {"x": ARRAY}, _SAME, "ops.flipud([1, 2])\n"
    "array([2, 1], dtype=int32)",
            {"ValueError": "No axis."})  # fmt: skip
def flipud(x):
    return flip(x, 0)


@operation("Rot90", options=("k", "axes"))
@documented(
    "The array turned by 90 degrees in the plane of two axes.",
    {"array": ARRAY, "k": "(int, default 1): How often.", "axes": "(tuple of int): From the first towards the second."},
    "An array of the dtype of `array`.",
    "ops.rot90([[1, 2], [3, 4]])\narray([[2, 4],\n       [1, 3]], dtype=int32)",
    {"ValueError": "Less than two axes, or no two axes."},
)
def rot90(array, k=1, axes=(0, 1)):
    if array.ndim < 2:
        raise ValueError(f"Input array must have at least 2 dimensions. Received: array.ndim={array.ndim}")
    if len(axes) != 2 or len({axis_of(array, axis, "rot90") for axis in axes}) != 2:
        raise ValueError(f"Invalid axes: {axes}. Axes must be a tuple of two different dimensions.")
    first, second = (axis_of(array, axis, "rot90") for axis in axes)
    order = list(range(array.ndim))
    order[first], order[second] = second, first
    k = whole_axis(k, "rot90", "k") % 4
    if k == 1:
        return reordered(flip(array, second), order)
    if k == 2:
        return flip(array, (first, second))
    return flip(reordered(array, order), second) if k == 3 else array


@operation("Roll", options=("shift", "axis"))
@documented(
    "The elements moved along axes; what leaves at one end comes in at the other.",
    {"x": ARRAY, "shift": "(int or tuple): By how many places.", "axis": "(int or tuple, default None): None moves "
     "them through all of the array, row after row."},
    _SAME,
    "ops.roll([1, 2, 3], 1)\n"
    "array([3, 1, 2], dtype=int32)",
    {"ValueError": "An axis that is not there, or as many shifts as there are no axes."},
)  # fmt: skip
def roll(x, shift, axis=None):
    shifts = _numbers(shift, "shift", "roll")
    if axis is None:
        time_free = Traced(x.p, x.slot)
        if x.time is not None:
            raise MixesTimesteps("it moves elements to other timesteps")
        return reshaped(roll(ravel(time_free), sum(shifts), 0), x.shape)
    axes = [axis_of(x, at, "roll") for at in _numbers(axis, "axis", "roll")]
    if len(shifts) == 1:
        shifts *= len(axes)
    if len(axes) == 1 and len(shifts) > 1:
        axes *= len(shifts)
    if len(shifts) != len(axes):
        raise ValueError(f"ops.roll: shift={shift!r} and axis={axis!r} do not belong together.")
    for by, at in zip(shifts, axes):
        size = x.shape[at]
        by = by % size if size else 0
        if by and at == x.time:
            raise MixesTimesteps("it moves timesteps")
        if by:
            x = concatenate([part(x, at, size - by, by), part(x, at, 0, size - by)], at)
    return x


# ---- again -----------------------------------------------------------------------------------------------------------


@operation("Repeat", options=("repeats", "axis"))
@documented(
    "Each element several times, one behind the other.",
    {"x": ARRAY, "repeats": "(int or list of int): How often, for all or for each.",
     "axis": "(int, default None): The axis; None makes one row of all elements first."},
    _SAME,
    "ops.repeat([1, 2], 2)\n"
    "array([1, 1, 2, 2], dtype=int32)",
    {"ValueError": "As many numbers as there are no elements."},
)  # fmt: skip
def repeat(x, repeats, axis=None):
    counts = _numbers(repeats, "repeats", "repeat")
    x, axis = (ravel(x), 0) if axis is None else (x, axis_of(x, axis, "repeat"))
    if axis == x.time:
        raise MixesTimesteps("it repeats timesteps")
    size = x.shape[axis]
    if min(counts, default=0) < 0 or (len(counts) not in (1, size) and size not in getattr(x.p, "unknown", ())):
        raise ValueError(f"ops.repeat: repeats={repeats!r} for axis {axis} of an array of shape {x.shape}.")
    if len(counts) == 1:
        before, behind, strides = x.shape[:axis], x.shape[axis + 1 :], strides_of(x.shape)
        wide = view(x, (*before, size, counts[0], *behind), [*strides[: axis + 1], 0, *strides[axis + 1 :]])
        return reshaped(wide, (*before, size * counts[0], *behind), x.time)
    if len(counts) != size:
        return x  # of an unknown size
    places = steps.known(x.p, (sum(counts),), lambda: np.repeat(np.arange(size), counts))
    return steps.gather(x, places, axis, (*x.shape[:axis], sum(counts), *x.shape[axis + 1 :]), time=x.time)


@operation("Tile", options=("repeats",))
@documented(
    "The array several times along its axes.",
    {"x": ARRAY, "repeats": "(int or tuple of int): How often along the last axes; more of them make new ones."},
    _SAME,
    "ops.tile([1, 2], 2)\narray([1, 2, 1, 2], dtype=int32)",
    {"ValueError": "A number below 0."},
)
def tile(x, repeats):
    counts = _numbers(repeats, "repeats", "tile")
    if min(counts, default=0) < 0:
        raise ValueError(f"ops.tile: repeats={repeats!r} has a number below 0.")
    ndim = max(len(counts), x.ndim)
    counts = (1,) * (ndim - len(counts)) + counts
    x = reshape(x, (1,) * (ndim - x.ndim) + x.shape) if x.ndim < ndim else x
    if x.time is not None and counts[x.time] != 1:
        raise MixesTimesteps("it repeats timesteps")
    for axis, count in enumerate(counts):
        if count == 1:
            continue
        before, size, behind = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
        n, m = math.prod(before), size * math.prod(behind)
        x = reshaped(view(x, (n, count, m), (m, 0, 1)), (*before, count * size, *behind), x.time)
    return x


# ---- surrounded ------------------------------------------------------------------------------------------------------


def _widths(x, pad_width):
    """[(before, after)] for each axis, as Keras takes them."""
    given = pad_width.tolist() if isinstance(pad_width, np.ndarray) else pad_width
    if isinstance(given, (int, np.integer)):
        given = [(given, given)]
    elif given and isinstance(given[0], (int, np.integer)):
        given = [given]
    found = [tuple(int(n) for n in (one if isinstance(one, (list, tuple)) else (one,))) for one in given]
    found = [one * 2 if len(one) == 1 else one for one in found]
    found = found * x.ndim if len(found) == 1 else found
    if len(found) != x.ndim or any(len(one) != 2 or min(one) < 0 for one in found):
        raise ValueError(f"ops.pad: pad_width={pad_width!r} for an array of shape {x.shape}.")
    return found


def _mirrored(size, before, after, mode):
    """The places along an axis that stand at each place of the padded one."""
    places = np.arange(-before, size + after)
    if mode == "edge":
        return np.clip(places, 0, size - 1)
    if mode == "symmetric":
        return np.where(places < 0, -1 - places, np.where(places >= size, 2 * size - 1 - places, places))
    return np.where(places < 0, -places, np.where(places >= size, 2 * size - 2 - places, places))


@operation("Pad", options=("pad_width", "mode"))
@documented(
    "The array with more elements around it.",
    {"x": ARRAY, "pad_width": "(int, or tuple of pairs of int): How many before and behind each axis; one pair is for "
     "all axes.", "mode": '(str, default "constant"): "constant", "reflect" (without the edge), "symmetric" (with it) '
     'or "edge".', "constant_values": "(number, default None): What is put there by \"constant\"; None is 0."},
    _SAME,
    "ops.pad([1, 2], 1)\n"
    "array([0, 1, 2, 0], dtype=int32)",
    {"ValueError": "An unknown mode, or widths that do not fit."},
)  # fmt: skip
def pad(x, pad_width, mode="constant", constant_values=None):
    if mode not in ("constant", "reflect", "symmetric", "edge"):
        raise ValueError(f"ops.pad: mode={mode!r} is none of constant, reflect, symmetric, edge.")
    if constant_values is not None and mode != "constant":
        raise ValueError(f"Argument `constant_values` can only be provided when `mode == 'constant'`. Received: {mode}")
    for axis, (before, after) in enumerate(_widths(x, pad_width)):
        size = x.shape[axis]
        if not before and not after:
            continue
        if axis == x.time:
            raise MixesTimesteps("it adds timesteps")
        shape, unknown = list(x.shape), size in getattr(x.p, "unknown", ())
        if mode == "constant":
            value = 0 if constant_values is None else constant_values
            filling = cast(value if isinstance(value, Traced) else lift(x.p, np.array(value)), x.dtype)
            ends = [
                _filled(filling, [*shape[:axis], count, *shape[axis + 1 :]], x.time) if count else None
                for count in (before, after)
            ]
            x = concatenate([one for one in (ends[0], x, ends[1]) if one is not None], axis)
            continue
        most = size if mode == "symmetric" else size - 1
        if not unknown and (size == 0 or (mode != "edge" and max(before, after) > most)):
            raise ValueError(f"ops.pad: {mode} adds at most {most} elements to axis {axis} of {x.shape}.")
        shape[axis] = size + before + after
        places = steps.known(x.p, shape[axis : axis + 1], partial(_mirrored, size, before, after, mode))
        x = steps.gather(x, places, axis, shape, time=x.time)
    return x


def _filled(filling, shape, time):
    found = broadcast(Traced(filling.p, filling.slot), shape)
    found.time = time
    return found


@operation("ExtractSequences", "math", options=("sequence_length", "sequence_stride"))
@documented(
    "Windows that slide over the last axis.",
    {"x": ARRAY, "sequence_length": "(int): Elements of a window.", "sequence_stride": "(int): From one to the next."},
    "An array (..., windows, sequence_length) of the dtype of `x`.",
    "ops.extract_sequences([1, 2, 3, 4], 2, 1)\narray([[1, 2],\n       [2, 3],\n       [3, 4]], dtype=int32)",
    {"ValueError": "No axis, or sizes below 1."},
)
def extract_sequences(x, sequence_length, sequence_stride):
    if x.ndim < 1 or sequence_length < 1 or sequence_stride < 1:
        raise ValueError(
            f"ops.extract_sequences: windows of {sequence_length} every {sequence_stride} elements of an array of "
            f"shape {x.shape}."
        )
    axis, size = x.ndim - 1, x.shape[-1]
    if axis == x.time:
        raise MixesTimesteps("it takes windows of timesteps")
    count = max(0, 1 + (size - sequence_length) // sequence_stride)
    places = steps.known(
        x.p, (count, sequence_length),
        lambda: np.arange(count)[:, None] * sequence_stride + np.arange(sequence_length if count else 0),
    )  # fmt: skip
    return steps.gather(x, places, axis, (*x.shape[:-1], count, sequence_length), time=x.time)

"""The backend's functions of shapes, and of arrays made of a shape."""

import builtins
import math

from fastseq import ops
from fastseq.backend.documented import ARRAY, SAME, documented
from fastseq.tensors.settings import image_data_format

_DTYPE = '(str, default None): "float32", "int32" or "bool"; None is float32.'
_LIKE = '(str, default None): "float32", "int32" or "bool"; None is that of `x`.'
_NAME = "(str, default None): For code that passes one; an array has none."
_FORMAT = '(str, default None): "channels_last" or "channels_first"; None is `image_data_format()`.'
_NO_AXIS = {"ValueError": "An axis that is not there."}


# ---- made of a shape -------------------------------------------------------------------------------------------------


@documented("Zeros of a shape.", {"shape": "(tuple of int): Sizes.", "dtype": _DTYPE, "name": _NAME}, "An array.",
            "backend.zeros((2,))\n"
    'array([0., 0.], dtype=float32)')  # fmt: skip
def zeros(shape, dtype=None, name=None):
    return ops.zeros(shape, dtype)


@documented("Ones of a shape.", {"shape": "(tuple of int): Sizes.", "dtype": _DTYPE, "name": _NAME}, "An array.",
            "backend.ones((2,))\n"
    'array([1., 1.], dtype=float32)')  # fmt: skip
def ones(shape, dtype=None, name=None):
    return ops.ones(shape, dtype)


@documented("Zeros in the shape of an array.", {"x": ARRAY, "dtype": _LIKE, "name": _NAME}, "An array.",
            "backend.zeros_like([1.0, 2.0])\n"
    'array([0., 0.], dtype=float32)')  # fmt: skip
def zeros_like(x, dtype=None, name=None):
    return ops.zeros_like(x, dtype)


@documented("Ones in the shape of an array.", {"x": ARRAY, "dtype": _LIKE, "name": _NAME}, "An array.",
            "backend.ones_like([1.0, 2.0])\n"
    'array([1., 1.], dtype=float32)')  # fmt: skip
def ones_like(x, dtype=None, name=None):
    return ops.ones_like(x, dtype)


@documented("The matrix with ones on its diagonal.", {"size": "(int): Rows and columns.", "dtype": _DTYPE,
            "name": _NAME}, "An array (size, size).", "backend.eye(2)\n"
    'array([[1., 0.],\n       [0., 1.]], dtype=float32)')  # fmt: skip
def eye(size, dtype=None, name=None):
    return ops.eye(size, dtype=dtype)


@documented(
    "Numbers at equal distances.",
    {"start": "(int or float): The first; without `stop`, the end, and none for an end below 0.",
     "stop": "(int or float, default None): The end, left out.",
     "step": "(int or float, default 1): From one to the next.",
     "dtype": '(str, default "int32"): "float32", "int32" or "bool".'},
    "An array of one axis.",
    "backend.arange(3)\n"
    'array([0, 1, 2], dtype=int32)',
)  # fmt: skip
def arange(start, stop=None, step=1, dtype="int32"):
    start, stop = (0, max(start, 0)) if stop is None else (start, stop)
    return ops.cast(ops.arange(start, stop, step), dtype)


# ---- other shapes ----------------------------------------------------------------------------------------------------


@documented(
    "The same elements in another shape.",
    {"x": ARRAY, "shape": "(tuple of int): Sizes, of which one may be -1, or None as `int_shape` gives it."},
    SAME,
    "backend.reshape([1.0, 2.0, 3.0, 4.0], (2, -1))\narray([[1., 2.],\n       [3., 4.]], dtype=float32)",
    {"ValueError": "Another number of elements, or two sizes that are not known."},
)
def reshape(x, shape):
    return ops.reshape(x, tuple(-1 if size is None else size for size in shape))


@documented(
    "All elements in one row.", {"x": ARRAY}, SAME, "backend.flatten([[1.0], [2.0]])\narray([1., 2.], dtype=float32)"
)
def flatten(x):
    return ops.reshape(x, (-1,))


@documented(
    "The elements of each entry of the batch in one row.",
    {"x": ARRAY},
    "An array (batch, elements) of the dtype of `x`.",
    "backend.batch_flatten([[[1.0], [2.0]]])\narray([[1., 2.]], dtype=float32)",
    {"ValueError": "A symbolic tensor does not know its sizes behind the batch."},
)
def batch_flatten(x):
    sizes = ops.shape(x)[1:]
    if None in sizes:
        raise ValueError(f"backend.batch_flatten: a symbolic tensor of shape {ops.shape(x)} has unknown sizes.")
    return ops.reshape(x, (-1, math.prod(sizes)))


@documented("A new axis of size 1.", {"x": ARRAY, "axis": "(int, default -1): Where it stands."}, SAME,
            "backend.expand_dims([1.0, 2.0])\n"
    'array([[1.],\n       [2.]], dtype=float32)', _NO_AXIS)  # fmt: skip
def expand_dims(x, axis=-1):
    return ops.expand_dims(x, axis)


@documented("Without an axis of size 1.", {"x": ARRAY, "axis": "(int): The axis."}, SAME,
            "backend.squeeze([[1.0], [2.0]], axis=1)\n"
    'array([1., 2.], dtype=float32)', {"ValueError": "An axis of another size."})  # fmt: skip
def squeeze(x, axis):
    return ops.squeeze(x, axis)


@documented(
    "Axes in reverse order.",
    {"x": ARRAY},
    SAME,
    "backend.transpose([[1.0, 2.0]])\narray([[1.],\n       [2.]], dtype=float32)",
)
def transpose(x):
    return ops.transpose(x)


@documented(
    "Axes in another order.",
    {"x": ARRAY, "pattern": "(tuple of int): The axes, batch included, in their new order."},
    SAME,
    "backend.permute_dimensions([[1.0, 2.0]], (1, 0))\narray([[1.],\n       [2.]], dtype=float32)",
    {"ValueError": "No order of the axes."},
)
def permute_dimensions(x, pattern):
    return ops.transpose(x, tuple(pattern))


@documented("Elements in the opposite order.", {"x": ARRAY, "axes": "(int or tuple): The axes."}, SAME,
            "backend.reverse([1.0, 2.0], 0)\n"
    'array([2., 1.], dtype=float32)', _NO_AXIS)  # fmt: skip
def reverse(x, axes):
    return ops.flip(x, axes)


# ---- parts and several -----------------------------------------------------------------------------------------------


@documented(
    "Arrays joined along an axis they have.",
    {"tensors": "(list): Arrays that are alike in the other axes.", "axis": "(int, default -1): The axis."},
    "An array of the dtype that all have together.",
    "backend.concatenate([[1.0], [2.0]])\narray([1., 2.], dtype=float32)",
    _NO_AXIS,
)
def concatenate(tensors, axis=-1):
    return ops.concatenate(tensors, axis)


@documented("Arrays joined along a new axis.", {"x": "(list): Arrays of one shape.",
            "axis": "(int, default 0): The new axis."}, "An array of the dtype that all have together.",
            "backend.stack([[1.0], [2.0]])\n"
    'array([[1.],\n       [2.]], dtype=float32)', _NO_AXIS)  # fmt: skip
def stack(x, axis=0):
    return ops.stack(x, axis)


@documented(
    "Entries of the first axis.",
    {"reference": ARRAY, "indices": "(int array): Which."},
    "An array of the shape of `indices` and then of an entry.",
    "backend.gather([[1.0], [2.0]], [1, 1, 0])\narray([[2.],\n       [2.],\n       [1.]], dtype=float32)",
    {"ValueError": "An entry that is not there."},
)
def gather(reference, indices):
    return ops.take(reference, indices, axis=0)


@documented(
    "A part of an array.",
    {"x": ARRAY, "start": "(tuple of int): Where it begins on each axis.",
     "size": "(tuple of int): How many elements each axis of it has; -1 is all that are left."},
    SAME,
    "backend.slice([1.0, 2.0, 3.0], (1,), (2,))\n"
    'array([2., 3.], dtype=float32)',
    {"ValueError": "A part that reaches beyond the array, or another number of axes than the array has."},
)  # fmt: skip
def slice(x, start, size):
    shape = ops.shape(x)
    if not len(start) == len(size) == len(shape):
        raise ValueError(f"backend.slice: start={start} and size={size} for an array of shape {shape}.")
    for axis, (at, count, length) in enumerate(zip(start, size, shape)):
        if at < 0 or count < -1 or (length is not None and at + max(count, 0) > length):
            raise ValueError(f"backend.slice: {count} elements from {at} on reach beyond axis {axis} of {shape}.")
    key = tuple(builtins.slice(at, None if count == -1 else at + count) for at, count in zip(start, size))
    return ops.get_item(x, key)


@documented("Rows with a 1 at the place of a number, 0 else.", {"indices": "(int array): The numbers.",
            "num_classes": "(int): How long a row is."}, "float32 array of one axis more.",
            "backend.one_hot([0, 2], 3)\n"
    'array([[1., 0., 0.],\n       [0., 0., 1.]], dtype=float32)')  # fmt: skip
def one_hot(indices, num_classes):
    return ops.one_hot(indices, num_classes)


# ---- again -----------------------------------------------------------------------------------------------------------


@documented("The array several times along its axes.", {"x": ARRAY, "n": "(int or tuple of int): How often."}, SAME,
            "backend.tile([1.0, 2.0], 2)\n"
    'array([1., 2., 1., 2.], dtype=float32)', {"ValueError": "A number below 0."})  # fmt: skip
def tile(x, n):
    return ops.tile(x, n)


@documented("Each row several times, as timesteps.", {"x": "(array): (batch, width).", "n": "(int): How often."},
            "An array (batch, n, width).", "backend.repeat([[1.0, 2.0]], 3)\n"
    'array([[[1., 2.],\n        [1., 2.],\n        [1., 2.]]], dtype=float32)',
            {"ValueError": "An array of other than two axes."})  # fmt: skip
def repeat(x, n):
    if ops.ndim(x) != 2:
        raise ValueError(f"backend.repeat takes an array (batch, width), got shape {ops.shape(x)}.")
    return ops.repeat(ops.expand_dims(x, 1), n, axis=1)


@documented(
    "Each element of an axis several times, one behind the other.",
    {"x": ARRAY, "rep": "(int): How often.", "axis": "(int): The axis."},
    SAME,
    "backend.repeat_elements([1.0, 2.0], 2, 0)\narray([1., 1., 2., 2.], dtype=float32)",
    _NO_AXIS,
)
def repeat_elements(x, rep, axis):
    return ops.repeat(x, rep, axis)


# ---- surrounded ------------------------------------------------------------------------------------------------------


@documented(
    "Zeros before the first timestep and behind the last.",
    {"x": "(array): (batch, time, width).", "padding": "(tuple, default (1, 1)): How many before and behind."},
    SAME,
    "backend.temporal_padding([[[1.0]]])\narray([[[0.],\n        [1.],\n        [0.]]], dtype=float32)",
)
def temporal_padding(x, padding=(1, 1)):
    before, behind = padding
    return ops.pad(x, ((0, 0), (before, behind), (0, 0)))


def _spatial(x, padding, data_format, count):
    data_format = image_data_format() if data_format is None else data_format
    if data_format not in ("channels_first", "channels_last"):
        raise ValueError(f"Unknown data_format: {data_format}")
    if len(padding) != count:
        raise ValueError(f"backend.spatial_{count}d_padding takes {count} pairs of sizes, got {padding!r}.")
    inner = [tuple(pair) for pair in padding]
    rest = [(0, 0)]
    return ops.pad(x, [*rest, *rest, *inner] if data_format == "channels_first" else [*rest, *inner, *rest])


@documented(
    "Zeros around rows and columns.",
    {"x": "(array): (batch, rows, columns, channels).",
     "padding": "(tuple, default ((1, 1), (1, 1))): How many before and behind each.", "data_format": _FORMAT},
    SAME,
    "backend.spatial_2d_padding([[[[1.0]]]]).shape\n(1, 3, 3, 1)",
)  # fmt: skip
def spatial_2d_padding(x, padding=((1, 1), (1, 1)), data_format=None):
    return _spatial(x, padding, data_format, 2)


@documented(
    "Zeros around three axes.",
    {"x": "(array): (batch, depth, rows, columns, channels).",
     "padding": "(tuple, default ((1, 1), (1, 1), (1, 1))): How many before and behind each.",
     "data_format": _FORMAT},
    SAME,
    "backend.spatial_3d_padding([[[[[1.0]]]]]).shape\n(1, 3, 3, 3, 1)",
)  # fmt: skip
def spatial_3d_padding(x, padding=((1, 1), (1, 1), (1, 1)), data_format=None):
    return _spatial(x, padding, data_format, 3)

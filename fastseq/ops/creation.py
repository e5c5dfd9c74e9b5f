"""Arrays of given values. https://keras.io/api/ops/numpy/

What has no array among its arguments gives an array at once, in a trace too: sizes are plain ints there.
"""

import math

import numpy as np

from fastseq.errors import UnsupportedError
from fastseq.ops import elementwise as e
from fastseq.ops.call_errors import names_its_errors
from fastseq.ops.documented import ARRAY, NO_DTYPE, documented
from fastseq.ops.operation import operation
from fastseq.ops.places import known
from fastseq.ops.shapes import expand_dims, moveaxis, whole_axis
from fastseq.ops.values import MixesTimesteps, Traced, broadcast, cast, lift, together, working_dtype
from fastseq.tensors import arrays
from fastseq.tensors.symbolic import KerasTensor
from fastseq.tensors.variable import Variable

_DTYPE = '(str, default None): "float32", "int32" or "bool"; None is float32.'
_SHAPE = "(tuple of int): The sizes."
_NO_SIZE = {"ValueError": "What is no size, or another dtype."}
_LIKE = {"x": ARRAY, "dtype": "(str, default None): None is that of `x`."}


def _dtype(dtype):
    return working_dtype(dtype or "float32")


def _sizes(shape, name):
    sizes = shape if isinstance(shape, (list, tuple, np.ndarray)) else (shape,)
    if any(isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 0 for size in sizes):
        raise ValueError(f"ops.{name}: shape={shape!r} has an entry that is no size.")
    return tuple(int(size) for size in sizes)


# ---- of a shape ------------------------------------------------------------------------------------------------------


@names_its_errors
@documented("Zeros.", {"shape": _SHAPE, "dtype": _DTYPE}, "An array.", "ops.zeros((2, 3))\n"
            "array([[0., 0., 0.],\n"
            "       [0., 0., 0.]], dtype=float32)",
            _NO_SIZE)  # fmt: skip
def zeros(shape, dtype=None):
    return np.zeros(_sizes(shape, "zeros"), _dtype(dtype))


@names_its_errors
@documented("Ones.", {"shape": _SHAPE, "dtype": _DTYPE}, "An array.", "ops.ones((2, 3))\n"
            "array([[1., 1., 1.],\n"
            "       [1., 1., 1.]], dtype=float32)",
            _NO_SIZE)  # fmt: skip
def ones(shape, dtype=None):
    return np.ones(_sizes(shape, "ones"), _dtype(dtype))


@names_its_errors
@documented("An array whose values do not matter: zeros.", {"shape": _SHAPE, "dtype": _DTYPE}, "An array.",
            "ops.empty((2, 3))\n"
            "array([[0., 0., 0.],\n"
            "       [0., 0., 0.]], dtype=float32)", _NO_SIZE)  # fmt: skip
def empty(shape, dtype=None):
    return zeros(shape, dtype)


@operation("Full", options=("shape", "dtype"))
@documented("One value everywhere.", {"shape": _SHAPE, "fill_value": "(array): The value, or values that broadcast.",
            "dtype": _DTYPE}, "An array.", "ops.full((2, 3), 7)\n"
    "array([[7., 7., 7.],\n"
    "       [7., 7., 7.]], dtype=float32)",
            {"ValueError": "An entry that is no size, another dtype, or values that do not broadcast."})  # fmt: skip
def full(shape, fill_value, dtype=None):
    shape = _sizes(shape, "full")
    if fill_value.time is not None:
        raise MixesTimesteps("it spreads timesteps over a shape")
    return broadcast(cast(fill_value, _dtype(dtype)), shape, "ops.full")


def _like(x, value, dtype, name=None):
    # The values of x do not matter: only its sizes, which may be those of another batch each time.
    dtype = x.dtype if dtype is None else working_dtype(dtype)
    value = value if isinstance(value, Traced) else lift(x.p, np.array(value))
    if value.time is not None:
        raise MixesTimesteps("it spreads timesteps over a shape")
    filled = broadcast(cast(value, dtype), x.shape, name)
    filled.time = x.time
    return filled


@operation("ZerosLike", options=("dtype",))
@documented(
    "Zeros in the shape of an array.",
    _LIKE,
    "An array.",
    "ops.zeros_like([1.0, 2.0])\narray([0., 0.], dtype=float32)",
    NO_DTYPE,
)
def zeros_like(x, dtype=None):
    return _like(x, 0, dtype)


@operation("OnesLike", options=("dtype",))
@documented(
    "Ones in the shape of an array.",
    _LIKE,
    "An array.",
    "ops.ones_like([1.0, 2.0])\narray([1., 1.], dtype=float32)",
    NO_DTYPE,
)
def ones_like(x, dtype=None):
    return _like(x, 1, dtype)


@operation("EmptyLike", options=("dtype",))
@documented(
    "An array of a shape whose values do not matter: zeros.",
    _LIKE,
    "An array.",
    "ops.empty_like([1.0, 2.0])\narray([0., 0.], dtype=float32)",
    NO_DTYPE,
)
def empty_like(x, dtype=None):
    return _like(x, 0, dtype)


@operation("FullLike", options=("dtype",))
@documented(
    "One value in the shape of an array.",
    {**_LIKE, "fill_value": "(number or array): The value."},
    "An array.",
    "ops.full_like([1.0, 2.0], 7)\narray([7., 7.], dtype=float32)",
    {"ValueError": "An unknown dtype, or shapes that do not broadcast."},
)
def full_like(x, fill_value, dtype=None):
    return _like(x if isinstance(x, Traced) else lift(fill_value.p, np.asarray(x)), fill_value, dtype, "ops.full_like")


# ---- matrices --------------------------------------------------------------------------------------------------------


@names_its_errors
@documented(
    "A matrix with ones on a diagonal, zeros else.",
    {"N": "(int): Rows.", "M": "(int, default None): Columns; None is N.", "k": "(int, default 0): Which diagonal.",
     "dtype": _DTYPE},
    "An array (N, M).",
    "ops.eye(2)\n"
    "array([[1., 0.],\n"
    "       [0., 1.]], dtype=float32)",
    _NO_SIZE,
)  # fmt: skip
def eye(N, M=None, k=0, dtype=None):
    return np.eye(*_sizes((N, N if M is None else M), "eye"), whole_axis(k, "eye", "k"), dtype=_dtype(dtype))


@names_its_errors
@documented("The matrix with ones on its diagonal, zeros else.", {"n": "(int): Rows and columns.", "dtype": _DTYPE},
            "An array (n, n).", "ops.identity(2)\n"
            "array([[1., 0.],\n"
            "       [0., 1.]], dtype=float32)", _NO_SIZE)  # fmt: skip
def identity(n, dtype=None):
    return eye(n, dtype=dtype)


@names_its_errors
@documented(
    "A matrix with ones on a diagonal and below it, zeros else.",
    {"N": "(int): Rows.", "M": "(int, default None): Columns; None is N.", "k": "(int, default 0): Which diagonal.",
     "dtype": _DTYPE},
    "An array (N, M).",
    "ops.tri(2)\n"
    "array([[1., 0.],\n"
    "       [1., 1.]], dtype=float32)",
    _NO_SIZE,
)  # fmt: skip
def tri(N, M=None, k=0, dtype=None):
    return np.tri(*_sizes((N, N if M is None else M), "tri"), whole_axis(k, "tri", "k"), dtype=_dtype(dtype))


# ---- ranges ----------------------------------------------------------------------------------------------------------


def _number(value, what, name):
    if isinstance(value, (Traced, KerasTensor)):
        raise UnsupportedError(
            f"ops.{name}: {what} is computed from values, so that the shape would depend on them. Take a number, or a "
            "size."
        )
    return value.item() if isinstance(value, (np.ndarray, np.generic)) else value


@names_its_errors
@documented(
    "Numbers at equal distances.",
    {"start": "(int or float): The first; without `stop`, the end.", "stop": "(int or float): The end, left out.",
     "step": "(int or float, default 1): From one to the next.",
     "dtype": "(str, default None): None is int32 where all are integers, else float32."},
    "An array of one axis.",
    "ops.arange(3)\narray([0, 1, 2], dtype=int32)",
    {"ValueError": "A step of 0, or another dtype.", "UnsupportedError": "Numbers that are computed from values."},
)  # fmt: skip
def arange(start, stop=None, step=None, dtype=None):
    start, stop = (0, start) if stop is None else (start, stop)
    start, stop = _number(start, "start", "arange"), _number(stop, "stop", "arange")
    step = 1 if step is None else _number(step, "step", "arange")
    if step == 0:
        raise ValueError("ops.arange: step is 0.")
    whole = all(isinstance(one, int) for one in (start, stop, step))
    if working_dtype(dtype or ("int32" if whole else "float32")) != "float32":
        return np.arange(int(start), int(stop), int(step)).astype(working_dtype(dtype or "int32"))
    # As TensorFlow, which computes in float32 how many there are.
    start, stop, step = np.float32(start), np.float32(stop), np.float32(step)
    count = math.ceil((stop - start) / step) if (stop > start) == (step > 0) else 0
    return (float(start) + np.arange(count) * float(step)).astype(np.float32)


def _floored(x):
    whole = cast(x, "int32")
    return e.subtract(whole, cast(e.greater(cast(whole, "float32"), x), "int32"))


@operation("Linspace", options=("num", "endpoint", "retstep", "dtype", "axis"))
@documented(
    "Numbers at equal distances between two others.",
    {"start": ARRAY, "stop": ARRAY, "num": "(int, default 50): How many.",
     "endpoint": "(bool, default True): Whether `stop` is the last one.",
     "retstep": "(bool, default False): Whether the distance is returned, too.",
     "dtype": "(str, default None): None is float32; of int32 they are rounded down.",
     "axis": "(int, default 0): Where they stand in the result."},
    "An array with one axis more than `start` and `stop` have together; or (that, the distance).",
    "ops.linspace(0.0, 1.0, 5)\n"
    "array([0.  , 0.25, 0.5 , 0.75, 1.  ], dtype=float32)",
    {"ValueError": "num below 0, or another dtype."},
)  # fmt: skip
def linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0):
    if num < 0:
        raise ValueError(f"`num` must be a non-negative integer. Received: num={num}")
    (start, stop), _ = together(start, stop, at_least="float32")
    p = next(one.p for one in (start, stop) if isinstance(one, Traced))
    start, stop = lift(p, start), lift(p, stop)
    parts = num - 1 if endpoint else num
    ndim = max(start.ndim, stop.ndim)

    def share(whole, sign):
        shape = (num, *[1] * ndim)
        return known(p, shape, lambda: (whole + sign * np.arange(num) / max(parts, 1)).reshape(shape), "float32")

    first, last = (expand_dims(cast(one, "float32"), 0) if one.ndim == ndim else one for one in (start, stop))
    y = e.add(e.multiply(first, share(1, -1)), e.multiply(last, share(0, 1)))
    dtype = working_dtype(dtype or "float32")
    y = _floored(y) if dtype == "int32" else cast(y, dtype)
    y = moveaxis(y, 0, axis)
    if not retstep:
        return y
    step = e.divide(e.subtract(stop, start), float(parts)) if parts > 0 else lift(p, np.array(np.nan, np.float32))
    return y, step


# ---- conversions -----------------------------------------------------------------------------------------------------


@names_its_errors
@documented(
    "What it is given, as an array.",
    {"x": ARRAY, "dtype": "(str, default None): None is that of `x`.", "sparse": "(bool): True is not supported.",
     "ragged": "(bool): True is not supported."},
    "An array, or a symbolic tensor; what is traced stays what it is.",
    "ops.convert_to_tensor([1.0, 2.0])\narray([1., 2.], dtype=float32)",
    {"UnsupportedError": "sparse or ragged.", **NO_DTYPE},
)  # fmt: skip
def convert_to_tensor(x, dtype=None, sparse=None, ragged=None):
    _check_dense(sparse, ragged)
    if isinstance(x, KerasTensor):
        return _conversion.node_class(dtype=dtype)(x)
    if isinstance(x, Traced):
        return x if dtype is None else e.cast(x, dtype)
    x = x.numpy() if isinstance(x, Variable) else arrays.standardize(x, "ops.convert_to_tensor()")
    return x if dtype is None else e.cast(x, dtype)


def _check_dense(sparse, ragged):
    if sparse or ragged:
        raise UnsupportedError("ops.convert_to_tensor: fastseq has neither sparse nor ragged arrays.")


def _converted(x, dtype=None, sparse=None, ragged=None):
    _check_dense(sparse, ragged)
    return x if dtype is None else e.cast(x, dtype)


_converted.__name__ = "convert_to_tensor"
# In a graph it is an operation, as in Keras, whose Attention hands on its mask by it.
_conversion = convert_to_tensor.definition = operation(
    "ConvertToTensor", "core", options=("dtype", "sparse", "ragged")
)(_converted).definition


@operation("Array", options=("dtype",))
@documented(
    "What it is given, as an array.",
    _LIKE,
    "An array.",
    "ops.array([1.0, 2.0])\narray([1., 2.], dtype=float32)",
    NO_DTYPE,
)
def array(x, dtype=None):
    return x if dtype is None else cast(x, working_dtype(dtype))


@documented(
    "The values as a NumPy array.",
    {"x": ARRAY},
    "An array.",
    "ops.convert_to_numpy(ops.ones(2))\narray([1., 1.], dtype=float32)",
    {"TypeError": "A symbolic tensor, which has none."},
)
def convert_to_numpy(x):
    return x.numpy() if isinstance(x, Variable) else np.asarray(x)


@documented("Whether it is an array, a symbolic tensor, or what is traced.", {"x": "Anything."}, "True or False.",
            "ops.is_tensor([1.0])\nFalse")  # fmt: skip
def is_tensor(x):
    return isinstance(x, (np.ndarray, Traced, KerasTensor))

"""Products of vectors and matrices. https://keras.io/api/ops/numpy/ and /linalg/"""

import string

import numpy as np

from fastseq.ops import elementwise as e
from fastseq.ops import reductions
from fastseq.ops.contraction import contract, product_dtype
from fastseq.ops.documented import ARRAY, documented
from fastseq.ops.joining import concatenate
from fastseq.ops.mathematical import power
from fastseq.ops.operation import operation
from fastseq.ops.reductions import reduced
from fastseq.ops.shapes import axis_of, expand_dims, reshape, squeeze
from fastseq.ops.values import MixesTimesteps, builder_of, cast, is_number, lift, together, view
from fastseq.program.slots import strides_of

_BOTH = "float32 array, or int32 where both are integers."
_FIT = {"ValueError": "Sizes that do not fit."}


def _letters(count, but=""):
    return [letter for letter in string.ascii_letters if letter not in but][:count]


def _fits(p, one, other):
    return one == other or bool({one, other} & set(getattr(p, "unknown", ())))


def _check_summed(name, x1, x2, axis1, axis2):
    if not _fits(x1.p, x1.shape[axis1], x2.shape[axis2]):
        raise ValueError(
            f"ops.{name}: arrays of shapes {x1.shape} and {x2.shape} do not fit: {x1.shape[axis1]} and "
            f"{x2.shape[axis2]} are to be one size."
        )


def _arrays(x1, x2):
    """Both as arrays of the dtype of their product."""
    return product_dtype(_lifted(x1, x2))


def _lifted(x1, x2):
    """Both as arrays, plain numbers too."""
    p = builder_of(x1, x2)
    (x1, x2), dtype = together(x1, x2)
    return [lift(p, np.array(x, dtype)) if is_number(x) else x for x in (x1, x2)]


@operation("Matmul")
@documented(
    "The product of matrices, which stand in the last two axes; those before broadcast.",
    {"x1": "(array): (..., m, k), or (k,), which is a row.", "x2": "(array): (..., k, n), or (k,), which is a column."},
    _BOTH,
    "ops.matmul([[1.0, 2.0]], [[3.0], [4.0]])\narray([[11.]], dtype=float32)",
    _FIT,
)
def matmul(x1, x2):
    x1, x2 = _arrays(x1, x2)
    if not x1.ndim or not x2.ndim:
        raise ValueError(f"ops.matmul takes no scalars, got shapes {x1.shape} and {x2.shape}.")
    _check_summed("matmul", x1, x2, -1, -2 if x2.ndim > 1 else 0)
    batch = _letters(max(x1.ndim, x2.ndim, 2) - 2, "ikj")
    left = [*batch[len(batch) - x1.ndim + 2 :], "i", "k"] if x1.ndim > 1 else ["k"]
    right = [*batch[len(batch) - x2.ndim + 2 :], "k", "j"] if x2.ndim > 1 else ["k"]
    result = [*batch, *(["i"] if x1.ndim > 1 else []), *(["j"] if x2.ndim > 1 else [])]
    return contract(x1, x2, left, right, result, "matmul")


def _over(x1, x2, axes1, axes2, name):
    """The sum over pairs of axes; what is left of x1, then of x2."""
    for one, other in zip(axes1, axes2):
        _check_summed(name, x1, x2, one, other)
    left = _letters(x1.ndim)
    right = _letters(x2.ndim, left)
    for one, other in zip(axes1, axes2):
        right[other] = left[one]
    summed = {left[axis] for axis in axes1}
    return contract(x1, x2, left, right, [i for i in (*left, *right) if i not in summed], name)


@operation("Dot")
@documented(
    "The sum over the last axis of `x1` and the second to last of `x2`, or its only one; the product with a scalar.",
    {"x1": "(array): (..., k).", "x2": "(array): (..., k, n) or (k,)."},
    _BOTH,
    "ops.dot([1.0, 2.0], [3.0, 4.0])\narray(11., dtype=float32)",
    _FIT,
)
def dot(x1, x2):
    return _dot(x1, x2, "dot")


def _dot(x1, x2, name, axis=None):
    if is_number(x1) or is_number(x2) or not x1.ndim or not x2.ndim:
        return e.multiply(x1, x2)
    x1, x2 = _arrays(x1, x2)
    last = (max(x2.ndim - 2, 0) if axis is None else x2.ndim - 1,)
    return _over(x1, x2, (x1.ndim - 1,), last, name)


@operation("Vdot")
@documented(
    "The sum of the products of all elements.",
    {"x1": ARRAY, "x2": "(array): As many elements."},
    _BOTH,
    "ops.vdot([[1.0, 2.0]], [[3.0], [4.0]])\narray(11., dtype=float32)",
    _FIT,
)
def vdot(x1, x2):
    x1, x2 = _arrays(x1, x2)
    return _dot(reshape(x1, (-1,)), reshape(x2, (-1,)), "vdot")


@operation("Inner")
@documented(
    "The sum over the last axes of both; the product with a scalar.",
    {"x1": "(array): (..., k).", "x2": "(array): (..., k)."},
    _BOTH,
    "ops.inner([1.0, 2.0], [3.0, 4.0])\narray(11., dtype=float32)",
    _FIT,
)
def inner(x1, x2):
    return _dot(x1, x2, "inner", -1)


@operation("Outer")
@documented(
    "The product of each element of `x1` with each of `x2`.",
    {"x1": "(array): m elements.", "x2": "(array): n elements."},
    "An array (m, n) of the dtype that both have together.",
    "ops.outer([1.0, 2.0], [3.0, 4.0])\narray([[3., 4.],\n       [6., 8.]], dtype=float32)",
)
def outer(x1, x2):
    x1, x2 = _lifted(x1, x2)
    return e.multiply(reshape(x1, (-1, 1)), reshape(x2, (1, -1)))


@operation("Tensordot", options=("axes",))
@documented(
    "The sum over several axes of both.",
    {
        "x1": ARRAY,
        "x2": ARRAY,
        "axes": "(int or pair, default 2): How many of the last of `x1` and the first of `x2`; or the axes of each.",
    },
    "What is left of `x1`, then of `x2`. " + _BOTH,
    "ops.tensordot([[1.0, 2.0]], [[3.0], [4.0]], axes=1)\narray([[11.]], dtype=float32)",
    _FIT,
)
def tensordot(x1, x2, axes=2):
    x1, x2 = _arrays(x1, x2)
    if isinstance(axes, int):
        if not 0 <= axes <= min(x1.ndim, x2.ndim):
            raise ValueError(f"ops.tensordot: axes={axes} of arrays of shapes {x1.shape} and {x2.shape}.")
        axes = list(range(x1.ndim - axes, x1.ndim)), list(range(axes))
    first, second = ([one] if isinstance(one, int) else list(one) for one in axes)
    first = [axis_of(x1, axis, "tensordot") for axis in first]
    second = [axis_of(x2, axis, "tensordot") for axis in second]
    if len(first) != len(second) or len({*first}) != len(first) or len({*second}) != len(second):
        raise ValueError(f"ops.tensordot: axes={axes!r} are no pairs of axes.")
    return _over(x1, x2, first, second, "tensordot")


@operation("Cross", options=("axisa", "axisb", "axisc", "axis"))
@documented(
    "The cross product of vectors of 2 or 3 elements.",
    {
        "x1": ARRAY,
        "x2": ARRAY,
        "axisa": "(int, default -1): The axis of the vectors of `x1`.",
        "axisb": "(int, default -1): That of `x2`.",
        "axisc": "(int, default -1): That of the result.",
        "axis": "(int, default None): All three.",
    },
    "An array of the dtype that both have together; of two vectors of 2 elements the third component alone.",
    "ops.cross([1.0, 0.0, 0.0], [0.0, 1.0, 0.0])\narray([0., 0., 1.], dtype=float32)",
    {"ValueError": "Vectors of another size."},
)
def cross(x1, x2, axisa=-1, axisb=-1, axisc=-1, axis=None):
    if axis is not None:
        axisa = axisb = axisc = axis
    x1, x2 = _lifted(x1, x2)
    parts = []
    for x, own in ((x1, axisa), (x2, axisb)):
        own = axis_of(x, own, "cross")
        if x.shape[own] not in (2, 3) and x.shape[own] not in getattr(x.p, "unknown", ()):
            raise ValueError(f"ops.cross takes vectors of 2 or 3 elements, got shapes {x1.shape} and {x2.shape}.")
        if x.time == own:
            raise MixesTimesteps("it takes timesteps together")
        parts.append([_taken(x, own, i) if i < x.shape[own] else 0.0 for i in range(3)])
    (a0, a1, a2), (b0, b1, b2) = parts
    third = e.subtract(e.multiply(a0, b1), e.multiply(a1, b0))
    if isinstance(a2, float) and isinstance(b2, float):
        return third
    zero = e.subtract(a0, a0) if isinstance(a2, float) else e.subtract(b0, b0)
    a2, b2 = (zero if isinstance(i, float) else i for i in (a2, b2))
    found = [
        e.subtract(e.multiply(a1, b2), e.multiply(a2, b1)),
        e.subtract(e.multiply(a2, b0), e.multiply(a0, b2)),
        third,
    ]
    place = axis_of(third, axisc, "cross", 1)
    return concatenate([expand_dims(part, place) for part in found], place)


def _taken(x, axis, i):
    """Element i along an axis, without it."""
    strides = strides_of(x.shape)
    shape = [size for at, size in enumerate(x.shape) if at != axis]
    time = None if x.time is None else x.time - (axis < x.time)
    return view(x, shape, [s for at, s in enumerate(strides) if at != axis], i * strides[axis], time)


@operation("Kron")
@documented(
    "The Kronecker product.",
    {"x1": ARRAY, "x2": ARRAY},
    "An array of the dtype that both have together, each size the product of both.",
    "ops.kron([1.0, 2.0], [1.0, 1.0])\narray([1., 1., 2., 2.], dtype=float32)",
)
def kron(x1, x2):
    x1, x2 = _lifted(x1, x2)
    count = max(x1.ndim, x2.ndim)
    one, other = ((1,) * (count - x.ndim) + x.shape for x in (x1, x2))
    first = reshape(x1, [size for pair in zip(one, (1,) * count) for size in pair])
    second = reshape(x2, [size for pair in zip((1,) * count, other) for size in pair])
    return reshape(e.multiply(first, second), [a * b for a, b in zip(one, other)])


@operation("Norm", "linalg", options=("ord", "axis", "keepdims"))
@documented(
    "The norm of vectors, or the Frobenius norm and sums of rows and columns of matrices.",
    {
        "x": ARRAY,
        "ord": "(int, float or str, default None): Of vectors any number, also inf; of matrices None, 'fro', 1, -1, "
        "inf, -inf. None is the root of the sum of squares.",
        "axis": "(int or pair, default None): The axis of the vectors, or the two of the matrices; None is all.",
        "keepdims": "(bool, default False): Whether these axes stay, with size 1.",
    },
    "float32 array.",
    "ops.norm([3.0, 4.0])\narray(5., dtype=float32)",
    {
        "ValueError": "An order that is not known.",
        "NotImplementedError": "'nuc', 2 and -2 of matrices: singular values.",
    },
)
def norm(x, ord=None, axis=None, keepdims=False):
    x = cast(x, "float32")
    axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, (list, tuple)) else (axis,)
    axes = tuple(axis_of(x, one, "norm") for one in axes)
    if ord is None or (len(axes) == 1 and ord == 2) or (len(axes) == 2 and ord == "fro"):
        return e.sqrt(reductions.sum(e.square(x), axes, keepdims))
    if len(axes) == 1 and not isinstance(ord, str):
        return _vector_norm(x, float(ord), axes, keepdims)
    if len(axes) == 2 and ord in ("nuc", 2, -2):
        raise NotImplementedError(
            f"ops.norm: ord={ord!r} of matrices takes singular values, which fastseq.ops has not."
        )
    if len(axes) != 2 or ord not in (1, -1, float("inf"), float("-inf")):
        raise ValueError(f"ops.norm: ord={ord!r} over {len(axes)} axes is no norm that is known.")
    summed, taken = axes if ord in (1, -1) else axes[::-1]
    sums = reductions.sum(e.absolute(x), summed, True)
    found = reduced("max" if ord > 0 else "min", sums, taken, True, "norm")
    return found if keepdims else squeeze(found, axes)


def _vector_norm(x, ord, axes, keepdims):
    size = e.absolute(x)
    if ord in (float("inf"), float("-inf")):
        return reduced("max" if ord > 0 else "min", size, axes, keepdims, "norm")
    if ord == 0:
        return reductions.sum(e.cast(e.not_equal(x, 0.0), "float32"), axes, keepdims)
    if ord == 1:
        return reductions.sum(size, axes, keepdims)
    return power(reductions.sum(power(size, ord), axes, keepdims), 1.0 / ord)

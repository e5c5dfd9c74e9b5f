"""The backend's products of matrices."""

import string

from fastseq import ops
from fastseq.backend.documented import ARRAY, documented


@documented(
    "Product over the last axis of `x` and the last but one of `y`.",
    {"x": ARRAY, "y": ARRAY},
    "An array (..., ...): the other axes of `x`, then those of `y`.",
    "backend.dot([[1.0, 2.0]], [[3.0], [4.0]])\narray([[11.]], dtype=float32)",
    {"ValueError": "Axes of other sizes."},
)
def dot(x, y):
    return ops.dot(x, y)


def _axes(x_shape, y_shape, axes):
    """The two axes, counted from 0, over which batch_dot sums."""
    if axes is None:
        axes = len(x_shape) - 1, len(y_shape) - (1 if len(y_shape) == 2 else 2)
    first, second = (axes, axes) if isinstance(axes, int) else axes
    if not (isinstance(first, int) and isinstance(second, int)):
        raise ValueError(f"backend.batch_dot: axes are None, an int or two, got {axes!r}.")
    found = []
    for axis, shape in ((first, x_shape), (second, y_shape)):
        if not -len(shape) <= axis < len(shape) or axis % len(shape) == 0:
            raise ValueError(f"backend.batch_dot: {axis} is no axis behind the batch of an array of shape {shape}.")
        found.append(axis % len(shape))
    return found


@documented(
    "Product of each entry of the batch of `x` with that of `y`, over one axis of each.",
    {"x": "(array): (batch, ...).", "y": "(array): (batch, ...).",
     "axes": "(int or tuple, default None): The axis of `x` and that of `y`; None is the last of `x`, and the last but "
     "one of `y` or its only one."},
    "An array: the batch, the other axes of `x`, those of `y`; (batch, 1) where there is none.",
    "backend.batch_dot([[[1.0, 2.0]]], [[[3.0], [4.0]]])\n"
    'array([[[11.]]], dtype=float32)',
    {"ValueError": "Arrays of one axis, other batches, or axes of other sizes."},
)  # fmt: skip
def batch_dot(x, y, axes=None):
    shapes = x_shape, y_shape = tuple(ops.shape(x)), tuple(ops.shape(y))
    if min(map(len, shapes)) < 2:
        raise ValueError(f"backend.batch_dot takes arrays (batch, ...), got shapes {x_shape} and {y_shape}.")
    first, second = _axes(x_shape, y_shape, axes)
    for a, b in ((x_shape[0], y_shape[0]), (x_shape[first], y_shape[second])):
        if None not in (a, b) and a != b:
            raise ValueError(
                f"backend.batch_dot: shapes {x_shape} and {y_shape} do not fit, {a} is not {b}; axes are "
                f"({first}, {second})."
            )
    letters = iter(string.ascii_lowercase)
    batch, over = next(letters), next(letters)
    names = [
        [batch if at == 0 else over if at == axis else next(letters) for at in range(len(shape))]
        for shape, axis in ((x_shape, first), (y_shape, second))
    ]
    rest = [name for part in names for name in part if name not in (batch, over)]
    found = ops.einsum(f"{''.join(names[0])},{''.join(names[1])}->{''.join([batch, *rest])}", x, y)
    return found if rest else ops.expand_dims(found, 1)

"""Dot layer: batches of dot products of two inputs; see https://keras.io/api/layers/merging_layers/dot/."""

import math

import numpy as np

from fastseq.layers import time_axis
from fastseq.layers.merge.merging import Merge, merged_dtype
from fastseq.program import gradient_rules
from fastseq.program.products import plain_matmul

_EPSILON = 1e-7  # keras.config.epsilon(), below which a norm counts as this much

gradient_rules.register("normalize", "gradients.elementwise:normalize_rule")


class Dot(Merge):
    """Sums x1 * x2 over one axis of each, row by row of the batch: ([(B, T, F), (B, S, F)], axes=2) -> (B, T, S).

    The result has the axes of x1 that are left, then those of x2; (B, 1) where none are. It has no mask.

    Args:
        axes (int or pair of int): One axis for both inputs, or one for each.
        normalize (bool, default False): Whether both are first divided by their L2 norm along it, which makes the
            cosine.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        TypeError: Axes that are no integer and no list.
        ValueError: Other than two inputs, axes that are not there or are the batch, and unequal sizes.

    Example:
        >>> layers.Dot(axes=1)([np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])])
        array([[11.]], dtype=float32)
    """

    def __init__(self, axes, normalize=False, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(axes, (int, list, tuple)) or isinstance(axes, bool):
            raise TypeError(f"Dot: `axes` must be an integer or a pair of integers, got {axes!r}.")
        if not isinstance(axes, int) and (len(axes) != 2 or not all(isinstance(axis, int) for axis in axes)):
            raise ValueError(f"Dot: `axes` must be an integer or a pair of integers, got {axes!r}.")
        self.axes = axes
        self.normalize = normalize

    def keeps_time(self, timed, shapes, arguments):
        if any(timed):
            time_axis.refuse(self, "it multiplies over the timesteps")
        return False

    def symbolic_mask(self, inputs, masks, ops, rules):
        return []

    def _check_shapes(self, shapes):
        """The two axes, from 0 on."""
        self._check_list(shapes, 2)
        axes = [self.axes] * 2 if isinstance(self.axes, int) else list(self.axes)
        for axis, shape in zip(axes, shapes):
            if len(shape) < 2 or not -len(shape) <= axis < len(shape) or axis % len(shape) == 0:
                raise ValueError(
                    f"Layer '{self.name}' (Dot) has axes={self.axes}, which must be axes of its inputs other than the "
                    f"batch: got shapes {shapes}."
                )
        axes = [axis % len(shape) for axis, shape in zip(axes, shapes)]
        sizes = [shape[axis] for axis, shape in zip(axes, shapes)]
        batches = {shape[0] for shape in shapes} - {None}
        if (None not in sizes and sizes[0] != sizes[1]) or len(batches) > 1:
            raise ValueError(
                f"Layer '{self.name}' (Dot) with axes={self.axes} takes inputs with the same batch size and the same "
                f"size along those axes, got shapes {shapes}."
            )
        return axes

    def build(self, input_shape):
        self._check_shapes(input_shape)
        self.built = True

    def compute_output_shape(self, input_shape):
        axes = self._check_shapes(input_shape)
        left, right = ([n for i, n in enumerate(s) if i not in (0, axis)] for s, axis in zip(input_shape, axes))
        return (input_shape[0][0], *(left + right or [1]))

    def emit(self, p, inputs):
        shapes = [slot.shape for slot in inputs] if isinstance(inputs, (list, tuple)) else inputs
        axes = self._check_shapes(shapes)
        shape = self.compute_output_shape(shapes)
        dtype = merged_dtype(inputs)
        if dtype != "float32":
            return self._emit_integers(p, inputs, axes, dtype, shape)
        slots = [p.float32(slot) for slot in inputs]
        if self.normalize:
            slots = [self._normalized(p, slot, axis) for slot, axis in zip(slots, axes)]
        batch, k = shapes[0][0], shapes[0][axes[0]]
        m, n = (math.prod(size for i, size in enumerate(s) if i not in (0, axis)) for s, axis in zip(shapes, axes))
        a = _moved(p, slots[0], axes[0], -1)
        b = _moved(p, slots[1], axes[1], 1)
        y = p.new(shape)
        plain_matmul(p, a, b, y, batch, m, k, n)
        return y

    @staticmethod
    def _normalized(p, x, axis):
        y = p.new(x.shape)
        outer, inner = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
        p.step("normalize", x=x, y=y, outer=outer, n=x.shape[axis], inner=inner, epsilon=_EPSILON**2)
        return y

    def _emit_integers(self, p, inputs, axes, dtype, shape):
        """NumPy: float32 would round sums above 2^24."""
        if self.normalize:
            raise ValueError(f"Layer '{self.name}' (Dot) normalizes floating point inputs only, got {dtype}.")

        def product(left, right):
            left, right = np.moveaxis(left, axes[0], -1), np.moveaxis(right, axes[1], 1)
            left = left.reshape(len(left), -1, left.shape[-1])
            return np.matmul(left, right.reshape(*right.shape[:2], -1)).reshape(shape)

        return p.python(self.name, product, [p.cast(slot, dtype) for slot in inputs], [np.zeros(shape, dtype)])[0]

    def emit_mask(self, p, inputs, mask):
        return None

    def compute_mask(self, inputs, mask=None):
        return None

    def get_config(self):
        return {**super().get_config(), "axes": self.axes, "normalize": self.normalize}


def _moved(p, slot, axis, place):
    """`slot` with `axis` at `place`, copied only where it is elsewhere."""
    order = [i for i in range(len(slot.shape)) if i != axis]
    order.insert(len(order) if place == -1 else place, axis)
    return slot if order == sorted(order) else p.transpose(slot, order)


def dot(inputs, axes=-1, **kwargs):
    """`Dot(axes, **kwargs)(inputs)`: the product of two inputs, summed over an axis of each.

    Args:
        inputs (list): Arrays or KerasTensors, as the layer takes them.
        axes (int or pair of int, default -1): One axis for both inputs, or one for each.
        **kwargs: Those of the layer.

    Returns:
        What the layer gives: an array, or a KerasTensor.

    Raises:
        ValueError: As `Dot`.

    Example:
        >>> layers.dot([np.ones((1, 2)), np.ones((1, 2))], axes=1)
        array([[2.]], dtype=float32)
    """
    return Dot(axes=axes, **kwargs)(inputs)


def reference_dot(x1, x2, axes, normalize=False):
    """The naive twin, in the dtype of its arrays: x1 (B, ...), x2 (B, ...), axes a pair from 1 on."""
    if normalize:
        x1, x2 = (
            x / np.maximum(np.sqrt(np.sum(np.square(x), axis=axis, keepdims=True)), _EPSILON)
            for x, axis in zip((x1, x2), axes)
        )
    rows = [np.tensordot(a, b, axes=(axes[0] - 1, axes[1] - 1)) for a, b in zip(x1, x2)]
    return np.stack([np.atleast_1d(row) for row in rows])

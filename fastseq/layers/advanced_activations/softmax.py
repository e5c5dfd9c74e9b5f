"""Softmax layer; see https://keras.io/api/layers/activation_layers/softmax/."""

import math

import numpy as np

from fastseq.layers import time_axis
from fastseq.layers.base import Layer
from fastseq.tensors import nest

_MASKED = np.float32(-1e9)  # Keras's stand-in for a masked logit


def _as_mask(mask):
    """An array of bools where a mask is one of numbers, or a list of them; anything else as it is."""
    numbers = isinstance(mask, (list, tuple)) and all(isinstance(m, (bool, int, float)) for m in nest.flatten(mask))
    if not (isinstance(mask, np.ndarray) or numbers):
        return mask
    mask = np.asarray(mask)
    return mask > 0.5 if mask.dtype.kind in "iuf" else mask


class Softmax(Layer):
    """Softmax over `axis`; float32, any rank. Call: `layer(inputs, mask=None)`.

    The mask broadcasts to the inputs, and True (or a number above 0.5) keeps; masked positions are 0 in the result,
    also where a whole row is masked (not in models of Keras before 3.10, see `mask_rules.MaskRules`).

    Args:
        axis (int or list of int, default -1): The axis, or the axes, along which the outputs sum to 1.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: Axes that the input does not have, and a mask with more dimensions or other sizes.

    Example:
        >>> layers.Softmax()(np.array([[0.0, 0.0]]))
        array([[0.5, 0.5]], dtype=float32)
    """

    supports_masking = True

    def __init__(self, axis=-1, **kwargs):
        super().__init__(**kwargs)
        axes = axis if isinstance(axis, (list, tuple)) else [axis]
        if not axes or not all(isinstance(a, (int, np.integer)) and not isinstance(a, bool) for a in axes):
            raise ValueError(f"Softmax: `axis` must be an integer or a list of integers, got {axis!r}.")
        self.axis = axis
        self.built = True

    def _call_any(self, inputs, *args, **kwargs):
        if args:
            args = (_as_mask(args[0]), *args[1:])
        elif "mask" in kwargs:
            kwargs["mask"] = _as_mask(kwargs["mask"])
        return super()._call_any(inputs, *args, **kwargs)

    def keeps_time(self, timed, shapes, arguments):
        kept = time_axis.by_row(self, timed, shapes, arguments)
        if kept and 1 in self._axes(len(shapes[0])):
            time_axis.refuse(self, "its axis is time")
        return kept

    def _axes(self, ndim):
        axes = self.axis if isinstance(self.axis, (list, tuple)) else [self.axis]
        if not all(-ndim <= axis < ndim for axis in axes):
            raise ValueError(f"Layer '{self.name}' (Softmax) has axis={self.axis}, its input has {ndim} dimensions.")
        axes = [axis % ndim for axis in axes]
        if len(set(axes)) < len(axes):
            raise ValueError(f"Layer '{self.name}' (Softmax) has axis={self.axis}, which names an axis twice.")
        return axes

    def emit(self, p, inputs, mask=None):
        x = p.float32(inputs)
        axes = self._axes(len(x.shape))
        if mask is not None:
            self._check_mask(mask.shape, x.shape)
            if mask.dtype != "bool":
                above = p.binary("maximum", p.affine(p.float32(mask), 1.0, -0.5), p.constant(np.zeros(1, np.float32)))
                mask = p.mask_logic("nonzero", above)
            masked, zero = p.constant(_MASKED.reshape(1)), p.constant(np.zeros(1, np.float32))
            zeros = p.mask_rules.softmax_zeros
            x = p.select(mask, x, masked) if zeros else p.binary("add", x, p.select(mask, zero, masked))
        y = p.activation(("softmax", ()), x, axes[0]) if len(axes) == 1 else self._over_many(p, x, axes)
        return p.select(mask, y, zero) if mask is not None and zeros else y

    @staticmethod
    def _over_many(p, x, axes):
        """The axes go to the end and become one row there; the result goes back."""
        order = [axis for axis in range(len(x.shape)) if axis not in axes] + sorted(axes)
        moved = p.transpose(x, order)
        width = math.prod(moved.shape[len(x.shape) - len(axes) :])
        rows = moved.reshaped((moved.size // max(1, width), width))
        y = p.activation(("softmax", ()), rows).reshaped(moved.shape)
        return p.transpose(y, [order.index(axis) for axis in range(len(order))])

    def _check_mask(self, mask, inputs):
        sizes = zip(mask[::-1], inputs[::-1])
        if len(mask) > len(inputs) or any(size not in (1, wanted) for size, wanted in sizes):
            raise ValueError(
                f"Layer '{self.name}' (Softmax) takes a mask that broadcasts to its inputs, each of its sizes 1 or "
                f"theirs: got a mask of shape {mask} and inputs of shape {inputs}."
            )

    def get_config(self):
        return {**super().get_config(), "axis": self.axis}

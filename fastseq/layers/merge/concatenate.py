"""Concatenate layer; see https://keras.io/api/layers/merging_layers/concatenate/."""

import numpy as np

from fastseq.layers import time_axis
from fastseq.layers.merge.merging import Merge, merged_dtype
from fastseq.program.mask_steps import all_of_last, any_of_last, joined


class Concatenate(Merge):
    """Joins a list of inputs along `axis`; they are alike in all other axes. Any dtype; integers become float32 beside
    floats.

    Masks are joined too, and an input without one counts as unmasked; along the last axis masks are combined by or. A
    model of an older Keras keeps that version's rules of masks.

    Args:
        axis (int, default -1): The axis that grows.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: What is no list, an axis that is not there, and shapes that do not go together.

    Example:
        >>> layers.Concatenate()([np.zeros((2, 5, 3)), np.zeros((2, 5, 1))]).shape
        (2, 5, 4)
    """

    def __init__(self, axis=-1, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(axis, (int, np.integer)) or isinstance(axis, bool):
            raise ValueError(f"Concatenate: `axis` must be an integer, got {axis!r}.")
        self.axis = int(axis)

    def keeps_time(self, timed, shapes, arguments):
        kept = super().keeps_time(timed, shapes, arguments)
        if kept and self.axis % len(shapes[0]) == 1:
            time_axis.refuse(self, "its axis is time")
        return kept

    def symbolic_mask(self, inputs, masks, ops, rules):
        if rules.merged is None or all(mask is None for mask in masks):
            return []
        full = []
        for tensor, mask in zip(inputs, masks):
            if mask is None:
                full.append(ops.like(tensor, True))
            elif ops.rank(mask) < len(tensor.shape):
                full.append(ops.logical_or(ops.expand_dims(mask), ops.like(tensor, False)))
            else:
                full.append(mask)
        return [ops.any(ops.concatenate(full, self.axis))]

    def _check_shapes(self, shapes):
        """The axis, from 0 on."""
        self._check_list(shapes)
        ndim = len(shapes[0])
        if not -ndim <= self.axis < ndim:
            raise ValueError(f"Layer '{self.name}' (Concatenate) has axis={self.axis} for inputs of shapes {shapes}.")
        axis = self.axis % ndim
        for i in range(ndim):
            sizes = {shape[i] for shape in shapes if len(shape) == ndim} - {None}
            if any(len(shape) != ndim for shape in shapes) or (i != axis and len(sizes) > 1):
                raise ValueError(
                    f"Layer '{self.name}' (Concatenate) takes inputs that are alike in all axes but axis={self.axis}, "
                    f"got shapes {shapes}."
                )
        return axis

    def build(self, input_shape):
        self._check_shapes(input_shape)
        self.built = True

    def compute_output_shape(self, input_shape):
        axis = self._check_shapes(input_shape)
        sizes = [shape[axis] for shape in input_shape]
        total = None if None in sizes else sum(sizes)
        return (*input_shape[0][:axis], total, *input_shape[0][axis + 1 :])

    def emit(self, p, inputs):
        self._check_shapes([slot.shape for slot in inputs] if isinstance(inputs, (list, tuple)) else inputs)
        dtype = merged_dtype(inputs)
        return p.concatenate([p.cast(slot, dtype) for slot in inputs], self.axis)

    def emit_mask(self, p, inputs, mask):
        if mask is None or all(m is None for m in mask):
            return None
        last = len(inputs[0].shape) - 1
        axis = self.axis % (last + 1)
        full = any(m is not None and len(m.shape) > last for m in mask)
        # A mask per step holds for all its features. Masks are spelled out only where an input has one per feature.
        if all(m is not None and len(m.shape) > last for m in mask) and len({m.shape[-1] for m in mask}) == 1:
            masks = list(mask)  # as they are, also where they are of words, and no more or fewer than the features
        else:
            masks = [self._spread(p, slot, m, slot.shape if full else slot.shape[:-1]) for slot, m in zip(inputs, mask)]
        if not full:
            return joined(p, self, masks, p.mask_rules.merged) if axis == last else p.concatenate(masks, axis)
        every = p.concatenate(masks, axis)
        return any_of_last(p, every) if p.mask_rules.merged == "or" else all_of_last(p, every)

    def _spread(self, p, slot, mask, shape):
        if mask is None:
            return p.constant(np.ones(shape, bool))
        if (
            len(mask.shape) == len(shape) > 1
            and mask.shape[:-1] == slot.shape[:-1]
            and self.axis in (-1, len(shape) - 1)
        ):
            return mask  # masks of words are joined like features, however many there are
        own = mask.shape if len(mask.shape) == len(slot.shape) else (*mask.shape, 1)
        if len(own) != len(slot.shape) or any(m not in (1, n) for m, n in zip(own, slot.shape)):
            raise ValueError(
                f"Layer '{self.name}' (Concatenate) takes a mask of shape {slot.shape[:-1]} for an input of shape "
                f"{slot.shape}, got {mask.shape}."
            )
        own = own[: len(shape)]
        return mask.reshaped(own) if own == tuple(shape) else p.broadcast(mask.reshaped(own), shape)

    def get_config(self):
        return {**super().get_config(), "axis": self.axis}


def concatenate(inputs, axis=-1, **kwargs):
    """`Concatenate(axis, **kwargs)(inputs)`: the inputs joined along an axis.

    Args:
        inputs (list): Arrays or KerasTensors, as the layer takes them.
        axis (int, default -1): The axis that grows.
        **kwargs: Those of the layer.

    Returns:
        What the layer gives: an array, or a KerasTensor.

    Raises:
        ValueError: As `Concatenate`.

    Example:
        >>> layers.concatenate([np.zeros((2, 3)), np.zeros((2, 1))]).shape
        (2, 4)
    """
    return Concatenate(axis=axis, **kwargs)(inputs)

"""Layers that merge a list of inputs element by element; see https://keras.io/api/layers/merging_layers/.

Add, Subtract, Multiply, Average, Maximum and Minimum; Concatenate and Dot build on `Merge` in files of their own, and
functions.py has the functions add ... minimum.
"""

import numpy as np

from fastseq.layers import time_axis
from fastseq.layers.base import Layer
from fastseq.program.mask_steps import joined
from fastseq.tensors import nest


class Merge(Layer):
    """Base of the merging layers. Call: `layer([x1, x2, ...])`, a list or tuple of at least one array.

    Element by element: (B, ...) arrays that broadcast as in NumPy, after those with fewer dimensions got sizes of 1
    behind the batch. Integers stay int32, and become float32 beside floats.
    The result is masked where every input has a mask: with their logical or. In a model of an older Keras, see
    `mask_rules.MaskRules`.
    Raises ValueError for what is no list, for shapes that do not go together, and for booleans alone.
    """

    supports_masking = True
    _takes_several = True

    def keeps_time(self, timed, shapes, arguments):
        if not any(timed):
            return False
        if not all(timed):
            time_axis.refuse(self, f"of its inputs of shapes {shapes} some have a time axis and some do not")
        if len({len(shape) for shape in shapes}) > 1 or len({shape[1] for shape in shapes} - {None}) > 1:
            time_axis.refuse(self, f"the time axes of its inputs of shapes {shapes} are not one")
        return True

    def symbolic_mask(self, inputs, masks, ops, rules):
        if rules.merged is None or any(mask is None for mask in masks):
            return []
        total = masks[0]
        for mask in masks[1:]:
            total = ops.logical_or(total, mask)
        return [total]

    # ---- shapes --------------------------------------------------------------------------------------------------

    def _check_list(self, shapes, count=None):
        wants = "a list of inputs" if count is None else f"a list of exactly {count} inputs"
        is_list = isinstance(shapes, (list, tuple)) and not nest.is_shape(shapes)
        if not is_list or not all(nest.is_shape(shape) for shape in shapes) or count not in (None, len(shapes)):
            raise ValueError(f"Layer '{self.name}' ({type(self).__name__}) takes {wants}, got shapes {shapes}.")

    def build(self, input_shape):
        """Only checks: a merging layer has no weights."""
        self._check_list(input_shape)
        batches = {shape[0] for shape in input_shape if shape} - {None}
        if len(batches) > 1:
            raise ValueError(f"Layer '{self.name}' ({type(self).__name__}) got different batch sizes: {input_shape}.")
        self.compute_output_shape(input_shape)
        self.built = True

    def compute_output_shape(self, input_shape):
        self._check_list(input_shape)
        rest = tuple(input_shape[0][1:])
        for shape in input_shape[1:]:
            rest = self._merged(rest, tuple(shape[1:]), input_shape)
        batches = {shape[0] for shape in input_shape if shape} - {None}
        return (batches.pop() if len(batches) == 1 else None, *rest)

    def _merged(self, first, second, shapes):
        if len(first) < len(second):
            first, second = second, first
        merged = list(first[: len(first) - len(second)])
        for a, b in zip(first[len(first) - len(second) :], second):
            if None not in (a, b) and a != b and 1 not in (a, b):
                raise ValueError(f"Layer '{self.name}' ({type(self).__name__}) got incompatible shapes: {shapes}.")
            merged.append(None if None in (a, b) else b if a == 1 else a)
        return tuple(merged)

    def _output_dtype(self, arguments):
        return merged_dtype(arguments["inputs"])

    # ---- running -------------------------------------------------------------------------------------------------

    def emit(self, p, inputs):
        self._check_list([slot.shape for slot in inputs] if isinstance(inputs, (list, tuple)) else inputs)
        slots, masks = self._aligned(p, inputs)
        try:
            np.broadcast_shapes(*(slot.shape for slot in slots))
        except ValueError:
            raise ValueError(
                f"Layer '{self.name}' ({type(self).__name__}) got incompatible shapes: {[s.shape for s in inputs]}."
            ) from None
        return self._merge(p, slots, masks)

    def _aligned(self, p, inputs):
        """The inputs in one dtype and rank, and their masks (..., 1) with the last axis left to broadcast, or None.

        An input that gets dimensions loses its mask here, as in Keras: it no longer fits. Under rules that do not leave
        masked values out there are none at all.
        """
        dtype = merged_dtype(inputs)
        if dtype == "bool":
            raise ValueError(f"Layer '{self.name}' ({type(self).__name__}) does not compute with booleans alone.")
        ndim = max(len(slot.shape) for slot in inputs)
        slots, masks = [], []
        for slot in inputs:
            missing = ndim - len(slot.shape)
            cast = p.cast(slot, dtype)
            slots.append(cast.reshaped((*slot.shape[:1], *(1,) * missing, *slot.shape[1:])) if missing else cast)
            mask = None if missing or not p.mask_rules.masked_values else slot.mask
            if mask is not None:
                self._check_mask(mask, slot)
                mask = mask.reshaped((*mask.shape, 1))
            masks.append(mask)
        return slots, masks

    def _check_mask(self, mask, slot):
        wanted = slot.shape[:-1]
        if len(mask.shape) != len(wanted) or any(m not in (1, n) for m, n in zip(mask.shape, wanted)):
            raise ValueError(
                f"Layer '{self.name}' ({type(self).__name__}) takes a mask of shape {wanted} for an input of shape "
                f"{slot.shape}, got {mask.shape}."
            )

    def _merge(self, p, slots, masks):
        """The result of aligned slots and masks."""
        raise NotImplementedError

    def emit_mask(self, p, inputs, mask):
        found = [m for m in mask or [] if m is not None]
        if not found or (p.mask_rules.merged == "or" and len(found) < len(mask)):
            return None
        return joined(p, self, found, p.mask_rules.merged)

    def compute_mask(self, inputs, mask=None):
        if mask is None:
            return None
        if not isinstance(mask, (list, tuple)) or not isinstance(inputs, (list, tuple)) or len(mask) != len(inputs):
            raise ValueError(
                f"Layer '{self.name}' ({type(self).__name__}) takes a list of inputs and a list of as many masks."
            )
        return super().compute_mask(list(inputs), list(mask))


def merged_dtype(tensors):
    """float32 where one is, else int32 where one is, else bool."""
    dtypes = {tensor.dtype for tensor in nest.flatten(tensors)}
    return next(dtype for dtype in ("float32", "int32", "bool") if dtype in dtypes)


class Add(Merge):
    """The sum of the inputs, in their order.

    Call: `layer([x1, x2, ...])` with arrays (B, ...) that broadcast as in NumPy; an input with fewer dimensions gets
    sizes of 1 behind the batch. Integers stay int32, and become float32 beside floats. The result is masked where every
    input has a mask: with their logical or.

    Args:
        *args: Those of `Layer`, which takes none by position.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: What is no list, shapes that do not go together, and booleans alone.

    Example:
        >>> layers.Add()([np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])])
        array([[4., 6.]], dtype=float32)
    """

    def _merge(self, p, slots, masks):
        result = slots[0]
        for slot in slots[1:]:
            result = p.binary("add", result, slot)
        return result


class Subtract(Merge):
    """x1 - x2 of exactly two inputs. Called as `Add` is.

    Args:
        *args: Those of `Layer`, which takes none by position.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: As `Add`, and for another number of inputs.

    Example:
        >>> layers.Subtract()([np.array([[1.0, 5.0]]), np.array([[3.0, 4.0]])])
        array([[-2.,  1.]], dtype=float32)
    """

    def build(self, input_shape):
        self._check_list(input_shape, 2)
        super().build(input_shape)

    def _merge(self, p, slots, masks):
        if len(slots) != 2:
            self._check_list([slot.shape for slot in slots], 2)
        return p.binary("subtract", *slots)


class Multiply(Merge):
    """The product of the inputs. A masked step counts as 1 there, and is 0 where all inputs mask it. Called as `Add`
    is.

    Args:
        *args: Those of `Layer`, which takes none by position.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: As `Add`.

    Example:
        >>> layers.Multiply()([np.array([[1.0, 5.0]]), np.array([[3.0, 4.0]])])
        array([[ 3., 20.]], dtype=float32)
    """

    def _merge(self, p, slots, masks):
        result = None
        one = p.constant(np.ones(1, slots[0].dtype))
        for slot, mask in zip(slots, masks):
            slot = slot if mask is None else p.select(mask, slot, one)
            result = slot if result is None else p.binary("multiply", result, slot)
        if any(mask is None for mask in masks):
            return result
        return p.select(joined(p, self, masks, "or"), result, p.constant(np.zeros(1, slots[0].dtype)))


class Average(Merge):
    """The mean of the inputs; float32, also of integers (float64 in Keras). Called as `Add` is.

    Args:
        *args: Those of `Layer`, which takes none by position.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: As `Add`.

    Example:
        >>> layers.Average()([np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])])
        array([[2., 3.]], dtype=float32)
    """

    def _output_dtype(self, arguments):
        return "float32"

    def _merge(self, p, slots, masks):
        total = p.float32(Add._merge(self, p, slots, masks))
        # Divided, not multiplied by 1 / count, for the same rounding as Keras.
        return p.binary("divide", total, p.constant(np.full(1, len(slots), np.float32)))


class _Extremum(Merge):
    """What Maximum and Minimum share: a masked step leaves the choice to the inputs that do not mask it."""

    kind = None

    def _merge(self, p, slots, masks):
        result, result_mask = slots[0], masks[0]
        for slot, mask in zip(slots[1:], masks[1:]):
            if mask is not None:
                slot = p.select(mask, slot, result)
            if result_mask is not None:
                result = p.select(result_mask, result, slot)
            # One input without a mask: from there on no value of the result is masked.
            both = mask is not None and result_mask is not None
            result_mask = joined(p, self, [result_mask, mask], "or") if both else None
            result = p.binary(self.kind, result, slot)
        return result


class Maximum(_Extremum):
    """The largest of the inputs, element by element; a masked step counts only where all inputs mask it. Called as
    `Add` is.

    Args:
        *args: Those of `Layer`, which takes none by position.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: As `Add`.

    Example:
        >>> layers.Maximum()([np.array([[1.0, 5.0]]), np.array([[3.0, 4.0]])])
        array([[3., 5.]], dtype=float32)
    """

    kind = "maximum"


class Minimum(_Extremum):
    """The smallest of the inputs, element by element; a masked step counts only where all inputs mask it. Called as
    `Add` is.

    Args:
        *args: Those of `Layer`, which takes none by position.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: As `Add`.

    Example:
        >>> layers.Minimum()([np.array([[1.0, 5.0]]), np.array([[3.0, 4.0]])])
        array([[1., 4.]], dtype=float32)
    """

    kind = "minimum"

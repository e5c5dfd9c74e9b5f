"""Masking: timesteps that hold nothing but one value are masked; https://keras.io/api/layers/core_layers/masking/."""

import numpy as np

from fastseq.layers import time_axis
from fastseq.layers.base import Layer
from fastseq.program import gradient_rules

gradient_rules.register("masking", "gradients.elementwise:masking_rule")


class Masking(Layer):
    """Masks the rows (..., F) of the last axis whose values all equal `mask_value`, and sets them to zero.

    float32 -> float32, int32 and bool -> int32, as in Keras. The input's own mask is replaced.

    Args:
        mask_value (float, default 0.0): What a masked row holds.
        **kwargs: `name`, `trainable`, `dtype` and the others of `Layer`.

    Raises:
        ValueError: A mask_value that is no single number, and an input without an axis.

    Example:
        >>> x = np.array([[[1.0, 2.0], [9.0, 9.0]]])
        >>> model = fastseq.Sequential([layers.Masking(9.0), layers.LSTM(4, return_sequences=True)])
        >>> y = model(x)
        >>> np.array_equal(y[0, 0], y[0, 1])  # a masked timestep repeats the last output
        True
    """

    supports_masking = True
    makes_masks = True
    keeps_time = time_axis.by_row

    def __init__(self, mask_value=0.0, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(mask_value, (int, float, np.number, np.bool_)):
            raise ValueError(f"Masking: `mask_value` must be a number, got {mask_value!r}.")
        self.mask_value = mask_value.item() if isinstance(mask_value, np.generic) else mask_value
        self.built = True

    def symbolic_mask(self, inputs, masks, ops, rules):
        return [ops.any(ops.not_equal(inputs[0], self.mask_value))]

    def _output_dtype(self, arguments):
        return "float32" if arguments["inputs"].dtype == "float32" else "int32"

    def emit(self, p, inputs):
        if not inputs.shape:
            raise ValueError(f"Layer '{self.name}' (Masking) masks rows of an axis, got a single value of shape ().")
        x = p.float32(inputs)
        y, mask = p.new(x.shape), p.new(x.shape[:-1], "bool")
        width = x.shape[-1]
        p.step("masking", x=x, y=y, mask=mask, rows=mask.size, width=width, value=self.mask_value)
        if inputs.dtype != "float32":
            rows = mask.reshaped((*mask.shape, 1))
            y = p.select(rows, p.cast(inputs, "int32"), p.constant(np.zeros(1, np.int32)))
        elif np.isinf(np.float32(self.mask_value)) and not p.mask_rules.masking_zeros:
            y = p.select(mask.reshaped((*mask.shape, 1)), y, p.constant(np.full(1, np.nan, np.float32)))
        return y.with_mask(mask)

    def get_config(self):
        return {**super().get_config(), "mask_value": self.mask_value}


def reference_masking(x, mask_value=0.0):
    """The naive twin: (x (..., F) with masked rows zero, mask (...))."""
    mask = np.any(np.asarray(x) != mask_value, axis=-1)
    return np.where(mask[..., None], x, 0), mask

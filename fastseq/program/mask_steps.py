"""Native steps that join masks, bool Slots: for layers of several inputs, and of timesteps that are words."""

import numpy as np

from fastseq.program import gradient_rules

gradient_rules.register("masking", "gradients.elementwise:masking_rule")


def joined(p, layer, masks, kind):
    """The logical `kind`, "or" or "and", of bool slots, which broadcast. Raises ValueError where they do not."""
    try:
        shape = np.broadcast_shapes(*(mask.shape for mask in masks))
    except ValueError:
        raise ValueError(
            f"Layer '{layer.name}' ({type(layer).__name__}) cannot combine masks of shapes {[m.shape for m in masks]}."
        ) from None
    masks = [mask if mask.shape == shape else p.broadcast(mask, shape) for mask in masks]
    result = masks[0]
    for mask in masks[1:]:
        result = p.mask_logic(kind, result, mask)
    return result


def any_of_last(p, mask):
    """Whether a bool slot (..., n) holds anywhere along its last axis: (...)."""
    values = p.float32(mask)
    result = p.new(values.shape[:-1], "bool")
    p.step("masking", x=values, y=p.new(values.shape), mask=result, rows=result.size, width=values.shape[-1], value=0.0)
    return result


def all_of_last(p, mask):
    """Whether a bool slot (..., n) holds everywhere along its last axis: (...)."""
    return p.mask_logic("not", any_of_last(p, p.mask_logic("not", mask)))

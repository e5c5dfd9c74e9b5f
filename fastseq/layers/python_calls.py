"""Layers that are Python: their `call` on arrays, alone and as a step of a program, and their masks."""

from typing import NamedTuple

import numpy as np

from fastseq.layers.binding import check_input_spec, convert, fill_masks_and_training, tensor_shapes
from fastseq.native._native import current_training, with_training
from fastseq.native.kept_states import undone
from fastseq.program import added_losses
from fastseq.program.python_losses import PythonLosses, checked_gradients
from fastseq.program.slots import Slot
from fastseq.tensors import arrays, mask_rules, nest
from fastseq.tensors.catch_alls import by_name
from fastseq.tensors.symbolic import KerasTensor

# The dtypes of results that stay as they are.
_KEPT = frozenset(map(np.dtype, ("float32", "int32", "bool")))


def _checked_results(layer, results):
    if type(results) is np.ndarray and results.dtype in _KEPT and results.flags.carray:
        return results

    def check(result):
        array = np.asarray(result)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"Layer '{layer.name}': call() returned dtype {array.dtype}, not real numbers.")
        return arrays.standardize(array, f"call() of layer '{layer.name}'")

    return nest.map_structure(check, results)


class _Outer(NamedTuple):
    """What an eager call has of a program in the making."""

    training: object
    mask_rules: object


def run_python(layer, arguments):
    """Eager call of a layer that defines call()."""
    check_input_spec(layer, next(iter(arguments.values())))
    layer._build_once(tensor_shapes(arguments, layer))

    arguments, previous = fill_masks_and_training(layer, _Outer(current_training(), mask_rules.NEWEST), arguments)
    with added_losses.collecting(layer) as added:
        results = _checked_results(
            layer, with_training(arguments.get("training"), by_name(layer, layer.call), **arguments)
        )
        penalties = layer._penalties_of(nest.flatten(results))
        added.note_penalties(penalties, [penalty.slot.copy() for penalty in penalties])
    if layer._masks_are_kept:
        masks = layer.compute_mask(next(iter(arguments.values())), previous)
        flat = nest.flatten(results)
        masks = nest.flatten(masks) + [None] * len(flat)
        results = nest.pack_like(results, [arrays.with_mask(array, mask) for array, mask in zip(flat, masks)])
    return results


def emit_python(layer, p, arguments, why=None):
    """One step that calls `layer.call` with arrays. The results' shapes and dtypes come from a call on zeros.

    why: the reason for which the call is not traced.
    """
    p.native_or_raise(layer)
    slots = [leaf for leaf in nest.flatten(list(arguments.values())) if isinstance(leaf, Slot)]
    filled, layer_call = _filler(arguments), by_name(layer, layer.call)

    def call(*values):
        found = filled(values)
        return _checked_results(layer, with_training(found.get("training"), layer_call, **found))

    with added_losses.dropping() as added:
        example = undone(call, *[np.zeros(slot.shape, slot.dtype) for slot in slots])
    p.adds_losses = p.adds_losses or bool(added)
    has_backward, has_losses = (getattr(layer, name, None) is not None for name in ("backward", "losses_backward"))
    weights = [p.weight(v) for v in layer.trainable_weights] if p.trains and (has_backward or has_losses) else []
    losses = PythonLosses(layer, slots, weights, p.timesteps)
    p.python_losses.append(losses)
    backward = _backward_step(layer, slots, weights) if has_backward else None
    outputs = p.python(layer.name, losses.guarded(call), slots, nest.flatten(example), backward, weights)
    p.steps[-1] |= {"layer": layer, "why": why}
    return nest.pack_like(example, outputs)


def _filler(arguments):
    """A function from arrays, in the order of the Slots in `arguments`, to a new dict of the arguments with them."""
    names = [name for name, value in arguments.items() if isinstance(value, Slot)]
    others = {name: value for name, value in arguments.items() if name not in names}
    if not others and len(names) == 1:
        return lambda values: {names[0]: values[0]}
    if not any(nest.is_nested(value) for value in others.values()):
        return lambda values: {**others, **dict(zip(names, values))}

    def fill(values):
        values = iter(values)
        return {
            name: nest.map_structure(lambda leaf: next(values) if isinstance(leaf, Slot) else leaf, value)
            for name, value in arguments.items()
        }

    return fill


def _backward_step(layer, slots, weights):
    """The layer's backward(gradient, *inputs) as Builder.python takes it; its results are checked."""

    def backward(*arrays):
        return checked_gradients(layer, "backward", layer.backward(*arrays), slots, weights)

    return backward


def emit_python_mask(layer, p, inputs, mask):
    """compute_mask of a Python layer as a step of its own; None where it returns None for an all-True mask."""
    p.native_or_raise(layer)
    structure = [inputs, mask]
    slots = [leaf for leaf in nest.flatten(structure) if isinstance(leaf, Slot)]

    def compute(*values):
        values = iter(values)
        filled = nest.map_structure(lambda t: next(values) if isinstance(t, Slot) else t, structure)
        masks = layer.compute_mask(*filled)
        return nest.map_structure(lambda m: None if m is None else np.ascontiguousarray(m, bool), masks)

    example = compute(*[(np.ones if slot.dtype == "bool" else np.zeros)(slot.shape, slot.dtype) for slot in slots])
    flat = nest.flatten(example)
    if all(leaf is None for leaf in flat):
        return example
    check_masks(layer, flat)
    return nest.pack_like(example, p.python(f"{layer.name} mask", compute, slots, flat))


def check_masks(layer, masks):
    """Raises ValueError where some of the outputs have a mask and others have none."""
    if len({mask is None for mask in masks}) > 1:
        raise ValueError(f"Layer '{layer.name}': compute_mask() must return masks for all outputs or for none.")


def run_mask(layer, inputs, mask):
    """compute_mask on arrays, through the layer's emit_mask."""
    if layer._is_python or not layer._masks_are_kept:
        return mask
    arguments = convert(layer, {next(iter(layer._signature.parameters)): inputs, "mask": mask})
    return layer._programs.run(layer, arguments, masks_only=True)


def infer_output_shape(layer, arguments):
    """Output shapes of a Python layer, by calling it on zeros twice: sizes that follow an unknown size are unknown.

    arguments: those of a symbolic call, by name.
    """
    found = []
    for size in (2, 3):
        given = nest.map_structure(
            lambda t, n=size: np.zeros([d or n for d in t.shape], t.dtype) if isinstance(t, KerasTensor) else t,
            arguments,
        )
        with added_losses.dropping():
            found.append(_checked_results(layer, by_name(layer, layer.call)(**given)))
    first, second = (nest.flatten(result) for result in found)
    shapes = [tuple(a if a == b else None for a, b in zip(x.shape, y.shape)) for x, y in zip(first, second)]
    return nest.pack_like(found[0], shapes) if nest.is_nested(found[0]) else shapes[0]

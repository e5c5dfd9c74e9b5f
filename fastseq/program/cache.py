"""Programs of a layer or model, kept by the shapes and dtypes of what they were called with."""

import weakref

import numpy as np

from fastseq.native import _call, runtime
from fastseq.native._native import current_training
from fastseq.program import added_losses
from fastseq.program.builder import Builder
from fastseq.program.program import Program
from fastseq.tensors import arrays, nest, weight_locks

_MOST_PROGRAMS = 64  # for one layer or model: shapes used last are kept, a server's lengths usually fit


class ProgramCache(_call.PlainPrograms):
    """The programs of one layer or model, by input shapes. Cleared when a weight they were made from changes."""

    def __init__(self):
        self._outside = added_losses.outside()
        self._adders, self._adds = None, False  # when `added_losses.adds` was asked, and what it said

    def clear(self):
        self.forget()

    def run(self, layer, arguments, masks_only=False, way=None, native_only=False):
        """Results of `layer` for bound, converted call arguments; a result's mask rides on it (arrays.MaskedArray).

        way: None, or the number of the way in which a call of one plain array made these arguments, so that the next
        such call may take the short way (_call.pyx).
        native_only: whether to raise PythonInside where a new program would have a step in Python.
        """
        found, key = self._key(arguments, masks_only)
        entry = self._entry(key, layer, arguments, masks_only, native_only)
        structure, with_masks = entry.structure, entry.with_masks
        if entry.program is None:
            return structure
        program, penalized = entry.program, entry.program.penalties
        adds = self._adds_losses(layer)
        if way is not None and not (penalized or adds) and _is_flat(structure):
            self.keep(key, entry, way, None if structure is None else type(structure), arrays.with_mask)
        forgets = self._outside != added_losses.outside() and hasattr(layer, "_added_losses")  # an operation has none
        if program.has_python or penalized or adds or forgets:
            results = self._run_collecting(layer, program, found)
        else:
            results = program.run(found)
        if with_masks is not None:
            masks = iter(results[len(with_masks) :])
            results = [
                arrays.with_mask(array, next(masks) if masked else None) for array, masked in zip(results, with_masks)
            ]
        return results[0] if structure is None else nest.pack_like(structure, results)

    def _adds_losses(self, layer):
        """Whether a call may have to forget what calls before it added to the loss."""
        adders = added_losses.adders()
        if self._adders is not adders:
            self._adds = hasattr(layer, "_added_losses") and added_losses.adds(layer)  # an operation has none
            self._adders = adders
        return self._adds

    def _run_collecting(self, layer, program, found):
        self._outside = added_losses.outside()
        with added_losses.collecting(layer) as added:
            results = program.run(found)
            added.note_penalties(program.penalties, results[program.wanted_count :])
        return results

    def run_with_python(self, layer, program, x, mask):
        """The short way of a call whose program has Python steps: what they add to the loss is the call's."""
        with added_losses.collecting(layer):
            return program.run_plain(x, mask)

    def program(self, layer, arguments):
        """The Program for such arguments."""
        return self._entry(self._key(arguments, False)[1], layer, arguments, False).program

    @staticmethod
    def _key(arguments, masks_only):
        """(arrays in the arguments, what a program for them depends on)."""
        found, key = [], [masks_only, runtime.active_isa(), current_training()]
        for name, value in arguments.items():
            key.append(name)
            _collect(value, found, key)
        return found, tuple(key)

    def _entry(self, key, layer, arguments, masks_only, native_only=False):
        entry = self.find_entry(key)
        if entry is not None:
            return entry
        entry, is_current = self._make_entry(key, layer, arguments, masks_only, native_only)
        if is_current:
            return entry
        # It may have weights of before and of after: now none can change. Not so at once, as what is traced may be
        # code of a user's, which may wait for another thread.
        with weight_locks.building, weight_locks.changing:
            entry, _ = self._make_entry(key, layer, arguments, masks_only, native_only)
        return entry

    def _make_entry(self, key, layer, arguments, masks_only, native_only):
        """(a new CacheEntry, whether no weight that it depends on changed since it was begun)."""
        epoch = self.epoch
        entry = _call.CacheEntry(*self._make(layer, arguments, masks_only, native_only))
        with weight_locks.changing:  # weights that are just being set are all set then
            self.add_entry(key, entry, epoch, _MOST_PROGRAMS)
            is_current = epoch == self.epoch
        return entry, is_current

    def _make(self, layer, arguments, masks_only, native_only=False):
        training = arguments.get("training")
        training = current_training() if training is None else training
        builder = Builder(self, training, penalized=not masks_only)
        builder.native_only = native_only
        inputs = []
        traced = {
            name: nest.map_structure(
                lambda leaf: _input_slot(builder, inputs, leaf) if isinstance(leaf, np.ndarray) else leaf, value
            )
            for name, value in arguments.items()
        }
        outputs = layer.trace(builder, traced)
        flat = nest.flatten(outputs)
        masks = [slot.mask for slot in flat]
        if masks_only:
            if all(mask is None for mask in masks):
                return None, None, None
            structure = nest.pack_like(outputs, masks) if nest.is_nested(outputs) else None
            wanted = [mask for mask in masks if mask is not None]
            return Program(builder, inputs, wanted, keeps=False), structure, None
        wanted = flat + [mask for mask in masks if mask is not None]
        with_masks = [mask is not None for mask in masks]
        structure = outputs if nest.is_nested(outputs) else None
        structure = None if structure is None else nest.map_structure(lambda _: None, structure)
        outputs = [penalty.slot for penalty in builder.penalties if penalty.slot is not None]
        program = Program(builder, inputs, wanted + outputs)
        program.wanted_count, program.penalties = len(wanted), builder.penalties
        return program, structure, with_masks if any(with_masks) else None


class ProgramUsers:
    """The ProgramCaches whose programs depend on one layer's weights. Not a WeakSet, whose loop takes 2 us."""

    def __init__(self, cache):
        self._references = {weakref.ref(cache): None}

    def add(self, cache):
        for reference in list(self._references):
            if reference() is None:
                self._references.pop(reference, None)
        self._references[weakref.ref(cache)] = None

    def clear(self):
        """Drops all of their programs."""
        for reference in list(self._references):
            cache = reference()
            if cache is not None:
                cache.clear()

    def drop_plain(self):
        """The next calls look at what layers hold before they take the short way (_call.pyx) again."""
        for reference in list(self._references):
            cache = reference()
            if cache is not None:
                cache.drop_plain()


def _is_flat(structure):
    """Whether results come alone, or in a plain list or tuple."""
    return structure is None or (
        type(structure) in (list, tuple) and not any(nest.is_nested(part) for part in structure)
    )


def _input_slot(builder, inputs, array):
    """A slot for `array`, which goes to `inputs`, as a slot for its mask does."""
    slot = builder.input(array.shape, array.dtype.name)
    inputs.append(slot)
    mask = arrays.mask_of(array)
    if mask is None:
        return slot
    inputs.append(builder.input(mask.shape, "bool"))
    return slot.with_mask(inputs[-1])


def _collect(value, found, key):
    """Appends the arrays of an argument to `found` and what a program depends on to `key`."""
    if isinstance(value, np.ndarray):
        found.append(value)
        mask = arrays.mask_of(value)
        key.append((value.shape, value.dtype.char, mask is None or mask.shape))
        if mask is not None:
            found.append(mask)
    elif isinstance(value, (list, tuple)):
        key.append(len(value))
        for item in value:
            _collect(item, found, key)
    elif isinstance(value, dict):
        for name in sorted(value):
            key.append(name)
            _collect(value[name], found, key)
    else:
        key.append((type(value), value))

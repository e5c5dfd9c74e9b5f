"""Programs: a layer or a model, for given input shapes, as native steps that run in one call.

`ProgramCache.run` is what every eager call goes through: it finds the `Program` made for these shapes, or makes it by
letting the layer `trace` itself into a `Builder` (builder.py). A `Program` is immutable; whatever changes during a run
is in a `Workspace` from its free list, so any number of threads may run it at once.
"""

import threading
from collections import OrderedDict

import numpy as np

from fastseq import _native, arrays, nest, runtime
from fastseq.builder import OPERATIONS, Builder, Slot, current_training

_LARGE_ARENA = 4 << 20


class Program:
    """Native steps and Python steps in order, for fixed shapes.

    outputs: Slots; input arrays come in the order of `Builder.input` calls.
    """

    def __init__(self, builder, outputs):
        self.steps = builder.steps
        self.input_count = len(builder.inputs)
        self.outputs = self._bind_outputs(builder, outputs)
        self.arena_size = self._place_arena()
        self.segments = self._make_segments()
        self._free = []

    def _bind_outputs(self, builder, outputs):
        """Results are written straight into the arrays that the caller gets; what cannot be is copied at the end."""
        bound = []
        for slot in outputs:
            if slot.buffer.kind != "arena" or slot.offset or slot.size * slot.itemsize != slot.buffer.nbytes:
                copied = builder.new(slot.shape, slot.dtype)
                builder.copy(slot, copied, (slot.size,), (1,), (1,))
                slot = copied
            slot.buffer.kind = "output"
            slot.buffer.number = len(builder.inputs) + len(bound)
            bound.append(slot)
        return bound

    @staticmethod
    def _slots_of(step):
        if step["op"] is None:
            return step["inputs"] + step["outputs"]
        return [value for value in step["fields"].values() if isinstance(value, Slot)]

    def _place_arena(self):
        """Offsets for intermediate arrays: first fit among those that live at the same time."""
        found = OrderedDict()
        for index, step in enumerate(self.steps):
            # A step that runs beside the next one keeps its memory until that one is done too.
            end = index + 1 if step.get("with_next") else index
            beside = index and self.steps[index - 1].get("with_next")
            for slot in self._slots_of(step):
                buffer = slot.buffer
                if buffer.kind == "arena":
                    start = index - 1 if beside else index
                    buffer.first = start if buffer.first is None else min(buffer.first, start)
                    buffer.last = max(buffer.last or 0, end)
                    found[id(buffer)] = buffer
        total, live = 0, []
        for buffer in sorted(found.values(), key=lambda b: b.first):
            live = sorted((b for b in live if b.last >= buffer.first), key=lambda b: b.offset)
            size = -(-buffer.nbytes // 64) * 64
            offset = 0
            for other in live:
                if offset + size <= other.offset:
                    break
                offset = max(offset, other.offset + -(-other.nbytes // 64) * 64)
            buffer.offset = offset
            live.append(buffer)
            total = max(total, offset + size)
        return total

    def _pointer(self, slot):
        buffer = slot.buffer
        if buffer.kind == "constant":
            return buffer.array
        return (-1, buffer.offset + slot.offset) if buffer.kind == "arena" else (buffer.number, slot.offset)

    def _make_segments(self):
        """Runs of native steps become `_native.Segment`s; a Python step stands between them as None."""
        self.plan = []  # (first step, or the Python step) beside each segment
        segments, run = [], []

        def close():
            if run:
                segments.append(_native.Segment([encoded for _, encoded in run]))
                self.plan.append([step for step, _ in run])
                run.clear()

        for step in self.steps:
            if step["op"] is None:
                close()
                segments.append(None)
                self.plan.append(step)
                continue
            number, _, known = OPERATIONS[step["op"]]
            fields = []
            for name, value in step["fields"].items():
                kind, offset, _ = known[name]
                fields.append((kind, offset, self._pointer(value) if isinstance(value, Slot) else value))
            run.append((step, (number, int(step["with_next"]), fields)))
        close()
        return segments

    def run(self, inputs, results=None):
        """Runs on `inputs` (contiguous arrays of the program's shapes) and returns the list of result arrays.

        results: arrays to write into, of the outputs' shapes and dtypes, else new ones.
        """
        if results is None:
            results = [np.empty(slot.shape, slot.dtype) for slot in self.outputs]
        if not any(array.size for array in results):
            return results
        bound = [*inputs, *results]
        try:
            workspace = self._free.pop()
        except IndexError:
            workspace = _native.Workspace(self.arena_size, self.segments)
        try:
            threads = runtime.get_num_threads()
            for index, segment in enumerate(self.segments):
                if segment is None:
                    self._run_python(self.plan[index], workspace, bound)
                    continue
                failed = workspace.run(segment, index, bound, threads)
                if failed is not None:
                    step, position, value = failed
                    raise self.plan[index][step]["failure"](position, value)
        finally:
            # A large one is kept once, whatever number of threads ran at the same time.
            if self.arena_size <= _LARGE_ARENA or not self._free:
                self._free.append(workspace)
        return results

    def _run_python(self, step, workspace, bound):
        def view(slot):
            nbytes = slot.size * slot.itemsize
            if slot.buffer.kind == "arena":
                memory = workspace.arena[slot.buffer.offset + slot.offset :][:nbytes]
            else:
                whole = slot.buffer.array if slot.buffer.kind == "constant" else bound[slot.buffer.number]
                memory = np.ravel(whole).view(np.uint8)[slot.offset :][:nbytes]
            return memory.view(slot.dtype).reshape(slot.shape)

        # The function gets copies: what it keeps must not change under it with the next run.
        found = nest.flatten(step["function"](*[view(slot).copy() for slot in step["inputs"]]))
        for slot, array in zip(step["outputs"], found):
            if array.shape != slot.shape:
                raise ValueError(
                    f"Layer '{step['name']}': call() returned shape {array.shape}, on zeros it was {slot.shape}."
                )
            view(slot)[...] = array

    def describe(self):
        """Rows (layer name, kernel, note) of what runs, in order."""
        rows = []
        threads = runtime.get_num_threads()
        for step in self.steps:
            if step["op"] is None:
                rows.append((step["name"], "python", "takes the GIL back"))
                continue
            number, _, _ = OPERATIONS[step["op"]]
            fields, note = step["fields"], ""
            if step["op"] in ("lstm", "gru", "gru_reset_before", "simple_rnn"):
                shape = [fields[key] for key in ("batch", "timesteps", "inputs", "units")]
                note = _native.recurrent_plan(number, *shape, threads)
            if step["with_next"]:
                note = f"{note}; at the same time as the next".lstrip("; ")
            rows.append((step["name"], _native.kernel_name(number), note))
        return rows


_MOST_PROGRAMS = 64  # for one layer or model: shapes seen last are kept, a server's lengths usually fit


class ProgramCache:
    """The programs of one layer or model, by input shapes. Cleared when a weight they were made from changes."""

    def __init__(self):
        self._programs = OrderedDict()
        self._lock = threading.Lock()
        self._epoch = 0

    def clear(self):
        with self._lock:
            self._epoch += 1
            self._programs.clear()

    def run(self, layer, arguments, masks_only=False):
        """Results of `layer` for bound, converted call arguments; a result's mask rides on it (arrays.MaskedArray)."""
        found, key = [], [masks_only, runtime.active_isa(), current_training()]
        for name, value in arguments.items():
            key.append(name)
            _collect(value, found, key)
        program, structure, with_masks = self._program(tuple(key), layer, arguments, masks_only)
        if program is None:
            return structure
        results = program.run(found)
        if with_masks is not None:
            masks = iter(results[len(with_masks) :])
            results = [
                arrays.with_mask(array, next(masks) if masked else None) for array, masked in zip(results, with_masks)
            ]
        return results[0] if structure is None else nest.pack_like(structure, results)

    def program(self, layer, arguments):
        """The Program for such arguments."""
        found, key = [], [False, runtime.active_isa(), current_training()]
        for name, value in arguments.items():
            key.append(name)
            _collect(value, found, key)
        return self._program(tuple(key), layer, arguments, False)[0]

    def _program(self, key, layer, arguments, masks_only):
        entry = self._programs.get(key)
        if entry is not None:
            return entry
        epoch = self._epoch
        entry = self._make(layer, arguments, masks_only)
        with self._lock:
            # A weight changed while the program was made: right for this call, not for later ones.
            if epoch == self._epoch:
                self._programs[key] = entry
                if len(self._programs) > _MOST_PROGRAMS:
                    self._programs.popitem(last=False)
        return entry

    def _make(self, layer, arguments, masks_only):
        training = arguments.get("training")
        builder = Builder(self, current_training() if training is None else training)
        traced = {
            name: nest.map_structure(
                lambda leaf: _input_slot(builder, leaf) if isinstance(leaf, np.ndarray) else leaf, value
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
            return Program(builder, [mask for mask in masks if mask is not None]), structure, None
        wanted = flat + [mask for mask in masks if mask is not None]
        with_masks = [mask is not None for mask in masks]
        structure = outputs if nest.is_nested(outputs) else None
        structure = None if structure is None else nest.map_structure(lambda _: None, structure)
        return Program(builder, wanted), structure, with_masks if any(with_masks) else None


def _input_slot(builder, array):
    slot = builder.input(array.shape, array.dtype.name)
    mask = arrays.mask_of(array)
    return slot if mask is None else slot.with_mask(builder.input(mask.shape, "bool"))


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

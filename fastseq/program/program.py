"""Programs: a layer or a model, for given input shapes, as native steps that run in one call.

`ProgramCache.run` finds the `Program` made for the shapes of a call, or makes it by letting the layer `trace` itself
into a `Builder` (builder.py); a call with one plain array that had its program made before finds it without Python
(_call.pyx). A `Program` is immutable; whatever changes during a run is in a `Workspace` from its free list, so any
number of threads may run it at once.
"""

from collections import Counter, OrderedDict

import numpy as np

from fastseq.native import _native, _program, runtime
from fastseq.native.kinds import OPERATIONS
from fastseq.program import fusing
from fastseq.program.loops import encoded_loops, find_cuts, loops_of, share_memory
from fastseq.program.slots import Slot
from fastseq.program.steps import ends_of, slots_of
from fastseq.tensors import nest


class Program(_program.NativeProgram):
    """Native steps and Python steps in order, for fixed shapes; `run(inputs, results=None)` is NativeProgram's.

    inputs, outputs: Slots; the inputs are all that `Builder.input` gave, in that order. keeps: whether a run changes
    the states that layers keep (Builder.keep).
    """

    def __init__(self, builder, inputs, outputs, keeps=True):
        self.steps = _without_unread_rows(builder.steps, outputs)
        builder.steps = self.steps
        self.outputs = self._bind_outputs(builder, outputs)
        self._last_count = builder.write_kept() if keeps else 0
        self.steps = fusing.fuse(self.steps, self.outputs, self._last_count)
        find_cuts(self.steps)
        self._together = builder.traces
        self.wanted_count, self.penalties = len(outputs), []  # behind the wanted outputs are the penalized ones
        self.has_python = any(step["op"] is None for step in self.steps)
        arena_size = self._place_arena()
        arrays = [(slot.shape, np.dtype(slot.dtype).num) for slot in (*inputs, *self.outputs)]
        kept = builder.kept_arrays() if keeps else None
        self._prepare(*self._make_segments(), arena_size, arrays, len(inputs), kept)

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

    def _place_arena(self):
        """Offsets for intermediate arrays: first fit among those that live at the same time."""
        found = OrderedDict()
        for index, step in enumerate(self.steps):
            # A step that runs beside the next one keeps its memory until that one is done too.
            end = index + 1 if step.get("with_next") else index
            beside = index and self.steps[index - 1].get("with_next")
            for slot in slots_of(step):
                buffer = slot.buffer
                if buffer.kind == "arena":
                    start = index - 1 if beside else index
                    buffer.first = start if buffer.first is None else min(buffer.first, start)
                    buffer.last = max(buffer.last or 0, end)
                    found[id(buffer)] = buffer
        total, live = 0, []
        for buffer in sorted(self._with_loops(list(found.values())), key=lambda b: b.first):
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
        for buffer in found.values():
            if buffer.shared is not None:
                buffer.offset = buffer.shared.offset
        return total

    def _with_loops(self, buffers):
        """The buffers to place. What a loop reads before it writes it, or what others read or write too, lives as long
        as the loop."""
        for first, last, loop in loops_of(self.steps):
            inside = {}  # id of a buffer -> (it, whether the loop writes it first)
            for step in self.steps[first:last]:
                read, written = ends_of(step)
                for slot in (*read, *written):
                    if slot.buffer.kind == "arena":
                        inside.setdefault(id(slot.buffer), (slot.buffer, slot not in read))
            for buffer, is_new in inside.values():
                if not is_new or buffer.first < first or buffer.last >= last:
                    buffer.first, buffer.last = min(buffer.first, first), max(buffer.last, last - 1)
            if loop.cuts is not None:
                own = [b for b, is_new in inside.values() if is_new and first <= b.first and b.last < last]
                shared = share_memory(own, first, last)
                buffers = [b for b in buffers if b.shared is None] + shared
        return buffers

    def _pointer(self, slot):
        buffer = slot.buffer
        if buffer.kind == "constant":
            return buffer.array if not slot.offset else np.ravel(buffer.array).view(np.uint8)[slot.offset :]
        return (-1, buffer.offset + slot.offset) if buffer.kind == "arena" else (buffer.number, slot.offset)

    def _make_segments(self):
        """A list of `_native.Segment`s of native steps, None for a Python step between them; and beside it a list of
        `_program.PythonStep`s, None for the segments."""
        self.plan = []  # the steps, or the Python step, of each segment
        segments, python_steps, run = [], [], []

        def close(last_count=0):
            if run:
                loops = encoded_loops([step for step, _ in run])
                encoded = [encoded for _, encoded in run]
                segments.append(_native.Segment(encoded, last_count, self._together, *loops))
                python_steps.append(None)
                self.plan.append([step for step, _ in run])
                run.clear()

        for step in self.steps:
            if step["op"] is None:
                close()
                segments.append(None)
                python_steps.append(self._python_step(step))
                self.plan.append(step)
                continue
            number, _, known = OPERATIONS[step["op"]]
            fields = []
            for name, value in step["fields"].items():
                kind, offset, _ = known[name]
                fields.append((kind, offset, self._pointer(value) if isinstance(value, Slot) else value))
            run.append((step, (number, int(step["with_next"]), fields)))
        close(self._last_count)
        return segments, python_steps

    def _python_step(self, step):
        ends = [
            [(self._pointer(slot), slot.shape, np.dtype(slot.dtype).num) for slot in step[name]]
            for name in ("inputs", "outputs")
        ]
        return _program.PythonStep(step["name"], step["function"], nest.flatten, *ends)

    def _failure(self, segment, step, position, value):
        """The exception for a native step that stopped."""
        return self.plan[segment][step]["failure"](position, value)

    def describe(self):
        """Rows (layer name, kernel, note) of what runs, in order."""
        rows = []
        threads = runtime.get_num_threads()
        for step in self.steps:
            if step["op"] is None:
                why = f": {step['why']}" if step.get("why") else ""
                rows.append((step["name"], "python", f"takes the GIL back{why}"))
                continue
            number, _, _ = OPERATIONS[step["op"]]
            fields, note = step["fields"], ""
            if step["op"] in ("lstm", "gru", "gru_reset_before", "simple_rnn"):
                inputs = 0 if fields["ids"] is not None else fields["inputs"]
                shape = (fields["batch"], fields["timesteps"], inputs, fields["units"])
                note = _native.recurrent_plan(number, *shape, threads)
            if step["with_next"]:
                note = f"{note}; at the same time as the next".lstrip("; ")
            rows.append((step["name"], _native.kernel_name(number), note))
        return rows


def _without_unread_rows(steps, outputs):
    """Drops each look-up (`Builder.rows_of`) whose result no step reads: its readers took the rows from the table."""
    used = Counter(id(slot.buffer) for step in steps for slot in slots_of(step))
    used.update(id(slot.buffer) for slot in outputs)
    return [
        step for step in steps if step["op"] not in ("embedding", "one_hot") or used[id(step["fields"]["y"].buffer)] > 1
    ]

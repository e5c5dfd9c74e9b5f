"""A user's own cell over time as native steps: its call is traced once and runs in a loop (`Builder.loop`).

What a cell computes of its input alone goes before the loop, for all timesteps at once (program/hoisting.py). In
training gradients go back through a loop too (gradients/loops.py); a cell that mixes rows, or draws random numbers,
is traced once for each timestep there.
"""

import numpy as np

from fastseq.layers import traced_calls
from fastseq.layers.recurrent.stacked_rnn_cells import call_cell, first_states
from fastseq.ops.operation import slots_of_result
from fastseq.ops.repeating import flip
from fastseq.ops.shape_builder import ShapeBuilder
from fastseq.ops.values import Traced
from fastseq.program.hoisting import hoist
from fastseq.program.loops import Carried, carry_over, entry_of, is_of_its_time
from fastseq.program.slots import strides_of
from fastseq.tensors import nest


class _Walk:
    """One cell over all timesteps of `x` (B, T, ...): where its inputs, states and outputs stand at each."""

    def __init__(self, layer, p, cell, x, initial, mask, training, sequences, inner):
        self.layer, self.p, self.cell, self.x, self.mask, self.training = layer, p, cell, x, mask, training
        self.sequences = sequences
        self.batch, self.time, *self.features = x.shape
        self.backwards = layer.go_backwards
        self.turned = inner and layer.go_backwards  # outputs stand in the order of time
        self.zero = layer.zero_output_for_mask and not inner
        self.adds_losses = None  # whether a timestep adds to the loss, from `_output_shape`
        start = first_states(cell, self.batch) if initial is None else initial
        self.structure = nest.map_structure(lambda _: None, start)
        if initial is None:
            self.states = [p.constant(np.ascontiguousarray(state)) for state in nest.flatten(start)]
        else:
            self.states = [p.float32(state) for state in nest.flatten(initial)]

    def step(self, x, states, times=None):
        """(output, new states) of one timestep, Slots. times: see traced_calls.run_traced."""
        packed = nest.pack_like(self.structure, states)
        listed = list(packed) if nest.is_nested(packed) else [packed]

        def call(inputs, states):
            return call_cell(self.cell, inputs, states, self.training)

        output, new = traced_calls.run_traced(self.p, call, {"inputs": x, "states": listed}, self.training, times)
        output, new = slots_of_result(self.p, output), nest.flatten(slots_of_result(self.p, new))
        if len(new) != len(states) or any(a.shape != b.shape for a, b in zip(new, states)):
            raise ValueError("its cell gives other states than it takes")
        return self.p.float32(output), [self.p.float32(slot) for slot in new]

    def masked(self, mask, new, old):
        """`new` where the mask (B,) or (B, H) holds, else `old`."""
        if mask is None:
            return new
        mask = mask.reshaped((*mask.shape, *[1] * (len(new.shape) - len(mask.shape))))
        return self.p.elementwise("select", mask, new, 0.0 if old is None else old)

    def time_first(self, slot):
        """(T, B, ...) of (B, T, ...)."""
        batch, time, *rest = slot.shape
        if batch == 1 or time == 1:
            return slot.reshaped((time, batch, *rest))
        strides = strides_of(slot.shape)
        return self.p.view(slot, (time, batch, *rest), (strides[1], strides[0], *strides[2:]))

    def batch_first(self, slot):
        time, batch, *rest = slot.shape
        if batch == 1 or time == 1:
            return slot.reshaped((batch, time, *rest))
        strides = strides_of(slot.shape)
        return self.p.view(slot, (batch, time, *rest), (strides[1], strides[0], *strides[2:]))

    # ---- a step for every timestep -----------------------------------------------------------------------------------

    def unrolled(self):
        p, outputs, last, states = self.p, [], None, self.states
        xs = self.time_first(self.x)
        masks = None if self.mask is None else self.time_first(self.mask)
        for t in range(self.time)[:: -1 if self.backwards else 1]:
            output, new = self.step(self._at(xs, t), states)
            mask = None if masks is None else self._at(masks, t)
            output = self.masked(mask, output, None if self.zero else last)
            states = [self.masked(mask, value, old) for value, old in zip(new, states)]
            last = output
            outputs.append(output)
        if not self.sequences:
            return last, states
        if self.turned:
            outputs.reverse()
        parts = [slot.reshaped((self.batch, 1, *slot.shape[1:])) for slot in outputs]
        return p.concatenate(parts, 1), states

    @staticmethod
    def _at(slot, t):
        """Entry t of the first axis."""
        size = slot.size // slot.shape[0]
        part = slot.at(t * size)
        return part.reshaped(slot.shape[1:])

    # ---- a loop ------------------------------------------------------------------------------------------------------

    def looped(self, whole):
        """whole: what `of_all_timesteps` gave."""
        p, backwards = self.p, self.backwards
        xs = self.time_first(self.x)
        masks = None if self.mask is None else self.time_first(self.mask)
        turns = p.trains and backwards  # gradients go through rounds in the order of memory
        if turns:
            xs, masks, backwards = _turned(p, xs), None if masks is None else _turned(p, masks), False
        kept = [Carried(p, state, self.time) for state in self.states]
        shape = self._output_shape()
        y = p.new((self.time, *shape)) if self.sequences or p.trains else p.new(shape)
        last = None
        if masks is not None and not (self.sequences and self.zero):
            last = Carried(p, p.constant(np.zeros(shape, np.float32)), self.time)
        with p.loop(self.time, self.batch) as loop:
            x, before = entry_of(xs, backwards), [each.before for each in kept]
            output, new = self.step(x, before)
            if whole is not None:
                in_body = self._hoist(loop, whole, x, xs, kept, backwards)
                output, new = in_body(output), [in_body(value) for value in new]
            mask = None if masks is None else entry_of(masks, backwards)
            output = self.masked(mask, output, None if last is None or self.zero else last.before)
            new = [self.masked(mask, value, old) for value, old in zip(new, before)]
            if self.sequences or (p.trains and last is None):
                p.write(output, entry_of(y, self.turned and not turns))
            elif last is None:
                p.write(output, y)
            if last is not None:
                new, kept = [*new, output], [*kept, last]
            carry_over(p, new, kept)
        if last is not None:
            kept.pop()
        states = [each.end for each in kept]
        if self.sequences:
            y = _turned(p, y) if turns and self.turned else y
            return self.batch_first(y), states
        if last is not None:
            return last.end, states
        return (y.at((self.time - 1) * (y.size // self.time)).reshaped(shape) if p.trains else y), states

    def _hoist(self, loop, whole, x, xs, kept, backwards):
        steps, own, states = whole
        pairs = [(own, xs.reshaped((self.time * self.batch, *self.features)))]
        before = [each.before for each in kept]
        if self.p.trains:
            pairs += [(wide, each.of_all()) for wide, each in zip(states, kept)]
        return hoist(self.p, loop, steps, [x], pairs, before, backwards)

    def of_all_timesteps(self):
        """(the steps of the cell for the rows of all timesteps, the Slots of its inputs and states there), or None
        where it mixes rows."""
        outer, rows = self.p, self.time * self.batch
        self.p = scratch = traced_calls.scratch_of(outer)
        scratch.layer_name = outer.layer_name
        x = scratch.new((rows, *self.features))
        states = [scratch.new((rows, *state.shape[1:])) for state in self.states]
        try:
            self.step(x, states, dict.fromkeys(map(id, (x, *states)), 0))
        except Exception:
            return None
        finally:
            self.p = outer
        if outer.trains and (is_of_its_time(scratch) or any(scratch.effects())):
            return None
        return scratch.steps, x, states

    def _output_shape(self):
        """The shape of a timestep's output, from a trace that is thrown away."""
        outer = self.p
        scratch = traced_calls.scratch_of(outer)
        try:
            self.p = scratch
            x = scratch.new((self.batch, *self.features))
            output, _ = self.step(x, [scratch.new(state.shape) for state in self.states])
        finally:
            self.p = outer
        if any(step["op"] is None for step in scratch.steps):
            raise traced_calls.CannotTrace("its cell runs in Python")
        self.adds_losses = bool(scratch.penalties)
        return output.shape


def _turned(p, slot):
    """The first axis from its end on."""
    return flip(Traced(p, slot), 0).slot


def build_inside(layer, cell, features):
    """Builds the layers that a cell calls, as a call would, where it can be traced; features: sizes of one input."""
    if not getattr(cell, "traced", True) or None in features:
        return
    p = ShapeBuilder()
    try:
        walk = _Walk(layer, p, cell, p.new((2, 1, *features)), None, None, False, False, False)
        walk.step(p.new((2, *features)), walk.states)
    except Exception:  # the first call says what is wrong
        return


def emit(layer, p, cell, x, initial, mask, training, sequences, inner):
    """(Slot of the outputs, states in the structure of `initial`) of a cell that is traced, or None where it cannot
    be."""
    key = "cell", id(cell), x.shape[2:], bool(p.trains), training
    if layer._traces.verdicts.get(key) is not None or not getattr(cell, "traced", True):
        return None
    try:
        with p.undone_on_error():
            walk = _Walk(layer, p, cell, p.float32(x), initial, mask, training, sequences, inner)
            if walk.batch == 0:
                return None
            walk._output_shape()
            apart = p.in_loop or walk.time <= 2 or walk.adds_losses
            whole = None if apart else walk.of_all_timesteps()
            if apart or (p.trains and whole is None):
                y, states = walk.unrolled()
            else:
                y, states = walk.looped(whole)
    except Exception as error:
        layer._traces.note(key, traced_calls.reason_of(error))
        return None
    layer._traces.note(key, None)
    return y, nest.pack_like(walk.structure, states)

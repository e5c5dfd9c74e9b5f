"""Gradients of loops: a loop over the times from the last to the first, whose body is the backward pass of the body.

What a time computed and its gradient reads is kept for every time. Where the loop knows what its body does to the rows
of all times at once (`step["wide"]`, of program/hoisting.py), the gradients by weights are products of all rows behind
the loop, the mirror of what hoisting does; elsewhere each time adds its own.
"""

import contextlib

from fastseq.gradients.backward import Backward
from fastseq.program.chains import Chain, entry
from fastseq.program.hoisting import replaced, split_constants
from fastseq.program.loops import Loop
from fastseq.program.slots import Buffer, Slot, strides_of
from fastseq.program.steps import ends_of, slots_of


def through_loop(outer, body):
    """Adds the backward pass of a loop. outer: the Backward of the program; body: the steps of the loop."""
    p, loop = outer.p, body[0]["loop"]
    time = _Time(outer, body, loop)
    time.emit()
    kept = _Kept(loop, time)
    steps = [replaced(step, kept.backwards) for step in time.steps_inside]
    before, steps = split_constants(steps)
    p.steps += before
    reverse = Loop(loop.times, len(p.steps), loop.rows)
    p.steps += [{**step, "loop": reverse} for step in steps]
    behind = len(p.steps)
    for taken in time.taken:
        if taken.key is not None:
            outer._gradients[taken.key] = kept.whole(taken.gradient)
        else:
            kept.sink(outer, taken)
    kept.keep(p.steps, before + steps + p.steps[behind:])


class _Taken:
    """A gradient that is read behind the loop, for all times at once.

    gradient: the Slot of one time; position: the number of steps inside when it was found. Either `wide`, the step for
    the rows of all times whose gradients by weights are found of it, and `name` of its layer; or `key`, the array of
    outside whose gradient it is, `own_place`, where that has it, and `place`, the same where a time writes it because
    others are added, else None.
    """

    def __init__(self, gradient, position, wide=None, name=None, key=None, own_place=None):
        self.gradient, self.position = gradient, position
        self.wide, self.name, self.key, self.own_place, self.place = wide, name, key, own_place, None


class _Time(Backward):
    """The backward pass of one time.

    Arrays of outside, of which each time has its part or which it only reads, have gradients in the outer pass, to
    which every time adds; what the body makes has gradients of this time alone.
    """

    def __init__(self, outer, body, loop):
        self.p, self.steps, self._by_rows, self._active = outer.p, body, False, outer._active
        self._rows, self._gradients, self._own = {}, {}, set()
        self._outer, self._loop = outer, loop
        self._parts, self._unneeded = {}, []
        self.steps_inside, self.taken = [], []
        self._sinks = False  # whether what is added now leaves out the gradients by weights
        self._ready, self._unwritten = set(), set()  # ids of arrays of outside, and those of them without a value yet
        slots = [slot for step in body for slot in slots_of(step)]
        written = [slot for step in body for slot in ends_of(step)[1]]
        self.own = {id(slot.buffer) for slot in written if not slot.moves}
        self.moving = {id(slot.buffer) for slot in slots if slot.moves}
        self._places = {}  # id of a buffer of outside -> what the body has of it
        for slot in slots:
            self._places.setdefault(id(slot.buffer), set()).add((slot.offset, slot.moves, slot.size))
        self._carried = {id(slot.buffer) for slot in written} - self.own
        self._known = {id(slot.buffer) for step in outer.steps for slot in slots_of(step)} | set(loop.narrow)

    def emit(self):
        """Fills `steps_inside` and `taken`; what has to stand before the loop goes to the builder."""
        for slot in (slot for step in self.steps for slot in ends_of(step)[0]):
            # What a time leaves for the next has a gradient before the first time adds to it.
            if id(slot.buffer) in self._carried and slot.dtype == "float32" and self.wants(slot):
                self._make_ready(slot)
        self._outside, self.p.steps = self.p.steps, self.steps_inside
        try:
            for step in reversed(self.steps):
                self.p.layer_name = step["name"]
                self.through(step)
            for taken in reversed(self.taken):
                self._settle(taken)
        finally:
            self.p.steps = self._outside
        self.drop_unneeded(self.steps_inside)
        self.taken = [taken for taken in self.taken if taken.place is None]
        for key in self._unwritten:  # nothing was added to these
            del self._outer._gradients[key]

    @contextlib.contextmanager
    def _before(self):
        """Steps that are added go before the loop."""
        at, self.p.steps = self.p.steps, self._outside if self.p.steps is self.steps_inside else self.p.steps
        try:
            yield
        finally:
            self.p.steps = at

    # ---- what differs from the backward pass of a program --------------------------------------------------------

    def wants(self, slot):
        return super().wants(slot) and not (self._sinks and self._is_weight(slot))

    def of(self, slot):
        inside = slot is None or id(slot.buffer) in self.own
        return super().of(slot) if inside else self._outer.of(slot)

    def goes_by_rows(self, table):
        return False

    def through(self, step):
        if self._can_sink(step) and self.reaches(step):
            (y,) = ends_of(step)[1]
            gradient = self._whole(self.of(y)) or self._copied(self.of(y))
            self.taken.append(_Taken(gradient, len(self.steps_inside), wide=step["wide"], name=step["name"]))
            self._sinks = True
        try:
            super().through(step)
        finally:
            self._sinks = False

    def add(self, slot, gradient):
        if id(slot.buffer) in self.own:
            super().add(slot, gradient)
        elif self.wants(slot) and slot.size:
            self._make_ready(slot)
            place, gradient = self.of(slot), gradient.reshaped(slot.shape)
            key = id(slot.buffer)
            if key in self._unwritten:
                self._unwritten.discard(key)
                if self._whole(gradient) is None:
                    self.p.write(gradient, place)
                else:
                    self.taken.append(_Taken(gradient, len(self.steps_inside), key=key, own_place=place))
                return
            self._write_taken(key)
            strides = tuple(strides_of(slot.shape))
            operands = [(place, strides), (gradient, strides)]
            chain = Chain(slot.shape, operands, [], [("add", (("x", 0), ("x", 1)))], [(0, place)])
            self.p.steps.append(entry(chain, self.p.layer_name))

    def _own_whole(self, slot):
        if id(slot.buffer) in self.own:
            return super()._own_whole(slot)
        self._make_ready(slot)
        self._write_taken(id(slot.buffer))
        if id(slot.buffer) in self._unwritten:
            self._unwritten.discard(id(slot.buffer))
            whole = self._outer._gradients[id(slot.buffer)]
            with self._before():
                self.p.copy(self.zeros(1), whole, (whole.size,), (0,), (1,))
        return False

    def _write_taken(self, key):
        """Lets a time write the gradient that was taken of an array of outside, since another is added to it."""
        for taken in self.taken:
            if taken.key == key:
                taken.place = taken.own_place

    # ---- gradients by arrays of outside --------------------------------------------------------------------------

    def _make_ready(self, slot):
        """Sees to an array to which every time may add its gradient."""
        key = id(slot.buffer)
        if key in self._ready:
            return
        self._ready.add(key)
        self._outer._parts.pop(key, None)
        with self._before():
            if self._outer._gradients.get(key) is None and self._is_read_once(slot):
                whole = self.p.new((slot.buffer.nbytes // 4,))
                self._outer._gradients[key] = whole
                self._outer._own.add(id(whole.buffer))
                self._unwritten.add(key)
            else:
                self._outer._own_whole(slot)

    def _is_read_once(self, slot):
        """Whether the times together go once over all of its array: then the first gradient is written, not added."""
        size = slot.size * slot.itemsize
        whole = slot.buffer.nbytes == size * self._loop.times
        return whole and self._places[id(slot.buffer)] == {(0, size, slot.size)}

    # ---- gradients by weights ------------------------------------------------------------------------------------

    def _is_weight(self, slot):
        return id(slot.buffer) not in self.own and not slot.moves

    def _can_sink(self, step):
        """Whether its gradients by weights can be found for all times at once."""
        read, written = ends_of(step)
        if "wide" not in step or len(written) != 1 or not any(self._is_weight(s) and self.wants(s) for s in read):
            return False
        return all(id(slot.buffer) in self._known for slot in slots_of(step["wide"]))

    def _whole(self, gradient):
        """A gradient, if those of all times can lie one behind the other; else None."""
        size = gradient.size * gradient.itemsize
        made_here = any(slot.buffer is gradient.buffer for step in self.steps_inside for slot in ends_of(step)[1])
        is_all = made_here and not gradient.moves and not gradient.offset and gradient.buffer.nbytes == size
        return gradient if is_all or gradient.moves == size else None

    def _copied(self, gradient):
        copy = self.p.new(gradient.shape)
        self.p.write(gradient, copy)
        return copy

    def _settle(self, taken):
        """Copies what was taken where a later step changes it, and writes what others were added to."""
        later, gradient = self.steps_inside[taken.position :], taken.gradient
        del self.steps_inside[taken.position :]
        if taken.place is not None:
            self.p.write(gradient, taken.place)
        elif any(slot.buffer is gradient.buffer for step in later for slot in ends_of(step)[1]):
            taken.gradient = self._copied(gradient)
        self.steps_inside += later


class _Kept:
    """Arrays of all times, in the places of those that the loop, or its backward pass, makes anew each time."""

    def __init__(self, loop, time):
        self._loop, self._times, self._moving = loop, loop.times, time.moving
        self._own = time.own | {id(taken.gradient.buffer) for taken in time.taken if not taken.gradient.moves}
        self._arrays = {}  # id of a buffer -> (it, the Buffer of all times)

    def _of_all(self, buffer):
        if id(buffer) not in self._arrays:
            self._arrays[id(buffer)] = buffer, Buffer("arena", buffer.nbytes * self._times)
        return self._arrays[id(buffer)][1]

    def backwards(self, slot):
        """What a time of the backward pass has of a Slot of the body."""
        buffer, moves = slot.buffer, slot.moves
        if not moves and id(buffer) in self._own:
            buffer, moves = self._of_all(buffer), buffer.nbytes
        return Slot(buffer, slot.shape, slot.dtype, slot.offset + (self._times - 1) * moves, moves=-moves)

    def _forwards(self, slot):
        found = self._arrays.get(id(slot.buffer))
        return slot if found is None else Slot(found[1], slot.shape, slot.dtype, slot.offset, moves=slot.buffer.nbytes)

    def whole(self, gradient):
        """The gradient of all times, one behind the other."""
        buffer = gradient.buffer if gradient.moves else self._of_all(gradient.buffer)
        return Slot(buffer, (gradient.size * self._times,), "float32", gradient.offset)

    def sink(self, outer, taken):
        """Adds the gradients by weights of a step for all times."""

        def in_place(slot):
            narrow = self._loop.narrow.get(id(slot.buffer))
            return slot if narrow is None else Slot(self._of_all(narrow), slot.shape, slot.dtype, slot.offset)

        wide = replaced(taken.wide, in_place)
        (y,) = ends_of(wide)[1]
        outer._gradients[id(y.buffer)] = self.whole(taken.gradient)
        outer.p.layer_name = taken.name
        active, outer._active = outer._active, outer._active - self._moving
        try:
            outer.through(wide)
        finally:
            outer._active = active
            del outer._gradients[id(y.buffer)]

    def keep(self, steps, readers):
        """Lets the loop among the builder's steps write what these readers read."""
        read = {id(slot.buffer) for step in readers for slot in slots_of(step)}
        self._arrays = {key: found for key, found in self._arrays.items() if id(found[1]) in read}
        for number, step in enumerate(steps):
            if step.get("loop") is self._loop:
                steps[number] = replaced({key: step[key] for key in step if key != "wide"}, self._forwards)

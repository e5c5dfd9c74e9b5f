"""Loops: steps that run again and again on the next part of their arrays, as over time (src_c/run/loops.c).

What differs from time to time are Slots that move (`Slot.part`); what a time leaves for the next one are arrays that
the body reads and, at its end, writes.
"""

import numpy as np

from fastseq.native.kinds import OPERATIONS
from fastseq.program.slots import Buffer, Slot, strides_of


class Loop:
    """Steps with this one in `step["loop"]` run `times` times, all of them in turn; the builder's from number `first`
    on.

    condition: None, or the Slot of a bool that the body writes last, and that a time begins only where it is true.
    rows: how many rows of the batch the body has; cuts: None, or what row_cuts.py says of the finished body, which may
    then run for some of them by themselves.
    narrow: where gradients will be taken, and steps of the body know what they are for the rows of all times at once
    (`step["wide"]`, of hoisting.py): {id of a buffer of those: the buffer of one time}.
    """

    def __init__(self, times, first, rows=1):
        self.times = times
        self.first = first
        self.rows = rows
        self.condition = self.cuts = None
        self.narrow = {}


class Carried:
    """What one time leaves for the next one.

    Args:
        p (Builder): Gets the steps.
        slot (Slot): The value before the first time.
        times (int): Of the loop.

    before, after: the Slots that a time reads, and writes. end: what the last time wrote. Where gradients will be taken
    every time has a place of its own, since its gradient reads what it read.
    """

    def __init__(self, p, slot, times):
        if not p.trains:
            self.before = self.after = self.end = p.new(slot.shape, slot.dtype)
        else:
            whole, size = p.new((times + 1, *slot.shape), slot.dtype), slot.size * slot.itemsize
            self.before, self.after = (whole.part(slot.shape, offset, size) for offset in (0, size))
            self.end = whole.part(slot.shape, times * size, 0)
        p.copy(slot, self.first, (slot.size,), (1,), (1,))

    @property
    def first(self):
        """Where the value before the first time stands."""
        return Slot(self.before.buffer, self.before.shape, self.before.dtype)

    def of_all(self):
        """What all times read, one behind the other along the first axis; where gradients will be taken."""
        slot = self.before
        times = slot.buffer.nbytes // slot.moves - 1
        return Slot(slot.buffer, (times * slot.shape[0], *slot.shape[1:]), slot.dtype)


def is_of_its_time(p, first=0):
    """Whether gradients cannot go through the builder's steps from number `first` on as through a loop: each time would
    draw random numbers anew, or a user's own gradient is of arrays of its time (`ops.custom_gradient`)."""
    return any(step["op"] in ("random", "choice") or "own_gradient" in step for step in p.steps[first:])


def entry_of(slot, backwards=False):
    """What a loop over the first axis of `slot` sees of it."""
    size = slot.size // slot.shape[0] * slot.itemsize
    return slot.part(slot.shape[1:], (slot.shape[0] - 1) * size if backwards else 0, -size if backwards else size)


def carry_over(p, new, carried):
    """Writes what the next time finds, Slots `new` for each of the `Carried`, at the end of a loop's body."""
    kept = [each.after for each in carried]
    if p.trains:
        for value, place in zip(new, kept):
            p.write(value, place)
        return
    held = {id(slot.buffer) for slot in kept}
    ready = []
    for value, old in zip(new, kept):
        if id(value.buffer) in held and value.buffer is not old.buffer:
            value = p.view(value, value.shape, strides_of(value.shape))  # before another one overwrites it
        ready.append(value)
    for value, old in zip(ready, kept):
        if value.buffer is not old.buffer:
            p.write(value, old)


def loops_of(steps):
    """(first step, the one behind the last, Loop) of each loop among these steps."""
    found = []
    for number, step in enumerate(steps):
        loop = step.get("loop")
        if loop is not None and found and found[-1][2] is loop:
            found[-1][1] = number + 1
        elif loop is not None:
            found.append([number, number + 1, loop])
    return found


def find_cuts(steps):
    """Sets `cuts` of each loop among a finished program's steps."""
    for first, last, loop in loops_of(steps):
        from fastseq.program import row_cuts  # 0.4 ms, which programs without loops do not need

        loop.cuts = None if loop.condition is not None else row_cuts.cuts_of(steps[first:last], loop.rows)


def share_memory(buffers, first, last):
    """Lets arrays of a loop that is cut, steps [first, last), lie in the same memory where they are not needed at the
    same time. They are of one size: a thread's rows of the one are then its rows of the other, too.

    buffers: those that live from their `first` to their `last` step. Returns Buffers that live as long as the loop, and
    sets `shared` of each of the others to one of them.
    """
    found = []  # [Buffer, the last step that needs it]
    for buffer in sorted(buffers, key=lambda b: b.first):
        free = next((f for f in found if f[0].nbytes == buffer.nbytes and f[1] < buffer.first), None)
        if free is None:
            free = [Buffer("arena", buffer.nbytes), None]
            free[0].first, free[0].last = first, last - 1
            found.append(free)
        free[1] = buffer.last
        buffer.shared = free[0]
    return [free[0] for free in found]


def encoded_loops(steps):
    """(loops, moves, cuts) among native steps as `_native.Segment` takes them: int64 arrays of fs_loop, fs_move and
    fs_cut."""
    starts = [0]
    for step in steps:  # each step's arguments begin at a multiple of 16 bytes
        starts.append(starts[-1] + (OPERATIONS[step["op"]][1] + 15) // 16 * 16)
    loops, moves, cuts = [], [], []
    for first, last, loop in loops_of(steps):
        place = _place_of(steps, first, last, loop.condition)
        own = [(starts[number] + offset, size) for number, offset, size in _moves(steps, first, last)]
        condition = -1 if place is None else starts[place[0]] + place[1]
        apart = _encoded_cuts(steps[first:last], starts[first:last], loop.cuts or [])
        loops.append((first, last, loop.times, condition, len(moves), len(own), loop.rows, len(cuts), len(apart)))
        moves, cuts = moves + own, cuts + apart
    return tuple(np.array(rows, np.int64).reshape(-1, n) for rows, n in ((loops, 9), (moves, 2), (cuts, 3)))


def _encoded_cuts(steps, starts, cuts):
    """What row_cuts.cuts_of gave as int64 rows (place among the arguments, of a row, whether it is a size).

    starts: the byte at which the arguments of each step begin.
    """
    return [
        (start + OPERATIONS[step["op"]][2][name][1], of_row, int(is_size))
        for step, start, own in zip(steps, starts, cuts)
        for name, of_row, is_size in own
    ]


def _place_of(steps, first, last, slot):
    """(step, byte offset of the pointer) of the step that writes a Slot, None for None."""
    if slot is None:
        return None
    for number in range(first, last):
        known = OPERATIONS[steps[number]["op"]][2]
        for name, value in steps[number]["fields"].items():
            if isinstance(value, Slot) and value.buffer is slot.buffer and known[name][0] == "out":
                return number, known[name][1]
    raise ValueError("Nothing in the loop writes its condition.")


def _moves(steps, first, last):
    """(step, byte offset of a pointer among its arguments, bytes) for every Slot of the steps that moves."""
    found = []
    for number in range(first, last):
        known = OPERATIONS[steps[number]["op"]][2]
        for name, value in steps[number]["fields"].items():
            if isinstance(value, Slot) and value.moves:
                found.append((number, known[name][1], value.moves))
    return found

"""Hoisting: what a loop over time computes of its input alone goes before the loop, for all timesteps at once.

A product with a kernel reads the kernel once for all timesteps, where the loop would read it for each. The body is
traced twice: for the rows of one timestep, as it stands in the loop, and for those of all timesteps. Both give the same
steps in the same order, and rows do not mix (whoever traces makes sure), so a step of the second does what the first
does in all rounds; the loop then reads its part of the result.
"""

from collections import Counter

from fastseq.program.chains import Chain
from fastseq.program.slots import Slot, same_array
from fastseq.program.steps import ends_of


def hoist(p, loop, whole, x, xs, states, backwards):
    """Takes what can be taken out of the body of a Loop in the making: the steps of the builder `p` from its first on.

    whole: the steps of the same body traced for the rows of all timesteps; x: the Slots that the body reads, and that
    move; xs: pairs of a Slot that `whole` reads and the array of all timesteps that takes its place; states: the Slots
    that the loop keeps. Returns a function that gives for a Slot of the body what the body has in its place.
    """
    first, times = loop.first, loop.times
    body = p.steps[first:]
    if len(body) != len(whole) or not all(_is_same(a, b) for a, b in zip(body, whole)):
        return lambda slot: slot
    kinds = _sorted(body, {id(slot.buffer) for slot in x}, {id(slot.buffer) for slot in states})
    taken = _ancestors_of_heavy(body, kinds)
    found = _Moved(body, whole, kinds, taken, times, xs, backwards)
    if not found.fits:
        return lambda slot: slot
    p.steps[first:] = found.before + found.inside
    loop.first += len(found.before)
    if p.trains:
        loop.narrow = found.narrow
    return found.in_body


# Steps that give the same whenever they run, and cannot fail.
_STEADY = {"activation", "affine", "binary", "cast", "copy", "elementwise", "pack", "reduce", "select"}


def take_out_constants(p, first):
    """Takes from the body of a loop in the making, the steps of the builder from number `first` on, those that give the
    same every time. Returns how many now stand before it."""
    before, p.steps[first:] = split_constants(p.steps[first:])
    p.steps[first:first] = before
    return len(before)


def split_constants(body):
    """(steps of a loop's body that give the same every time, the others): what the former read neither moves nor is
    written in the loop, nothing else writes what they write, and no step before them reads it: the first time would
    read there what stood before the loop."""
    writers = Counter(id(slot.buffer) for step in body for slot in _written(step))
    constant, seen = set(), set()  # ids of buffers that were written, and read, so far
    before, varying = [], []
    for step in body:
        read, written = ends_of(step)
        seen.update(id(slot.buffer) for slot in read)
        steady = step["op"] in _STEADY and not any(
            slot.moves or (id(slot.buffer) in writers and id(slot.buffer) not in constant) for slot in read
        )
        if steady and all(_is_written_once(slot, writers) and id(slot.buffer) not in seen for slot in written):
            before.append(step)
            constant |= {id(slot.buffer) for slot in written}
        else:
            varying.append(step)
    return before, varying


def _is_written_once(slot, writers):
    return slot.buffer.kind == "arena" and not slot.moves and writers[id(slot.buffer)] == 1


def _kind(step):
    """What a step computes but for its sizes and constants: a number that is another one for other rows counts."""
    chain = step.get("chain")
    if chain is not None:
        told = (tuple(chain.code), tuple(map(repr, chain.numbers)), chain.reduction)
    else:
        told = tuple(repr(value) for value in step["fields"].values() if isinstance(value, float))
    return step["op"], told


def _is_same(step, other):
    """Whether two steps compute the same, but for their sizes, with the same constants."""
    if _kind(step) != _kind(other):
        return False
    pairs = zip(_constants(step), _constants(other), strict=True)
    return all((a is None) == (b is None) and (a is None or same_array(a, b)) for a, b in pairs)


def _constants(step):
    """The array of each Slot that a step reads, None for those that are no constants."""
    return [slot.buffer.array if slot.buffer.kind == "constant" else None for slot in ends_of(step)[0]]


def _sorted(body, inputs, states):
    """For each step "state", "input" or "constant": what it depends on, the first of these."""
    depends = {**dict.fromkeys(inputs, "input"), **dict.fromkeys(states, "state")}
    kinds = []
    for step in body:
        read, written = ends_of(step)
        on = {depends.get(id(slot.buffer), "constant") for slot in read}
        kind = "state" if "state" in on or step["op"] is None else "input" if "input" in on else "constant"
        kinds.append(kind)
        depends.update((id(slot.buffer), kind) for slot in written)
    return kinds


def _ancestors_of_heavy(body, kinds):
    """Numbers of the steps of the input to take out: products, reductions and the like, and what these read. A chain
    that nothing heavy reads stays, as it costs less where it is fused."""
    wanted, taken = set(), set()
    for number in reversed(range(len(body))):
        step = body[number]
        read, written = ends_of(step)
        chain = step.get("chain")
        heavy = chain is None or chain.reduction is not None
        if kinds[number] == "input" and (heavy or any(id(slot.buffer) in wanted for slot in written)):
            taken.add(number)
            wanted |= {id(slot.buffer) for slot in read}
    return taken


class _Moved:
    """The steps before the loop, and those in it."""

    def __init__(self, body, whole, kinds, taken, times, xs, backwards):
        self.fits = True
        self.before, self.inside = [], []
        self.narrow = {}  # id of a buffer of `whole` -> that of one timestep, for what stays in the loop
        outside = {id(own.buffer): slot for own, slot in xs}  # id of a buffer of `whole` -> the Slot in its place
        self._inside = inside = {}  # id of a buffer of `body` -> (the buffer of all timesteps, bytes of one)
        self._times, self._backwards = times, backwards
        for number, (step, wide) in enumerate(zip(body, whole)):
            if kinds[number] == "constant":
                self.before.append(step)
                for mine, other in zip(_written(step), _written(wide)):
                    # One of the size of the rows, as zeros like the input, is another array for all timesteps.
                    self.fits = self.fits and mine.shape == other.shape
                    outside[id(other.buffer)] = mine
            elif number in taken:
                self.before.append(replaced(wide, lambda slot: _in_place_of(slot, outside)))
                for mine, other in zip(_written(step), _written(wide)):
                    self.fits = self.fits and _is_each_row(mine, other, times)
                    inside[id(mine.buffer)] = other.buffer, mine.buffer.nbytes
            else:
                _note_constants(step, wide, outside)
                own = replaced(step, self.in_body)
                if all(_is_each_row(mine, other, times) for mine, other in zip(_written(step), _written(wide))):
                    own["wide"] = replaced(wide, lambda slot: _in_place_of(slot, outside))
                    self.narrow |= {id(b.buffer): a.buffer for a, b in zip(_written(step), _written(wide))}
                self.inside.append(own)

    def in_body(self, slot):
        """What a timestep has of a Slot that may have been taken out."""
        if id(slot.buffer) not in self._inside:
            return slot
        buffer, size = self._inside[id(slot.buffer)]
        first, moves = ((self._times - 1) * size, -size) if self._backwards else (0, size)
        return Slot(buffer, slot.shape, slot.dtype, slot.offset + first, moves=moves)


def _note_constants(step, wide, outside):
    """Adds the constants of the one for those of the other to `outside`: gradients go by the former."""
    for mine, other in zip(ends_of(step)[0], ends_of(wide)[0]):
        if other.buffer.kind == "constant":
            outside.setdefault(id(other.buffer), Slot(mine.buffer, mine.buffer.array.shape, mine.dtype))


def _written(step):
    return ends_of(step)[1]


def _is_each_row(mine, other, times):
    """Whether `other` is `mine` of every timestep, one behind the other."""
    return (
        mine.shape[1:] == other.shape[1:] and mine.shape and mine.shape[0] * times == other.shape[0]
        and mine.buffer.nbytes * times == other.buffer.nbytes and not mine.offset and not other.offset
        and mine.buffer.kind == "arena"
    )  # fmt: skip


def _in_place_of(slot, outside):
    found = outside.get(id(slot.buffer))
    return slot if found is None else Slot(found.buffer, slot.shape, slot.dtype, found.offset + slot.offset)


def replaced(step, change):
    """The step with other Slots."""
    step = {**step, "fields": {
        name: change(value) if isinstance(value, Slot) else value for name, value in step["fields"].items()
    }}  # fmt: skip
    if "chain" in step:
        old = step["chain"]
        step["chain"] = Chain(
            old.shape, [(change(slot), strides) for slot, strides in old.inputs], old.numbers, old.code,
            [(index, change(slot)) for index, slot in old.results], old.reduction,
        )  # fmt: skip
    return step

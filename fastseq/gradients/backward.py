"""The state of a backward pass: the gradient of every array so far, and how one is added to another."""

import typing

import numpy as np

from fastseq.errors import UnsupportedError
from fastseq.native.kinds import OPERATIONS
from fastseq.program.gradient_rules import rule_of
from fastseq.program.slots import Slot, strides_of
from fastseq.program.steps import ends_of

# Operations whose results change with their inputs in jumps alone: their derivative is 0.
_FLAT = {"cast", "check_ids", "one_hot", "mask_logic", "random", "choice", "argsort", "search", "ctc_decode"}


class Rows(typing.NamedTuple):
    """The gradient of a table (rows, width), held for the rows that were looked up.

    gradient: Slot (n, width), of which row 0 is zeros; places: int32 Slot (rows,), which row of it each row has.
    """

    gradient: Slot
    places: Slot


class Parts:
    """The places of an array of zeros that were written, none of them twice.

    zeros: the step that wrote the zeros.
    """

    def __init__(self, size, zeros):
        self.zeros = zeros
        self._left = size
        self._taken = []  # (first element, last, (elements of a row, first column, last) or None)

    def take(self, first, sizes, strides):
        """Notes places, `strides` apart from the first on; False where some may have been written before."""
        found = first, first + sum((n - 1) * s for n, s in zip(sizes, strides)), _columns(first, sizes, strides)
        if min(strides, default=0) < 0 or any(_meet(found, other) for other in self._taken):
            return False
        self._taken.append(found)
        self._left -= int(np.prod(sizes, dtype=np.int64))
        return True

    def are_all(self):
        return self._left == 0


def _columns(first, sizes, strides):
    """Which columns of rows places are: (elements of a row, first column, last), or None."""
    if len(sizes) != 2 or strides[1] != 1 or first % strides[0] + sizes[1] > strides[0]:
        return None
    return strides[0], first % strides[0], first % strides[0] + sizes[1] - 1


def _meet(a, b):
    """Whether two sets of places may have one in common."""
    if a[1] < b[0] or b[1] < a[0]:
        return False
    if a[2] is None or b[2] is None or a[2][0] != b[2][0]:
        return True
    return not (a[2][2] < b[2][1] or b[2][2] < a[2][1])


class Backward:
    """Gradients of the float32 arrays of a program, by their memory: a gradient's buffer is laid out as the array's.

    A buffer has a gradient once something that reads it has one; those that are wanted, or depend on what is, count.
    """

    def __init__(self, p, wanted, by_rows=False):
        self.p = p
        self.steps = list(p.steps)
        self._by_rows = by_rows
        self._rows = {}  # id of a buffer -> Rows
        self._gradients = {}  # id of a buffer -> flat Slot
        self._own = set()  # ids of gradients' buffers that nothing else reads: they may be added to
        self._parts = {}  # id of a buffer whose gradient is zeros and these -> Parts
        self._unneeded = []  # steps
        self._active = {id(slot.buffer) for slot in wanted}
        known = -1
        while known < len(self._active):  # a loop's round reads what the one before it wrote
            known = len(self._active)
            for step in self.steps:
                if step["op"] in _FLAT or step.get("flat"):
                    continue
                read, written = _ends(step)
                if any(id(slot.buffer) in self._active for slot in read):
                    self._active |= {id(slot.buffer) for slot in written if slot.dtype == "float32"}
            if not any("loop" in step for step in self.steps):
                break

    def wants(self, slot):
        return isinstance(slot, Slot) and id(slot.buffer) in self._active

    def of(self, slot):
        """The gradient of `slot`, a Slot at the same place and of its shape, or None."""
        found = self._gradients.get(id(slot.buffer)) if slot is not None else None
        if found is None:
            return None
        moves = found.moves + slot.moves  # of a loop: the array moves, or its gradient
        return Slot(found.buffer, slot.shape, "float32", found.offset + slot.offset, moves=moves)

    def found(self, slot):
        """The gradient of `slot`: a Slot, `Rows`, or None."""
        return self._rows.get(id(slot.buffer)) or self.of(slot)

    def goes_by_rows(self, table):
        """Whether the gradient of a table may be `Rows`: one look-up alone reads it."""
        if not self._by_rows or table.offset or table.size * 4 != table.buffer.nbytes:
            return False
        return sum(slot.buffer is table.buffer for step in self.steps for slot in _ends(step)[0]) == 1

    def set_rows(self, table, rows):
        self._rows[id(table.buffer)] = rows

    def reaches(self, *steps):
        """Whether all of these steps wrote something that has a gradient and read something that is to have one."""
        for step in steps:
            read, written = _ends(step)
            if not any(self.of(slot) is not None for slot in written) or not any(self.wants(slot) for slot in read):
                return False
        return True

    def through(self, step):
        """Adds the steps that give the gradients of what `step` reads, where what it writes has gradients."""
        if not self.reaches(step):
            return
        if "own_gradient" in step:
            step["own_gradient"][1](self, step)
            return
        if step["op"] is None:
            self._through_python(step)
            return
        if step["op"] in _FLAT or step.get("flat"):
            return
        rule = rule_of(step["op"])
        if rule is None:
            raise UnsupportedError(
                f"Layer '{step['name']}' cannot be trained: no gradient is known of its operation {step['op']}."
            )
        rule(self, step)

    def _through_python(self, step):
        if step.get("backward") is None:
            why = f" ({step['why']})" if step.get("why") else ""
            raise UnsupportedError(
                f"Layer '{step['name']}' runs in Python{why} and has no backward(): training cannot go through it. "
                "Compute with fastseq.ops, NumPy's functions and operators alone, define backward(gradient, *inputs), "
                "or set trainable=False on all layers before it."
            )
        given = [slot for slot in step["outputs"] if slot.dtype == "float32"]
        if any(self.of(slot) is None for slot in given):
            raise UnsupportedError(f"Layer '{step['name']}': its backward() needs all of its outputs to be used.")
        floats = [slot for slot in (*step["inputs"], *step["weights"]) if slot.dtype == "float32"]
        examples = [np.zeros(slot.shape, np.float32) for slot in floats]
        inputs = [*(self.of(slot) for slot in given), *step["inputs"]]
        found = self.p.python(f"{step['name']} backward", step["backward"], inputs, examples)
        for slot, gradient in zip(floats, found):
            self.add(slot, gradient)

    def step(self, operation, **fields):
        """Builder.step, where what is left out is None or 0."""
        known = OPERATIONS[operation][2]
        rest = {name: None if kind in ("in", "out") else 0 for name, (kind, _, _) in known.items()}
        self.p.step(operation, **{**rest, **fields})

    # ---- adding --------------------------------------------------------------------------------------------------

    def add(self, slot, gradient):
        """Adds `gradient`, contiguous and of as many elements, to that of `slot`."""
        if not self.wants(slot) or not slot.size:
            return
        count = slot.buffer.nbytes // 4
        if slot.size != count:
            self._add_part(slot, gradient)
            return
        gradient = gradient.reshaped((count,))
        self._parts.pop(id(slot.buffer), None)
        before = self._gradients.get(id(slot.buffer))
        self._gradients[id(slot.buffer)] = gradient if before is None else self.p.binary("add", before, gradient)

    def _add_part(self, slot, gradient):
        fresh, gradient = self._own_whole(slot), gradient.reshaped(slot.shape)
        if self._is_apart(slot, (slot.size,), (1,), fresh):
            self.p.write(gradient, self.of(slot))
            return
        place = self.of(slot)
        self.step("binary", a=place, b=gradient, y=place, n0=1, n1=1, n2=1, n3=1, n4=slot.size, a4=1, b4=1)

    def _is_apart(self, slot, sizes, strides, fresh):
        """Whether the gradient of these places of an array is 0 so far, so that it may be written and not added.

        fresh: whether that of the whole array is, as `_own_whole` says.
        """
        key = id(slot.buffer)
        if fresh:
            zeros = next(step for step in reversed(self.p.steps) if self._writes(step, self._gradients[key]))
            self._parts[key] = Parts(slot.buffer.nbytes // 4, zeros)
        known = self._parts.get(key)
        if known is None:
            return False
        if not known.take(slot.offset // 4, sizes, strides):
            del self._parts[key]
            return False
        if known.are_all():  # nothing of the zeros is left
            self._unneeded.append(known.zeros)
        return True

    def drop_unneeded(self, steps):
        """Takes away, from these steps, those that turned out not to be needed."""
        unneeded = set(map(id, self._unneeded))
        steps[:] = [step for step in steps if id(step) not in unneeded]

    @staticmethod
    def _writes(step, slot):
        return any(written.buffer is slot.buffer for written in ends_of(step)[1])

    def _own_whole(self, slot):
        """Makes the gradient of all of the slot's array one that may be changed in place; True where it was none."""
        before = self._gradients.get(id(slot.buffer))
        if before is not None and id(before.buffer) in self._own:
            return False
        whole = self.zeros(slot.buffer.nbytes // 4)
        if before is not None:
            whole = self.p.binary("add", whole, before)
        self._own.add(id(whole.buffer))
        self._gradients[id(slot.buffer)] = whole
        return before is None

    def zeros(self, count):
        """A new Slot of so many zeros."""
        zero = self.p.constant(np.zeros(1, np.float32))
        return self.p.contiguous_copy(zero, (count,), (0,))

    def add_strided(self, slot, sizes, strides, gradient):
        """Adds `gradient`, contiguous over `sizes`, to the elements of `slot` at `strides` from its first one on.

        Where a stride is 0 elements were read several times: their gradients are summed.
        """
        if not self.wants(slot) or 0 in sizes:
            return
        kept = [(size, stride) for size, stride in zip(sizes, strides) if size > 1 and stride]
        if any(size > 1 and not stride for size, stride in zip(sizes, strides)):
            gradient = self.sum_over(gradient, sizes, [bool(stride) for stride in strides])
        sizes, strides = [size for size, _ in kept], [stride for _, stride in kept]
        if overlap := _overlap(sizes, strides):
            self._add_in_parts(slot, sizes, strides, gradient, *overlap)
            return
        count = int(np.prod(sizes, dtype=np.int64))
        if list(strides) == strides_of(sizes):
            self.add(slot.reshaped((count,)), gradient.reshaped((count,)))
            return
        total = slot.buffer.nbytes // 4
        flat = strides_of(sizes)
        if count == total:
            whole = self.p.new((total,))
            self.p.copy(gradient, Slot(whole.buffer, whole.shape, "float32", slot.offset), sizes, flat, strides)
            self.add(Slot(slot.buffer, (total,), "float32"), whole)
            return
        # The gradient of a part. Each window over a sequence is added alone: time grows in proportion to their number.
        fresh = self._own_whole(slot)
        place = self.of(slot.reshaped((count,)))
        if not self._is_apart(slot, sizes, strides, fresh):
            gradient = self.p.binary("add", self.p.contiguous_copy(place, sizes, strides), gradient.reshaped(sizes))
        self.p.copy(gradient, place, sizes, flat, strides)

    def _add_in_parts(self, slot, sizes, strides, gradient, axis, length):
        """`add_strided` of so many places along an axis at a time, where they do not overlap."""
        flat = strides_of(sizes)
        for start in range(0, sizes[axis], length):
            part = [*sizes[:axis], min(length, sizes[axis] - start), *sizes[axis + 1 :]]
            piece = self.p.contiguous_copy(gradient.at(start * flat[axis]), part, flat)
            self.add_strided(slot.at(start * strides[axis]), part, strides, piece)

    def sum_over(self, x, sizes, stays):
        """Sums of `x`, contiguous over `sizes`, over the dimensions that do not stay; dimensions of 1 are left out."""
        dimensions = []  # [stays, size, stride], neighbours of one kind merged
        for size, stay, stride in zip(sizes, stays, strides_of(sizes)):
            if size == 1:
                continue
            if dimensions and dimensions[-1][0] == stay:
                dimensions[-1][1] *= size
                dimensions[-1][2] = stride
            else:
                dimensions.append([stay, size, stride])
        fields = {}
        for letter, wanted in (("k", True), ("r", False)):
            own = [(1, 0)] * 3 + [(size, stride) for stay, size, stride in dimensions if stay == wanted]
            for i, (size, stride) in enumerate(own[-3:]):
                fields |= {f"{letter}{i}": size, f"x{letter}{i}": stride}
        y = self.p.new([size for stay, size, _ in dimensions if stay])
        self.step("reduce_sum", x=x, y=y, **fields)
        return y


def _overlap(sizes, strides):
    """None, or where elements are read several times, as windows read them, (an axis, how many places along it may be
    taken at once so that they overlap less)."""
    order = sorted(range(len(sizes)), key=lambda axis: abs(strides[axis]))
    reach = 1
    for at, axis in enumerate(order):
        stride = abs(strides[axis])
        if stride < reach:
            inner = order[at - 1]
            length = stride // abs(strides[inner])
            return (inner, length) if length < sizes[inner] else (axis, 1)
        reach = stride * sizes[axis]
    return None


def _ends(step):
    """(Slots that a step reads, a Python step's weights too, Slots that it writes).

    A step's `own_gradient` is (what it counts as reading, its rule): that of a user's (ops/functional.py).
    """
    read, written = ends_of(step)
    if "own_gradient" in step:
        return step["own_gradient"][0], written
    return [*read, *step["weights"]] if step["op"] is None else read, written

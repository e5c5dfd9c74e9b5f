"""Fusing: elementwise steps of one shape, and the reduction that reads them, become one step.

A step of several instructions reads and writes memory once. It has the bits of the steps that it is made of: every
instruction rounds to float32.
"""

from collections import defaultdict

from fastseq.native.kinds import CHAIN_OUTPUTS
from fastseq.program import chains
from fastseq.program.chains import Chain
from fastseq.program.slots import strides_of
from fastseq.program.steps import ends_of


def fuse(steps, outputs, last_count=0):
    """The steps of a finished program, with chains fused and their arguments written.

    outputs: Slots that are read when the steps have run. The last `last_count` steps stay where and as they are.
    """
    if any("chain" in step for step in steps):
        body, last = steps[: len(steps) - last_count], steps[len(steps) - last_count :]
        body = _fused(_without_unread(body, last, outputs), last, outputs)
        steps[:] = body + steps[len(steps) - last_count :]
    chains.finish(steps)
    return steps


def _without_unread(body, last, outputs):
    """`body` without chains whose results nobody reads: a product reads its operand past a change of its axes."""
    wanted = {id(slot.buffer) for slot in outputs}
    for step in body:  # what a loop writes at its end it reads the next time
        if "loop" in step:
            wanted |= {id(slot.buffer) for slot in ends_of(step)[0]}
            wanted |= {id(slot.buffer) for slot in [step["loop"].condition] if slot is not None}
    wanted |= {id(slot.buffer) for step in last for slot in ends_of(step)[0]}
    kept = []
    for step in reversed(body):
        read, written = ends_of(step)
        if "chain" in step and all(y.buffer.kind == "arena" and id(y.buffer) not in wanted for y in written):
            continue
        wanted |= {id(slot.buffer) for slot in read}
        kept.append(step)
    return kept[::-1]


def _fused(body, last, outputs):
    readers, writers = defaultdict(list), defaultdict(list)  # id of a buffer -> numbers of steps
    for at, step in enumerate([*body, *last]):
        read, written = ends_of(step)
        for slot in read:
            readers[id(slot.buffer)].append(at)
        for slot in written:
            writers[id(slot.buffer)].append(at)
    wanted = {id(slot.buffer) for slot in outputs}
    found = list(body)
    for at, step in enumerate(found):
        if step is None or "chain" not in step:
            continue
        while True:
            before = _producer(found, at, readers, writers, wanted)
            if before is None:
                break
            merged, stays = before
            for slot, _ in found[stays]["chain"].inputs:
                readers[id(slot.buffer)] = [at if n == stays else n for n in readers[id(slot.buffer)]]
            for _, slot in found[stays]["chain"].results:
                readers[id(slot.buffer)] = [n for n in readers[id(slot.buffer)] if n != at]  # from a register now
                writers[id(slot.buffer)] = [at if n == stays else n for n in writers[id(slot.buffer)]]
            found[at] = {**found[at], **chains.entry(merged, found[at]["name"])}
            found[stays] = None
    return [step for step in found if step is not None]


def _producer(steps, at, readers, writers, wanted):
    """(the chain of step `at` with one that it reads before it, the number of that one), or None."""
    chain = steps[at]["chain"]
    for slot, strides in chain.inputs:
        if list(strides) != strides_of(chain.shape, strides) or len(writers[id(slot.buffer)]) != 1:
            continue
        before = writers[id(slot.buffer)][0]
        if before >= at or steps[before] is None or "chain" not in steps[before]:
            continue
        if steps[before].get("loop") is not steps[at].get("loop") or slot.moves:
            continue
        first = steps[before]["chain"]
        if first.reduction is not None or first.shape != chain.shape or steps[before]["with_next"]:
            continue
        if slot.offset or slot.buffer.nbytes != slot.itemsize * slot.size:
            continue
        # What it writes must not be wanted between the two, and what it reads must still be there.
        if any(n < at for _, y in first.results for n in readers[id(y.buffer)] if n != before):
            continue
        if any(before < n < at for x, _ in first.inputs for n in writers[id(x.buffer)]):
            continue
        merged = _joined(first, chain, at, readers, wanted)
        if merged is not None and merged.fits():
            return merged, before
    return None


def _joined(first, second, at, readers, wanted):
    """The instructions of `first`, then those of `second`, or None where that is too much."""
    inputs, numbers = list(first.inputs), [*first.numbers, *second.numbers]
    made = {id(slot.buffer): index for index, slot in first.results}
    known = {_place(slot, strides): i for i, (slot, strides) in enumerate(inputs)}
    places = []
    for slot, strides in second.inputs:
        whole = list(strides) == strides_of(second.shape, strides)
        if id(slot.buffer) in made:
            if not whole or slot.offset:
                return None  # it reads the same array another way, too
            places.append(("t", made[id(slot.buffer)]))
            continue
        key = _place(slot, strides)
        if key not in known:
            known[key] = len(inputs)
            inputs.append((slot, strides))
        places.append(("x", known[key]))
    shift, start = len(first.code), len(first.numbers)

    def moved(operand):
        if type(operand) is not tuple:
            return operand
        kind, i = operand
        return places[i] if kind == "x" else (kind, i + start if kind in "np" else i + shift)

    code = [*first.code, *((name, tuple(map(moved, operands))) for name, operands in second.code)]
    results = [(index + shift, slot) for index, slot in second.results]
    for index, slot in first.results:
        read = [n for n in readers[id(slot.buffer)] if n != at]
        if read or id(slot.buffer) in wanted or slot.buffer.kind != "arena":
            results.append((index, slot))
    # A block is written when it has been read: an array may be both, element by element.
    written = {id(slot.buffer) for _, slot in results}
    if any(id(slot.buffer) in written and list(strides) != strides_of(second.shape, strides)
           for slot, strides in inputs):  # fmt: skip
        return None
    if len(results) > CHAIN_OUTPUTS or (second.reduction is not None and len(results) > 1):
        return None
    return Chain(second.shape, inputs, numbers, code, results, second.reduction)


def _place(slot, strides):
    return id(slot.buffer), slot.offset, slot.moves, strides

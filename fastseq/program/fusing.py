"""Fusing: elementwise steps of one shape, and the reduction that reads them, become one step.

A step of several instructions reads and writes memory once. It has the bits of the steps that it is made of: every
instruction rounds to float32. Layers' own elementwise steps take part (program/native_chains.py), and stay as they are
where nothing is beside them.
"""

from collections import defaultdict

from fastseq.native.kinds import CHAIN_OUTPUTS
from fastseq.program import chains, last_timestep
from fastseq.program.chains import Chain
from fastseq.program.native_chains import as_chain
from fastseq.program.slots import product, strides_of
from fastseq.program.steps import ends_of


def fuse(steps, outputs, last_count=0):
    """The steps of a finished program, with chains fused and their arguments written.

    outputs: Slots that are read when the steps have run. The last `last_count` steps stay where and as they are.
    """
    last_timestep.drop_unread(steps, outputs)
    if any("chain" in step for step in steps):
        last_timestep.shorten(steps, outputs)
        body, last = steps[: len(steps) - last_count], steps[len(steps) - last_count :]
        body = [_as_chain(step) for step in body]
        steps[:] = [_native_again(step) for step in _fused(body, last, outputs)] + last
    chains.finish(steps)
    return steps


def _conditions(body):
    """The ids of buffers by which loops end, which no step need read."""
    found = {step["loop"].condition for step in body if "loop" in step}
    return {id(slot.buffer) for slot in found if slot is not None}


def _as_chain(step):
    """A layer's own step as a chain, which has it as `native`, or the step itself."""
    chain = None if "chain" in step else as_chain(step)
    return step if chain is None else {**step, **chains.entry(chain, step["name"]), "native": (step, chain)}


def _native_again(step):
    """The layer's own step where its chain has not become part of another."""
    native, chain = step.get("native", (None, None))
    return native if native is not None and step["chain"] is chain else step


def _fused(body, last, outputs):
    readers, writers = defaultdict(list), defaultdict(list)  # id of a buffer -> numbers of steps
    for at, step in enumerate([*body, *last]):
        read, written = ends_of(step)
        for slot in read:
            readers[id(slot.buffer)].append(at)
        for slot in written:
            writers[id(slot.buffer)].append(at)
    wanted = {id(slot.buffer) for slot in outputs} | _conditions(body)
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
        if steps[before].get("loop") is not steps[at].get("loop"):
            continue
        first, second = _of_one_shape(steps[before]["chain"], chain)
        if first is None or first.reduction is not None or steps[before]["with_next"]:
            continue
        if not any(_is_same_memory(slot, y) for _, y in first.results):
            continue
        # What it writes must not be wanted between the two, and what it reads must still be there.
        if any(n < at for _, y in first.results for n in readers[id(y.buffer)] if n != before):
            continue
        if any(before < n < at for x, _ in first.inputs for n in writers[id(x.buffer)]):
            continue
        merged = _joined(first, second, at, readers, wanted)
        if merged is not None and merged.fits():
            return merged, before
    return None


def _of_one_shape(first, second):
    """Two chains over one shape, or None and None: one that goes over its arrays as they lie may go so over another."""
    if first.shape == second.shape:
        return first, second
    if product(first.shape) == product(second.shape):
        if _goes_as_it_lies(second):
            return first, _over(second, first.shape)
        if _goes_as_it_lies(first):
            return _over(first, second.shape), second
    return None, None


def _goes_as_it_lies(chain):
    return chain.reduction is None and all(
        list(strides) == strides_of(chain.shape, strides) for _, strides in chain.inputs
    )


def _over(chain, shape):
    inputs = [(slot, tuple(strides_of(shape))) for slot, _ in chain.inputs]
    return Chain(shape, inputs, chain.numbers, chain.code, chain.results)


def _is_same_memory(slot, written):
    """Whether a step reads just what another one wrote, of a loop in the same time."""
    return slot.buffer is written.buffer and (slot.offset, slot.moves, slot.size) == (
        written.offset, written.moves, written.size
    )  # fmt: skip


def _joined(first, second, at, readers, wanted):
    """The instructions of `first`, then those of `second`, or None where that is too much."""
    inputs, numbers = list(first.inputs), [*first.numbers, *second.numbers]
    made = {id(slot.buffer): (index, slot) for index, slot in first.results}
    known = {_place(slot, strides): i for i, (slot, strides) in enumerate(inputs)}
    places = []
    for slot, strides in second.inputs:
        whole = list(strides) == strides_of(second.shape, strides)
        if id(slot.buffer) in made:
            index, written = made[id(slot.buffer)]
            if not whole or not _is_same_memory(slot, written):
                return None  # it reads the same array another way, too
            places.append(("t", index))
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
        # In a loop it may read itself what it left the time before.
        read = [n for n in readers[id(slot.buffer)] if n != at] or [x for x, _ in inputs if x.buffer is slot.buffer]
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

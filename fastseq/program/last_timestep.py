"""Sequences of which nobody reads more than the last timestep, and results that nobody reads.

`h[:, -1]` behind a recurrent layer with return_sequences=True becomes what the layer gives without sequences: its step
writes the last output alone, where the indexing would have put it. Same bits: the kernel's last output is the same.
"""

from collections import defaultdict

from fastseq.program.slots import Buffer, Slot, strides_of
from fastseq.program.steps import ends_of

_RECURRENT = ("lstm", "gru", "gru_reset_before", "simple_rnn", "recurrent_general")
# Steps whose results are all that they do.
_PURE = (
    "elementwise", "reduce", "gather", "scatter", "argsort", "search", "cumulate", "ctc_decode", "layer_norm",
    "batch_norm", "channel_sums", "attention", "pool",
)  # fmt: skip


def drop_unread(steps, wanted):
    """Takes away the steps whose results nobody reads, from the end on. wanted: Slots that are read afterwards."""
    read = {id(slot.buffer) for slot in wanted}
    for step in steps:  # what a loop writes at its end it reads the next time
        if "loop" in step:
            read |= {id(slot.buffer) for slot in ends_of(step)[0]}
            read |= {id(slot.buffer) for slot in [step["loop"].condition] if slot is not None}
    kept = []
    for step in reversed(steps):
        reads, writes = ends_of(step)
        if step["op"] in _PURE and all(slot.buffer.kind == "arena" and id(slot.buffer) not in read for slot in writes):
            continue
        read |= {id(slot.buffer) for slot in reads}
        kept.append(step)
    steps[:] = kept[::-1]


def shorten(steps, wanted, traced=False):
    """Lets recurrent steps write the last output alone where nothing else is read.

    wanted: Slots that are read beside what the steps read. traced: whether gradients will be taken of the steps: then
    the sequence stays as the states that they need, as in a layer without sequences.
    """
    if not any(step["op"] in _RECURRENT and step["fields"]["sequences"] for step in steps):
        return
    readers, writers = defaultdict(list), defaultdict(list)
    for step in steps:
        reads, writes = ends_of(step)
        for slot in reads:
            readers[id(slot.buffer)].append(step)
        for slot in writes:
            writers[id(slot.buffer)].append(step)
    outside = {id(slot.buffer) for slot in wanted}
    dropped = set()
    for step in steps:
        if step["op"] not in _RECURRENT or not _is_whole(step["fields"]) or (traced and not _can_keep(step)):
            continue
        y = step["fields"]["y"]
        if len(writers[id(y.buffer)]) != 1 or id(y.buffer) in outside:
            continue
        own = {id(reader): reader for reader in readers[id(y.buffer)]}.values()
        if not own or not all("chain" in reader for reader in own):
            continue
        found = {id(reader): _inputs_of_last(reader["chain"], y, step["fields"]) for reader in own}
        if None not in found.values():
            last = _give_last(step["fields"], [(reader, found[id(reader)]) for reader in own], writers, traced)
            dropped |= {id(reader) for reader in last}
    steps[:] = [step for step in steps if id(step) not in dropped]


def _is_whole(f):
    """Whether a step writes all of an array of sequences, in the order of its walk."""
    y, row = f["y"], f["timesteps"] * f["units"]
    return (
        f["sequences"] and f["timesteps"] > 1 and f["batch"] > 0 and y.buffer.kind == "arena" and y.offset == 0
        and y.buffer.nbytes == 4 * f["batch"] * row and f["y_row"] == row and f["y_time"] == f["units"]
    )  # fmt: skip


def _can_keep(step):
    """Whether the sequence can stand for the states after each step."""
    f = step["fields"]
    return f["states"] is None and (f["trace"] is not None or step["op"] == "simple_rnn")


def _inputs_of_last(chain, y, f):
    """The chain's inputs as they would be with the last outputs (batch, units) in the place of `y`: pairs (offset in
    elements, strides), None for other inputs; or None where another timestep is read."""
    units, row = f["units"], f["timesteps"] * f["units"]
    found = []
    for slot, strides in chain.inputs:
        if slot.buffer is not y.buffer:
            found.append(None)
            continue
        rows, place = divmod(slot.offset // 4, row)
        low = high = place
        changed = []
        for size, stride in zip(chain.shape, strides):
            if size > 1 and stride % row == 0:
                stride = stride // row * units
            elif size > 1 and abs(stride) >= row:
                return None
            elif size > 1:
                low, high = low + min(0, (size - 1) * stride), high + max(0, (size - 1) * stride)
            changed.append(stride)
        if low < row - units or high >= row:
            return None
        found.append((rows * units + place - (row - units), tuple(changed)))
    return found


def _give_last(f, readers, writers, traced):
    """Changes a step's fields `f` and the chains that read it. Returns the steps that are not needed any more."""
    shape, y = (f["batch"], f["units"]), f["y"]
    copies = [
        (reader, reader["chain"].results[0][1])
        for reader, (place, *others) in readers
        if not others and place is not None and _is_copy(reader["chain"], place, shape)
    ]
    copies = [(reader, slot) for reader, slot in copies if len(writers[id(slot.buffer)]) == 1][:1]
    last = copies[0][1].reshaped(shape) if copies else Slot(Buffer("arena", 4 * shape[0] * shape[1]), shape, "float32")
    if traced:
        f["states"] = y
    f.update(y=last, y_row=f["units"], y_time=f["units"], sequences=0)
    for reader, places in readers:
        chain = reader["chain"]
        chain.inputs = [
            read if place is None else (Slot(last.buffer, shape, "float32", 4 * place[0]), place[1])
            for read, place in zip(chain.inputs, places)
        ]
        reader["fields"] = chain.slots()
    return [reader for reader, _ in copies]


def _is_copy(chain, place, shape):
    """Whether a chain does no more than copy all of the last outputs, in their order."""
    offset, strides = place
    if chain.code != [("copy", (("x", 0),))] or chain.reduction is not None or offset:
        return False
    ((_, result),) = chain.results
    whole = result.offset == 0 and result.buffer.kind in ("arena", "output") and result.dtype == "float32"
    size = shape[0] * shape[1]
    return (
        whole
        and result.size == size
        and result.buffer.nbytes == 4 * size
        and list(strides) == strides_of(chain.shape, strides)
    )

"""The arrays that a step of a program reads and writes.

A step is the dict that `Builder.step` or `Builder.python` made: a native operation's has its arguments by name in
`fields`, a Python step's `op` is None.
"""

from fastseq.native.kinds import OPERATIONS
from fastseq.program.slots import Slot


def ends_of(step):
    """(Slots that the step reads, Slots that it writes), in the order of its arguments.

    The weights of a Python step count among the first only for its gradient: see `Builder.python`.
    """
    if step["op"] is None:
        return step["inputs"], step["outputs"]
    known = OPERATIONS[step["op"]][2]
    read, written = [], []
    for name, value in step["fields"].items():
        if isinstance(value, Slot):
            (written if known[name][0] == "out" else read).append(value)
    return read, written


def slots_of(step):
    """All Slots of a step."""
    read, written = ends_of(step)
    return [*read, *written]

"""Tracing a function: run once with Traced arrays in the place of its arrays, it leaves its steps in a program.

The contract is that of tf.function: Python's effects happen once a trace. Whoever traces a user's function asks
`Watched` whether it had any, and compares two traces by their `signature`.
"""

import random
import traceback
from pathlib import Path

import numpy as np

from fastseq.program.slots import Slot
from fastseq.program.steps import slots_of
from fastseq.tensors import nest
from fastseq.tensors.variable import Variable

_HERE = Path(__file__).resolve().parent.parent


class CannotTrace(Exception):
    """Why a function is not traced, in words that follow "it runs in Python: "."""


def where_raised(error):
    """ "file:line: message" of an exception: the last line of code that is not fastseq's or NumPy's."""
    found = ""
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename)
        if _HERE not in path.parents and "site-packages" not in path.parts and path.name[:1] != "<":
            found = f"{path.name}:{frame.lineno}: "
    return f"{found}{str(error) or type(error).__name__}"


def _random_states():
    return np.random.get_state(), random.getstate()  # noqa: NPY002 - it is what user code may draw from


class Watched:
    """What a call must not change while it is traced: the attributes of an object, and random states."""

    def __init__(self, owner):
        self._owner = owner
        self._attributes = self._look()
        self._state = _random_states()

    def _look(self):
        found = {}
        for key, value in vars(self._owner).items():
            if key.startswith("_"):
                continue
            if isinstance(value, np.ndarray):
                found[key] = id(value), value.shape, value.tobytes() if value.nbytes < 1 << 16 else None
            elif isinstance(value, (list, dict, set)):
                found[key] = id(value), len(value), repr(value) if len(value) < 100 else None
            else:
                found[key] = id(value), value if isinstance(value, (int, float, str, bool)) else None
        return found

    def check(self):
        """Raises CannotTrace where something has changed."""
        after = self._look()
        changed = sorted(key for key in {*after, *self._attributes} if after.get(key) != self._attributes.get(key))
        if changed:
            raise CannotTrace(f"its call changes the attribute {changed[0]!r}")
        (_, keys, place, *_), own = _random_states()
        (_, keys_before, place_before, *_), own_before = self._state
        if place != place_before or not np.array_equal(keys, keys_before) or own != own_before:
            raise CannotTrace("its call draws random numbers of NumPy's or Python's own")


def signature(steps, inputs, outputs):
    """What steps compute, comparable: two traces of one function that agree in it give the same results."""
    numbers = {}

    def place(slot):
        buffer = slot.buffer
        if buffer.kind == "constant" and id(buffer) not in numbers:
            array = buffer.array
            numbers[id(buffer)] = ("constant", array.shape, array.dtype.str, array.tobytes() if array.nbytes < 1 << 20
                                   else id(array))  # fmt: skip
        return numbers.setdefault(id(buffer), len(numbers)), slot.shape, slot.dtype, slot.offset

    for slot in inputs:
        place(slot)
    found = []
    for step in steps:
        ends = tuple(place(slot) for slot in slots_of(step))
        if "chain" in step:
            chain = step["chain"]
            told = (chain.shape, tuple(chain.code), tuple(map(repr, chain.numbers)),
                    tuple(tuple(strides) for _, strides in chain.inputs), chain.reduction)  # fmt: skip
        elif step["op"] is None:
            told = step["name"]
        else:
            told = tuple(
                (name, value) for name, value in step["fields"].items() if isinstance(value, (int, float, str))
            )
        found.append((step["op"], told, ends))
    return found, tuple(place(slot) for slot in nest.flatten(outputs) if isinstance(slot, Slot))


class traced_weights:
    """A context in which a Variable's values are Traced arrays of the program `p`."""

    def __init__(self, lift):
        self._lift = lift

    def __enter__(self):
        self._before = Variable.read_as.found
        Variable.read_as.found = self._lift

    def __exit__(self, *error):
        Variable.read_as.found = self._before

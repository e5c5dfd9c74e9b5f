"""Tracing a function: run once with Traced arrays in the place of its arrays, it leaves its steps in a program.

The contract is that of tf.function: Python's effects happen once a trace. Whoever traces a user's function asks
`Watched` whether it had any, and compares two traces by their `signature`.
"""

import os
import random
import threading

import numpy as np

from fastseq.native._kept import while_traced, with_attribute
from fastseq.program import added_losses
from fastseq.program.slots import Slot
from fastseq.program.steps import slots_of
from fastseq.tensors import nest
from fastseq.tensors.seeds import SeedGenerator
from fastseq.tensors.variable import Variable

# By os.path: pathlib would be imported for this alone, 5 ms.
_HERE = os.path.dirname(os.path.dirname(os.path.realpath(__file__))) + os.sep


class CannotTrace(Exception):
    """Why a function is not traced, in words that follow "it runs in Python: ". attribute: the one that it changes."""

    attribute = None


def where_raised(error):
    """ "file:line: message" of an exception: the last line of code that is not fastseq's or NumPy's."""
    import traceback  # 0.5 ms, which a program whose calls are traced does not need

    found = ""
    for frame in traceback.extract_tb(error.__traceback__):
        path, name = os.path.realpath(frame.filename), os.path.basename(frame.filename)
        if not path.startswith(_HERE) and f"{os.sep}site-packages{os.sep}" not in path and name[:1] != "<":
            found = f"{name}:{frame.lineno}: "
    return f"{found}{str(error) or type(error).__name__}"


class ChangedMeanwhile(Exception):
    """Another thread set an attribute of what was traced."""


def _random_states():
    return np.random.get_state(), random.getstate()  # noqa: NPY002 - it is what user code may draw from


class _Source:
    """A source of random numbers, and where it stands."""

    def __init__(self, source):
        self._source = source
        self._before = self._state()

    def _state(self):
        if isinstance(self._source, SeedGenerator):
            return self._source._count
        return self._source.getstate() if isinstance(self._source, random.Random) else self._source.bit_generator.state

    def has_moved(self):
        return repr(self._state()) != repr(self._before)

    def put_back(self):
        if isinstance(self._source, SeedGenerator):
            self._source._count = self._before
        elif isinstance(self._source, random.Random):
            self._source.setstate(self._before)
        else:
            self._source.bit_generator.state = self._before


class Watched:
    """What a call must not change while it is traced: the attributes of an object, and random states.

    tells: whether the object calls `note_set` when an attribute is set, so that other threads' doings are told apart.
    """

    def __init__(self, owner, tells=False):
        self._owner = owner
        self._tells = tells
        self._attributes = self._look()
        self._state = _random_states()
        self._sources = {key: _Source(value) for key, value in getattr(owner, "__dict__", {}).items()
                         if isinstance(value, (SeedGenerator, random.Random, np.random.Generator))}  # fmt: skip

    def put_back(self):
        """Sets the sources of random numbers among the attributes to where they were, so that a trace draws nothing."""
        for source in self._sources.values():
            source.put_back()

    def _look(self):
        found = {}
        for key, value in getattr(self._owner, "__dict__", {}).items():
            if key.startswith("_"):
                continue
            if isinstance(value, np.ndarray):
                found[key] = id(value), value.shape, value.tobytes() if value.nbytes < 1 << 16 else None
            elif isinstance(value, (list, dict, set)):
                found[key] = id(value), len(value), repr(value) if len(value) < 100 else None
            else:
                found[key] = id(value), value if isinstance(value, (int, float, str, bool)) else None
        return found

    def _is_other(self, key, after):
        """Whether an attribute is another object now, and not the same one with other contents."""
        return (after.get(key) or (None,))[0] != (self._attributes.get(key) or (None,))[0]

    def check(self):
        """Raises CannotTrace where something has changed."""
        after = self._look()
        changed = sorted(key for key in {*after, *self._attributes} if after.get(key) != self._attributes.get(key))
        own = [key for key in changed if (id(self._owner), key) in _noted.found]
        if changed and self._tells and not own and all(self._is_other(key, after) for key in changed):
            raise ChangedMeanwhile
        if changed:
            error = CannotTrace(f"its call changes the attribute {(own or changed)[0]!r}")
            error.attribute = (own or changed)[0]
            raise error
        drawn = [key for key, source in self._sources.items() if source.has_moved()]
        if drawn:
            raise CannotTrace(f"its call draws random numbers from the attribute {drawn[0]!r}")
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


class _Noted(threading.local):
    found = frozenset()  # (id of an object, attribute) of what was set while this thread traced


_noted = _Noted()


def note_set(owner, key):
    """An attribute was set: by the call that this thread traces, if it traces one."""
    if is_tracing():
        _noted.found |= {(id(owner), key)}


def is_tracing():
    """Whether this thread traces a call at the moment."""
    return Variable.read_as.found is not None


# No context managers: a signal's handler that raises between two of their lines would leave a thread tracing for ever.


def while_tracing(lift, function, *args):
    """`function(*args)` while this thread traces a call: a Variable's value is what `lift(variable)` gives."""
    if not is_tracing():
        _noted.found = frozenset()
    return while_traced(Variable.read_as, "found", lift, function, *args)


def program():
    """The Builder that this thread traces a call for, or None."""
    added = added_losses.current() if is_tracing() else None
    return None if added is None else added.program


def not_tracing(function, *args):
    """`function(*args)` on arrays, inside of a call that is traced too: weights have their values."""
    return with_attribute(Variable.read_as, "found", None, function, *args)

"""What a config is written for: a file, or a copy within Python, whose layers stay shared and whose classes are known.

A file names a user's class and hopes that who reads it has one of that name. A pickle names what is registered and
refuses the rest while it is made, where something can still be done about it; a deep copy has every class and function
at hand and gives each a key of its own, under which it is found again.
"""

import contextlib
import threading

import numpy as np

from fastseq.configs import registry
from fastseq.errors import UnsupportedError

#: The class name of an array that goes along beside the config.
CARRIED = "__carried_array__"
_state = threading.local()


class UnregisteredError(UnsupportedError):
    """A pickle would have to name a class or function that nobody registered."""


def current():
    """The `Recording` this thread is in, or None where configs are written for files."""
    return getattr(_state, "recording", None)


class Recording:
    """Within it, in this thread, `serialize_keras_object` marks shared layers and takes note of what is the user's.

    by_reference: each class and function of the user's gets a key of its own; else UnregisteredError is raised for one
    that is neither registered nor in a custom object scope.
    objects: dict key, or registered name -> class or function. arrays: those of the config, which has their numbers.
    """

    def __init__(self, by_reference=False):
        self.by_reference = by_reference
        self.objects = {}
        self.arrays = []
        self._numbers = {}
        self._seen = []  # kept, so that no other object gets the id of one

    def __enter__(self):
        self._outer = current()
        _state.recording = self
        return self

    def __exit__(self, *exception):
        _state.recording = self._outer

    def number(self, layer):
        """One and the same for each mention of `layer`."""
        self._seen.append(layer)
        return self._numbers.setdefault(id(layer), len(self._numbers))

    def by_number(self, found):
        """{number: found[id(layer)]} of the numbered layers that `found`, a dict by ids, has."""
        return {number: found[key] for key, number in self._numbers.items() if key in found}

    def array(self, value):
        """The config of an array, which may be a whole matrix of word vectors: its number."""
        number = next((number for number, array in enumerate(self.arrays) if array is value), len(self.arrays))
        if number == len(self.arrays):
            self.arrays.append(value)
        return {"class_name": CARRIED, "config": number}

    def key(self, item, name, owner=None):
        """What a config calls the user's class or function `item` of this name. owner: an object of the class."""
        if self.by_reference:
            key = next((key for key, other in self.objects.items() if other is item), None)
            key = key or f"copied {len(self.objects)}>{name}"
        elif item in registry.registered():
            key = name
        elif any(item is known for known in registry.scope_objects().values()):
            return name
        else:
            raise UnregisteredError(_advice(item, owner))
        self.objects[key] = item
        return key


def _advice(item, owner):
    who = getattr(owner, "name", None)
    what = f"its class {item.__name__}" if owner is not None else f"the function '{item.__name__}'"
    named = f"'{who}': " if isinstance(who, str) else ""
    text = (
        f"{named}{what} is not registered, and a pickle names only what is. Decorate it with "
        "@fastseq.saving.register_keras_serializable() where it is defined; copy.deepcopy() needs no registration."
    )
    return text if item.__name__ != "<lambda>" else f"{text} A lambda has no name of its own: write a function."


@contextlib.contextmanager
def arrays_at_hand(arrays):
    """Within it, in this thread, configs find the arrays that a `Recording` of them has."""
    outer = getattr(_state, "arrays", ())
    _state.arrays = arrays
    try:
        yield
    finally:
        _state.arrays = outer


def carried_array(number):
    """A copy of one of them; None where there is no such array, as in a file."""
    arrays = getattr(_state, "arrays", ())
    found = isinstance(number, int) and 0 <= number < len(arrays)
    return np.array(arrays[number]) if found else None

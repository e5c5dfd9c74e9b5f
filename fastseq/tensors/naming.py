"""Automatic names of layers and models: ``dense``, ``dense_1``, ... as Keras 3 gives them.

The counters are per thread, as in Keras, so that a model built in a worker thread gets the same names
whatever the other threads build meanwhile, and no lock is needed.
"""

import contextlib
import re
import threading

_state = threading.local()


def to_snake_case(name):
    """``"TimeDistributed"`` -> ``"time_distributed"``, ``"ConvLSTM2D"`` -> ``"conv_lstm2d"``."""
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def auto_name(class_name):
    """Next free name for an object of this class: the snake-case name, then the same with _1, _2, ..."""
    return uniquify(to_snake_case(class_name))


def uniquify(name):
    """``name`` itself the first time, then ``name_1``, ``name_2``, ..."""
    uids = _uids()
    count = uids.get(name, 0)
    uids[name] = count + 1
    return f"{name}_{count}" if count else name


def free_name(name, taken):
    """``name`` with the first of _1, _2, ... that makes it none of those in ``taken``."""
    number = 1
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"


def get_uid(prefix=""):
    """Number of names given under ``prefix`` so far in this thread, this call included."""
    uids = _uids()
    uids[prefix] = uids.get(prefix, 0) + 1
    return uids[prefix]


@contextlib.contextmanager
def not_counted():
    """Names given in the block, in this thread, do not count afterwards: those of a copy's parts are not new ones."""
    uids = _uids()
    before = dict(uids)
    try:
        yield
    finally:
        uids.clear()
        uids.update(before)


def reset():
    """Start counting again, in every thread."""
    # A new object rather than a cleared dict: the other threads' counters hang on the old one.
    global _state
    _state = threading.local()


def _uids():
    # One read of the global: another thread's reset() between two reads would lose the counter.
    state = _state
    if not hasattr(state, "uids"):
        state.uids = {}
    return state.uids

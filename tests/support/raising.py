"""Calls that an exception ends at every place: at each line of Python in them, and by signals while they run."""

import dis
import signal
import sys
import time
import traceback
from pathlib import Path

import numpy as np
import pytest
from places import TESTS

import fastseq

needs_signals = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no interval timers")
_OURS = str(Path(fastseq.__file__).parent)
_TESTS = str(TESTS)
# Signals wait for the end of a step there; nothing but signals could raise.
_HELD = ("interrupts.py",)


class Stop(BaseException):
    """As KeyboardInterrupt is: nothing but `except BaseException` catches it."""


def _ends_of_with(code):
    """Offsets where a `with` block is left in order. No signal is handled there, but a line is reported again."""
    found, names = set(), [(step.opname, step.argval, step.offset) for step in dis.get_instructions(code)]
    for one, two, three in zip(names, names[1:], names[2:]):
        if one[:2] == ("LOAD_CONST", None) and {two[0], three[0]} <= {"LOAD_CONST", "DUP_TOP"}:
            if two[1] is None and three[1] is None:
                found.add(one[2])
    return found


# By the identity of a function's code, which is kept so that no other gets it: what counts its events, or None where
# it is neither fastseq's nor the tests'. An event of number n is looked for through n events: to find this out anew for
# each took half of these tests' time (predict of MODELS["python"], 1,500 events: 3.0 -> 1.6 s).
_TRACERS = {}
_left = 0  # events until Stop is raised


def _tracer_of(code):
    file = code.co_filename
    if not file.startswith((_OURS, _TESTS)) or file.endswith((*_HELD, "raising.py")):
        return None
    ends = _ends_of_with(code)

    def traced(frame, event, _):
        global _left
        if event in ("line", "call") and frame.f_lasti not in ends:
            _left -= 1
            if _left == 0:
                raise Stop(f"{Path(file).name}:{frame.f_lineno}")
        return traced

    return traced


def _begin(frame, event, _):
    """What Python asks at the start of each function: what is to see its lines."""
    code = frame.f_code
    found = _TRACERS.get(id(code))
    if found is None:
        found = _TRACERS[id(code)] = _tracer_of(code), code
    tracer = found[0]
    return tracer and tracer(frame, event, None)


def raising_at(number, call):
    """(whether `call()` ended before its event of that number, its result); at that event Stop is raised, and where it
    was comes in the result's place. Events are lines and functions' starts, in fastseq and the tests' own layers."""
    global _left
    _left, before = number, sys.gettrace()
    sys.settrace(_begin)
    try:
        found = call()
    except Stop as stop:
        found = str(stop)
    finally:
        sys.settrace(before)
    # Python swallows what is raised while it closes a generator that nobody holds any more; then the call goes on.
    return _left > 0, found


def raise_everywhere(call, states, restore, same_or_later=None, every=1):
    """Raises at every event of `call()`: `states()`, arrays, are then as before, and the next call has the result and
    leaves the states of one that nothing disturbed. restore(arrays) sets them. Returns how many events there were.

    same_or_later: takes the arrays before and after an exception; what holds in place of equality. every: at each so
    many-th event alone, for calls of thousands.
    """
    before = [array.copy() for array in states()]
    wanted = fastseq.tensors.nest.flatten(call())
    after = [array.copy() for array in states()]
    number = 0
    while True:
        restore(before)
        number += every
        done, found = raising_at(number, call)
        if done:
            _assert_equal(fastseq.tensors.nest.flatten(found), wanted, "the traced call")
            return number - 1
        if same_or_later is not None:
            same_or_later(before, after, states(), found)
            continue
        if not isinstance(found, str):
            continue
        _assert_equal(states(), before, found)
        if number % 5:
            continue
        _assert_equal(fastseq.tensors.nest.flatten(call()), wanted, found)
        _assert_equal(states(), after, found)


def _assert_equal(found, wanted, where):
    assert len(found) == len(wanted) > 0
    for a, b in zip(found, wanted):
        np.testing.assert_array_equal(a, b, err_msg=f"after an exception at {where}")


def _equal(found, wanted):
    return all(np.array_equal(a, b) for a, b in zip(found, wanted))


def _raised_in(exception):
    """The code that the signal's handler came into."""
    frames = [frame.f_code for frame, _ in traceback.walk_tb(exception.__traceback__)]
    return frames[-2]


def interrupt(call, states, restore, tries=24):
    """Signals at 5 to 80% of the time of `call()`: where one ends it the states are as before. Returns how many did.

    On a busy machine a signal comes late too, in the caller's frame behind the call: the states are then those of a
    whole call, and it is not counted.
    """
    before = [array.copy() for array in states()]
    seconds = []
    for _ in range(3):
        begun = time.perf_counter()
        wanted = fastseq.tensors.nest.flatten(call())
        seconds.append(time.perf_counter() - begun)
        after = [array.copy() for array in states()]
        restore(before)

    def stop(*_):
        raise Stop

    handler, stopped = signal.signal(signal.SIGALRM, stop), 0
    try:
        for number in range(tries):
            share = 0.05 + 0.75 * number / tries
            found, begun = None, time.perf_counter()
            try:
                signal.setitimer(signal.ITIMER_REAL, share * min(seconds))
                found = call()
                signal.setitimer(signal.ITIMER_REAL, 0)
            except Stop as raised:
                if _raised_in(raised) in (call.__code__, interrupt.__code__) and _equal(states(), after):
                    restore(before)
                    continue
                stopped += 1
                _assert_equal(states(), before, f"{share:.0%} of the call")
            else:
                _assert_equal(fastseq.tensors.nest.flatten(found), wanted, "no signal")
                _assert_equal(states(), after, "no signal")
                seconds.append(time.perf_counter() - begun)  # faster than it was: a busy machine has become free
            restore(before)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
    _assert_equal(fastseq.tensors.nest.flatten(call()), wanted, "all signals")
    _assert_equal(states(), after, "all signals")
    return stopped

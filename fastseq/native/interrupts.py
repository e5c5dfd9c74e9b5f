"""Signals that wait until a step of training is whole: Ctrl-C, and others that have a handler in Python.

Python runs a signal's handler between any two bytecodes of the main thread, and a handler may raise. Within `whole()`
it runs only when the block has ended, so that no weight changes without the others, nor without the optimizer's state,
the count of steps, and what layers packed from the weights.
"""

# What the module `signal` wraps: 0.6 us for a call where that takes 7, and a step of a small model takes 100.
import _signal
import os
import threading
import time
import weakref

from fastseq.native import _native

_SIGNALS = [
    getattr(_signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM", "SIGUSR1", "SIGUSR2", "SIGBREAK")
    if hasattr(_signal, name)
]
_PATIENCE = 1.0  # seconds from the first signal on, after which another one is not held back: Python code may hang

_main = threading.main_thread().ident


def _note_main_thread():
    global _main
    _main = threading.main_thread().ident


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_main_thread)

# All of this belongs to the main thread, the only one that runs handlers.
_before = {}  # signal -> the handler whose place `_handle` took; stays, should somebody put `_handle` back later
_waiting = []  # (signal, frame, when it came)
_held = 0  # blocks of `whole` that are running, one within the other
_listener = None  # weak reference to the block of `listening` that is running
_strict = 0  # blocks of `whole` in which kernels do not stop


def _handle(number, frame):
    if _held and (_strict or not _native.polling_signals()):
        now = time.monotonic()
        if not _waiting or now - _waiting[0][2] < _PATIENCE:
            _waiting.append((number, frame, now))
            return
        _waiting.clear()
    _before[number](number, frame)


class whole:
    """Context in which signals wait for its end; on another thread than the main one, where none arrive, nothing.

    kernels_stop: where kernels take long (Program.run), a signal that comes meanwhile is handled at once. Only for
    programs that change what stays at their very end (Builder.keep).
    """

    def __init__(self, kernels_stop=False):
        self._strict = not kernels_stop

    def __enter__(self):
        global _held, _strict
        self._here = threading.get_ident() == _main
        if self._here:
            # Until signals are held an exception may end this anywhere: what it leaves, `_handle` in its place, does
            # no harm, and the next block takes it away.
            if not _held:
                if not _is_listening():
                    _listen()
                _waiting.clear()
            _held += 1
            _strict += self._strict

    def __exit__(self, *_):
        global _held, _strict
        if not self._here:
            return
        _strict -= self._strict
        _held -= 1
        if _held:
            return
        arrived = _waiting[:]
        _waiting.clear()
        if not _is_listening():
            _forget()
        for number, frame, _ in arrived:
            _before[number](number, frame)


class listening:
    """Context within which `whole` is cheap: handlers change places once, in four system calls, for many steps."""

    def __enter__(self):
        global _listener
        if threading.get_ident() == _main and not _held and not _is_listening():
            _listen()
            # By a weak reference: where a signal ends __exit__ before its first line, the object still goes.
            _listener = weakref.ref(self)

    def __exit__(self, *_):
        global _listener
        if _listener is not None and _listener() is self:
            _listener = None
            _forget()


def _is_listening():
    return _listener is not None and _listener() is not None


def _listen():
    for number in _SIGNALS:
        handler = _signal.getsignal(number)
        if callable(handler) and handler is not _handle:
            _before[number] = handler
            _signal.signal(number, _handle)


def _forget():
    """Puts the handlers back, but for those that somebody replaced meanwhile."""
    for number, handler in _before.items():
        if _signal.getsignal(number) is _handle:
            _signal.signal(number, handler)

"""must_end: a test that would hang for ever fails instead. It says nothing about speed."""

import contextlib
import signal

import pytest


@contextlib.contextmanager
def must_end(seconds=120):
    """Fails what runs inside it when it has not ended after far more time than it needs."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def give_up(*_):
        pytest.fail(f"no end after {seconds} seconds")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

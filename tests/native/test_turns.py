"""Threads that take turns on their cores are left out: threads/turns.c, with times that are told, not waited for."""

import ctypes
import os
import shutil
import subprocess
import time

import pytest
from places import ROOT

SOURCES = ROOT / "src_c"
COMPILER = os.environ.get("CC", "cc").split()[0]
MS = 1_000_000
SMALL, LARGE = 1e6, 1e9  # multiply-adds of a step

pytestmark = pytest.mark.skipif(shutil.which(COMPILER) is None, reason=f"{COMPILER} is not installed")


@pytest.fixture
def turns(tmp_path):
    library = tmp_path / "turns.so"
    source = str(SOURCES / "threads" / "turns.c")
    command = [COMPILER, "-std=gnu11", "-shared", "-fPIC", f"-I{SOURCES}", source, "-o", str(library)]
    subprocess.run(command, check=True, timeout=300)
    found = ctypes.CDLL(str(library))
    found.fs_threads_take_turns.argtypes = [ctypes.c_double, ctypes.c_int64]
    found.fs_note_region.argtypes = [ctypes.c_double, ctypes.c_int64]
    return found


def now_ns():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def note(turns, work, took):
    """Tells of a region that ends now, and returns the time."""
    now = now_ns()
    turns.fs_note_region(work, now - took)
    return now


def pause(turns, now):
    """How long from `now` on small steps go to one thread, in ms."""
    return next(ms for ms in range(100_000) if not turns.fs_threads_take_turns(SMALL, now + ms * MS))


def test_quick_regions_keep_their_threads(turns):
    now = note(turns, SMALL, 0)
    assert pause(turns, now) == 0


def test_a_region_that_took_turns_makes_small_steps_run_alone(turns):
    now = note(turns, SMALL, 500 * MS)
    assert turns.fs_threads_take_turns(SMALL, now)
    assert not turns.fs_threads_take_turns(LARGE, now)
    assert turns.fs_threads_take_turns(SMALL, now + 900 * MS)


def test_the_pause_doubles_while_threads_go_on_taking_turns(turns):
    before = 0
    for factor in (4, 8, 16, 32, 64, 64):
        now = note(turns, SMALL, 10 * MS)
        found = pause(turns, now)
        assert found >= factor * 10 and found >= before
        before = found


def test_a_quick_region_ends_the_doubling(turns):
    for _ in range(4):
        now = note(turns, SMALL, 2 * MS)
    doubled = pause(turns, now)
    note(turns, SMALL, 0)
    assert pause(turns, note(turns, SMALL, 2 * MS)) < doubled


def test_no_pause_is_longer_than_a_second(turns):
    now = note(turns, SMALL, 3_600_000 * MS)
    assert 1000 <= pause(turns, now) <= 1001 + (now_ns() - now) // MS


def test_large_steps_may_take_long(turns):
    now = note(turns, LARGE, 3_600_000 * MS)
    assert pause(turns, now) == 0

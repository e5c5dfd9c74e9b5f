"""Threads that take turns on their cores are left out: threads/turns.c, with times that are told, not waited for."""

import ctypes
import os
import shutil
import subprocess
import sys
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


# fs_decode with the rest of the core as stand-ins: how many threads its region gets.
DECODE = """
#include "decode/worker.h"
#include "run/extents.h"
#include "run/kernel_table.h"
#include "threads/parallel.h"

const fs_isa *fs_isa_active;
static int take_turns, noted, threads_of_region;
static double work_asked;
int fs_threads_take_turns(double work, int64_t now) { (void)now; work_asked = work; return take_turns; }
void fs_note_region(double work, int64_t began) { (void)work, (void)began; noted++; }
int64_t fs_now_ns(void) { return 1; }
void fs_watch_begin(fs_watch *watch) { (void)watch; }
void fs_watch_region(fs_watch *watch, int threads, fs_body body, void *context)
{
    (void)watch, (void)body, (void)context;
    threads_of_region = threads;
}
void fs_extent_of(int op, const void *args, int threads, fs_extent *extent)
{
    (void)op, (void)args, (void)threads;
    *extent = (fs_extent){.rows = 6, .units = 1, .row_work = 50};
}

int threads_for(int workers, int step_threads, int turns)
{
    fs_step step = {0};
    fs_rows_worker worker = {.steps = &step};
    fs_decoding d = {.step = {.step_count = 1}, .workers = &worker, .worker_count = workers,
                     .step_threads = step_threads, .capacity = 3, .rows = 8, .max_length = 10};
    take_turns = turns, noted = 0;
    fs_decode(&d);
    return threads_of_region;
}
int regions_noted(void) { return noted; }
double work_told(void) { return work_asked; }
"""


@pytest.fixture
def decode(tmp_path):
    source, library = tmp_path / "stand_ins.c", tmp_path / "decode.so"
    source.write_text(DECODE)
    command = [COMPILER, "-std=gnu11", "-shared", "-fPIC", f"-I{SOURCES}", str(SOURCES / "decode" / "decode.c")]
    subprocess.run([*command, str(source), "-o", str(library)], check=True, timeout=300)
    found = ctypes.CDLL(str(library), mode=os.RTLD_LAZY)
    found.work_told.restype = ctypes.c_double
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="a library with names that are not there is Linux's")
@pytest.mark.parametrize("workers, step_threads", [(4, 1), (1, 4)])
def test_a_decoder_leaves_threads_out_that_would_take_turns(decode, workers, step_threads):
    assert decode.threads_for(workers, step_threads, 0) == 4 and decode.regions_noted() == 1
    # A step of 6 times 50 for 3 rows, 8 sentences of 10 tokens.
    assert decode.work_told() == 8 * 10 * 6 * 50 / 3
    assert decode.threads_for(workers, step_threads, 1) == 1 and decode.regions_noted() == 0
    assert decode.threads_for(1, 1, 1) == 1

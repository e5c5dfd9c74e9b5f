"""The core's threads: what they decide by, how many can be had, children that are forked in the middle of a call."""

import os
import shutil
import subprocess
import sys
import textwrap

import pytest
from places import TESTS

import fastseq
from fastseq.native import runtime

SOURCES = TESTS.parent / "src_c"
COMPILER = os.environ.get("CC", "cc").split()[0]
LIMIT = 120  # seconds, for what takes a few: a process that hangs is ended and fails


def run(code, *, limit=LIMIT, **environment):
    """Runs Python code in a fresh process; returns its completed process."""
    env = {k: v for k, v in os.environ.items() if k not in ("FASTSEQ_NUM_THREADS", "OMP_NUM_THREADS")}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=limit,
        env={**env, **environment},
    )  # fmt: skip


# ---- the core alone (core_threads.c) ---------------------------------------------------------------------------------


def compiled(folder, flags, sources):
    """The program's path, and what the compiler said where there is none."""
    program = folder / "core_threads"
    command = [COMPILER, "-std=gnu11", "-O1", "-g", *flags, f"-I{SOURCES}", *sources, "-lm", "-o", program]
    found = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300)
    return program, found.stderr if found.returncode else ""


def built(folder, *flags):
    """The core with kernels that only note what they are given, or a skip where this compiler has not these flags."""
    if shutil.which(COMPILER) is None:
        pytest.skip(f"{COMPILER} is not installed")
    empty = folder / "empty.c"
    empty.write_text("int main(void) { return 0; }\n")
    _, refused = compiled(folder, flags, [empty])
    if refused:
        pytest.skip(f"{COMPILER} {' '.join(flags)}: {refused[-300:]}")
    names = [f"run/{path.stem}" for path in sorted((SOURCES / "run").glob("extents*.c"))]
    names += ["run/loops", "run/outcome", "run/plan", "run/region", "run/steps"]
    names += ["run/team", "threads/barrier", "threads/parallel", "threads/watch"]
    program, refused = compiled(folder, flags, [TESTS / "core_threads.c", *(SOURCES / f"{name}.c" for name in names)])
    assert not refused, refused
    return program


@pytest.fixture(scope="module")
def core(tmp_path_factory):
    return built(tmp_path_factory.mktemp("core"), "-fopenmp")


@pytest.fixture(scope="module")
def watched_core(tmp_path_factory):
    """The same where every access to memory is watched for data races."""
    return built(tmp_path_factory.mktemp("watched"), "-fsanitize=thread", "-DFS_PTHREADS", "-pthread")


def check(program, what):
    found = subprocess.run([str(program), what], capture_output=True, text=True, timeout=LIMIT)
    assert found.returncode == 0, (found.returncode, found.stdout, found.stderr[:2000])


def test_members_of_a_team_decide_alike(core):
    """What a meeting costs changes from one question to the next: all steps are done, once, and the call ends."""
    check(core, "together")


def test_the_first_failure_of_a_shared_step_is_told(core):
    """With the step's number and the lowest row, whichever thread came first; nothing runs after it."""
    check(core, "failures")


def test_as_many_threads_as_may_be_asked_for(core):
    """By a thread with a large stack and by one with a small one, where not so many fit."""
    check(core, "stacks")


@pytest.mark.slow("a build with a sanitizer")
@pytest.mark.parametrize("what", ["together", "failures"])
def test_no_data_race(watched_core, what):
    check(watched_core, what)


# ---- how many can be had ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [runtime.MOST_THREADS + 1, 100_000, 2**31 - 1, 2**40])
def test_more_threads_than_any_system_means(count):
    message = f"whole number from 1 to {runtime.MOST_THREADS}, got {count}"
    before = fastseq.get_num_threads()
    with pytest.raises(ValueError, match=message):
        fastseq.set_num_threads(count)
    with pytest.raises(ValueError, match=message), fastseq.num_threads(count):
        pass
    assert fastseq.get_num_threads() == before


@pytest.mark.parametrize("variable", ["FASTSEQ_NUM_THREADS", "OMP_NUM_THREADS"])
@pytest.mark.parametrize("count", ["100000", str(2**31 - 1), "9" * 30])
def test_more_threads_than_any_system_means_in_the_environment(variable, count):
    """The import works, the first call says which variable it is."""
    found = run(
        """
        import numpy, fastseq
        layer = fastseq.layers.LSTM(8)
        try:
            layer(numpy.ones((8, 3, 4)))
        except ValueError as error:
            print(error)
        fastseq.set_num_threads(2)
        layer(numpy.ones((8, 3, 4)))
        """,
        **{variable: count},
    )
    assert found.returncode == 0, found.stderr[-2000:]
    assert f"{variable} must be a whole number from 1 to {runtime.MOST_THREADS}, got '{count}'" in found.stdout


_LIMITED = """
    import os, resource, sys
    import numpy as np
    import fastseq
    from fastseq import layers

    layer, wide = layers.LSTM(128, return_sequences=True), layers.Dense(512)
    x, rows = np.random.default_rng(0).standard_normal((64, 20, 64)).astype("f"), np.ones((2048, 512), "f")
    with fastseq.num_threads(1):
        expected, of_rows = layer(x), wide(rows)

    def check():
        assert (layer(x) == expected).all() and (wide(rows) == of_rows).all()

    def tasks():
        return len(os.listdir("/proc/self/task"))
"""
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc, sets limits of Linux")


@linux
@pytest.mark.parametrize("count", [4, 64, 1024])
def test_memory_for_few_threads(count):
    """4 MiB of addresses are left: no thread can be made, then some. Arrays may find no room, which raises."""
    found = run(
        _LIMITED
        + f"""
    fastseq.set_num_threads({count})
    for left in (4, 20, 40):
        used = int(open("/proc/self/statm").read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (used + (left << 20), resource.RLIM_INFINITY))
        for _ in range(2):
            assert (layer(x[:8]) == expected[:8]).all()
            try:
                check()
            except MemoryError:
                pass
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    check()
    os._exit(0)
    """
    )
    assert found.returncode == 0, (found.returncode, found.stdout, found.stderr[-2000:])


@linux
def test_few_processes_allowed():
    """RLIMIT_NPROC counts threads, and not for root, so root becomes somebody else."""
    found = run(
        _LIMITED
        + """
    layer(x), wide(rows)
    if os.getuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    fastseq.set_num_threads(64)
    for allowed in (1, 3, 30):
        resource.setrlimit(resource.RLIMIT_NPROC, (allowed, resource.getrlimit(resource.RLIMIT_NPROC)[1]))
        check()
        check()
    os._exit(0)
    """
    )
    assert found.returncode == 0, (found.returncode, found.stdout, found.stderr[-2000:])


@linux
def test_a_small_call_starts_no_threads():
    """What a meeting costs is not measured for a step that one thread does anyway."""
    found = run(
        _LIMITED
        + """
    before = tasks()
    fastseq.set_num_threads(64)
    small = layers.LSTM(16, return_sequences=True)
    for rows in (1, 8):
        small(np.ones((rows, 10, 8), "f"))
    model = fastseq.Sequential([layers.Input((10, 8)), small, layers.Dense(3)])
    model.compile("sgd", "mse")
    model.train_on_batch(np.ones((4, 10, 8), "f"), np.ones((4, 10, 3), "f"))
    assert tasks() == before, (tasks(), before)
    """
    )
    assert found.returncode == 0, (found.returncode, found.stdout, found.stderr[-2000:])


# ---- children --------------------------------------------------------------------------------------------------------

# Each is a call of some 0.2 s and more on two threads, in another kind of region.
_CALLS = {
    "threads that meet": """
        layer, x = layers.LSTM(256, return_sequences=True), normal(1, 2000, 64)
        call = lambda: layer(x)
    """,
    "rows in pieces": """
        layer, x = layers.Softmax(), normal(20000, 1000)
        call = lambda: layer(x)
    """,
    "two directions": """
        layer, x = layers.Bidirectional(layers.GRU(128)), normal(60, 300, 64)
        call = lambda: layer(x)
    """,
    "rows decoded": """
        model, states = decoder_model(512), [normal(64, 512)]
        call = lambda: decoding.Decoder(model, start_id=1, max_length=30).greedy(states).ids
    """,
    "a team that decodes": """
        model, states = decoder_model(1500), [normal(2, 1500)]
        call = lambda: decoding.Decoder(model, start_id=1, max_length=20).greedy(states).ids
    """,
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("kind", _CALLS)
def test_a_child_forked_in_a_handler_ends(kind):
    """It leaves the handler by an exception, by os._exit, or goes on: then it finishes the call or gets an error, and
    further calls work. Nothing of it reaches the parent."""
    found = run(
        """
        import os, signal, sys, threading, time
        import numpy as np
        import fastseq
        from fastseq import decoding, layers

        sys.path.insert(0, os.environ["STRESS"])
        from threads_stress import decoder_model, normal

        fastseq.set_num_threads(2)
        """
        + _CALLS[kind]
        + """
        class Left(Exception):
            pass

        def handler(*_):
            global child
            child = os.fork()
            if child == 0:
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.alarm(60)  # where it hangs
                if leaves == "exits":
                    os._exit(0)
                if leaves == "raises":
                    raise Left

        signal.signal(signal.SIGALRM, handler)
        expected = call()
        for trial, leaves in enumerate(["raises", "exits", "goes on"]):
            child, error = None, None
            signal.setitimer(signal.ITIMER_REAL, 0.06 + 0.03 * trial)
            try:
                assert (call() == expected).all()
                while child is None:
                    time.sleep(0.01)
            except (Left, RuntimeError) as raised:
                error = raised
            if child == 0:
                right = (call() == expected).all()
                known = error is None or isinstance(error, Left) or "forked while the call ran" in str(error)
                os._exit(0 if right and known else 3)
            assert error is None, error
            status = os.waitpid(child, 0)[1]
            assert status == 0, (leaves, status)
        os._exit(0)
        """,
        STRESS=str(TESTS / "sanitizers"),
    )
    assert found.returncode == 0, (found.returncode, found.stdout, found.stderr[-2000:])

"""Threads, instruction sets, what an import costs, forks."""

import os
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

import fastseq
from fastseq.native import _native, runtime


def run(code, **environment):
    """Runs Python code in a fresh process; returns its completed process."""
    env = {k: v for k, v in os.environ.items() if k not in ("FASTSEQ_NUM_THREADS", "OMP_NUM_THREADS")}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120,
        env={**env, **environment},
    )  # fmt: skip


def test_import_is_light():
    """No framework, nothing heavy: what costs 0.15 s or more is imported when it is first needed."""
    found = run(
        """
        import sys
        import fastseq
        heavy = {"tensorflow", "keras", "scipy", "h5py", "tqdm", "torch", "jax"} & set(sys.modules)
        assert not heavy, heavy
        # Not getrusage: its peak is inherited from the process that started this one.
        from pathlib import Path
        status = Path("/proc/self/status")
        if status.exists():
            peak = next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM"))
            assert int(peak) < 60 * 1024, peak
        """
    )
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize("isa", [name for name, supported in _native.isa_names() if supported])
def test_forced_isa_runs(isa):
    found = run(
        """
        import numpy, fastseq
        layer = fastseq.layers.LSTM(3)
        layer(numpy.zeros((1, 2, 4)))
        print(fastseq.active_isa())
        """,
        FASTSEQ_FORCE_ISA=isa,
    )
    assert found.stdout.strip() == isa, found.stderr


OTHER = "avx2" if os.uname().machine in ("aarch64", "arm64") else "neon"


@pytest.mark.parametrize("isa", ["avx1024", "AVX2", OTHER])
def test_unknown_isa_raises(isa):
    found = run("import fastseq", FASTSEQ_FORCE_ISA=isa)
    assert found.returncode == 1
    assert f"ValueError: The instruction set '{isa}' is not available here. There are: " in found.stderr
    assert "scalar" in found.stderr.splitlines()[-1]
    with pytest.raises(ValueError, match=r"There are: .*scalar"):
        runtime.force_isa(isa)


def test_show_config(capsys):
    fastseq.show_config()
    text = capsys.readouterr().out
    for expected in (fastseq.__version__, fastseq.active_isa(), "threads", "gcc" if "gcc" in text else "clang"):
        assert expected in text


@pytest.mark.parametrize(
    "environment, expected",
    [
        ({"FASTSEQ_NUM_THREADS": "3", "OMP_NUM_THREADS": "5"}, 3),
        ({"OMP_NUM_THREADS": "5,2"}, 5),
        ({"FASTSEQ_NUM_THREADS": "", "OMP_NUM_THREADS": " 4 "}, 4),
    ],
)
def test_threads_from_the_environment(environment, expected):
    found = run("import fastseq; print(fastseq.get_num_threads())", **environment)
    assert found.stdout.strip() == str(expected), found.stderr


@pytest.mark.parametrize("bad", ["0", "-2", "two", "1.5"])
def test_bad_threads_in_the_environment(bad):
    found = run("import fastseq; fastseq.get_num_threads()", FASTSEQ_NUM_THREADS=bad)
    message = f"FASTSEQ_NUM_THREADS must be a whole number from 1 to {runtime.MOST_THREADS}, got '{bad}'"
    assert found.returncode == 1 and message in found.stderr


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no CPU affinity")
def test_threads_respect_affinity():
    found = run(
        """
        import os
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        import fastseq
        print(fastseq.get_num_threads())
        """
    )
    assert found.stdout.strip() == "1", found.stderr


@pytest.mark.parametrize(
    "files, expected",
    [
        ({"/sys/fs/cgroup/cpu.max": "150000 100000"}, 1.5),
        ({"/sys/fs/cgroup/cpu.max": "max 100000"}, None),
        ({"/proc/self/cgroup": "0::/box", "/sys/fs/cgroup/box/cpu.max": "50000 100000"}, 0.5),
        ({"/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000", "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}, 2.0),
        ({"/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1", "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}, None),
        ({}, None),
    ],
)
def test_container_quota(files, expected, monkeypatch):
    monkeypatch.setattr(runtime, "_read", lambda path: files.get(path, "").split())
    assert runtime._cpu_quota() == expected


def test_set_num_threads():
    fastseq.set_num_threads(3)
    assert fastseq.get_num_threads() == 3
    with fastseq.num_threads(1):
        assert fastseq.get_num_threads() == 1
        seen = []
        thread = threading.Thread(target=lambda: seen.append(fastseq.get_num_threads()))
        thread.start()
        thread.join()
        assert seen == [3]
        with fastseq.num_threads(np.int64(2)):
            assert fastseq.get_num_threads() == 2
        assert fastseq.get_num_threads() == 1
    assert fastseq.get_num_threads() == 3
    for bad in (0, -1, 2.0, "2", None, True):
        with pytest.raises(ValueError, match="whole number from 1"):
            fastseq.set_num_threads(bad)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_forked_child_works():
    """The parent uses its threads, forks, and both go on using threads: libgomp's pool alone would hang here."""
    found = run(
        """
        import os, signal
        import numpy, fastseq
        fastseq.set_num_threads(2)
        layer = fastseq.layers.LSTM(128, return_sequences=True)
        x = numpy.random.default_rng(0).standard_normal((32, 20, 64))
        expected = layer(x)
        for generation in range(3):
            child = os.fork()
            if child == 0:
                signal.alarm(60)
                for _ in range(3):
                    assert (layer(x) == expected).all()
            else:
                assert os.waitpid(child, 0)[1] == 0
                assert (layer(x) == expected).all()
                os._exit(0)
        os._exit(0)
        """
    )
    assert found.returncode == 0, found.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_fork_from_a_thread_while_others_run():
    found = run(
        """
        import os, signal, threading
        import numpy, fastseq
        fastseq.set_num_threads(2)
        layer = fastseq.layers.LSTM(64, return_sequences=True)
        x = numpy.random.default_rng(0).standard_normal((32, 20, 64))
        expected = layer(x)
        stop = False

        def work():
            while not stop:
                assert (layer(x) == expected).all()

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for _ in range(5):
            child = os.fork()
            if child == 0:
                signal.alarm(60)
                assert (layer(x) == expected).all()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
        stop = True
        for thread in threads:
            thread.join()
        os._exit(0)
        """
    )
    assert found.returncode == 0, found.stderr


def test_one_layer_from_many_threads(rng):
    """Different inputs and shapes at once, weights unchanged: every thread gets its own results."""
    layer = fastseq.layers.GRU(40, return_sequences=True)
    inputs = [rng.standard_normal((1 + i % 3, 5 + i % 4, 30)) for i in range(12)]
    expected = [layer(x) for x in inputs]
    failures = []

    def work(seed):
        for i in np.random.default_rng(seed).integers(len(inputs), size=200):
            if not (layer(inputs[i]) == expected[i]).all():
                failures.append(i)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_weights_may_change_while_others_run(rng):
    """A call sees the old weights or the new ones, never a mixture, and after the change only the new."""
    layer = fastseq.layers.Dense(64)
    x = rng.standard_normal((16, 50))
    weights = [[np.full((50, 64), v, "f"), np.full(64, v, "f")] for v in (1.0, -2.0)]
    layer(x)
    expected = []
    for w in weights:
        layer.set_weights(w)
        expected.append(layer(x))
    # kernel and bias are two weights, so between them a call may also see one of each
    expected += [expected[0] - 3.0, expected[1] + 3.0]
    stop, failures = threading.Event(), []

    def work():
        while not stop.is_set():
            y = layer(x)
            if not any(np.allclose(y, e, atol=1e-4) for e in expected):
                failures.append(y)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for i in range(300):
            layer.set_weights(weights[i % 2])
            assert np.allclose(layer(x), expected[i % 2], atol=1e-4)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures


def test_denormals_are_flushed_inside_a_call_only(rng):
    """A decaying state reaches denormal numbers; the caller's own floating-point mode stays as it was."""
    layer = fastseq.layers.SimpleRNN(4, activation="linear", return_sequences=True, use_bias=False)
    layer.build((1, 300, 1))
    layer.set_weights([np.ones((1, 4)), 0.5 * np.eye(4)])
    x = np.zeros((1, 300, 1), "f")
    x[0, 0] = 1.0
    y = layer(x)
    np.testing.assert_array_equal(y[0, :126, 0], 0.5 ** np.arange(126))
    assert (y[0, 130:] == 0).all()
    assert np.float32(1e-38) * np.float32(0.01) > 0


def test_a_model_is_loaded_with_few_imports():
    """What takes longer to import than a small model to load: 8 ms zipfile, 10 ms numpy.random, 6 ms what trains."""
    found = run(
        """
        import importlib, sys, numpy
        for name in ("traceback", "importlib.util", "pathlib"):  # the finder of an editable installation imports these
            sys.modules.pop(name, None)
        vars(importlib).pop("util", None)
        before = set(sys.modules)
        import fastseq
        fastseq.load_model(fastseq.__path__[0] + "/demo/dates.keras", compile=False)
        heavy = {"zipfile", "shutil", "pathlib", "numpy.random", "scipy", "h5py", "traceback", "importlib.util",
                 "fastseq.optimizers", "fastseq.losses", "fastseq.metrics", "fastseq.saving.hdf5.fractal"}
        print(sorted(heavy & set(sys.modules) - before))
        """
    )
    assert found.stdout == "[]\n", found

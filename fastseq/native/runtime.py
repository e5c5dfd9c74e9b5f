"""Threads and instruction sets: what a call may use, and what this build is.

A number of threads is the most that a call uses. It uses fewer where its work does not pay for more, and where they
cannot be had (memory, RLIMIT_NPROC, a container's limit of processes): then it runs on those that can, on one if need
be, with the same bits. Numbers that no system can mean, above `MOST_THREADS`, are refused, by `set_num_threads` and
`num_threads` and, once a call asks for them, in FASTSEQ_NUM_THREADS and OMP_NUM_THREADS: a ValueError that names them.
"""

import contextlib
import math
import os
import platform
import sys

from fastseq.native import _native
from fastseq.version import __version__

MOST_THREADS = _native.MOST_THREADS  # that may be asked for


def _positive(text, variable):
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 1 <= number <= MOST_THREADS:
        raise ValueError(f"{variable} must be a whole number from 1 to {MOST_THREADS}, got {text!r}.")
    return number


def _read(path):
    try:
        with open(path) as file:
            return file.read().split()
    except OSError:
        return []


def _cpu_quota():
    """CPUs that the container's quota gives (cgroup 2 or 1), None without one."""
    groups = [line.rpartition(":")[2].strip("/") for line in _read("/proc/self/cgroup") if line.startswith("0::")]
    folders = [f"/sys/fs/cgroup/{groups[0]}" if groups else "/sys/fs/cgroup", "/sys/fs/cgroup"]
    quotas = []
    for folder in folders:
        fields = _read(f"{folder}/cpu.max")
        if len(fields) == 2 and fields[0] != "max":
            quotas.append(int(fields[0]) / int(fields[1]))
    quota, period = _read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), _read("/sys/fs/cgroup/cpu/cpu.cfs_period_us")
    if quota and period and int(quota[0]) > 0:
        quotas.append(int(quota[0]) / int(period[0]))
    return min(quotas, default=None)


def _available_threads():
    for variable in ("FASTSEQ_NUM_THREADS", "OMP_NUM_THREADS"):
        text = os.environ.get(variable, "").strip()
        if text:
            # OMP_NUM_THREADS may be a list, one number for each nesting level; the first one is ours.
            return _positive(text.split(",")[0] if variable.startswith("OMP") else text, variable)
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cpu_quota()
    return max(1, min(cpus, math.ceil(quota) if quota else cpus, MOST_THREADS))


def get_num_threads():
    """The most threads that one call uses.

    Returns:
        int: what `num_threads` or `set_num_threads` said, else FASTSEQ_NUM_THREADS, else OMP_NUM_THREADS, else the CPUs
        this process may use (affinity and the container's quota).

    Raises:
        ValueError: A variable that is no whole number from 1 to `runtime.MOST_THREADS`.

    Example:
        >>> fastseq.get_num_threads() >= 1
        True
    """
    # The numbers are kept in C, where a call finds them in a nanosecond.
    if not (_native.own_threads() or _native.default_threads()):
        _native.set_default_threads(_available_threads())
    return _native.own_threads() or _native.default_threads()


_native.say_first_threads(get_num_threads)


def set_num_threads(n):
    """Sets the most threads that one call uses, for the whole process.

    Args:
        n (int): From 1 to `runtime.MOST_THREADS` (1024). Where so many cannot be had, a call runs on those that can.

    Raises:
        ValueError: Another n.

    Example:
        >>> fastseq.set_num_threads(fastseq.get_num_threads())
    """
    _native.set_default_threads(_checked(n))


def _checked(n):
    if isinstance(n, bool) or not hasattr(n, "__index__") or not 1 <= n.__index__() <= MOST_THREADS:
        raise ValueError(f"The number of threads must be a whole number from 1 to {MOST_THREADS}, got {n!r}.")
    return n.__index__()


@contextlib.contextmanager
def num_threads(n):
    """Context manager: calls of this Python thread use at most `n` threads inside it.

    Args:
        n (int): From 1 to `runtime.MOST_THREADS` (1024).

    Returns:
        A context manager.

    Raises:
        ValueError: Another n.

    Example:
        >>> with fastseq.num_threads(1):
        ...     fastseq.get_num_threads()
        1
    """
    before = _native.own_threads()
    _native.set_own_threads(_checked(n))
    try:
        yield
    finally:
        _native.set_own_threads(before)


def available_isas():
    """The instruction sets that this build has and this machine supports.

    Returns:
        list of str, best first.

    Example:
        >>> "scalar" in fastseq.available_isas()
        True
    """
    return [name for name, supported in _native.isa_names() if supported]


def active_isa():
    """The instruction set whose kernels run.

    Returns:
        "avx512", "avx2", "neon" or "scalar".

    Example:
        >>> fastseq.active_isa() in fastseq.available_isas()
        True
    """
    return _native.active_isa()


def force_isa(name):
    """Makes `name` the active instruction set ("" for the best). Raises ValueError where it is not available.

    For tests and comparisons; do not call it while another thread runs a model.
    """
    if not _native.select_isa(name):
        known = ", ".join(f"{isa}{'' if ok else ' (not supported by this CPU)'}" for isa, ok in _native.isa_names())
        raise ValueError(f"The instruction set {name!r} is not available here. There are: {known}.")


def threads_in_words():
    """The most threads one call uses, and whether this build can use them."""
    return f"{get_num_threads()}{'' if _native.has_openmp() else ' (built without OpenMP: 1 is used)'}"


def show_config():
    """Prints the version, the instruction set, threads, compiler and NumPy of this installation.

    Example:
        >>> fastseq.show_config()  # doctest: +ELLIPSIS
        fastseq ...
    """
    import numpy

    rows = {
        "fastseq": __version__,
        "ISA": f"{active_isa()} (available: {', '.join(available_isas())})",
        "threads": threads_in_words(),
        "compiler": _native.compiler(),
        "NumPy": numpy.__version__,
        "Python": f"{platform.python_version()} on {sys.platform} {platform.machine()}",
    }
    for key, value in rows.items():
        print(f"{key:9} {value}")


force_isa(os.environ.get("FASTSEQ_FORCE_ISA", "").strip())

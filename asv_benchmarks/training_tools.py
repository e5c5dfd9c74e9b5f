"""What the engines of training share: a way to train, and its figures."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from limits_memory import resident

CHECKED = 4  # losses of so many steps, or epochs, are compared: all but the first depend on gradients


@dataclass
class Way:
    """One way in which an engine trains a task.

    losses(n): of n steps, or n epochs in the order of the rows, from the weights of the task.
    run(n): n more steps; it returns when they are done. None where the task is of epochs.
    epochs(n): seconds of each of n epochs, of which none is the first one that this way ran. None where it is of steps.
    gradients(n): n times forward and backward without a change of weights, where the engine can tell them apart.
    """

    losses: Callable
    run: Callable | None = None
    epochs: Callable | None = None
    gradients: Callable | None = None


def timed_epochs(epoch, n):
    """Seconds of n calls of `epoch`, each."""
    times = []
    for _ in range(n):
        start = time.perf_counter()
        epoch()
        times.append(time.perf_counter() - start)
    return times


def sample(run, seconds, least=3):
    """The median of seconds a step. Steps go in groups of about 20 ms, so that an engine may queue them up."""

    def taken(n):
        start = time.perf_counter()
        run(n)
        return (time.perf_counter() - start) / n

    taken(1)  # finds cold caches
    once = taken(1)
    if once > 3 * seconds:
        return once
    group, times, end = max(1, int(0.02 / once)), [], time.perf_counter() + seconds
    while len(times) < least or time.perf_counter() < end:
        times.append(taken(group))
    return float(np.median(times))


def figure(way, seconds):
    """Seconds a step, or an epoch."""
    if way.run is not None:
        return sample(way.run, seconds)
    times, end = way.epochs(1), time.perf_counter() + seconds
    while time.perf_counter() < end:
        times += way.epochs(max(1, min(10, int(seconds / times[0] / 3))))
    return float(np.median(times))


def growth(way):
    """Bytes by which the peak of resident memory rises in the first three steps above what was resident before."""
    before = resident("VmRSS")
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # sets the peak back to what is resident now
    way.run(3)
    return resident("VmHWM") - before

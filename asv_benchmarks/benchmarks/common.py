"""What the benchmarks share: shapes, a built layer with its inputs, one thread or two, and GFLOP/s by the median."""

import os
import statistics
import time
from abc import ABC, abstractmethod

import numpy as np

import fastseq

THREADS = [1, 2]

# (B, T, I, H)
RECURRENT_SHAPES = [
    (1, 1, 40, 64),
    (1, 100, 64, 64),
    (1, 100, 256, 256),
    (8, 100, 256, 256),
    (64, 100, 256, 256),
    (128, 50, 512, 512),
    (1000, 64, 15, 16),
]


def use_threads(threads):
    """Raises NotImplementedError, by which asv skips a benchmark, where the process has fewer CPUs than threads."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if threads > cpus:
        raise NotImplementedError
    fastseq.set_num_threads(threads)


def random(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("f")


def gflops_per_second(call, flops, seconds=0.2):
    """The median over `seconds` of samples, at least five, of at least 2 ms each: one slow moment does not move it."""
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < 2e-3:
        call()
        count += 1
    rates, end = [], time.perf_counter() + seconds
    while len(rates) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(count):
            call()
        rates.append(count * flops / (time.perf_counter() - start) / 1e9)
    return round(statistics.median(rates), 2)


class LayerBenchmark(ABC):
    """A layer on one array; a subclass gives `make(*shape)`, and where they differ `shapes`, `inputs` and `arguments`.

    asv takes no abstract class for a benchmark, so the methods below count for the subclasses alone.
    """

    params = [[(1, 1, 64), (32, 100, 256)], THREADS]
    param_names = ["shape", "threads"]
    timeout = 120
    arguments = {}

    @abstractmethod
    def make(self, *shape):
        """The layer for one of the shapes."""

    def inputs(self, *shape):
        return random(*shape)

    def setup(self, shape, threads):
        use_threads(threads)
        self.layer, self.x = self.make(*shape), self.inputs(*shape)
        self.time_call(shape, threads)

    def time_call(self, shape, threads):
        self.layer(self.x, **self.arguments)


class MergingBenchmark(LayerBenchmark):
    """A layer that merges two arrays."""

    def inputs(self, *shape):
        return [random(*shape), random(*shape)]


class TrackedBenchmark(LayerBenchmark):
    """A layer of matrix products, of shapes (B, T, I, H); a subclass gives `products`, multiply-adds per (B, T)."""

    params = [RECURRENT_SHAPES, THREADS]

    @abstractmethod
    def products(self, inputs, units):
        """Multiply-adds of one row's timestep."""

    def inputs(self, batch, time, inputs, units):
        return random(batch, time, inputs)

    def track_gflops(self, shape, threads):
        batch, steps, inputs, units = shape
        flops = 2 * batch * steps * self.products(inputs, units)
        return gflops_per_second(lambda: self.time_call(shape, threads), flops)

    track_gflops.unit = "GFLOP/s"


class MaskedBenchmark(ABC):
    """A recurrent layer of 128 over (32, 100, 128), lengths of 10 to 100 steps: what skipping masked steps saves."""

    params = [["right", "left", "none"], THREADS]
    param_names = ["padding", "threads"]

    @abstractmethod
    def make(self, units):
        """The layer."""

    def setup(self, padding, threads):
        use_threads(threads)
        self.layer, self.x = self.make(128), random(32, 100, 128)
        lengths, steps = np.random.default_rng(1).integers(10, 101, (32, 1)), np.arange(100)
        self.mask = {"right": steps < lengths, "left": steps >= 100 - lengths, "none": None}[padding]
        self.time_call(padding, threads)

    def time_call(self, padding, threads):
        self.layer(self.x, mask=self.mask)

"""An engine's process, what is asked of it and checked, and the machine that it runs on: all scripts of peers use it.

Engines run in processes of their own, pinned to CPUs, and take turns: a noisy moment hits all of them.
"""

import importlib.metadata
import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import isa as instruction_sets
import numpy as np
from cells import TWIN
from reference import float64

HERE = Path(__file__).parent
# engine -> (the module it imports, the name its version goes by)
PACKAGES = {
    "fastseq": ("fastseq", "fastseq-cpu"),
    "TensorFlow": ("tensorflow", "tensorflow"),
    "TensorFlow XLA": ("tensorflow", "tensorflow"),
    "Keras predict": ("tensorflow", "keras"),
    "JAX": ("jax", "jax"),
    "PyTorch": ("torch", "torch"),
    "ONNX Runtime": ("onnxruntime", "onnxruntime"),
    "OpenVINO": ("openvino", "openvino"),
    "LiteRT": ("ai_edge_litert", "ai-edge-litert"),
}
TOLERANCE = 1e-4  # of the largest expected value: float32 gives 2e-6 or less, a wrong gate order 0.1
# Before an engine's turn: threads of the last engine's pool spin for a while after its last call, and would take the
# cores of this one's (two threads of fastseq that meet at a barrier: 113 us, so 178).
SETTLE = 0.2


def installed(name):
    return importlib.util.find_spec(PACKAGES[name][0]) is not None


def versions(names):
    found = {}
    for name in names:
        package = PACKAGES[name][1]
        for candidate in (package, f"{package}-cpu"):
            try:
                found[name] = importlib.metadata.version(candidate)
                break
            except importlib.metadata.PackageNotFoundError:
                found[name] = "unknown"
    return found


def compiled(source, folder, flags):
    """Path of the program made from a C file beside this one; None without a compiler."""
    program = Path(folder, Path(source).stem)
    command = ["cc", "-O3", *flags, "-ffp-contract=fast", str(HERE / source), "-o", str(program), "-lpthread"]
    try:
        if subprocess.run(command, capture_output=True, check=False).returncode:
            return None
    except FileNotFoundError:
        return None
    return program


def peak_gflops(cpus, isa=""):
    """FMA peak of these CPUs at once in GFLOP/s, by peak.c on each of them; None without a compiler."""
    with tempfile.TemporaryDirectory() as folder:
        program = compiled("peak.c", folder, instruction_sets.PEAK_FLAGS[isa])
        if program is None:
            return None
        return sum_over(cpus, [program])


def sum_over(cpus, command):
    """The sum of the numbers that the command prints, run on each of these CPUs at once."""
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=partial(os.sched_setaffinity, 0, {cpu}))
        for cpu in cpus
    ]
    return sum(float(process.communicate()[0]) for process in running)


def machine():
    """The CPU's name and the system, as far as /proc/cpuinfo tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.platform()
    found = dict(line.split(":", 1) for line in reversed(lines) if ":" in line)
    fields = {key.strip(): value.strip() for key, value in found.items()}
    name = fields.get("model name", platform.machine())
    family = f" (family {fields['cpu family']}, model {fields['model']})" if "cpu family" in fields else ""
    return f"{name}{family}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def environment(name, threads, isa=""):
    """The environment of an engine's process. Byte code is kept, as it is where pip installed an engine."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    held = instruction_sets.environment(isa, "fastseq" if name == TWIN else name)
    return {
        **kept, "OMP_NUM_THREADS": str(threads), "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1",
        "JAX_PLATFORMS": "cpu", "FASTSEQ_NUM_THREADS": str(threads), **held,
    }  # fmt: skip


class Worker:
    """An engine's process, of engines.py or a script like it; `ask` sends one command and waits for its answer."""

    def __init__(self, name, threads, cpus, isa="", script="engines.py"):
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / script), name, str(threads)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment(name, threads, isa),
            preexec_fn=lambda: os.sched_setaffinity(0, cpus),
        )  # fmt: skip

    def ask(self, **command):
        try:
            self.process.stdin.write(json.dumps(command) + "\n")
            self.process.stdin.flush()
            for line in self.process.stdout:
                if line.startswith("@"):
                    return json.loads(line[1:])
        except BrokenPipeError:
            pass
        return {"failed": "the process ended"}

    def close(self):
        try:
            self.process.stdin.close()
            self.process.wait(timeout=30)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self.process.kill()


def error_of(path, expected, mask):
    """Largest difference of the arrays in a .npz from the expected ones, over the largest expected value."""
    with np.load(path) as file:
        found = [file[f"arr_{i}"] for i in range(len(expected))]
    worst = 0.0
    for got, want in zip(found, expected, strict=True):
        if got.shape != want.shape:
            return float("inf")
        # ONNX Runtime and PyTorch give zeros for masked steps where Keras repeats: what counts are the others.
        difference = np.abs(got - want) if mask is None else np.abs(got - want)[mask]
        worst = max(worst, float(difference.max() / np.abs(want).max()))
    return worst


def runs(name, cell):
    """Whether an engine's process is asked for a cell."""
    return cell.twin is not None if name == TWIN else name == "fastseq" or not cell.alone


def measure(cell, index, workers, rounds, seconds):
    """{engine: {"seconds": median, "error": see error_of}} or {engine: {"failed": why}}, of those that run the cell."""
    expected = float64(cell)
    workers = {name: worker for name, worker in workers.items() if runs(name, cell)}

    def checked(path):
        error = error_of(path, expected, cell.mask())
        return {"error": error} if error < TOLERANCE else {"failed": f"wrong by {error:.3g}"}

    return in_turn(index, checked, workers, rounds, seconds)


def in_turn(index, checked, workers, rounds, seconds):
    """`measure` of any cell. checked(path of its results) is what to keep of an engine: {"failed": ...} or figures."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, worker in workers.items():
            path = Path(folder, "y.npz")
            answer = worker.ask(prepare=index, check=str(path))
            if not answer.get("ready"):
                if not answer.get("unsupported"):
                    found[name] = answer
                continue
            found[name] = checked(path)
            if "failed" not in found[name]:
                found[name]["rounds"] = []
    for _ in range(rounds):
        for name, entry in found.items():
            if "rounds" in entry:
                time.sleep(SETTLE)
                answer = workers[name].ask(run=seconds)
                if "median" in answer:
                    entry["rounds"].append(answer["median"])
                else:
                    found[name] = answer
    for entry in found.values():
        if "rounds" in entry:
            entry["seconds"] = float(np.median(entry["rounds"]))
    return found

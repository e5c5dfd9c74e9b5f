"""What all tests share: a quiet TensorFlow, and the same instruction set, thread count and registered classes before
and after a test.

Which tests a run takes is which_tests.py's.
"""

import os
import signal

# A shell that starts something in the background has it ignore Ctrl-C, and so do the processes that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

# Of xdist's processes each takes its part of the cores for NumPy and TensorFlow, which wait in busy loops. What fastseq
# takes stays as it is: threads are among what is tested.
if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
    part = str(max(1, (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])))
    for name in ("OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(name, part)

import pytest

pytest_plugins = ["which_tests"]
pytest.register_assert_rewrite("layer_check", "recurrent_tests")

import numpy as np  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

from fastseq.native import runtime  # noqa: E402
from fastseq.saving import get_custom_objects  # noqa: E402

# Timings vary on shared machines, so examples have no deadline; the seed is fixed so that CI repeats.
settings.register_profile("fastseq", deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
settings.load_profile("fastseq")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(autouse=True)
def same_runtime():
    isa, threads, registered = runtime.active_isa(), runtime.get_num_threads(), dict(get_custom_objects())
    yield
    runtime.force_isa(isa)
    runtime.set_num_threads(threads)
    if get_custom_objects() != registered:  # what a module registers as it is imported, one test of another may clear
        get_custom_objects().clear()
        get_custom_objects().update(registered)


@pytest.fixture
def keras_runs_eagerly(request, monkeypatch):
    """For modules whose tests train a few small batches, which takes Keras less time than compiling does.

    In the first case of each test it compiles, as it does for its users; numbers, files and messages are the same.
    """
    case = getattr(request.node, "callspec", None)
    if case is None or not any(case.indices.values()):
        return
    trainer = pytest.importorskip("keras").src.trainers.trainer.Trainer
    setter = trainer.run_eagerly.fset
    monkeypatch.setattr(trainer, "run_eagerly", property(lambda self: True, setter))

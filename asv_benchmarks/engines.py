"""One engine in a process of its own: `python engines.py NAME THREADS` answers JSON lines on standard input.

Every engine turns a cell (cells.py) into a function that runs the model on one input, the inputs of one call in the
layout that suits the engine best, and a function that brings a result back to (B, T, units) or (B, units).
"""

import json
import os
import sys
import time
from functools import partial

import numpy as np
from cells import TWIN, all_cells
from engine_tools import Unsupported
from engines_keras import fastseq_engine, jax_engine, predict_engine, tensorflow_engine
from engines_litert import litert_engine
from engines_onnx import onnxruntime_engine, openvino_engine
from engines_torch import torch_engine

ENGINES = {
    "fastseq": fastseq_engine,
    "TensorFlow": tensorflow_engine,
    "TensorFlow XLA": partial(tensorflow_engine, xla=True),
    "Keras predict": predict_engine,
    "JAX": jax_engine,
    "PyTorch": torch_engine,
    "ONNX Runtime": onnxruntime_engine,
    "OpenVINO": openvino_engine,
    "LiteRT": litert_engine,
}


def one_call(run, inputs):
    """A function without arguments: the results of all inputs, one after another, as a list; of one input, alone."""
    if len(inputs) == 1:
        return partial(run, inputs[0])
    return lambda: [run(x) for x in inputs]


def measured(call, seconds):
    """{"median": seconds of a call, "calls"}. Calls shorter than 20 us are timed many at once: a clock costs 0.1 us.

    One call is enough where it takes more than five times `seconds`.
    """
    once = float("inf")
    for _ in range(5):  # the first one finds cold caches, since other engines ran before it
        start = time.perf_counter()
        call()
        once = min(once, time.perf_counter() - start)
        if once > 5 * seconds:
            return {"median": once, "calls": 1}
    group = max(1, min(100, int(20e-6 / once)))
    times, end = [], time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(group):
            call()
        times.append((time.perf_counter() - start) / group)
    return {"median": float(np.median(times)), "calls": len(times) * group}


def serve(prepare, cells):
    """Commands: {"prepare": index of the cell, "check": path of a .npz to write}, {"run": seconds}."""
    call = None
    for line in sys.stdin:
        command = json.loads(line)
        try:
            if "prepare" in command:
                call = run = inputs = None  # frees the last cell's weights first
                run, inputs, bring = prepare(cells[command["prepare"]])
                call = one_call(run, inputs)
                results = call()
                np.savez(command["check"], *map(bring, results if len(inputs) > 1 else [results]))
                answer = {"ready": True}
            else:
                answer = measured(call, command["run"])
        except Unsupported:
            answer = {"unsupported": True}
        except Exception as error:  # an engine that fails on a cell must not end the whole table
            answer = {"failed": f"{type(error).__name__}: {error}"[:300]}
        print("@" + json.dumps(answer), flush=True)


if __name__ == "__main__":
    os.environ["KERAS_BACKEND"] = "jax" if sys.argv[1] == "JAX" else "tensorflow"
    if sys.argv[1] == TWIN:
        serve(fastseq_engine(int(sys.argv[2])), [cell.twin for cell in all_cells()])
    else:
        serve(ENGINES[sys.argv[1]](int(sys.argv[2])), all_cells())

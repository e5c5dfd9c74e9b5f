"""One engine of training in a process of its own: `python training_engines.py NAME THREADS` answers JSON lines.

    python training_engines.py NAME THREADS --cold TASK WAY DATA.npz     (one epoch, then says so and ends)

Every engine turns a task (training_cells.py) into a list of functions that make a `Way` each: of these the one counts
that is fastest for the task.
"""

import json
import os
import sys
from dataclasses import replace
from functools import partial

from engine_tools import Unsupported
from training_cells import all_tasks


def _fastseq(threads):
    from training_keras import fastseq_engine

    return fastseq_engine(threads)


def _keras(threads, backend, jit="auto"):
    os.environ["KERAS_BACKEND"] = backend
    from training_keras import keras_engine

    return keras_engine(threads, backend, jit)


def _torch(threads, precise=False):
    from training_torch import torch_engine

    return torch_engine(threads, precise)


def _jax(threads):
    from training_jax import jax_engine

    return jax_engine(threads)


REFERENCE = "PyTorch in float64"
# torch.compile of Keras's recurrent layers on PyTorch takes more than 100 s: jit_compile stays as it is there.
ENGINES = {
    "fastseq": _fastseq,
    "Keras on TensorFlow": partial(_keras, backend="tensorflow"),
    "Keras on TensorFlow, jit_compile=True": partial(_keras, backend="tensorflow", jit=True),
    "Keras on JAX": partial(_keras, backend="jax"),
    "Keras on PyTorch": partial(_keras, backend="torch"),
    "PyTorch": _torch,
    "JAX": _jax,
    REFERENCE: partial(_torch, precise=True),
}


def answer_to(command, engine, kept):
    """Commands: {"prepare": index of a task}, {"run": seconds}, {"gradients": seconds}, {"memory": index}.

    kept: a dict that holds the chosen way between commands.
    """
    from training_tools import CHECKED, figure, growth, sample

    if "prepare" in command:
        kept.clear()  # frees the last task's weights first
        ways = [make() for make in engine(all_tasks()[command["prepare"]])]
        losses = [way.losses(CHECKED) for way in ways]
        times = [figure(way, 0.02) for way in ways] if len(ways) > 1 else [0.0]
        kept["way"] = ways[times.index(min(times))]
        return {"losses": losses, "gradients": kept["way"].gradients is not None}
    if "memory" in command:
        return {"bytes": growth(engine(all_tasks()[command["memory"]])[0]())}
    if "gradients" in command:
        return {"median": sample(kept["way"].gradients, command["gradients"])}
    return {"median": figure(kept["way"], command["run"])}


def serve(engine):
    kept = {}
    for line in sys.stdin:
        try:
            answer = answer_to(json.loads(line), engine, kept)
        except Unsupported:
            answer = {"unsupported": True}
        except Exception as error:  # an engine that fails on a task must not end the whole table
            answer = {"failed": f"{type(error).__name__}: {error}"[:300]}
        print("@" + json.dumps(answer), flush=True)


def cold(engine, index, number, path):
    """The first epoch of a process. The ways are counted for the next process."""
    ways = engine(replace(all_tasks()[index], stored=path))
    losses = ways[number]().losses(1)
    print("@" + json.dumps({"losses": losses, "ways": len(ways)}), flush=True)


if __name__ == "__main__":
    made = ENGINES[sys.argv[1]](int(sys.argv[2]))
    if "--cold" in sys.argv:
        cold(made, int(sys.argv[4]), int(sys.argv[5]), sys.argv[6])
    else:
        serve(made)

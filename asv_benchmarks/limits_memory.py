"""Memory of one model, in a process of its own: `python limits_memory.py MODE KIND B T I H THREADS` prints JSON.

MODE rss: {"beyond": bytes by which the peak of resident memory grew in one call, less the result, "result": bytes}.
MODE allocations (with allocations.c preloaded): {"calls", "bytes" per call of the model, "result": bytes}.
"""

import ctypes
import json
import sys
from pathlib import Path

import numpy as np


def resident(field):
    """VmRSS or VmHWM of this process, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return 1024 * int(line.split()[1])
    raise OSError(f"no {field} in /proc/self/status")


def growth(call):
    """Bytes by which the peak of resident memory rises above what was resident before `call`, less its result."""
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak back to what is resident now
    result = call()
    return {"beyond": resident("VmHWM") - before - result.nbytes, "result": result.nbytes}


def allocations(call, times=100):
    library = ctypes.CDLL(None)
    for name in ("allocation_calls", "allocation_bytes"):
        getattr(library, name).restype = ctypes.c_ulong
    result = call()
    call()
    calls, counted = library.allocation_calls(), library.allocation_bytes()
    for _ in range(times):
        call()
    return {
        "calls": (library.allocation_calls() - calls) / times,
        "bytes": (library.allocation_bytes() - counted) / times,
        "result": result.nbytes,
    }


def main(mode, kind, batch, time, inputs, units, threads):
    import fastseq

    fastseq.set_num_threads(threads)
    layer = getattr(fastseq.layers, kind)(units, return_sequences=True)
    model = fastseq.Sequential([fastseq.Input((None, inputs)), layer])
    x = np.random.default_rng(0).standard_normal((batch, time, inputs)).astype(np.float32)
    if mode == "allocations":
        return allocations(lambda: model(x))
    # Weights are packed, threads started and modules imported by a call of one step of as many rows.
    model.predict(x[:, :1].copy(), batch_size=batch, verbose=0)
    return growth(lambda: model.predict(x, batch_size=batch, verbose=0))


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))))

"""What a large model takes of memory: its weights once, from loading on, beside what its calls need."""

import os
import subprocess
import sys
import textwrap

import pytest

import fastseq
from fastseq import layers

_MEASURED = """
    import sys
    import numpy as np
    import fastseq
    path, other, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
    fastseq.set_num_threads(2)
    fastseq.load_model(other).predict(np.zeros((1, 4, 6), "f"))  # all modules are there, and the threads

    def now(what):
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith(what))

    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak is what is held now
    before = now("VmRSS")
    model = fastseq.load_model(path)
    found = [now("VmRSS"), now("VmHWM")]
    model(np.zeros((1, 2, 64), "f"))
    found += [now("VmRSS"), now("VmHWM")]
    assert np.isfinite(model.predict(np.zeros((1, 3, 64), "f"))).all()
    found += [now("VmRSS"), now("VmHWM")]
    print(*[(bytes - before) / size for bytes in found])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_a_large_model_takes_its_size(tmp_path, cell, ending):
    """Held after loading and after its first calls: its weights once. At most: the largest a second time, packed."""
    options = {"kernel_initializer": "random_uniform", "recurrent_initializer": "random_uniform"}
    layer = getattr(layers, cell)
    model = fastseq.Sequential([
        layers.Input((None, 64)), layer(1024, return_sequences=True, **options), layer(1024, **options),
        layers.Dense(1024),
    ])  # fmt: skip
    path, small = tmp_path / f"m{ending}", tmp_path / "small.keras"
    model.save(path)
    size = os.path.getsize(path)
    largest = max(weight.nbytes for weight in model.get_weights()) / size
    del model
    fastseq.Sequential([layers.Input((None, 6)), layer(8), layers.Dense(3)]).save(small)
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_MEASURED), path, small, str(size)], capture_output=True, text=True,
        timeout=300, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    held, peak, held_called, peak_called, held_later, peak_later = map(float, found.stdout.split())
    assert 0.9 < held < 1.1 and peak < 1.1
    assert 0.9 < held_called < 1.1 and held_later < 1.1
    assert peak_called < 1.1 + largest and peak_later < 1.1 + largest

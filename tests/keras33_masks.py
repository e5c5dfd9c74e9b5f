"""The models that tests/data/make_keras33_masks.py stored: files of Keras 3.3 with inputs and outputs."""

import dataclasses
import functools
import io
import tarfile
from pathlib import Path

import numpy as np

PATH = Path(__file__).parent / "data" / "keras33_masks.tar.xz"


@dataclasses.dataclass
class Case:
    seed: int  # random_models.write(seed).source() is the program that made the model.
    file: bytes  # of a .keras file
    inputs: list
    exact: list  # Outputs in float64, of the model that was saved.
    error: list  # The largest distance of Keras's float32 output from that, for each output.
    reloaded: list  # Outputs of the model that Keras 3.3 loads from the file, where they differ; else empty.


@functools.cache
def cases():
    """All cases by seed."""
    with tarfile.open(PATH) as archive:
        members = {member.name: archive.extractfile(member).read() for member in archive}
    arrays = dict(np.load(io.BytesIO(members.pop("arrays.npz"))))
    found = {}
    for name, data in members.items():
        seed = name.removesuffix(".keras")
        found[int(seed)] = Case(
            int(seed), data, *(_listed(arrays, f"{seed}/{kind}") for kind in ("input", "exact")),
            list(arrays[f"{seed}/error"]), _listed(arrays, f"{seed}/reloaded"),
        )  # fmt: skip
    return found


def _listed(arrays, name):
    found = []
    while f"{name}{len(found)}" in arrays:
        found.append(arrays[f"{name}{len(found)}"])
    return found

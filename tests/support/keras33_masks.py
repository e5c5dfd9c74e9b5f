"""The models that tests/data/make_keras33_masks.py stored: files of Keras 3.3 with inputs and outputs."""

import dataclasses
import functools
import io
import tarfile

import numpy as np
from places import DATA


@dataclasses.dataclass
class Case:
    name: str  # Of the random ones a seed: random_models.write(seed).source() is the program that made the model.
    file: bytes  # of a .keras file
    inputs: list
    exact: list  # Outputs in float64, of the model that was saved.
    error: list  # The largest distance of Keras's float32 output from that, for each output.
    reloaded: list  # Outputs of the model that Keras 3.3 loads from the file, where they differ; else empty.


@functools.cache
def cases(kind):
    """All cases by name; kind: "masks" for the random ones, "rules" for those that show one rule each."""
    with tarfile.open(DATA / f"keras33_{kind}.tar.xz") as archive:
        members = {member.name: archive.extractfile(member).read() for member in archive}
    arrays = dict(np.load(io.BytesIO(members.pop("arrays.npz"))))
    found = {}
    for name, data in members.items():
        name = name.removesuffix(".keras")
        found[name] = Case(
            name, data, _listed(arrays, f"{name}/input"), _listed(arrays, f"{name}/exact"),
            list(arrays[f"{name}/error"]), _listed(arrays, f"{name}/reloaded"),
        )  # fmt: skip
    return found


def _listed(arrays, name):
    found = []
    while f"{name}{len(found)}" in arrays:
        found.append(arrays[f"{name}{len(found)}"])
    return found

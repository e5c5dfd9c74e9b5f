"""Small HDF5 files of every structure that the reader knows, and a walk that reads all there is in a file."""

import io

import h5py
import numpy as np

from fastseq.errors import FileFormatError
from fastseq.saving.hdf5 import H5File

X = np.arange(60, dtype=np.float32).reshape(10, 6)


def _groups(file):
    for number in range(12):
        file[f"layers/layer_{number}/vars/0"] = X[:2]
    file["soft"] = h5py.SoftLink("/layers")


def _attributes(file):
    for number in range(12):
        file.attrs[f"text{number}"] = f"value {number}"
    file.attrs["names"] = [b"one", b"two", b"three"]
    file.attrs["large"] = np.bytes_(b"x" * 5000)
    file.attrs["numbers"] = [1.5, 2.5]
    file.create_group("layers").attrs["name"] = "ü"


def _chunks(file):
    file.create_dataset("a", data=X, chunks=(3, 4), compression="gzip", shuffle=True, fletcher32=True)
    file.create_dataset("b", data=X, chunks=(10, 6))
    file.create_dataset("c", data=X, chunks=(1, 1))
    file.create_dataset("d", data=X, chunks=(4, 4), maxshape=(None, None), compression="gzip")


def _many(file):
    target = file.create_group("target")
    for number in range(300):
        file[f"group/a_long_name_{number}"] = target
        file["target"].attrs[f"a{number}"] = number


def files():
    """dict name -> bytes, always the same but for the times in it."""
    found = {}
    for fill in (_groups, _attributes, _chunks, _many):
        for version in ("earliest", "latest"):
            memory = io.BytesIO()
            with h5py.File(memory, "w", libver=version, track_order=fill is _groups) as file:
                fill(file)
            found[f"{fill.__name__[1:]} {version}"] = memory.getvalue()
    return found


def walk(data, members=60):
    """Reads attributes and datasets of all groups, up to `members` of them; how many parts below the root were refused.

    Raises FileFormatError where the root itself is.
    """
    refused = 0
    with H5File(data) as file:
        file.root.keys()
        todo = [file.root]
        while todo and members > 0:
            group = todo.pop()
            try:
                names = group.keys()
                for name in ("text3", "names", "large", "numbers", "name", "a7"):
                    group.attribute(name)
            except FileFormatError:
                refused, names = refused + 1, []
            for name in names:
                members -= 1
                try:
                    found = group._find(name)
                    if found is not None and hasattr(found, "read"):
                        if all(size <= 100 for size in found.shape) and len(found.shape) < 4:
                            found.read(found.shape)
                    elif found is not None:
                        todo.append(found)
                except FileFormatError:
                    refused += 1
    return refused

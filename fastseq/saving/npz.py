"""Reads NumPy's `.npz` as data: plain arrays, whose sizes are checked before anything is allocated.

`np.load` raises nearly anything on damaged bytes, allocates what a header says, and evaluates that header.
"""

import math
import re

import numpy as np

from fastseq.errors import FileFormatError
from fastseq.saving.keras_zip import Archive

_MAGIC = b"\x93NUMPY"
# What np.save writes for plain numbers, truth values, texts and dates, to the letter.
_HEADER = re.compile(
    rb"\{'descr': '([<>|=][?biufcmMSU]\d{1,10}(?:\[\w{1,9}\])?)', 'fortran_order': (True|False), "
    rb"'shape': \(((?:\d{1,19}, ){0,64}(?:\d{1,19},?)?)\), \} *\n"
)


class _Archive(Archive):
    _what = ".npz (zip)"
    # 100 bytes for each array, of which there may be a few for each weight of 10 000 layers.
    _directory_bytes = 64 << 20

    def arrays(self):
        return {name.removesuffix(".npy"): _array(self.read(name), name, self.path) for name in self._members}


def read(path):
    """dict name -> array, of what np.savez wrote at `path`.

    Raises FileFormatError, naming the file, where anything in it is not as np.savez writes it; OSError as `open` does.
    """
    with _Archive(path) as archive:
        return archive.arrays()


def _array(data, name, path):
    try:
        return _parse(data)
    except (FileFormatError, TypeError, ValueError, OverflowError) as error:
        reason = error.reason if isinstance(error, FileFormatError) else error
        raise FileFormatError(f"its array '{name[:200]}' is damaged: {reason}", path=path) from error


def _parse(data):
    if data[:6] != _MAGIC or data[6:8] not in (b"\x01\x00", b"\x02\x00", b"\x03\x00"):
        raise FileFormatError("it is no array of NumPy")
    start = 10 if data[6] == 1 else 12
    end = start + int.from_bytes(data[8:start], "little")
    found = _HEADER.fullmatch(data[start:end])
    if found is None:
        raise FileFormatError("its header is not one of plain numbers or text")
    dtype, fortran, sizes = found.groups()
    dtype = np.dtype(dtype.decode())
    if dtype.str[1:] in ("U0", "S0"):
        raise FileFormatError(f"its type is {dtype}")
    shape = tuple(int(size) for size in re.findall(rb"\d+", sizes))
    if math.prod(shape) * dtype.itemsize != len(data) - end:
        raise FileFormatError(f"its shape {shape} needs other than {len(data) - end} bytes")
    if len(data) == end:
        return np.zeros(shape, dtype)
    return np.frombuffer(data, dtype, offset=end).reshape(shape, order="F" if fortran == b"True" else "C").copy()

"""The states of streams as dicts and as bytes. `states` is everywhere a Plan's: [(layer name, kind, [shape, ...])]."""

import struct
import zlib

import numpy as np

_MAGIC = b"fsstream"
_VERSION = 1


def named(states, arrays):
    """dict: layer name -> its arrays, a list, out of the flat list of all."""
    values = iter(arrays)
    return {name: [next(values) for _ in shapes] for name, _, shapes in states}


def checked(states, value, owner):
    """The flat list of float32 arrays in the dict `value`. Raises ValueError for other names, shapes, and for NaN.

    Inputs that a layer keeps may hold NaN, as every input may: they are forgotten some timesteps later, states never.
    """
    names = [name for name, _, _ in states]
    if not isinstance(value, dict) or sorted(value, key=str) != sorted(names):
        got = sorted(value, key=str) if isinstance(value, dict) else f"a {type(value).__name__}"
        raise ValueError(f"The state of {owner} is a dict of {names}, got {got}.")
    found = []
    for name, kind, shapes in states:
        try:
            given = [np.asarray(array) for array in value[name]]
        except (TypeError, ValueError) as error:
            raise ValueError(f"Layer '{name}' has states of shapes {shapes}, got {value[name]!r}: {error}") from None
        if [array.shape for array in given] != shapes or any(array.dtype.kind not in "fiu" for array in given):
            raise ValueError(
                f"Layer '{name}' has states of shapes {shapes}, got {[array.shape for array in given]} of "
                f"{[str(array.dtype) for array in given]}."
            )
        if kind == "states" and any(np.isnan(array).any() for array in given):
            raise ValueError(f"Layer '{name}': its states of shapes {shapes} hold NaN.")
        found += [np.array(array, np.float32, order="C") for array in given]
    return found


def _header(states):
    return ";".join(f"{name}:{shapes}" for name, _, shapes in states).encode()


def to_bytes(states, arrays):
    """ "fsstream", version, names and shapes, float32 values, CRC-32; little-endian on every machine."""
    header = _header(states)
    values = b"".join(np.ascontiguousarray(array, "<f4").tobytes() for array in arrays)
    body = _MAGIC + struct.pack("<II", _VERSION, len(header)) + header + values
    return body + struct.pack("<I", zlib.crc32(body))


def from_bytes(states, saved):
    """What `checked` takes, out of what `to_bytes` gave for the same states. Raises ValueError for other bytes."""
    saved = bytes(saved)
    start = len(_MAGIC) + 8
    if saved[: len(_MAGIC)] != _MAGIC or len(saved) < start + 4:
        raise ValueError("restore() takes what state_bytes() gave; these bytes do not start like that.")
    version, length = struct.unpack_from("<II", saved, len(_MAGIC))
    if version != _VERSION:
        raise ValueError(f"restore() reads version {_VERSION} of saved states, these are of version {version}.")
    if zlib.crc32(saved[:-4]) != struct.unpack("<I", saved[-4:])[0]:
        raise ValueError("restore(): the bytes are damaged or cut short, their checksum does not fit.")
    header = _header(states)
    if length != len(header) or saved[start : start + length] != header:
        theirs = saved[start : start + min(length, 500)].decode("utf-8", "replace")
        raise ValueError(f"restore(): these are the states {theirs}, this stream has {header.decode()}.")
    shapes = [shape for _, _, own in states for shape in own]
    sizes = [int(np.prod(shape)) for shape in shapes]
    body = saved[start + length : -4]
    if len(body) != 4 * sum(sizes):
        raise ValueError(f"restore(): {len(body)} bytes of values, the states have {4 * sum(sizes)}.")
    values = np.frombuffer(body, "<f4")
    parts = np.split(values, np.cumsum(sizes)[:-1]) if sizes else []
    return named(states, [part.reshape(shape) for part, shape in zip(parts, shapes)])

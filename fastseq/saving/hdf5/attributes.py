"""Attributes (IV.A.2.m): text and numbers, beside the object or dense in a heap (IV.A.2.v)."""

import math
import struct

import numpy as np

from fastseq.errors import FileFormatError
from fastseq.saving.hdf5 import btree, header, types
from fastseq.saving.hdf5.superblock import UNDEFINED

# III.A.2: records of attributes by the hash of their names: 8 bytes of the heap's name for it, flags, number, hash.
_ATTRIBUTES_BY_NAME, _RECORD = 8, 17
_SHARED = 2
# What Python takes for a value beside its bytes.
_OVERHEAD = 64


def read_attributes(handle, found):
    """dict name -> Attribute of an object. found: its header.Header."""
    messages = list(found.all(header.ATTRIBUTE))
    for message in found.all(header.ATTRIBUTE_INFO):
        messages.extend(_dense(handle, message))
    attributes = {}
    for message in messages:
        name, attribute = _parse(message)
        if name in attributes:
            raise FileFormatError(f"it is damaged: an object has two attributes '{name[:200]}'")
        attributes[name] = attribute
    return attributes


def _dense(handle, message):
    """The messages that an attribute info message leads to: version, flags, next number, addresses of heap and tree."""
    version, flags = struct.unpack_from("<BB", message)
    if version != 0:
        raise FileFormatError(f"it is damaged: an object has attributes of version {version}")
    heap, tree = struct.unpack_from("<QQ", message, 4 if flags & 1 else 2)
    if heap == UNDEFINED:
        return
    # Imported here, as few files have so many attributes.
    from fastseq.saving.hdf5.fractal import FractalHeap

    objects = FractalHeap(handle, heap)
    for record in btree.records(handle, tree, _ATTRIBUTES_BY_NAME):
        if len(record) != _RECORD or record[8] & _SHARED:
            raise FileFormatError("it has attributes that are shared with other objects; h5py writes none so")
        yield objects.get(record[:8])


def _parse(message):
    """(name, Attribute) of an attribute message."""
    version, flags, name_size, type_size, space_size = struct.unpack_from("<BBHHH", message)
    if version not in (1, 2, 3):
        raise FileFormatError(f"it is damaged: an attribute has version {version}")
    at = 8 if version < 3 else 9  # the name's alphabet: what is not ASCII is UTF-8
    parts = []
    for size in (name_size, type_size, space_size):
        parts.append(message[at : at + size])
        at += size if version > 1 else (size + 7) // 8 * 8
    if at > len(message):
        raise FileFormatError("it is damaged: an attribute is larger than its header")
    name, its_type, space = parts
    # Keras writes no type or shape that stands elsewhere (a committed datatype).
    shared = version > 1 and flags & 3
    return name.split(b"\0", 1)[0].decode("utf-8"), Attribute(None if shared else its_type, space, message[at:])


class Attribute:
    """One attribute, whose value is made when it is asked for."""

    def __init__(self, its_type, space, data):
        self._type, self._space, self._data = its_type, space, data

    def value(self, heaps):
        """str, number or list of them (of lists, where it has more axes); None for any other type.

        heaps: the file's GlobalHeaps, where texts of variable length stand.
        """
        shape = None if self._type is None else types.shape_of(self._space)
        if shape is None:
            return None
        count = math.prod(shape)
        if count == 0:
            return []
        size = types.text_size(self._type)
        if size is not None:
            self._take(count, size or 16, heaps.handle)
            values = self._texts(count, size, heaps)
            return _nested(values, shape) if shape else values[0]
        dtype = types.number_type(self._type, lambda: False)
        if not isinstance(dtype, np.dtype):
            return None
        self._take(count, dtype.itemsize, heaps.handle)
        return np.frombuffer(self._data, dtype, count).reshape(shape).tolist()

    def _take(self, count, size, handle):
        if count * size > len(self._data):
            raise FileFormatError(f"an attribute claims {count} values, more than its header holds")
        handle.spend(_OVERHEAD * count)

    def _texts(self, count, size, heaps):
        step = size or 16
        parts = (self._data[at : at + step] for at in range(0, count * step, step))
        return [(part if size else heaps.text(part)).split(b"\0", 1)[0].decode("utf-8") for part in parts]


def _nested(values, shape):
    """The list `values` as lists in lists, for every axis but the first."""
    for length in reversed(shape[1:]):
        values = [values[at : at + length] for at in range(0, len(values), length)]
    return values

"""What the rest of fastseq sees of an HDF5 file: groups by explicit path, text attributes, numeric datasets.

Whatever goes wrong on a damaged file, FileFormatError comes out, in bounded time.
"""

import functools
import io
import math
import os
import struct
import zlib

import numpy as np

from fastseq.configs import limits
from fastseq.errors import FileFormatError
from fastseq.saving.hdf5 import attributes, header, links, superblock, types
from fastseq.saving.hdf5.heaps import GlobalHeaps
from fastseq.saving.hdf5.storage import Storage


def _only_format_errors(method):
    """What short parts, texts and streams of bytes raise becomes FileFormatError; all else is a fault of ours."""

    @functools.wraps(method)
    def wrapper(self, *args, **kwargs):
        try:
            return method(self, *args, **kwargs)
        except FileFormatError as error:
            raise FileFormatError(error.reason, path=self.path, layer=error.layer) from None
        except (IndexError, struct.error, UnicodeDecodeError, zlib.error) as error:
            reason = f"it is damaged, or not HDF5 as Keras writes it ({type(error).__name__}: {str(error)[:200]})"
            raise FileFormatError(reason, path=self.path) from error

    return wrapper


class H5File(limits.Opened):
    """An HDF5 file, opened for reading.

    source: path, bytes in memory, or an open limits.Section. path: the name used in messages.
    Raises FileFormatError when it is not HDF5, is truncated, or has a user block.
    """

    def __init__(self, source, path=None):
        in_memory = isinstance(source, (bytes, bytearray, memoryview))
        is_open = isinstance(source, limits.Section)
        self.path = path if path is not None else "<bytes>" if in_memory or is_open else os.fspath(source)
        self._raw = source if is_open else io.BytesIO(source) if in_memory else open(source, "rb")
        self._content = source if in_memory else None
        self._objects = {}
        self._links = {}
        self._attributes = {}
        self.joined = {}  # address of a group -> whether names in it have a backslash
        try:
            self._open()
        except BaseException:
            self._raw.close()
            raise

    @_only_format_errors
    def _open(self):
        self.handle = limits.Metered(self._raw, self.path, self._content)
        self.heaps = GlobalHeaps(self.handle)
        self.root = H5Group(self, superblock.read_root(self.handle), "")

    def object(self, address):
        """The header.Header at `address`, each parsed once."""
        if address not in self._objects:
            self.handle.allow(limits.HEADER_READS, limits.HEADER_BYTES)
            self._objects[address] = header.Header(self.handle, address)
        return self._objects[address]

    def links(self, address):
        """{name: address, or the target's path for a soft link} of the group at `address`."""
        if address not in self._links:
            found = self.object(address)
            self.handle.allow(limits.GROUP_READS, limits.GROUP_BYTES)
            self._links[address] = links.read_links(self.handle, found)
        return self._links[address]

    def attribute(self, address, name):
        """An attribute's value: str, number or list of them; None where there is none, or one of another type."""
        if address not in self._attributes:
            found = self.object(address)
            self.handle.allow(limits.HEADER_READS, limits.HEADER_BYTES + self.handle.size)
            self._attributes[address] = attributes.read_attributes(self.handle, found)
        attribute = self._attributes[address].get(name)
        if attribute is None:
            return None
        self.handle.allow(limits.HEADER_READS, limits.HEADER_BYTES + self.handle.size)
        return attribute.value(self.heaps)

    @property
    def size(self):
        """Bytes of the whole file."""
        return self.handle.size


class H5Group:
    """A group of an H5File. Paths are relative, components joined by '/'."""

    def __init__(self, file, address, name):
        self.file = file
        self.path = file.path
        self.name = name
        self._address = address

    @_only_format_errors
    def keys(self):
        """Names of the members."""
        return list(self.file.links(self._address))

    @_only_format_errors
    def attribute(self, name, default=None):
        """An attribute's value: str, number, list of them, or `default` where there is none or it is another type."""
        value = self.file.attribute(self._address, name)
        return default if value is None else value

    def attribute_list(self, name):
        """A list of strings, also where Keras had to split it into name0, name1 ... (a header message holds 64 KB)."""
        value = self.attribute(name)
        if value is None:
            value, part = [], 0
            while (chunk := self.attribute(f"{name}{part}")) is not None:
                value.extend(chunk if isinstance(chunk, list) else [chunk])
                part += 1
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise FileFormatError(f"attribute '{name}' of group '/{self.name}' is not a list of names", path=self.path)
        return value

    def group(self, path):
        """The group at `path`, or None. Raises FileFormatError for a dataset or a link in its place."""
        found = self._find(path)
        if isinstance(found, H5Dataset):
            raise FileFormatError(f"'/{found.name}' is a dataset where a group should stand", path=self.path)
        return found

    def group_spelled(self, path):
        """As `group`, also where a `\\` joins names of the path in one group's name, some of them or all.

        Raises FileFormatError where two groups are so spelled.
        """
        parts = path.split("/")
        # reached[n]: address -> group, of all groups that the first n names lead to.
        reached = [{self._address: self}, *({} for _ in parts)]
        for start in range(len(parts)):
            for group in reached[start].values():
                longest = len(parts) if group._has_joined_names() else start + 1
                for end in range(start + 1, longest + 1):
                    found = group.group("\\".join(parts[start:end]))
                    if found is not None:
                        reached[end].setdefault(found._address, found)
        found = list(reached[-1].values())
        if len(found) > 1:
            names = " and ".join(sorted(f"'/{group.name}'" for group in found[:2]))
            raise FileFormatError(f"it has two groups for the same weights, {names}", path=self.path)
        return found[0] if found else None

    @_only_format_errors
    def _has_joined_names(self):
        known = self.file.joined
        if self._address not in known:
            known[self._address] = any("\\" in name for name in self.file.links(self._address))
        return known[self._address]

    def dataset(self, path):
        """The dataset at `path`, or None. Raises FileFormatError for a group or a link in its place."""
        found = self._find(path)
        if isinstance(found, H5Group):
            raise FileFormatError(f"'/{found.name}' is a group where weights should stand", path=self.path)
        return found

    @_only_format_errors
    def _find(self, path):
        current = self
        for part in path.split("/"):
            if part in ("", ".", ".."):
                raise FileFormatError(f"'{path[:200]}' is not a valid name in it")
            if isinstance(current, H5Dataset):
                return None
            target = self.file.links(current._address).get(part)
            if target is None:
                return None
            name = f"{current.name}/{part}".lstrip("/")
            if isinstance(target, str):
                raise FileFormatError(f"'/{name[:200]}' is a soft link; weights must be stored where they are named")
            found = self.file.object(target)
            if not found.is_dataset and not found.is_group:
                raise FileFormatError(f"'/{name[:200]}' is neither a group nor a dataset")
            current = (H5Dataset if found.is_dataset else H5Group)(self.file, target, name)
        return current


class H5Dataset:
    """A dataset: `shape` (tuple), `stored` (a NumPy dtype, or "bfloat16"), and `read`, which checks before it reads."""

    def __init__(self, file, address, name):
        self.file = file
        self.path = file.path
        self.name = name
        self._address = address
        self._describe(file.object(address))

    @_only_format_errors
    def _describe(self, found):
        if found.messages.get(header.EXTERNAL_FILES) or header.EXTERNAL_FILES in found.shared:
            raise FileFormatError(f"dataset '/{self.name}' is stored in an external file; that is refused")
        self.shape = types.shape_of(self._message(found, header.DATASPACE))
        if self.shape is None:
            raise FileFormatError(f"dataset '/{self.name}' has no usable shape")
        self.stored = types.number_type(self._message(found, header.DATATYPE), self._says_bfloat16)
        if self.stored is None:
            raise FileFormatError(f"dataset '/{self.name}' does not hold plain numbers")
        self._storage = Storage(self._message(found, header.LAYOUT), found.all(header.FILTERS), self.name)

    def _message(self, found, kind):
        messages = found.messages.get(kind, ())
        if len(messages) != 1 or kind in found.shared:
            raise FileFormatError(f"dataset '/{self.name}' has {len(messages)} headers of kind {kind}, or a shared one")
        return messages[0]

    def _says_bfloat16(self):
        return self.file.attribute(self._address, "dtype") == "bfloat16"

    @_only_format_errors
    def read(self, shape):
        """The values, a new array of `shape` (bfloat16 comes as float32), which the caller may keep.

        Raises FileFormatError when the dataset's shape is not `shape`, before anything is read or allocated, when its
        storage is not all in the file, or when its chunks do not expand to exactly their size.
        """
        shape = tuple(int(size) for size in shape)
        if self.shape != shape:
            raise FileFormatError(f"dataset '/{self.name}' has shape {self.shape}, the model wants {shape}")
        dtype = np.dtype("<u2") if self.stored == "bfloat16" else self.stored
        if math.prod(shape) == 0:
            return np.zeros(shape, np.float32 if self.stored == "bfloat16" else dtype.newbyteorder("="))
        values = self._storage.read(self.file.handle, shape, dtype)
        if self.stored == "bfloat16":
            # bfloat16 is the upper half of a float32.
            return (values.astype(np.uint32) << 16).view(np.float32)
        return values.astype(dtype.newbyteorder("="), copy=False)

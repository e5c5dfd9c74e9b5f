"""Reads the HDF5 that Keras writes, as data: groups by explicit path, string attributes, numeric datasets.

Headers, links, attributes and trees are parsed by pyfive (pure Python); what a dataset says of itself is parsed here,
because it is checked before a byte of it is read. External links and files, soft links and virtual datasets are refused
at every step of a path. Whatever goes wrong on a damaged file, FileFormatError comes out, in bounded time.
"""

import functools
import io
import math
import os
import struct

import numpy as np

from fastseq.errors import FileFormatError
from fastseq.saving import limits
from fastseq.saving.hdf5_layout import number_type, read_chunks

_DATASPACE, _DATATYPE, _EXTERNAL, _LAYOUT = 0x01, 0x03, 0x07, 0x08
_SHARED_MESSAGE = 2
_LAYOUT_NAMES = {0: "compact", 1: "contiguous", 2: "chunked", 3: "virtual"}
_UNDEFINED = 0xFFFFFFFFFFFFFFFF
# libhdf5 allows 32 dimensions and Keras uses 6.
_MAX_RANK = 32


def _only_format_errors(method):
    """A pyfive that stumbles over damaged bytes may raise anything; the caller gets FileFormatError."""

    @functools.wraps(method)
    def wrapper(self, *args, **kwargs):
        try:
            return method(self, *args, **kwargs)
        except FileFormatError as error:
            raise FileFormatError(error.reason, path=self.path, layer=error.layer) from None
        # Neither a disk nor a machine's memory is the file's fault. (pyfive itself raises neither.)
        except (ImportError, MemoryError, OSError):
            raise
        except Exception as error:
            reason = f"it is damaged, or not HDF5 as Keras writes it ({type(error).__name__}: {str(error)[:200]})"
            raise FileFormatError(reason, path=self.path) from error

    return wrapper


@functools.lru_cache(maxsize=1)
def _data_objects_class():
    from pyfive.dataobjects import DataObjects
    from pyfive.p5t import P5FixedStringType, P5FloatType, P5IntegerType, P5VlenStringType

    class SafeDataObjects(DataObjects):
        """pyfive's object header, that reads text and number attributes only and refuses external links."""

        def _attr_value(self, ptype, buf, count, offset):
            if isinstance(ptype, P5VlenStringType):
                item_size = 16
            elif isinstance(ptype, (P5FixedStringType, P5FloatType, P5IntegerType)):
                item_size = ptype.dtype.itemsize
            else:
                return [None]
            if count < 0 or count * item_size > len(buf) - offset:
                raise FileFormatError(f"an attribute claims {count} values, more than its header holds")
            return super()._attr_value(ptype, buf, count, offset)

        @staticmethod
        def _decode_link_msg(data, offset):
            flags = data[offset + 1]
            if flags & 8 and data[offset + 2] not in (0, 1):
                raise FileFormatError("it holds an external link; a model file may not point at other files")
            return DataObjects._decode_link_msg(data, offset)

    return SafeDataObjects


class H5File(limits.Opened):
    """An HDF5 file, opened for reading.

    source: path, or bytes in memory. path: the name used in messages.
    Raises FileFormatError when it is not HDF5, is truncated, or has a user block.
    """

    def __init__(self, source, path=None):
        in_memory = isinstance(source, (bytes, bytearray, memoryview))
        self.path = path if path is not None else ("<bytes>" if in_memory else os.fspath(source))
        self._raw = io.BytesIO(source) if in_memory else open(source, "rb")
        self._objects = {}
        self._links = {}
        self.joined = {}  # address of a group -> whether names in it have a backslash
        self._heaps = {}
        try:
            self._open()
        except BaseException:
            self._raw.close()
            raise

    @_only_format_errors
    def _open(self):
        from pyfive.misc_low_level import SuperBlock

        self.handle = limits.Metered(self._raw, self.path)
        if self.handle.read(8) != b"\x89HDF\r\n\x1a\n":
            raise FileFormatError("it is not an HDF5 file")
        superblock = SuperBlock(self.handle, 0)
        end = superblock._contents["end_of_file_address"]
        if superblock._contents["base_address"] != 0:
            raise FileFormatError("it has a user block before the HDF5 data")
        if end > self.handle.size:
            raise FileFormatError(f"it is truncated: {self.handle.size} of {end} bytes are there")
        self.root = H5Group(self, superblock.offset_to_dataobjects, "")

    def object(self, address):
        """pyfive's parsed object header at `address`, each parsed once."""
        if address not in self._objects:
            self.handle.allow(limits.HEADER_READS, limits.HEADER_BYTES)
            self._objects[address] = _data_objects_class()(self.handle, address, global_heaps=self._heaps)
        return self._objects[address]

    def links(self, address):
        """{name: address, or the target's path for a soft link} of the group at `address`."""
        if address not in self._links:
            header = self.object(address)
            self.handle.allow(limits.GROUP_READS, limits.GROUP_BYTES)
            self._links[address] = header.get_links()
        return self._links[address]

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
        self.file.handle.allow(limits.HEADER_READS, limits.HEADER_BYTES + self.file.handle.size)
        value = self.file.object(self._address).get_attributes().get(name)
        return default if value is None else _plain(value)

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
            header = self.file.object(target)
            kind = H5Dataset if header.is_dataset else H5Group
            current = kind(self.file, target, name)
        return current


class H5Dataset:
    """A dataset: `shape` (tuple), `stored` (a NumPy dtype, or "bfloat16"), and `read`, which checks before it reads."""

    def __init__(self, file, address, name):
        self.file = file
        self.path = file.path
        self.name = name
        self._header = file.object(address)
        self._buffer = self._header.msg_data
        self._describe()

    @_only_format_errors
    def _describe(self):
        if self._header.find_msg_type(_EXTERNAL):
            raise FileFormatError(f"dataset '/{self.name}' is stored in an external file; that is refused")
        offset = self._message(_DATASPACE)
        rank = self._buffer[offset + 1]
        version, kind = self._buffer[offset], self._buffer[offset + 3]
        if version not in (1, 2) or rank > _MAX_RANK or (version == 2 and kind == 2):
            raise FileFormatError(f"dataset '/{self.name}' has no usable shape")
        self.shape = struct.unpack_from(f"<{rank}Q", self._buffer, offset + (8 if version == 1 else 4))
        self.stored = number_type(self._buffer, self._message(_DATATYPE), self._says_bfloat16)
        if self.stored is None:
            raise FileFormatError(f"dataset '/{self.name}' does not hold plain numbers")
        layout = self._message(_LAYOUT)
        version, kind = self._buffer[layout], self._buffer[layout + 1]
        if kind == 3 and version >= 4:
            raise FileFormatError(f"dataset '/{self.name}' is a virtual dataset; that is refused")
        if version not in (3, 4) or kind not in (0, 1, 2) or (kind == 2 and version == 4):
            storage = _LAYOUT_NAMES.get(kind, "unknown")
            raise FileFormatError(f"dataset '/{self.name}' has {storage} storage of version {version}, unknown here")
        self._kind, self._layout = kind, layout + 2

    def _message(self, kind):
        messages = self._header.find_msg_type(kind)
        if len(messages) != 1 or messages[0]["flags"] & _SHARED_MESSAGE:
            raise FileFormatError(f"dataset '/{self.name}' has {len(messages)} headers of kind {kind}, or a shared one")
        return messages[0]["offset_to_message"]

    def _says_bfloat16(self):
        return _plain(self._header.get_attributes().get("dtype")) == "bfloat16"

    @_only_format_errors
    def read(self, shape):
        """The values, an array of `shape` (bfloat16 comes as float32).

        Raises FileFormatError when the dataset's shape is not `shape`, before anything is read or allocated, when its
        storage is not all in the file, or when its chunks do not expand to exactly their size.
        """
        shape = tuple(int(size) for size in shape)
        if self.shape != shape:
            raise FileFormatError(f"dataset '/{self.name}' has shape {self.shape}, the model wants {shape}")
        dtype = np.dtype("<u2") if self.stored == "bfloat16" else self.stored
        size = math.prod(shape) * dtype.itemsize
        if size == 0:
            return np.zeros(shape, np.float32 if self.stored == "bfloat16" else dtype.newbyteorder("="))
        if self._kind == 2:
            values = read_chunks(self.file.handle, self._header, self._layout, shape, dtype)
        else:
            values = np.frombuffer(self._bytes(size), dtype).reshape(shape)
        if self.stored == "bfloat16":
            # bfloat16 is the upper half of a float32.
            return (values.astype(np.uint32) << 16).view(np.float32)
        return values.astype(dtype.newbyteorder("="), copy=False)

    def _bytes(self, size):
        if self._kind == 0:
            (stored,) = struct.unpack_from("<H", self._buffer, self._layout)
            data = bytes(self._buffer[self._layout + 2 : self._layout + 2 + stored])
        else:
            address, stored = struct.unpack_from("<QQ", self._buffer, self._layout)
            if address == _UNDEFINED:
                raise FileFormatError(f"dataset '/{self.name}' was declared but never written")
            if stored == size:
                return self.file.handle.read_exactly(address, size)
            data = b""
        if stored != size or len(data) != size:
            raise FileFormatError(f"dataset '/{self.name}' stores {stored} bytes where its shape needs {size}")
        return data


def _plain(value):
    """An attribute as pyfive gives it (bytes, arrays of bytes, NumPy numbers) -> str, number or list of them."""
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value.tolist()]
    if isinstance(value, bytes):
        return value.split(b"\x00", 1)[0].decode("utf-8")
    return value.item() if isinstance(value, np.generic) else value

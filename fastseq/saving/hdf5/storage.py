"""Where a dataset's values stand (IV.A.2.i, the layout message), and reading them.

Nothing is allocated on the file's word: the caller has checked the shape, and the storage must fill it exactly.
"""

import math
import struct

import numpy as np

from fastseq.configs import limits
from fastseq.errors import FileFormatError
from fastseq.saving.hdf5.superblock import UNDEFINED

_COMPACT, _CONTIGUOUS, _CHUNKED, _VIRTUAL = 0, 1, 2, 3
_NAMES = {_COMPACT: "compact", _CONTIGUOUS: "contiguous", _CHUNKED: "chunked", _VIRTUAL: "virtual"}


class Storage:
    """The storage of one dataset.

    message: its layout message; pipeline: its filter messages; name: of the dataset, for messages.
    Raises FileFormatError for a virtual dataset and for storage that is not read.
    """

    def __init__(self, message, pipeline, name):
        self._message, self._pipeline, self._name = message, pipeline, name
        self._version, self._kind = struct.unpack_from("<BB", message)
        if self._kind == _VIRTUAL and self._version >= 4:
            raise FileFormatError(f"dataset '/{name}' is a virtual dataset; that is refused")
        if self._version not in (3, 4) or self._kind not in (_COMPACT, _CONTIGUOUS, _CHUNKED):
            what = _NAMES.get(self._kind, "unknown")
            raise FileFormatError(f"dataset '/{name}' has {what} storage of version {self._version}, unknown here")

    def read(self, handle, shape, dtype):
        """The values, a new array of `shape` and `dtype`, at least one."""
        if self._kind == _CHUNKED:
            return self._chunked(handle, shape, dtype)
        size = math.prod(shape) * dtype.itemsize
        if self._kind == _COMPACT:
            (stored,) = struct.unpack_from("<H", self._message, 2)
            data = self._message[4 : 4 + stored]
            self._check_size(size, stored, len(data))
            return np.frombuffer(data, dtype).reshape(shape).copy()
        address, stored = struct.unpack_from("<QQ", self._message, 2)
        if address == UNDEFINED:
            raise FileFormatError(f"dataset '/{self._name}' was declared but never written")
        self._check_size(size, stored, stored)
        handle.check_place(address, size)
        # Straight into the array that the weight will be: bytes in between would double what loading takes.
        values = np.empty(shape, dtype)
        handle.read_into(address, memoryview(values.reshape(-1).view(np.uint8)))
        return values

    def _check_size(self, size, stored, there):
        if not size == stored == there:
            raise FileFormatError(f"dataset '/{self._name}' stores {stored} bytes where its shape needs {size}")

    def _grid(self, sizes, shape, dtype):
        """The chunks.Grid of chunks of `sizes`, the last of which is an item's."""
        *chunk, item_size = sizes
        if len(chunk) != len(shape):
            raise FileFormatError(f"a dataset of rank {len(shape)} has chunks of rank {len(chunk)}")
        if item_size != dtype.itemsize or not all(chunk):
            raise FileFormatError(f"a dataset has chunks of shape {tuple(chunk)} and items of {item_size} bytes")
        from fastseq.saving.hdf5 import chunks

        counts = tuple(-(-size // step) for size, step in zip(shape, chunk))
        grid = chunks.Grid(shape, tuple(chunk), counts, math.prod(chunk) * item_size)
        # h5py's own chunks are no larger than the dataset, so padding stays below 2 per axis.
        if math.prod(counts) * grid.size > 8 * math.prod(shape) * item_size + (1 << 20):
            raise FileFormatError(f"a dataset of shape {shape} has far larger chunks, {tuple(chunk)}")
        return grid

    def _places(self, handle, shape, dtype, filtered):
        """(chunks.Grid, dict corner -> chunks.Chunk)."""
        from fastseq.saving.hdf5 import chunks

        message = self._message
        handle.allow(limits.GROUP_READS, limits.GROUP_BYTES)
        if self._version == 3:
            # Version, kind, rank and one, the tree's address, sizes of a chunk.
            rank, address = struct.unpack_from("<BQ", message, 2)
            grid = self._grid(struct.unpack_from(f"<{rank}I", message, 11), shape, dtype)
            return grid, chunks.of_tree(handle, address, grid)
        # Version, kind, flags, rank and one, bytes of a size, sizes of a chunk, kind of index ...
        flags, rank, width = struct.unpack_from("<BBB", message, 2)
        end = 5 + rank * width
        if not 1 <= width <= 8 or end >= len(message):
            raise FileFormatError("it is damaged: a dataset's chunks have no sizes")
        grid = self._grid([int.from_bytes(message[at : at + width], "little") for at in range(5, end, width)], shape,
                          dtype)  # fmt: skip
        return grid, chunks.of_index(handle, message, end, flags, grid, filtered)

    def _chunked(self, handle, shape, dtype):
        """Every chunk must be there, once, and expand to exactly the chunk's size."""
        # Imported here, as Keras's own files have no chunks.
        from fastseq.saving.hdf5 import filters

        pipeline = filters.parse(self._pipeline)
        grid, places = self._places(handle, shape, dtype, bool(pipeline))
        whole = math.prod(grid.counts)
        if len(places) != whole or not all(corner in places for corner in grid.corners()):
            raise FileFormatError(f"{whole} chunks should make up a dataset, {len(places)} others are there")
        values = np.empty(shape, dtype)
        for corner, chunk in places.items():
            # Deflate grows incompressible data by 5 bytes per 16 KB at most.
            if chunk.size > grid.size + grid.size // 1000 + 1024:
                raise FileFormatError(f"a chunk of {grid.size} bytes is stored in {chunk.size}")
            inside = tuple(slice(a, min(a + n, size)) for a, n, size in zip(corner, grid.chunk, shape))
            mask = chunk.mask | self._unfiltered(inside, grid)
            data = bytes(handle.read_exactly(chunk.address, chunk.size))
            data = filters.undo(data, pipeline, mask, grid.size, dtype.itemsize)
            block = np.frombuffer(data, dtype).reshape(grid.chunk)
            values[inside] = block[tuple(slice(0, s.stop - s.start) for s in inside)]
        return values

    def _unfiltered(self, inside, grid):
        """All bits where a chunk at the edge was not filtered, by a flag of version 4."""
        if self._version == 3 or not self._message[2] & 1:
            return 0
        edge = any(s.stop - s.start < step for s, step in zip(inside, grid.chunk))
        return 0xFFFFFFFF if edge else 0

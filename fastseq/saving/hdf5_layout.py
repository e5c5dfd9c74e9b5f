"""How an HDF5 dataset's values stand in the file: number types and compressed chunks.

Format: https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html, IV.A.2.d (datatype), IV.A.2.i (layout),
III.A.1 (chunk tree).
"""

import itertools
import math
import struct
import zlib

import numpy as np

from fastseq.errors import FileFormatError
from fastseq.saving import limits

_FIXED_POINT, _FLOATING_POINT, _OPAQUE = 0, 1, 5
# bit offset, precision, exponent position and size, mantissa position and size, exponent bias
_IEEE = {
    2: (0, 16, 10, 5, 0, 10, 15),
    4: (0, 32, 23, 8, 0, 23, 127),
    8: (0, 64, 52, 11, 0, 52, 1023),
}
_BFLOAT16 = (0, 16, 7, 8, 0, 7, 127)
_DEFLATE, _SHUFFLE, _FLETCHER32 = 1, 2, 3


def number_type(buffer, offset, says_bfloat16):
    """NumPy dtype of the datatype message at `offset`, "bfloat16", or None for anything but plain numbers.

    says_bfloat16: called for two opaque bytes, which is how Keras stores bfloat16 (beside an attribute that says so).
    """
    head, bits, _, _, size = struct.unpack_from("<BBBBI", buffer, offset)
    kind = head & 15
    order = ">" if bits & 1 else "<"
    if kind == _FIXED_POINT and size in (1, 2, 4, 8):
        if struct.unpack_from("<HH", buffer, offset + 8) == (0, 8 * size):
            return np.dtype(f"{order}{'i' if bits & 8 else 'u'}{size}")
    elif kind == _FLOATING_POINT and size in _IEEE and not bits & 64:
        layout = struct.unpack_from("<HHBBBBI", buffer, offset + 8)
        if layout == _IEEE[size]:
            return np.dtype(f"{order}f{size}")
        if layout == _BFLOAT16 and order == "<":
            return "bfloat16"
    elif kind == _OPAQUE and size == 2 and says_bfloat16():
        return "bfloat16"
    return None


def read_chunks(handle, header, layout, shape, dtype):
    """Values of a chunked dataset, array of `shape`.

    handle: limits.Metered; header: pyfive's object header; layout: offset of the layout message's body in it.
    Every chunk must be there, once, and expand to exactly the chunk's size: nothing is allocated on a header's word.
    """
    from pyfive.btree import BTreeV1RawDataChunks

    rank, address = struct.unpack_from("<BQ", header.msg_data, layout)
    if rank != len(shape) + 1:
        raise FileFormatError(f"a dataset of rank {len(shape)} has chunks of rank {rank - 1}")
    *chunk, item_size = struct.unpack_from(f"<{rank}I", header.msg_data, layout + 9)
    if item_size != dtype.itemsize or not all(chunk):
        raise FileFormatError(f"a dataset has chunks of shape {tuple(chunk)} and items of {item_size} bytes")
    counts = [-(-size // step) for size, step in zip(shape, chunk)]
    chunk_size = math.prod(chunk) * item_size
    whole = math.prod(shape) * item_size
    # h5py's own chunks are no larger than the dataset, so padding stays below 2 per axis.
    if math.prod(counts) * chunk_size > 8 * whole + (1 << 20):
        raise FileFormatError(f"a dataset of shape {shape} has far larger chunks, {tuple(chunk)}")
    filters = header.filter_pipeline or []
    for entry in filters:
        if entry["filter_id"] not in (_DEFLATE, _SHUFFLE, _FLETCHER32):
            raise FileFormatError(f"a dataset uses filter {entry['filter_id']}; gzip, shuffle and fletcher32 are read")
    handle.allow(limits.GROUP_READS, limits.GROUP_BYTES)
    tree = BTreeV1RawDataChunks(handle, address, rank)
    places = {}
    for node in tree.all_nodes.get(0, []):
        for key, place in zip(node["keys"], node["addresses"]):
            places[key["chunk_offset"][:-1]] = (place, key["chunk_size"], key["filter_mask"])
    corners = list(itertools.product(*[range(0, count * step, step) for count, step in zip(counts, chunk)]))
    if set(places) != set(corners):
        raise FileFormatError(f"{len(corners)} chunks should make up a dataset, {len(places)} others are there")
    values = np.empty(shape, dtype)
    for corner in corners:
        place, stored, mask = places[corner]
        # Deflate grows incompressible data by 5 bytes per 16 KB at most.
        if stored > chunk_size + chunk_size // 1000 + 1024:
            raise FileFormatError(f"a chunk of {chunk_size} bytes is stored in {stored}")
        data = _unfilter(handle.read_exactly(place, stored), filters, mask, chunk_size, item_size)
        block = np.frombuffer(data, dtype).reshape(chunk)
        inside = tuple(slice(start, min(start + step, size)) for start, step, size in zip(corner, chunk, shape))
        values[inside] = block[tuple(slice(0, s.stop - s.start) for s in inside)]
    return values


def _unfilter(data, filters, mask, size, item_size):
    """A chunk's bytes with its filters undone, the last one first; exactly `size` of them."""
    for index in range(len(filters) - 1, -1, -1):
        if mask & (1 << index):
            continue
        kind = filters[index]["filter_id"]
        if kind == _DEFLATE:
            # 4 bytes more for a checksum that an earlier filter may have put behind the chunk.
            data = zlib.decompressobj().decompress(data, size + 5)
            if len(data) > size + 4:
                raise FileFormatError(f"a compressed chunk expands to more than its {size} bytes")
        elif kind == _SHUFFLE:
            whole = len(data) - len(data) % item_size
            planes = np.frombuffer(data, np.uint8, whole).reshape(item_size, -1)
            data = planes.T.tobytes() + data[whole:]
        else:
            _check_fletcher32(data)
            data = data[:-4]
    if len(data) != size:
        raise FileFormatError(f"a chunk holds {len(data)} bytes where its shape needs {size}")
    return data


def _check_fletcher32(data):
    """Raises FileFormatError where the last 4 bytes are not Fletcher's checksum of the others (16-bit words)."""
    words = np.frombuffer(data[:-4] + bytes(len(data) % 2), "<u2").astype(np.uint64)
    # Each word counts once in the first sum and, in the second, once per word from it to the end.
    weights = np.arange(len(words), 0, -1, dtype=np.uint64) % 65535
    sums = int(words.sum()) % 65535, int((weights * words).sum()) % 65535
    if len(data) < 4 or sums != tuple(word % 65535 for word in struct.unpack(">HH", data[-4:])):
        raise FileFormatError("a chunk's checksum is wrong")

"""How much a model file may ask for, and what holds it to that: a metered file handle and a JSON reader."""

import json

from fastseq.errors import FileFormatError

# Keras's own config.json: 1 KB per layer, so 16 MB is a model of about 16 000 layers.
CONFIG_BYTES = 16 << 20
METADATA_BYTES = 1 << 20
# Functional nests about 5 levels of JSON per nested model; Python's own recursion limit is 1000 frames.
JSON_DEPTH = 200
LAYERS_PER_MODEL = 10_000
# A layer's config holds about 8 serialized objects (dtype policy, initializers ...).
OBJECTS_PER_CONFIG = 200_000
# Deflate reaches 1032:1; trained weights reach 1.1:1 and configs 30:1.
ZIP_RATIO = 100
ZIP_RATIO_FLOOR = 1 << 20
# One entry of a zip directory is about 60 bytes; Keras writes 3 of them and one per asset.
ZIP_DIRECTORY_BYTES = 1 << 20
# One HDF5 object header or attribute value: libhdf5 itself stops at 64 KB per header message.
HEADER_READS = 2_000
HEADER_BYTES = 4 << 20
# The links of one group: a read for every 8 to 64 of them.
GROUP_READS = 200_000
GROUP_BYTES = 64 << 20
# An optimizer's variables are in the file uncompressed, or compressed as trained weights are.
STATE_FLOOR = 64 << 20
STATE_RATIO = 20
# Whole file: a loop in its trees ends here, after about a second.
FILE_READS = 1_000_000


class Opened:
    """A file that is open, as `_raw`, until `close()` or the end of a `with` statement."""

    def close(self):
        self._raw.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


class Metered:
    """A read-only view of a binary file that never reads past the end and stops when a budget is used up.

    handle: binary file object; path: its name for messages; content: the bytes of all of it where they are in memory,
    of which `read_exactly` gives views.
    Raises FileFormatError when a budget set with `allow` is used up or a position is impossible.
    """

    def __init__(self, handle, path, content=None):
        self._handle = handle
        self._content = None if content is None else memoryview(content)
        self.path = path
        self.size = handle.seek(0, 2)
        self._total_reads = FILE_READS + self.size // 64
        self._total_bytes = (64 << 20) + 8 * self.size
        self.allow(HEADER_READS, HEADER_BYTES)

    def allow(self, reads, size):
        """Starts a new budget: at most `reads` further reads of at most `size` bytes together."""
        self._reads, self._bytes = reads, size

    def _charge(self, reads, size):
        self._reads -= reads
        self._bytes -= size
        self._total_reads -= reads
        self._total_bytes -= size
        if self._reads < 0 or self._bytes < 0 or self._total_reads < 0 or self._total_bytes < 0:
            raise FileFormatError(
                "its directory or header is far larger than a model's can be, or runs in circles", path=self.path
            )

    def spend(self, size):
        """Charges the budget for `size` bytes that come without reading: what Python keeps, and what is read again."""
        self._charge(0, size)

    def peek(self, offset, size):
        """Up to `size` bytes from `offset`, as many as there are, within the budget."""
        size = max(min(size, self.size - offset), 0)
        self._charge(1, size)
        return self._take(offset, size) if size else b""

    def read_at(self, offset, size):
        """`size` bytes from `offset`, within the budget. Raises FileFormatError where they are not all there."""
        if offset + size > self.size:
            raise FileFormatError(
                f"it is damaged or truncated: {size} bytes should stand at byte {offset}, the file has {self.size}",
                path=self.path,
            )
        self._charge(1, size)
        return self._checked(offset, size)

    def _take(self, offset, size):
        self._handle.seek(offset)
        return self._handle.read(size)

    def read_exactly(self, offset, size):
        """`size` bytes from `offset`, outside the budget: for weights, whose size the caller has checked.

        Bytes, or a view of the content.
        """
        self.check_place(offset, size)
        if self._content is not None:
            return self._content[offset : offset + size]
        return self._checked(offset, size)

    def read_into(self, offset, target):
        """Fills `target`, a writable buffer of bytes, from `offset`; as `read_exactly`, without bytes in between."""
        size = len(target)
        self.check_place(offset, size)
        if self._content is not None:
            target[:] = self._content[offset : offset + size]
            return
        self._handle.seek(offset)
        self._check_count(self._handle.readinto(target), offset, size)

    def check_place(self, offset, size):
        """Raises FileFormatError where the file has no `size` bytes at `offset`."""
        if offset < 0 or offset + size > self.size:
            raise FileFormatError(
                f"it is truncated: {size} bytes should stand at byte {offset}, the file has {self.size}", path=self.path
            )

    def _checked(self, offset, size):
        data = self._take(offset, size)
        self._check_count(len(data), offset, size)
        return data

    def _check_count(self, count, offset, size):
        if count != size:
            raise FileFormatError(f"it is truncated: only {count} of {size} bytes at byte {offset}", path=self.path)


class Section:
    """`size` bytes of a larger file from byte `start` on, as a binary file of their own.

    handle: the larger file's Metered, which stays open as long as this is read. Raises FileFormatError, for the larger
    file, where it ends before.
    """

    def __init__(self, handle, start, size):
        handle.check_place(start, size)
        self._handle, self._start, self._size, self._at = handle, start, size, 0

    def seek(self, offset, whence=0):
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def read(self, size=-1):
        left = max(0, self._size - self._at)
        size = left if size < 0 else min(size, left)
        data = bytes(self._handle.read_exactly(self._start + self._at, size))
        self._at += size
        return data

    def readinto(self, target):
        size = min(len(target), max(0, self._size - self._at))
        self._handle.read_into(self._start + self._at, target[:size])
        self._at += size
        return size

    def close(self):
        """The larger file stays open: it is not ours."""


def parse_json(text, what, path):
    """JSON text (bytes or str) -> Python data, or FileFormatError.

    NaN and Infinity are read as floats, as Keras writes them (a mask_value may be one); a size that is NaN is refused
    by the layer that gets it. Depth, number of layers and number of objects are limited (see the constants).
    """
    if len(text) > CONFIG_BYTES:
        raise FileFormatError(f"its {what} has {len(text)} bytes, more than any model needs", path=path)
    try:
        # UTF-8 alone, as Keras writes it: json would guess, and import what others need.
        data = json.loads(text.removeprefix(b"\xef\xbb\xbf").decode() if isinstance(text, bytes) else text)
    except RecursionError:
        raise FileFormatError(f"its {what} is nested too deeply", path=path) from None
    except (ValueError, UnicodeDecodeError) as error:
        raise FileFormatError(f"its {what} is not JSON: {str(error)[:200]}", path=path) from None
    check_size(data, what, path)
    return data


def check_size(data, what, path):
    """Raises FileFormatError where a config is nested deeper, or holds more layers or objects, than a model can."""
    level, depth, objects = [data], 0, 0
    while level:
        depth += 1
        if depth > JSON_DEPTH:
            raise FileFormatError(f"its {what} is nested more than {JSON_DEPTH} levels deep", path=path)
        below = []
        for item in level:
            if isinstance(item, dict):
                objects += "class_name" in item
                layers = item.get("layers")
                if isinstance(layers, list) and len(layers) > LAYERS_PER_MODEL:
                    raise FileFormatError(
                        f"its {what} has a model of {len(layers)} layers, the limit is {LAYERS_PER_MODEL}", path=path
                    )
                below.extend(value for value in item.values() if isinstance(value, (dict, list)))
            elif isinstance(item, list):
                below.extend(value for value in item if isinstance(value, (dict, list)))
        if objects > OBJECTS_PER_CONFIG:
            raise FileFormatError(f"its {what} holds more than {OBJECTS_PER_CONFIG} objects", path=path)
        level = below

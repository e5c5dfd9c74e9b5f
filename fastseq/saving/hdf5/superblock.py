"""The file's head (II.A: Disk Format Level 0A, the superblock)."""

import struct

from fastseq.errors import FileFormatError
from fastseq.saving.hdf5 import checksum

SIGNATURE = b"\x89HDF\r\n\x1a\n"
# "There is nothing": an address of all ones.
UNDEFINED = 0xFFFFFFFFFFFFFFFF


def read_root(handle):
    """Address of the root group's object header.

    Raises FileFormatError where it is no HDF5, truncated, behind a user block, or has other addresses than of 8 bytes.
    """
    head = handle.peek(0, 100)
    if head[:8] != SIGNATURE:
        raise FileFormatError("it is not an HDF5 file")
    version = head[8] if len(head) > 8 else None
    if version in (0, 1):
        # Versions of parts (4), sizes of addresses and lengths, group tree sizes, flags; in version 1 a chunk tree's.
        sizes = head[13:15]
        base, _, end, _, _, root = struct.unpack_from("<6Q", head, 24 if version == 0 else 28)
    elif version in (2, 3):
        sizes = head[9:11]
        base, _, end, root = struct.unpack_from("<4Q", head, 12)
        checksum.check(handle, head[:48], "its superblock")
    else:
        raise FileFormatError(f"it is damaged, or HDF5 of a later version (superblock {version})")
    if sizes != b"\x08\x08":
        raise FileFormatError(f"its addresses and lengths take {list(sizes)} bytes; h5py and Keras write 8")
    if base != 0:
        raise FileFormatError("it has a user block before the HDF5 data")
    if end > handle.size:
        raise FileFormatError(f"it is truncated: {handle.size} of {end} bytes are there")
    return root

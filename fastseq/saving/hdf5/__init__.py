"""Reads the HDF5 that Keras writes, as data, in pure Python and NumPy: no byte of a model file goes through libhdf5.

    file.py        what the rest of fastseq sees: groups by explicit path, text attributes, numeric datasets
    superblock.py  the file's head
    header.py      object headers: the messages that say what a group or dataset is
    links.py       the members of a group, old style (symbol tables) and new style (link messages)
    attributes.py  attributes, beside the object or dense in a heap
    types.py       dataspaces and datatypes
    storage.py     where a dataset's values stand, and reading them
    chunks.py      where the chunks of a chunked dataset stand
    filters.py     gzip, shuffle and Fletcher's checksum
    btree.py       B-trees, version 1 and 2
    heaps.py       local heaps (names of old groups) and global heaps (texts of variable length)
    fractal.py     fractal heaps (members and attributes of new-style objects with many)
    checksum.py    the checksum of the newer structures

Names in brackets are those of the HDF5 File Format Specification, version 3:
https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html

Rules: whatever is read passes `limits.Metered`, which refuses what lies behind the end of the file and stops what runs
in circles; every count and size is checked against the bytes that are there before anything is done with it; what
memory is taken for a file's entries is charged (`Metered.spend`); nothing recurses. External links, files and virtual
datasets, soft links and whatever else leads away from a named place are refused.
"""

from fastseq.saving.hdf5.file import H5Dataset, H5File, H5Group

__all__ = ["H5Dataset", "H5File", "H5Group"]

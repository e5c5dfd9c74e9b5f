from libc.stdint cimport int64_t

cimport numpy as cnp

from fastseq.native._program cimport NativeProgram

cdef class CacheEntry:
    cdef readonly object program    # None where there is nothing to run
    cdef readonly object structure, with_masks
    cdef int64_t used


cdef class PlainPrograms:
    cdef list kept
    cdef dict entries
    cdef int64_t clock              # counts uses
    cdef readonly int64_t epoch     # counts how often all were forgotten

    cdef int drop_oldest(self) except -1
    cdef NativeProgram find(self, int way, cnp.ndarray x, cnp.ndarray mask)

from libc.stdint cimport int64_t

cimport numpy as cnp

from fastseq.native._native cimport Workspace, fs_failure

cdef struct Spec:
    int type_number
    int ndim
    cnp.npy_intp *dims


cdef class NativeProgram:
    cdef list segments
    cdef readonly int64_t arena_size
    cdef int input_count, output_count
    cdef Spec *specs            # of the inputs, then of the results
    cdef cnp.npy_intp *dims     # what the specs point into
    cdef bint computes          # False where all results are empty: there is nothing to run
    cdef const char *isa        # the instruction set it was made for
    cdef object form            # of what a plain call returns: None for one array, else list or tuple
    cdef list keeps             # the arrays that layers keep between calls and a run changes; None without
    cdef int64_t used           # when a plain call ran it last, by its cache's clock
    cdef Workspace spare        # free workspaces: one at hand, and those that more threads at once have made
    cdef list spares

    cdef object new_result(self, int number)
    cdef Workspace take(self)
    cdef int give_back(self, Workspace workspace) except -1
    cdef int bind(self, Workspace workspace, int number, value) except -1
    cdef int execute(self, tuple inputs, tuple results) except -1
    cdef object call_plain(self, cnp.ndarray x)
    cdef object error_of(self, int status, Py_ssize_t segment, fs_failure *failure)


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
    cdef NativeProgram find(self, cnp.ndarray x)

from libc.stdint cimport int64_t

cimport numpy as cnp

from fastseq._native cimport Workspace, fs_failure

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
    cdef Workspace spare        # free workspaces: one at hand, and those that more threads at once have made
    cdef list spares

    cdef object new_result(self, int number)
    cdef Workspace take(self)
    cdef int give_back(self, Workspace workspace) except -1
    cdef int bind(self, Workspace workspace, int number, value) except -1
    cdef int execute(self, tuple inputs, tuple results) except -1
    cdef object call_plain(self, cnp.ndarray x)
    cdef object error_of(self, int status, Py_ssize_t segment, fs_failure *failure)


cdef class PlainPrograms:
    cdef list kept

    cdef NativeProgram find(self, cnp.ndarray x)

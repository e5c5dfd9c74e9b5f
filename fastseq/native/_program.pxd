from libc.stdint cimport int64_t

cimport numpy as cnp

from fastseq.native._native cimport Workspace, fs_failure

cdef struct Spec:
    int type_number
    int ndim
    cnp.npy_intp *dims


cdef inline bint is_like(cnp.ndarray array, Spec *spec) noexcept:
    cdef cnp.npy_intp *dims = cnp.PyArray_DIMS(array)
    cdef int i, ndim = spec.ndim
    if cnp.PyArray_NDIM(array) != ndim:
        return False
    for i in range(ndim):
        if dims[i] != spec.dims[i]:
            return False
    # NumPy has two numbers for int32 where `long` has 32 bits.
    return (cnp.PyArray_TYPE(array) == spec.type_number
            or cnp.PyArray_EquivTypenums(cnp.PyArray_TYPE(array), spec.type_number))


cdef class NativeProgram:
    cdef list segments
    cdef list python_steps      # a PythonStep beside each None among the segments; None without
    cdef readonly int64_t arena_size
    cdef int input_count, output_count
    cdef Spec *specs            # of the inputs, then of the results
    cdef cnp.npy_intp *dims     # what the specs point into
    cdef bint computes          # False where all results are empty: there is nothing to run
    cdef const char *isa        # the instruction set it was made for
    cdef int64_t ways           # the bits of the ways of calling (`read_way`) that find it without Python
    cdef object form            # of what such a call returns: None for one array, else list or tuple
    cdef list with_masks        # None, or whether each of the arrays that it returns carries a mask
    cdef object put_mask        # (array, mask) -> the array that carries the mask
    cdef list keeps             # the arrays that layers keep between calls and a run changes; None without
    cdef int64_t used           # when a plain call ran it last, by its cache's clock
    cdef Workspace spare        # free workspaces: one at hand, and those that more threads at once have made
    cdef list spares

    cdef object new_result(self, int number)
    cdef Workspace take(self)
    cdef int give_back(self, Workspace workspace) except -1
    cdef int bind(self, Workspace workspace, int number, value) except -1
    cdef int execute(self, tuple inputs, tuple results) except -1
    cdef int run_segments(self, Workspace workspace, int threads) except -1
    cdef object call_plain(self, cnp.ndarray x, cnp.ndarray mask)
    cdef list carry_masks(self, list arrays)
    cdef object error_of(self, int status, Py_ssize_t segment, fs_failure *failure)


cdef struct Place:
    int64_t which           # number of the array that a run binds, -1 for the arena, -2 for a constant
    int64_t offset          # in bytes; of a constant: its address
    int64_t nbytes
    Spec spec


cdef class PythonStep:
    cdef object name, function, flatten
    cdef list constants         # keeps the arrays alive whose addresses are in `places`
    cdef Place *places          # of the inputs, then of the results
    cdef cnp.npy_intp *dims     # what the places point into
    cdef int input_count, output_count

    cdef int run(self, Workspace workspace) except -1
    cdef char *address(self, Place *place, Workspace workspace) noexcept
    cdef int write(self, found, Workspace workspace) except -1

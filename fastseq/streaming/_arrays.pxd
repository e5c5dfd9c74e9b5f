"""What arrays have to be that a step reads without a look by Python."""

cimport numpy as cnp


cdef inline bint fits(cnp.ndarray array, int ndim, cnp.npy_intp *wanted, int type_number) noexcept:
    cdef cnp.npy_intp *dims = cnp.PyArray_DIMS(array)
    cdef int i
    if cnp.PyArray_NDIM(array) != ndim or cnp.PyArray_TYPE(array) != type_number:
        return False
    for i in range(ndim):
        if dims[i] != wanted[i]:
            return False
    return True

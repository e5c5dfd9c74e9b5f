cimport numpy as cnp
from cpython.object cimport PyObject

cdef struct Entry:
    PyObject *array    # a reference of its own
    char *old          # what it held
    Entry *before


cdef struct Scope:
    Entry *entries
    Scope *outer


cdef int traces  # how many calls are traced at the moment, in all threads

cdef void begin(Scope *scope) noexcept
cdef int end(Scope *scope) except -1
cdef int check_signals() except -1
cdef void fail(Scope *scope) noexcept
cdef void leave(Scope *scope) noexcept
cdef int note(cnp.ndarray array) except -1
cdef int note_all(list arrays) except -1
cdef Scope *suspend() noexcept
cdef void resume(Scope *scope) noexcept

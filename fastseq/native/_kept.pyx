"""A log of what a call overwrites: where the call ends with an exception, what layers keep between calls goes back.

A call opens a `Scope`; whoever is about to write to a kept array says so (`note`), and the scope copies it, once. Where
an exception ends the call, the copies go back, and where the call ends well, an outer one takes them over. A call that
keeps nothing notes nothing and pays for two stores.

Python runs signal handlers between bytecodes, and there an exception may come at any place. So the frame that opens a
scope is C: once its function has returned, and what signals are pending has been handled (`end`), nothing comes between
that and the caller's own frame. A `with` or a `try` in Python has such places behind its end.
"""

import functools

from cpython.exc cimport PyErr_CheckSignals
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

cimport numpy as cnp

cnp.import_array()

cdef extern from *:
    """
    static _Thread_local void *fs_scope; /* Scope of the call that runs on this thread, or NULL */
    """
    void *fs_scope


cdef inline Scope *here() noexcept:
    return <Scope *> fs_scope


cdef inline void set_here(Scope *scope) noexcept:
    global fs_scope
    fs_scope = <void *> scope


cdef void begin(Scope *scope) noexcept:
    scope.entries = NULL
    scope.outer = here()
    set_here(scope)


cdef int end(Scope *scope) except -1:
    """The last thing that may raise in a call that ended well: signals that came while it ran."""
    if scope.entries != NULL:
        check_signals()
    return 0


cdef int check_signals() except -1:
    """Lets Python run its signal handlers; what they call is no part of this call."""
    cdef Scope *scope = suspend()
    try:
        PyErr_CheckSignals()
    finally:
        resume(scope)
    return 0


cdef void fail(Scope *scope) noexcept:
    """Puts back what the call changed."""
    cdef Entry *entry = scope.entries
    while entry != NULL:
        memcpy(cnp.PyArray_DATA(<cnp.ndarray> entry.array), entry.old, cnp.PyArray_NBYTES(<cnp.ndarray> entry.array))
        entry = entry.before
    forget(scope)


cdef void forget(Scope *scope) noexcept:
    cdef Entry *entry
    while scope.entries != NULL:
        entry = scope.entries
        scope.entries = entry.before
        drop(entry)


cdef void drop(Entry *entry) noexcept:
    free(entry.old)
    Py_DECREF(<object> entry.array)
    free(entry)


cdef void leave(Scope *scope) noexcept:
    """Ends the scope. An outer call takes over what this one noted and the outer one did not."""
    cdef Entry *entry
    cdef Scope *outer = scope.outer
    set_here(outer)
    if outer == NULL:
        forget(scope)
        return
    while scope.entries != NULL:
        entry = scope.entries
        scope.entries = entry.before
        if noted(outer, entry.array):
            drop(entry)
        else:
            entry.before = outer.entries
            outer.entries = entry


cdef bint noted(Scope *scope, PyObject *array) noexcept:
    cdef Entry *entry = scope.entries
    while entry != NULL:
        if entry.array == array:
            return True
        entry = entry.before
    return False


cdef int note(cnp.ndarray array) except -1:
    """Notes the values of a C-contiguous kept `array` before they are overwritten. Outside of calls nothing happens."""
    cdef Scope *scope = here()
    cdef Entry *entry
    cdef size_t size = cnp.PyArray_NBYTES(array)
    if scope == NULL or noted(scope, <PyObject *> array):
        return 0
    entry = <Entry *> malloc(sizeof(Entry))
    if entry != NULL:
        entry.old = <char *> malloc(size + 1)
    if entry == NULL or entry.old == NULL:
        free(entry)
        raise MemoryError(f"No memory for a copy of a state of shape {(<object> array).shape}.")
    memcpy(entry.old, cnp.PyArray_DATA(array), size)
    Py_INCREF(array)
    entry.array = <PyObject *> array
    entry.before = scope.entries
    scope.entries = entry
    return 0


cdef int note_all(list arrays) except -1:
    for array in arrays:
        note(<cnp.ndarray> array)
    return 0


cdef Scope *suspend() noexcept:
    cdef Scope *scope = here()
    set_here(NULL)
    return scope


cdef void resume(Scope *scope) noexcept:
    set_here(scope)


cdef object run(function, tuple args, dict kwargs, bint always):
    cdef Scope scope
    begin(&scope)
    try:
        found = function(*args, **kwargs)
        end(&scope)
    except:
        fail(&scope)
        raise
    finally:
        if always:
            fail(&scope)
        leave(&scope)
    return found


def all_or_nothing(function):
    """Decorator: wherever `function` raises, all that layers keep between calls is as it was before."""

    @functools.wraps(function)
    def call(*args, **kwargs):
        return run(function, args, kwargs, False)

    return call


def undone(function, *args, **kwargs):
    """`function(...)`; afterwards all that layers keep between calls is as before, whether it raised or not."""
    return run(function, args, kwargs, True)


def apart(function, *args, **kwargs):
    """`function(...)`, apart from the calls around it: what its calls of layers leave stays, whatever raises later."""
    cdef Scope *scope = suspend()
    try:
        return function(*args, **kwargs)
    finally:
        resume(scope)


def settled(function, *args):
    """`function(...)`; once it has returned, what it changed stays, whatever raises later."""
    cdef Scope *scope = here()
    found = function(*args)
    if scope != NULL:
        forget(scope)
    return found


def settle():
    """Lets what the call has changed so far stay, whatever raises later."""
    cdef Scope *scope = here()
    if scope != NULL:
        forget(scope)


def write(list arrays, list values):
    """Sets C-contiguous kept `arrays` to `values`, arrays of their shapes and dtypes or one number: all or none."""
    cdef cnp.ndarray array, value
    cdef Scope scope
    begin(&scope)
    try:
        note_all(arrays)
        for array, new in zip(arrays, values):
            array[...] = new
        end(&scope)
    except:
        fail(&scope)
        raise
    finally:
        leave(&scope)


def with_attribute(owner, str name, value, function, *args):
    """`function(*args)` while an attribute has another value. As `with_training`, no context manager."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        return function(*args)
    finally:
        setattr(owner, name, before)


def while_traced(owner, str name, value, function, *args):
    """As `with_attribute`, around a call that is traced: `traces` counts them."""
    global traces
    traces += 1
    try:
        return with_attribute(owner, name, value, function, *args)
    finally:
        traces -= 1

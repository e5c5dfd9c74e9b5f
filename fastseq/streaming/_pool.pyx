"""Pools of streams: rows in and out of a batch.

A pool's lock is taken and given back here, and so are its rows: in Python Ctrl-C could come in between.
"""

import numpy as np

cimport numpy as cnp
from cpython.dict cimport PyDict_Next, PyDict_SetItem
from cpython.object cimport PyObject
from libc.string cimport memcpy, memset

from fastseq.native._kept cimport check_signals
from fastseq.streaming._arrays cimport fits

cnp.import_array()


def gather_inputs(dict wanted, dict rows, cnp.ndarray x, cnp.ndarray numbers, tuple row_shape):
    """Copies the rows of `wanted`, {handle: array of row_shape}, one after the other into the batch x; zeros behind.

    numbers (at least len(wanted),) intp: gets each one's row of the pool, by `rows`. Returns False, and x is not to be
    used, where a value is no plain C-contiguous array of x's dtype. Raises KeyError for a handle that is not in rows,
    and for more handles than x has rows.
    """
    cdef cnp.npy_intp *places = <cnp.npy_intp *> cnp.PyArray_DATA(numbers)
    cdef char *target = cnp.PyArray_BYTES(x)
    cdef cnp.npy_intp width = cnp.PyArray_NBYTES(x) // cnp.PyArray_DIM(x, 0)
    cdef cnp.npy_intp[32] dims
    cdef int i, ndim = len(row_shape)
    cdef cnp.npy_intp count = 0
    cdef bint plain = True
    for i in range(ndim):
        dims[i] = row_shape[i]
    for handle, value in wanted.items():
        if count == cnp.PyArray_DIM(x, 0):
            raise KeyError("more handles than rows")
        places[count] = rows[handle]
        if plain:
            plain = (cnp.PyArray_CheckExact(value) and fits(<cnp.ndarray> value, ndim, dims, cnp.PyArray_TYPE(x))
                     and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray> value))
            if plain:
                memcpy(target + count * width, cnp.PyArray_BYTES(<cnp.ndarray> value), width)
        count += 1
    memset(target + count * width, 0, (cnp.PyArray_DIM(x, 0) - count) * width)
    return plain


def move_rows(list pools, list batches, cnp.ndarray numbers, cnp.npy_intp count, bint into_pools):
    """Copies rows of each pool (capacity, ...) by numbers[:count] to the first rows of its batch, or back.

    All in one call, so that Ctrl-C finds all of the states moved or none.
    """
    cdef cnp.npy_intp *places = <cnp.npy_intp *> cnp.PyArray_DATA(numbers)
    cdef cnp.ndarray pool, batch
    cdef cnp.npy_intp width, i
    cdef char *p
    cdef char *q
    for pool, batch in zip(pools, batches):
        width = cnp.PyArray_NBYTES(pool) // cnp.PyArray_DIM(pool, 0)
        p, q = cnp.PyArray_BYTES(pool), cnp.PyArray_BYTES(batch)
        for i in range(count):
            if into_pools:
                memcpy(p + places[i] * width, q + i * width, width)
            else:
                memcpy(q + i * width, p + places[i] * width, width)


def put_results(dict found, cnp.ndarray y):
    """Replaces the values of `found` by views of the first rows of y, in order."""
    cdef PyObject *handle
    cdef PyObject *value
    cdef Py_ssize_t position = 0
    cdef char *source = cnp.PyArray_BYTES(y)
    cdef cnp.npy_intp width = cnp.PyArray_STRIDE(y, 0)
    cdef cnp.ndarray row
    # Keys that are there keep their places while their values change.
    while PyDict_Next(found, &position, &handle, &value):
        row = cnp.PyArray_SimpleNewFromData(cnp.PyArray_NDIM(y) - 1, cnp.PyArray_DIMS(y) + 1, cnp.PyArray_TYPE(y), source)
        cnp.set_array_base(row, y)
        PyDict_SetItem(found, <object> handle, row)
        source += width


def open_row(pool):
    """Opens a stream with the first states.

    Returns:
        Its handle, an int that is never given again.

    Raises:
        RuntimeError: `capacity` streams are open.
    """
    cdef list free_rows
    lock = pool._lock
    numbers, start = np.empty(1, np.intp), pool._first_states()
    lock.acquire()
    try:
        free_rows = pool._free
        if not free_rows:
            raise pool._full_error()
        handle, numbers[0] = pool._next, free_rows[-1]
        move_rows(pool._pool, start, numbers, 1, True)
        pool._rows[handle] = free_rows[-1]
        pool._next = handle + 1  # never given twice, so that a closed handle is known
        free_rows.pop()
    finally:
        lock.release()
    return handle


def close_row(pool, handle):
    """Ends a stream and makes room for another one.

    Args:
        handle (int): What `open` gave.

    Raises:
        KeyError: A handle that is not open.
    """
    lock = pool._lock
    lock.acquire()
    try:
        pool._row(handle)
        pool._free.append(pool._rows.pop(handle))
    finally:
        lock.release()


def step_rows(pool, inputs):
    """One timestep of some streams, as one batch.

    Args:
        inputs (dict): handle -> x, float32 (features,), or an id.

    Returns:
        dict, handle -> y, float32 (outputs,).

    Raises:
        KeyError: A handle that is not open; no stream has then advanced.
        ValueError: An x of another shape; no stream has then advanced.
    """
    cdef dict results = dict(inputs)
    lock = pool._lock
    if not results:
        return results
    lock.acquire()
    try:
        y, before, after = pool._run(results)
        put_results(results, y)
        move_rows(pool._pool, after, pool._numbers, len(results), True)
        # A signal that came meanwhile, as many rows take long to move, must raise here, where it can still be undone.
        try:
            check_signals()
        except:
            move_rows(pool._pool, before, pool._numbers, len(results), True)
            raise
    finally:
        lock.release()
    return results


def reset_row(pool, handle):
    """Sets the states of one stream to the first ones.

    Args:
        handle (int): What `open` gave.

    Raises:
        KeyError: A handle that is not open.
    """
    put_row(pool, handle, pool._first_states())


def set_row(pool, handle, state):
    """Sets one stream's states.

    Args:
        handle (int): What `open` gave.
        state (dict): What `state` gives.

    Raises:
        KeyError: A handle that is not open.
        ValueError: Other names or shapes, and NaN in a recurrent layer's states.
    """
    put_row(pool, handle, pool._checked(state))


def restore_row(pool, handle, saved):
    """Sets one stream's states from bytes.

    Args:
        handle (int): What `open` gave.
        saved (bytes): What `state_bytes` of a pool or of a `Stream` of one row of the same layers gave.

    Raises:
        KeyError: A handle that is not open.
        ValueError: As `Stream.restore`.
    """
    put_row(pool, handle, pool._checked(pool._from_bytes(saved)))


cdef int put_row(pool, handle, list states) except -1:
    """states: arrays (1, ...)."""
    cdef cnp.ndarray number = np.empty(1, np.intp)
    lock = pool._lock
    lock.acquire()
    try:
        number[0] = pool._row(handle)
        before = [np.empty_like(state) for state in states]
        move_rows(pool._pool, before, number, 1, False)
        move_rows(pool._pool, states, number, 1, True)
        try:
            check_signals()
        except:
            move_rows(pool._pool, before, number, 1, True)
            raise
    finally:
        lock.release()
    return 0

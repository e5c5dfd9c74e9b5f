"""The hot path of streams: one timestep into the caller's array, without an allocation and without a Python frame."""

import numpy as np

cimport cython
cimport numpy as cnp
from libc.stdlib cimport calloc, free

from fastseq.native._kept cimport Scope, begin, check_signals, fail, leave
from fastseq.native._native cimport Segment, Workspace, fs_failure, isa_now, threads_now
from fastseq.native._program cimport NativeProgram
from fastseq.streaming._arrays cimport fits

cnp.import_array()


@cython.auto_pickle(False)
cdef class Epoch:
    """Counts how often programs became outdated because a weight changed."""

    cdef public long epoch
    cdef object __weakref__


@cython.auto_pickle(False)
cdef class StreamCore:
    """States in two sets of arrays: a step reads one and writes the other, and they change places when it is done.

    So a step that fails, or meets Ctrl-C, leaves the states as they were. A subclass has `_prepare()`, which calls
    `_bind`, `_one_step(x, out)` for whatever does not run at once, `_steps(x, out)`, and `_busy_error()`.
    """

    cdef NativeProgram program
    cdef Workspace workspace    # its own: the addresses of constants and intermediate arrays stay resolved
    cdef Epoch plans
    cdef long epoch
    cdef const char *isa
    cdef bint plain             # one array in, one array out, one segment: step() runs by itself
    cdef bint long_steps        # step() looks for signals, which costs 0.015 us
    cdef bint busy              # guarded by the GIL
    cdef int parity, state_count, input_count, x_type, y_type
    cdef list arrays            # the two sets, [set 0 ..., set 1 ...]
    cdef list before            # None, or copies of the states, made by a call that advances them several times
    cdef char **addresses       # the addresses of those arrays
    cdef int x_ndim, y_ndim
    cdef cnp.npy_intp[32] x_dims
    cdef cnp.npy_intp[32] y_dims

    def __dealloc__(self):
        free(self.addresses)

    def _own(self, list arrays):
        """arrays: the states, then as many of the same shapes."""
        cdef int i
        self.arrays = arrays
        self.state_count = len(arrays) // 2
        self.addresses = <char **> calloc(max(1, len(arrays)), sizeof(char *))
        if self.addresses == NULL:
            raise MemoryError()
        for i in range(len(arrays)):
            self.addresses[i] = cnp.PyArray_BYTES(<cnp.ndarray> arrays[i])

    def _bind(self, NativeProgram program, Epoch plans, long epoch, inputs, outputs, bint long_steps):
        """inputs, outputs: (shape without the timestep, type number) of each; made at `epoch` of `plans`."""
        cdef int i
        self.program, self.plans, self.epoch, self.isa = program, plans, epoch, program.isa
        self.long_steps = long_steps
        self.input_count = program.input_count
        self.workspace = Workspace(program.arena_size, program.segments, program.input_count + program.output_count)
        self.plain = (len(inputs) == 1 and len(outputs) == 1 and len(program.segments) == 1
                      and program.segments[0] is not None and program.computes)
        (x_shape, self.x_type), (y_shape, self.y_type) = inputs[0], outputs[0]
        self.x_ndim, self.y_ndim = len(x_shape), len(y_shape)
        for i in range(self.x_ndim):
            self.x_dims[i] = x_shape[i]
        for i in range(self.y_ndim):
            self.y_dims[i] = y_shape[i]

    @property
    def _current(self):
        """The arrays of the states as they are now."""
        return self.arrays[self.parity * self.state_count:(self.parity + 1) * self.state_count]

    def _alone(self, function, *arguments):
        """function(*arguments) while no other call is in this stream; if it raises, the states are as they were.

        Not a context manager: between its lines in Python, Ctrl-C could leave the stream in use for ever.
        """
        cdef int parity = self.parity
        cdef Scope scope
        if self.busy:
            raise self._busy_error()
        self.busy = True
        begin(&scope)
        try:
            found = function(*arguments)
            check_signals()
            return found
        except:
            fail(&scope)
            self.parity = parity
            if self.before is not None:
                for state, old in zip(self._current, self.before):
                    state[...] = old
            raise
        finally:
            leave(&scope)
            self.before = None
            self.busy = False

    def _keep(self):
        """Inside `_alone`, ahead of more than one change of the states."""
        self.before = [state.copy() for state in self._current]

    def _replace(self, list states):
        """Inside `_alone`: the states become these."""
        cdef int i, n = self.state_count
        for i in range(n):
            self.arrays[(1 - self.parity) * n + i][...] = states[i]
        self.parity = 1 - self.parity

    cdef bint current(self) noexcept:
        return self.program is not None and self.plans.epoch == self.epoch and self.isa == isa_now()

    def _advance(self, NativeProgram program, tuple inputs, tuple results):
        """Inside `_alone`: runs `program` from these states on and keeps what it leaves."""
        cdef int n = self.state_count
        before = tuple(self.arrays[self.parity * n:(self.parity + 1) * n])
        after = tuple(self.arrays[(1 - self.parity) * n:(2 - self.parity) * n])
        program.execute(inputs + before, results + after)
        check_signals()
        self.parity = 1 - self.parity

    cdef int look_for_signals(self) except -1:
        """Ctrl-C while the kernels ran ends this step, not one that is done."""
        try:
            check_signals()
        except:
            self.busy = False
            raise
        return 0

    def step(self, x, out=None):
        """One timestep: x (B, features), or (B,) ids, to (B, outputs).

        Args:
            x (array): float32, ids int32; several inputs as the model takes them. A C-contiguous array costs no copy.
            out (array, default None): Gets the result, and nothing is allocated then.

        Returns:
            `out`, or a new float32 array (B, outputs); a list for several outputs.

        Raises:
            ValueError: Other shapes, and an `out` that is not writable, C-contiguous and of the output's shape and
                dtype, or shares memory with x.
            RuntimeError: While another thread is in this stream. The states are then what they were.
        """
        cdef Workspace workspace
        cdef fs_failure failure
        cdef cnp.ndarray y
        cdef char **data
        cdef char **states
        cdef int i, n, status, threads
        if self.busy:
            raise self._busy_error()
        if not self.current():
            self._prepare()
        if not (self.plain and cnp.PyArray_CheckExact(x) and fits(<cnp.ndarray> x, self.x_ndim, self.x_dims, self.x_type)
                and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray> x)):
            return self._alone(self._one_step, x, out)
        if out is None:
            y = cnp.PyArray_SimpleNew(self.y_ndim, self.y_dims, self.y_type)
        elif (cnp.PyArray_Check(out) and fits(<cnp.ndarray> out, self.y_ndim, self.y_dims, self.y_type)
                and cnp.PyArray_ISCARRAY(<cnp.ndarray> out) and apart(<cnp.ndarray> x, <cnp.ndarray> out)):
            y = out
        else:
            return self._alone(self._one_step, x, out)
        threads = threads_now()
        # No other thread gets between these lines: the GIL is held until the kernels run.
        if self.busy:
            raise self._busy_error()
        self.busy = True
        workspace, n = self.workspace, self.state_count
        data = workspace.data
        data[0] = cnp.PyArray_BYTES(<cnp.ndarray> x)
        data[self.input_count] = cnp.PyArray_BYTES(y)
        for i in range(n):
            data[1 + i] = self.addresses[self.parity * n + i]
            data[self.input_count + 1 + i] = self.addresses[(1 - self.parity) * n + i]
        status = workspace.run(<Segment> self.program.segments[0], 0, threads, &failure)
        if status == 0:
            if self.long_steps:
                self.look_for_signals()
            self.parity = 1 - self.parity
        self.busy = False
        if status:
            raise self.program.error_of(status, 0, &failure)
        return y

    def steps(self, x, out=None):
        """A chunk of n timesteps, with the same bits as n times `step`. Ctrl-C ends a long one within a second.

        Args:
            x (array): (B, n, features), or ids (B, n).
            out (array, default None): Gets the result, as in `step`.

        Returns:
            `out`, or a new float32 array (B, n, outputs); a list for several outputs.

        Raises:
            ValueError: As `step`; a chunk that fails changes no state.
            RuntimeError: While another thread is in this stream.
        """
        return self._alone(self._steps, x, out)

    # These methods are Cython's, since Ctrl-C could come in a line of Python behind the change.

    def reset(self, rows=None):
        """Sets the states to the first ones.

        Args:
            rows (index, default None): Which rows: an index, a list of them, a slice or a bool array; None is all.

        Raises:
            IndexError: Rows that are not there.
        """
        self._alone(self._reset, slice(None) if rows is None else rows)

    @property
    def state(self):
        """dict: name of a layer -> copies of what it keeps, a list of float32 arrays: a recurrent layer's states, (B,
        units) each, or the last inputs of a layer that reads them again, one array (B, timesteps, ...).

        A layer inside a model has the path "model/layer"; a second call of a layer is called "layer#2". The states of
        an RNN over several cells come cell by cell. Can be set to such a dict, of all the layers.
        Raises ValueError for other names, shapes, and for NaN in a recurrent layer's states.
        """
        return self._named(self._alone(self._copies))

    @state.setter
    def state(self, value):
        self._alone(self._replace, self._checked(value))

    def restore(self, saved):
        """Sets the states from bytes. A stream of batch size 1 and a stream of a pool take each other's.

        Args:
            saved (bytes): What `state_bytes` of a stream of the same layers and batch size gave.

        Raises:
            ValueError: Bytes that are not such, are cut short or changed, states of other layers or shapes, and NaN in
                a recurrent layer's states; the states are then what they were.
        """
        self._alone(self._replace, self._checked(self._from_bytes(saved)))


cdef inline bint apart(cnp.ndarray a, cnp.ndarray b) noexcept:
    cdef char *p = cnp.PyArray_BYTES(a)
    cdef char *q = cnp.PyArray_BYTES(b)
    return p + cnp.PyArray_NBYTES(a) <= q or q + cnp.PyArray_NBYTES(b) <= p

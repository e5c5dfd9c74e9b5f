"""The only door to C: tables of what there is, and programs of native steps that run without the GIL."""

import os
import threading

import numpy as np

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

cimport numpy as cnp

from fastseq.native._kept cimport Scope, resume, suspend

cdef extern from *:
    const char *FASTSEQ_VERSION  # from setup.py
    const char *FASTSEQ_SOURCES

cnp.import_array()

version = FASTSEQ_VERSION.decode()  # of the sources that this extension is built from
sources = FASTSEQ_SOURCES.decode()  # built.sources_in says of what


def operations():
    """dict: operation name -> (number, size of its arguments, {field: (kind, offset, shape text)}).

    With float32 weights, or none, it is the plain name ("dense"); with another form the form follows ("dense_bf16").
    """
    cdef const fs_op_info *info
    cdef int op = 0, i
    kinds = {FS_FIELD_IN: "in", FS_FIELD_OUT: "out", FS_FIELD_INT: "int", FS_FIELD_NUM: "num"}
    found = {}
    while True:
        info = fs_op_table(op)
        if info == NULL:
            return found
        fields = {}
        for i in range(info.field_count):
            fields[info.fields[i].name.decode()] = (
                kinds[info.fields[i].kind], info.fields[i].offset, info.fields[i].shape.decode())
        name = info.name.decode() if info.form == b"f32" else f"{info.name.decode()}_{info.form.decode()}"
        found[name] = (op, info.args_size, fields)
        op += 1


def kinds():
    """dict: family of kinds ("activation", "loss" ...) -> {name: the kernels' number for it}, in the numbers' order."""
    cdef int family = 0
    found = {}
    while fs_kind_family(family) != NULL:
        numbers = {}
        while fs_kind_name(family, len(numbers)) != NULL:
            numbers[fs_kind_name(family, len(numbers)).decode()] = len(numbers)
        found[fs_kind_family(family).decode()] = numbers
        family += 1
    return found


def constants():
    """dict: name of a size that C and Python share, as in src_c/abi/constants.h -> its value."""
    found = {}
    while fs_constant_name(len(found)) != NULL:
        found[fs_constant_name(len(found)).decode()] = fs_constant(len(found))
    return found


def isa_names():
    """Instruction sets compiled in, best first, as (name, whether this machine supports it)."""
    found = []
    while fs_isa_name(len(found)) != NULL:
        found.append((fs_isa_name(len(found)).decode(), bool(fs_isa_supported(len(found)))))
    return found


def select_isa(str name):
    """Makes `name` ("" for the best) the active instruction set; False where it is unknown or not supported."""
    return fs_select_isa(name.encode()) == 0


def active_isa():
    return fs_active_isa().decode()


def kernel_name(int op): return fs_kernel_name(op).decode()
def has_openmp(): return bool(fs_has_openmp())


def recurrent_scratch(int op, int64_t batch, int64_t timesteps, int64_t inputs, int64_t units):
    return fs_recurrent_scratch(op, batch, timesteps, inputs, units)


def recurrent_plan(int op, int64_t batch, int64_t timesteps, int64_t inputs, int64_t units, int threads):
    cdef char text[FS_PLAN_TEXT]
    fs_recurrent_plan_text(op, batch, timesteps, inputs, units, threads, text)
    return text.decode()


cdef class Segment:
    """Native steps that run one after the other in one call without the GIL. Immutable; any thread may run it.

    steps: list of (op number, with_next, {field: (byte offset, value)}) where a value is an int for an integer field,
    a float for a number, and for a pointer None, a NumPy array (constant), or (array number or -1, byte offset).
    last_count: the last so many of them cannot fail, and nothing interrupts them.
    together: whether many small steps go in one parallel region, as pays in training.
    loops, moves, cuts: int64 arrays, a row for each fs_loop, fs_move and fs_cut.
    """

    def __cinit__(self, steps, int64_t last_count=0, bint together=False, loops=(), moves=(), cuts=()):
        cdef const fs_op_info *info
        cdef int64_t total = 0, where, i = 0, patch = 0
        self.step_count = len(steps)
        self.last_count = last_count
        self.together = together
        self.loops, self.moves, self.cuts = loops, moves, cuts
        sizes, patches = [], 0
        for op, _, fields in steps:
            info = fs_op_table(op)
            sizes.append((info.args_size + 15) // 16 * 16)
            total += sizes[-1]
            patches += sum(isinstance(value, tuple) for _, _, value in fields)
        self.arguments_size = total
        self.steps = <fs_step *> calloc(max(1, self.step_count), sizeof(fs_step))
        self.starts = <int64_t *> calloc(max(1, self.step_count), sizeof(int64_t))
        self.arguments = <char *> calloc(1, max(1, total))
        self.patches = <fs_patch *> calloc(max(1, patches), sizeof(fs_patch))
        if not (self.steps and self.starts and self.arguments and self.patches):
            raise MemoryError()
        self.constants = []
        total = 0
        for (op, with_next, fields), size in zip(steps, sizes):
            self.steps[i].op = op
            self.steps[i].with_next = with_next
            self.starts[i] = total
            for kind, offset, value in fields:
                where = total + <int64_t> offset
                if kind == "int":
                    (<int64_t *> (self.arguments + where))[0] = value
                elif kind == "num":
                    (<float *> (self.arguments + where))[0] = value
                elif isinstance(value, tuple):
                    self.patches[patch] = fs_patch(where, value[0], value[1])
                    patch += 1
                elif value is not None:
                    self.constants.append(value)
                    (<uintptr_t *> (self.arguments + where))[0] = <uintptr_t> cnp.PyArray_DATA(value)
            total += size
            i += 1
        self.patch_count = patch
        if len(loops):
            self.looped = fs_looped(
                NULL, NULL, <fs_loop *> cnp.PyArray_DATA(loops), <fs_move *> cnp.PyArray_DATA(moves),
                <fs_cut *> cnp.PyArray_DATA(cuts), self.step_count - last_count, total, len(loops),
            )

    def __dealloc__(self):
        free(self.steps)
        free(self.starts)
        free(self.arguments)
        free(self.patches)


cdef class Workspace:
    """What one run of a program writes to: an arena for intermediate arrays, and per segment resolved arguments.

    arena_size: in bytes; segments: list of Segment, None for a step in Python; array_count: how many arrays a run binds.
    """

    def __cinit__(self, int64_t arena_size, list segments, int64_t array_count):
        cdef Segment segment
        cdef char *arguments
        cdef fs_step *steps
        cdef int64_t i, number = 0
        buffer = np.empty(arena_size + 64, np.uint8)
        start = -buffer.ctypes.data % 64
        self.arena = buffer[start:start + arena_size]
        self.base = <char *> cnp.PyArray_DATA(self.arena)
        self.kept = [segments]
        self.data = <char **> calloc(max(1, array_count), sizeof(char *))
        self.arguments = <char **> calloc(max(1, len(segments)), sizeof(char *))
        if not (self.data and self.arguments):
            raise MemoryError()
        for item in segments:
            if item is not None:
                segment = item
                block = np.empty(segment.arguments_size + segment.step_count * sizeof(fs_step) + 16, np.uint8)
                arguments = <char *> cnp.PyArray_DATA(block)
                steps = <fs_step *> (arguments + segment.arguments_size)
                memcpy(arguments, segment.arguments, segment.arguments_size)
                memcpy(steps, segment.steps, segment.step_count * sizeof(fs_step))
                for i in range(segment.step_count):
                    steps[i].args = arguments + segment.starts[i]
                for i in range(segment.patch_count):
                    if segment.patches[i].which < 0:
                        (<void **> (arguments + segment.patches[i].where))[0] = self.base + segment.patches[i].offset
                self.kept.append(block)
                self.arguments[number] = arguments
            number += 1

    def __dealloc__(self):
        free(self.data)
        free(self.arguments)

    cdef int run(self, Segment segment, Py_ssize_t index, int threads, fs_failure *failure) noexcept:
        """Runs segment number `index` on the arrays at `data`: FS_DONE, FS_FAILED with `failure` filled, or
        FS_INTERRUPTED: then `interruption()` is to be raised."""
        cdef char *arguments = self.arguments[index]
        cdef fs_step *steps = <fs_step *> (arguments + segment.arguments_size)
        cdef fs_patch *patch = segment.patches
        cdef fs_patch *end = patch + segment.patch_count
        cdef int64_t count = segment.step_count - segment.last_count
        cdef int status
        cdef fs_looped looped = segment.looped
        looped.steps, looped.arguments = steps, arguments
        while patch < end:
            if patch.which >= 0:
                (<char **> (arguments + patch.where))[0] = self.data[patch.which] + patch.offset
            patch += 1
        with nogil:
            if looped.loop_count:
                status = fs_run_loops(&looped, threads, failure)
                if segment.last_count and status == FS_DONE:
                    fs_run_to_end(steps + count, segment.last_count, threads)
                return status
            if segment.together:
                return fs_run_together(steps, segment.step_count, segment.last_count, threads, failure)
            status = fs_run(steps, count, threads, failure)
            if segment.last_count and status == FS_DONE:
                fs_run_to_end(steps + count, segment.last_count, threads)
        return status


cdef double work_of(const fs_step *step) noexcept:
    return fs_work_of(step)


cdef int decode(fs_decoding *decoding) noexcept nogil:
    """fs_decode, for _decode.pyx."""
    return fs_decode(decoding)


# ---- what a call depends on beside its arguments -----------------------------------------------------------------------

cdef extern from *:
    """
    static _Thread_local int fs_own_threads;   /* of this thread inside num_threads(), else 0 */
    static _Thread_local int fs_training_said; /* inside a Python layer's call(): 1 told training=False, 2 True */
    static int fs_default_threads;             /* 0 until it is first asked for */
    """
    int fs_own_threads, fs_training_said, fs_default_threads


MOST_THREADS = FS_MOST_THREADS


def own_threads():
    return fs_own_threads


def set_own_threads(int n):
    global fs_own_threads
    fs_own_threads = n


def default_threads():
    return fs_default_threads


def set_default_threads(int n):
    global fs_default_threads
    fs_default_threads = n


def current_training():
    """The `training` of the Python layer whose call() runs on this thread, or None."""
    return (None, False, True)[fs_training_said]


def with_training(value, function, *args, **kwargs):
    """`function(...)` with `training` known to the layers that it calls; None changes nothing.

    Not a context manager: a signal's handler that raised behind its last line would leave the value for ever.
    """
    global fs_training_said
    cdef int before = fs_training_said
    if value is not None:
        fs_training_said = 2 if value else 1
    try:
        return function(*args, **kwargs)
    finally:
        fs_training_said = before


cdef int training_said() noexcept:
    return fs_training_said


first_threads = None  # finds out, at the first call, how many threads there may be: runtime.get_num_threads


def say_first_threads(function):
    """Names the function that works out the default number of threads and sets it."""
    global first_threads
    first_threads = function


cdef int threads_now() except -1:
    if fs_own_threads:
        return fs_own_threads
    if not fs_default_threads:
        return first_threads()
    return fs_default_threads


cdef const char *isa_now() noexcept:
    """The active instruction set's name, always the same pointer for the same one."""
    return fs_active_isa()


# ---- interrupts --------------------------------------------------------------------------------------------------------

cdef extern from "pythread.h" nogil:
    unsigned long PyThread_get_thread_ident()

cdef unsigned long main_thread
cdef object raised = None  # what a signal handler raised while kernels ran, on the main thread
cdef bint polling = False  # whether a handler runs because kernels looked for signals


def _note_main_thread():
    global main_thread
    main_thread = threading.main_thread().ident


cdef int poll_signals() noexcept nogil:
    """Lets Python run its signal handlers (Ctrl-C), which it does on the main thread alone. 1 where one raised."""
    # Handlers run on the main thread alone: another thread need not take the GIL to learn that.
    global polling, fs_training_said
    cdef Scope *scope
    cdef int said
    if PyThread_get_thread_ident() != main_thread:
        return 0
    with gil:
        # What a handler calls is no part of the call that it came in between.
        scope, said = suspend(), fs_training_said
        polling, fs_training_said = True, 0
        try:
            PyErr_CheckSignals()
            return 0
        except BaseException as error:
            note_raised(error)
            return 1
        finally:
            polling, fs_training_said = False, said
            resume(scope)


def polling_signals():
    """Whether kernels are looking for signals just now: then what their program keeps is still as it was."""
    return polling


cdef void note_raised(error) noexcept:
    global raised
    raised = error


cdef object interruption():
    """The exception for a run that ended with FS_INTERRUPTED, a handler's KeyboardInterrupt for one; to be raised."""
    global raised
    error, raised = raised, None
    if error is None:
        # Nothing else stops kernels where no handler raised (fs_watch_region).
        error = RuntimeError(
            "This process was forked while the call ran on several threads, in a signal handler or a Python layer. Its "
            "threads stayed with the parent, so the child cannot finish this call; others it can make.")
    return error


_note_main_thread()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_main_thread)
fs_set_poll(poll_signals)


cdef extern from *:
    """
    #if defined(__clang__)
    #define FS_COMPILER "clang " __clang_version__
    #else
    #define FS_COMPILER "gcc " __VERSION__
    #endif
    """
    const char *FS_COMPILER


def compiler():
    return FS_COMPILER.decode()

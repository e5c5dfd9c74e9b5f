"""From a plan for decoding and what is wanted of it to one call of the C core (src_c/decode.c)."""

cimport cython
cimport numpy as cnp
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from fastseq._call cimport NativeProgram, Spec
from fastseq._native cimport (
    FS_DECODING_NO_CHOICE, FS_DECODING_NO_MEMORY, FS_DECODING_STEP_FAILED, FS_DECODING_STOPPED, Segment, Workspace,
    decode, fs_carried, fs_decoding, fs_decoding_worker, fs_failure, fs_scaled, fs_step,
)

cnp.import_array()

cdef extern from "Python.h":
    int PyErr_CheckSignals() noexcept


cdef int check_signals() noexcept with gil:
    """What a signal handler raises stays set on this thread, and `raise_what_is_set` raises it."""
    return PyErr_CheckSignals()


cdef int raise_what_is_set() except? -1:
    return -1


@cython.auto_pickle(False)
cdef class MixedStep:
    """A model's step of which parts are in Python: the loop runs it with the GIL, for all rows there is room for."""

    cdef NativeProgram program
    cdef Workspace workspace
    cdef object raised

    cdef int run(self, fs_failure *failure) except -1:
        cdef Segment segment
        cdef Spec *spec
        cdef int i
        cdef Py_ssize_t index
        arrays = []
        for i in range(self.program.input_count + self.program.output_count):
            spec = self.program.specs + i
            arrays.append(cnp.PyArray_SimpleNewFromData(spec.ndim, spec.dims, spec.type_number, self.workspace.data[i]))
        for index in range(len(self.program.segments)):
            if self.program.segments[index] is None:
                self.program._run_python(self.program.plan[index], self.workspace.arena, arrays)
            else:
                segment = self.program.segments[index]
                if self.workspace.run(segment, index, 1, failure):
                    raise self.program._failure(index, failure.step, failure.position, failure.value)
        return 0


cdef int run_mixed(void *context, fs_failure *failure) noexcept with gil:
    step = <MixedStep> context
    try:
        return step.run(failure)
    except BaseException as error:
        step.raised = error
        return 2


def run(
    NativeProgram program, scaled, turned, carried, wanted, int64_t capacity, int worker_count, int step_threads,
    cnp.ndarray prompts, cnp.ndarray seeds, cnp.ndarray ids, cnp.ndarray lengths, cnp.ndarray scores,
):
    """Decodes all rows and returns None, or (row, step) where a row's values allow no choice.

    program: the model's step for `capacity` rows; its first input is the tokens (capacity, window) int32, its first
    result the values (capacity, vocabulary) float32. scaled: [(step, byte offset of an argument, base, slope)];
    turned: [(step, byte offset)] of flags that change with every step; carried: [(initial array (rows, ...), number of
    the input, number of the result or -1)]. wanted: dict of the other fields of fs_decoding by name. prompts (rows,
    window) int32, seeds (rows,) uint64 or None; ids, lengths and scores (or None) are written.
    Raises what a step of the model raises, MemoryError, and what a signal handler raises while the loop runs.
    """
    cdef fs_decoding d
    cdef Segment segment
    cdef Workspace workspace
    cdef MixedStep mixed = None
    cdef cnp.ndarray array
    cdef int64_t i = 0, status
    cdef bint native = len(program.segments) == 1 and program.segments[0] is not None
    memset(&d, 0, sizeof(fs_decoding))
    d.rows, d.width, d.max_length, d.end = wanted["rows"], wanted["width"], wanted["max_length"], wanted["end"]
    d.draw, d.probabilities, d.top_k = wanted["draw"], wanted["probabilities"], wanted["top_k"]
    d.temperature, d.top_p = wanted["temperature"], wanted["top_p"]
    d.length_penalty = wanted["length_penalty"]
    d.worker_count, d.step_threads, d.capacity = worker_count, step_threads, capacity
    d.window, d.vocabulary = cnp.PyArray_DIM(prompts, 1), program.specs[program.input_count].dims[1]
    d.tokens_in, d.values_out, d.carried_count = 0, program.input_count, len(carried)
    d.prompts, d.ids = <const int32_t *> cnp.PyArray_DATA(prompts), <int32_t *> cnp.PyArray_DATA(ids)
    d.lengths = <int32_t *> cnp.PyArray_DATA(lengths)
    if seeds is not None:
        d.seeds = <const uint64_t *> cnp.PyArray_DATA(seeds)
    if scores is not None:
        d.scores = <float *> cnp.PyArray_DATA(scores)
    d.poll = check_signals
    cdef fs_carried *items = <fs_carried *> calloc(len(carried) + 1, sizeof(fs_carried))
    cdef fs_scaled *fields = <fs_scaled *> calloc(len(scaled) + 1, sizeof(fs_scaled))
    cdef fs_decoding_worker *workers = <fs_decoding_worker *> calloc(worker_count, sizeof(fs_decoding_worker))
    cdef int64_t *flags = <int64_t *> calloc(len(turned) + 1, sizeof(int64_t))
    spaces = []
    try:
        if items == NULL or fields == NULL or flags == NULL or workers == NULL:
            raise MemoryError()
        for array, read, left in carried:
            items[i] = fs_carried(
                cnp.PyArray_BYTES(array), cnp.PyArray_NBYTES(array) // max(1, cnp.PyArray_DIM(array, 0)), read, left)
            i += 1
        for i in range(worker_count):
            workspace = program.take()
            spaces.append(workspace)
            workers[i].data = workspace.data
            if native:
                segment = program.segments[0]
                workers[i].arguments = workspace.arguments[0]
                workers[i].steps = <const fs_step *> (workspace.arguments[0] + segment.arguments_size)
        if native:
            segment = program.segments[0]
            i = 0
            for step, offset, base, slope in scaled:
                fields[i] = fs_scaled(segment.starts[<int64_t> step] + <int64_t> offset, base, slope)
                i += 1
            d.step_count, d.patch_count, d.patches = segment.step_count, segment.patch_count, segment.patches
            d.scaled_count, d.scaled = len(scaled), fields
            for i, (step, offset) in enumerate(turned):
                flags[i] = segment.starts[<int64_t> step] + <int64_t> offset
            d.turned_count, d.turned = len(turned), flags
        else:
            mixed = MixedStep()
            mixed.program, mixed.workspace = program, spaces[0]
            d.run, d.context = run_mixed, <void *> mixed
        d.carried, d.workers = items, workers
        with nogil:
            status = decode(&d)
        if mixed is not None and mixed.raised is not None:
            raise mixed.raised
        if status == FS_DECODING_STOPPED:
            raise_what_is_set()
    finally:
        for workspace in spaces:
            program.give_back(workspace)
        free(items)
        free(fields)
        free(flags)
        free(workers)
    if status == FS_DECODING_STEP_FAILED:
        raise program._failure(0, d.failure.step, d.failure.position, d.failure.value)
    if status == FS_DECODING_NO_MEMORY:
        raise MemoryError(f"No memory to decode {capacity} rows at a time.")
    return (d.failure.position, d.failure.value) if status == FS_DECODING_NO_CHOICE else None

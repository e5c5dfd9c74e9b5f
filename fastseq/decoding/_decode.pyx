"""Turns a plan for decoding, and what a caller wants of it, into one call of the C core (src_c/decode/decode.c)."""

cimport cython
cimport numpy as cnp
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from fastseq.native._native cimport FS_DECODING_NO_CHOICE, FS_DECODING_NO_MEMORY, FS_DECODING_STEP_FAILED, FS_DECODING_STOPPED, Segment, Workspace, decode, fs_carried, fs_decoding, fs_failure, fs_passed, fs_rows_program, fs_rows_worker, fs_scaled, fs_sliding, fs_step, interruption
from fastseq.native._program cimport NativeProgram, PythonStep

cnp.import_array()

@cython.auto_pickle(False)
cdef class MixedStep:
    """A model's step with parts in Python: the loop runs it with the GIL, for all rows that there is room for."""

    cdef NativeProgram program
    cdef Workspace workspace
    cdef int threads
    cdef object raised

    cdef int run(self, fs_failure *failure) except -1:
        cdef Segment segment
        cdef int status
        cdef Py_ssize_t index
        for index in range(len(self.program.segments)):
            if self.program.segments[index] is None:
                (<PythonStep> self.program.python_steps[index]).run(self.workspace)
            else:
                segment = self.program.segments[index]
                status = self.workspace.run(segment, index, self.threads, failure)
                if status:
                    raise self.program.error_of(status, index, failure)
        return 0


cdef int run_mixed(void *context, fs_failure *failure) noexcept with gil:
    step = <MixedStep> context
    try:
        return step.run(failure)
    except BaseException as error:
        step.raised = error
        return 2


@cython.auto_pickle(False)
cdef class RowsProgram:
    """A program for any number of rows as the C core takes it, a workspace for each worker; `close` gives those back.

    plan: has `program`, `scaled` [(step, byte offset of an argument, base, slope)] and `turned` [(step, byte offset)].
    """

    cdef NativeProgram source
    cdef fs_rows_program program
    cdef fs_rows_worker *workers
    cdef fs_scaled *scaled
    cdef int64_t *turned
    cdef list spaces

    def __cinit__(self, plan, int worker_count):
        cdef Segment segment
        cdef Workspace workspace
        cdef int i
        self.source, self.spaces = plan.program, []
        self.scaled = <fs_scaled *> calloc(len(plan.scaled) + 1, sizeof(fs_scaled))
        self.turned = <int64_t *> calloc(len(plan.turned) + 1, sizeof(int64_t))
        self.workers = <fs_rows_worker *> calloc(worker_count, sizeof(fs_rows_worker))
        if self.scaled == NULL or self.turned == NULL or self.workers == NULL:
            raise MemoryError()
        for i in range(worker_count):
            workspace = self.source.take()
            self.spaces.append(workspace)
            self.workers[i].data = workspace.data
        if not self.native():
            return
        segment = self.source.segments[0]
        for i in range(worker_count):
            workspace = self.spaces[i]
            self.workers[i].arguments = workspace.arguments[0]
            self.workers[i].steps = <const fs_step *> (workspace.arguments[0] + segment.arguments_size)
        for i, (step, offset, base, slope) in enumerate(plan.scaled):
            self.scaled[i] = fs_scaled(segment.starts[<int64_t> step] + <int64_t> offset, base, slope)
        for i, (step, offset) in enumerate(plan.turned):
            self.turned[i] = segment.starts[<int64_t> step] + <int64_t> offset
        self.program = fs_rows_program(
            segment.step_count, segment.patch_count, len(plan.scaled), len(plan.turned), segment.patches, self.scaled,
            self.turned,
        )

    def __dealloc__(self):
        free(self.scaled)
        free(self.turned)
        free(self.workers)

    cdef bint native(self):
        return len(self.source.segments) == 1 and self.source.segments[0] is not None

    def close(self):
        for workspace in self.spaces:
            self.source.give_back(workspace)
        self.spaces = []


@cython.auto_pickle(False)
cdef class Sliding:
    """fs_sliding of a plan that has `states` [(bytes of a row, input, result)] and `passed` [(bytes of a row, whether
    it is timed, result, input of the rest)], numbers of arrays."""

    cdef RowsProgram rows
    cdef fs_sliding sliding
    cdef fs_carried *states
    cdef fs_passed *passed

    def __cinit__(self, plan, int worker_count):
        cdef int i
        self.rows = RowsProgram(plan, worker_count)
        self.states = <fs_carried *> calloc(len(plan.states) + 1, sizeof(fs_carried))
        self.passed = <fs_passed *> calloc(len(plan.passed) + 1, sizeof(fs_passed))
        if self.states == NULL or self.passed == NULL:
            raise MemoryError()
        for i, (size, read, left) in enumerate(plan.states):
            self.states[i] = fs_carried(NULL, size, read, left)
        for i, (size, timed, left, read) in enumerate(plan.passed):
            self.passed[i] = fs_passed(size, timed, left, read)
        self.sliding = fs_sliding(
            self.rows.program, self.rows.workers, self.states, self.passed, len(plan.states), len(plan.passed))

    def __dealloc__(self):
        free(self.states)
        free(self.passed)


cdef int set_wanted(
    fs_decoding *d, dict wanted, cnp.ndarray prompts, cnp.ndarray seeds, cnp.ndarray ids, cnp.ndarray lengths,
    cnp.ndarray scores,
) except -1:
    """Fills in what a caller of `run` wants: the numbers by name, and where the arrays lie."""
    d.rows, d.width, d.max_length, d.end = wanted["rows"], wanted["width"], wanted["max_length"], wanted["end"]
    d.draw, d.probabilities, d.top_k = wanted["draw"], wanted["probabilities"], wanted["top_k"]
    d.temperature, d.top_p = wanted["temperature"], wanted["top_p"]
    d.length_penalty = wanted["length_penalty"]
    d.window = cnp.PyArray_DIM(prompts, 1)
    d.prompts, d.ids = <const int32_t *> cnp.PyArray_DATA(prompts), <int32_t *> cnp.PyArray_DATA(ids)
    d.lengths = <int32_t *> cnp.PyArray_DATA(lengths)
    if seeds is not None:
        d.seeds = <const uint64_t *> cnp.PyArray_DATA(seeds)
    if scores is not None:
        d.scores = <float *> cnp.PyArray_DATA(scores)
    return 0


def run(
    plan, list carried, dict wanted, int64_t capacity, int worker_count, int step_threads, cnp.ndarray prompts,
    cnp.ndarray seeds, cnp.ndarray ids, cnp.ndarray lengths, cnp.ndarray scores,
):
    """Decodes all rows and returns None, or (row, step) where a row's values allow no choice.

    plan: a StepPlan for `capacity` rows; the program's first input is the tokens (capacity, window) int32, its first
    result the values (capacity, vocabulary) float32. carried: [(initial array (rows, ...), number of the input, number
    of the result or -1)]. wanted: the other fields of fs_decoding by name. prompts (rows, window) int32, seeds (rows,)
    uint64 or None; ids, lengths and scores (or None) are written.
    Raises what a step of the model raises, MemoryError, and what a signal handler raises while the loop runs.
    """
    cdef fs_decoding d
    cdef RowsProgram rows = None
    cdef Sliding sliding = None
    cdef MixedStep mixed = None
    cdef NativeProgram failed
    cdef cnp.ndarray array
    cdef int64_t i, status
    cdef fs_carried *items = <fs_carried *> calloc(len(carried) + 1, sizeof(fs_carried))
    memset(&d, 0, sizeof(fs_decoding))
    try:
        if items == NULL:
            raise MemoryError()
        for i, (array, read, left) in enumerate(carried):
            items[i] = fs_carried(
                cnp.PyArray_BYTES(array), cnp.PyArray_NBYTES(array) // max(1, cnp.PyArray_DIM(array, 0)), read, left)
        rows = RowsProgram(plan, worker_count)
        d.step, d.workers, d.carried, d.carried_count = rows.program, rows.workers, items, len(carried)
        if plan.sliding is not None:
            sliding = Sliding(plan.sliding, worker_count)
            d.sliding = &sliding.sliding
        if not rows.native():
            mixed = MixedStep()
            mixed.program, mixed.workspace, mixed.threads = rows.source, rows.spaces[0], step_threads
            d.run, d.context = run_mixed, <void *> mixed
        d.worker_count, d.step_threads, d.capacity = worker_count, step_threads, capacity
        d.vocabulary = rows.source.specs[rows.source.input_count].dims[1]
        d.tokens_in, d.values_out = 0, rows.source.input_count
        set_wanted(&d, wanted, prompts, seeds, ids, lengths, scores)
        with nogil:
            status = decode(&d)
        if mixed is not None and mixed.raised is not None:
            raise mixed.raised
        if status == FS_DECODING_STOPPED:
            raise interruption()
    finally:
        if rows is not None:
            rows.close()
        if sliding is not None:
            sliding.rows.close()
        free(items)
    if status == FS_DECODING_STEP_FAILED:
        failed = sliding.rows.source if d.in_first else rows.source
        raise failed._failure(0, d.failure.step, d.failure.position, d.failure.value)
    if status == FS_DECODING_NO_MEMORY:
        raise MemoryError(f"No memory to decode {capacity} rows at a time.")
    return (d.failure.position, d.failure.value) if status == FS_DECODING_NO_CHOICE else None

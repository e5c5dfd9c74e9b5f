from libc.stdint cimport int32_t, int64_t, uint64_t

cdef extern from "abi/fastseq.h" nogil:
    int FS_FIELD_IN, FS_FIELD_OUT, FS_FIELD_INT, FS_FIELD_NUM
    enum: FS_PLAN_TEXT, FS_MOST_THREADS

    ctypedef struct fs_field:
        const char *name
        int kind
        size_t offset
        const char *shape

    ctypedef struct fs_op_info:
        const char *name
        const char *form
        size_t args_size
        int field_count
        const fs_field *fields

    ctypedef struct fs_step:
        int op
        int with_next
        const void *args

    ctypedef struct fs_failure:
        int64_t step
        int64_t position
        int64_t value

    ctypedef struct fs_patch:
        int64_t where
        int64_t which
        int64_t offset

    ctypedef struct fs_scaled:
        int64_t where
        int64_t base
        int64_t slope

    ctypedef struct fs_carried:
        const char *initial
        int64_t bytes
        int64_t in_ "in"
        int64_t out

    ctypedef struct fs_rows_program:
        int64_t step_count, patch_count, scaled_count, turned_count
        const fs_patch *patches
        const fs_scaled *scaled
        const int64_t *turned

    ctypedef struct fs_rows_worker:
        const fs_step *steps
        char *arguments
        char **data

    ctypedef struct fs_passed:
        int64_t bytes, timed
        int64_t out
        int64_t in_ "in"

    ctypedef struct fs_sliding:
        fs_rows_program first
        const fs_rows_worker *workers
        const fs_carried *states
        const fs_passed *passed
        int64_t state_count, passed_count

    ctypedef struct fs_decoding:
        fs_rows_program step
        const fs_rows_worker *workers
        const fs_carried *carried
        int64_t carried_count, worker_count, step_threads
        int64_t capacity, window, vocabulary
        int64_t tokens_in, values_out
        const fs_sliding *sliding
        int (*run)(void *, fs_failure *) noexcept nogil
        void *context
        int64_t rows, width, max_length
        int64_t end
        int64_t draw, probabilities, top_k
        float temperature, top_p, length_penalty
        const int32_t *prompts
        const uint64_t *seeds
        int32_t *ids
        int32_t *lengths
        float *scores
        fs_failure failure
        int in_first

    enum:
        FS_DECODED, FS_DECODING_STEP_FAILED, FS_DECODING_STOPPED, FS_DECODING_NO_CHOICE, FS_DECODING_NO_MEMORY

    int fs_decode(fs_decoding *decoding)
    const fs_op_info *fs_op_table(int op)
    const char *fs_kind_family(int family)
    const char *fs_kind_name(int family, int number)
    const char *fs_constant_name(int i)
    int64_t fs_constant(int i)
    int fs_select_isa(const char *name)
    const char *fs_active_isa()
    const char *fs_isa_name(int i)
    int fs_isa_supported(int i)
    const char *fs_kernel_name(int op)
    enum: FS_DONE, FS_FAILED, FS_INTERRUPTED
    ctypedef int (*fs_poll_fn)() noexcept
    void fs_set_poll(fs_poll_fn poll)
    int fs_run(const fs_step *steps, int64_t count, int threads, fs_failure *failure)
    double fs_work_of(const fs_step *step)
    void fs_run_to_end(const fs_step *steps, int64_t count, int threads)
    int fs_run_together(const fs_step *steps, int64_t count, int64_t last_count, int threads, fs_failure *failure)
    int64_t fs_recurrent_scratch(int op, int64_t batch, int64_t timesteps, int64_t inputs, int64_t units)
    void fs_recurrent_plan_text(int op, int64_t batch, int64_t timesteps, int64_t inputs, int64_t units, int threads,
                                char *text)
    int fs_has_openmp()


cdef extern from "abi/loops.h" nogil:
    ctypedef struct fs_move:
        int64_t where, bytes

    ctypedef struct fs_loop:
        int64_t first, last, times, condition, first_move, move_count, rows, first_cut, cut_count

    ctypedef struct fs_cut:
        int64_t where, of_row, is_size

    ctypedef struct fs_looped:
        const fs_step *steps
        char *arguments
        const fs_loop *loops
        const fs_move *moves
        const fs_cut *cuts
        int64_t count, bytes, loop_count

    int fs_run_loops(const fs_looped *program, int threads, fs_failure *failure)


cdef class Segment:
    cdef fs_step *steps
    cdef char *arguments
    cdef fs_patch *patches  # which: number of the array bound at run time, -1 for the arena
    cdef int64_t step_count, patch_count, arguments_size
    cdef int64_t last_count  # of its steps: nothing interrupts these
    cdef bint together       # its steps may run in one parallel region
    cdef object constants  # keeps the arrays alive that arguments point to
    cdef int64_t *starts   # byte offset of each step's arguments
    cdef object loops, moves, cuts  # int64 arrays of fs_loop, fs_move and fs_cut
    cdef fs_looped looped  # without its steps and arguments, which are of each run


cdef class Workspace:
    cdef readonly object arena  # uint8 array
    cdef char *base
    cdef list kept              # the segments, and the arrays that `arguments` point into
    cdef char **arguments       # per segment: its arguments and behind them its steps
    cdef char **data            # addresses of the arrays that the next run binds

    cdef int run(self, Segment segment, Py_ssize_t index, int threads, fs_failure *failure) noexcept


cdef double work_of(const fs_step *step) noexcept
cdef int decode(fs_decoding *decoding) noexcept nogil
cdef int threads_now() except -1
cdef int training_said() noexcept
cdef object interruption()
cdef const char *isa_now() noexcept

from libc.stdint cimport int64_t

cdef extern from "fastseq.h" nogil:
    int FS_FIELD_IN, FS_FIELD_OUT, FS_FIELD_INT, FS_FIELD_NUM

    ctypedef struct fs_field:
        const char *name
        int kind
        size_t offset
        const char *shape

    ctypedef struct fs_op_info:
        const char *name
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

    ctypedef void (*fs_sgemm_fn)(char *, char *, int *, int *, int *, float *, float *, int *, float *, int *, float *,
                                 float *, int *)

    const fs_op_info *fs_op_table(int op)
    const char *fs_activation_name(int kind)
    int fs_select_isa(const char *name)
    const char *fs_active_isa()
    const char *fs_isa_name(int i)
    int fs_isa_supported(int i)
    const char *fs_kernel_name(int op)
    void fs_set_sgemm(fs_sgemm_fn sgemm)
    int fs_run(const fs_step *steps, int64_t count, int threads, fs_failure *failure)
    int64_t fs_recurrent_scratch(int op, int64_t batch, int64_t timesteps, int64_t inputs, int64_t units)
    void fs_recurrent_plan_text(int op, int64_t batch, int64_t timesteps, int64_t inputs, int64_t units, int threads,
                                char *text)
    int fs_has_openmp()

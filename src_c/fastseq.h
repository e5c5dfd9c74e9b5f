/* The C ABI of fastseq: what Cython sees. A program is a list of steps; a step is an operation and its arguments. */
#ifndef FASTSEQ_H
#define FASTSEQ_H
#include "ops.h"
#include <stddef.h>

enum fs_field_kind { FS_FIELD_IN, FS_FIELD_OUT, FS_FIELD_INT, FS_FIELD_NUM };

typedef struct {
    const char *name;
    int kind; /* fs_field_kind */
    size_t offset;
    const char *shape; /* of what a pointer points to, for people */
} fs_field;

typedef struct {
    const char *name;
    size_t args_size;
    int field_count;
    const fs_field *fields;
} fs_op_info;

/* One step of a program. With `with_next` it runs at the same time as the step after it: neither reads what the other
   writes (the two directions of a bidirectional layer). */
typedef struct {
    int op; /* fs_op_id */
    int with_next;
    const void *args; /* fs_<op>_args */
} fs_step;

/* Where and why a run stopped. */
typedef struct {
    int64_t step, position, value;
} fs_failure;

typedef void (*fs_sgemm_fn)(char *, char *, int *, int *, int *, float *, float *, int *, float *, int *, float *,
                            float *, int *);

const fs_op_info *fs_op_table(int op); /* null past the last one */
const char *fs_activation_name(int kind);

/* Picks the ISA; name null or "" for the best one this CPU and OS support. 0, or -1 for a name that is unknown or not
   supported here. */
int fs_select_isa(const char *name);
const char *fs_active_isa(void);
const char *fs_isa_name(int i); /* all compiled in, best first; null past the last one */
int fs_isa_supported(int i);
/* Name of the kernel that runs an op now, such as fs_f32_lstm__avx512. */
const char *fs_kernel_name(int op);
void fs_set_sgemm(fs_sgemm_fn sgemm);

/* Runs the steps in order on at most `threads` threads. 0, or 1 with `failure` filled. */
int fs_run(const fs_step *steps, int64_t count, int threads, fs_failure *failure);

/* Floats of scratch that a recurrent step wants. */
int64_t fs_recurrent_scratch(int op, int64_t batch, int64_t timesteps, int64_t inputs, int64_t units);
#define FS_PLAN_TEXT 256
/* How a recurrent step would run on `threads` threads, in words (a buffer of FS_PLAN_TEXT bytes). */
void fs_recurrent_plan_text(int op, int64_t batch, int64_t timesteps, int64_t inputs, int64_t units, int threads,
                            char *text);

int fs_has_openmp(void);
#endif

/* The C ABI of fastseq: what Cython sees. A program is a list of steps; a step is an operation and its arguments. */
#ifndef FASTSEQ_H
#define FASTSEQ_H
#include "abi/ops.h"
#include <stddef.h>

enum fs_field_kind { FS_FIELD_IN, FS_FIELD_OUT, FS_FIELD_INT, FS_FIELD_NUM };

typedef struct {
    const char *name;
    int kind; /* fs_field_kind */
    size_t offset;
    const char *shape; /* of what a pointer points to, for people */
} fs_field;

typedef struct {
    const char *name; /* of the operation */
    const char *form; /* of the weights that this row of it reads */
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

const fs_op_info *fs_op_table(int op); /* null past the last one */
const char *fs_kind_family(int family); /* abi/kinds.h; null past the last one */
const char *fs_kind_name(int family, int number); /* null past the last one */
const char *fs_constant_name(int i); /* abi/constants.h; null past the last one */
int64_t fs_constant(int i);

/* Picks the ISA; name null or "" for the best one this CPU and OS support. 0, or -1 for a name that is unknown or not
   supported here. */
int fs_select_isa(const char *name);
const char *fs_active_isa(void);
const char *fs_isa_name(int i); /* all compiled in, best first; null past the last one */
int fs_isa_supported(int i);
/* Name of the kernel that runs an op now, such as fs_f32_lstm__avx512. */
const char *fs_kernel_name(int op);

enum fs_status { FS_DONE, FS_FAILED, FS_INTERRUPTED };

/* Runs the steps in order on at most `threads` threads: FS_DONE, FS_FAILED with `failure` filled, or FS_INTERRUPTED
   because the poll function said so; then results and whatever the steps write hold anything. */
int fs_run(const fs_step *steps, int64_t count, int threads, fs_failure *failure);
/* About how many multiply-adds a step is (run/extents.c). */
double fs_work_of(const fs_step *step);
/* Runs steps that cannot fail, from the first to the last: nothing interrupts them. */
void fs_run_to_end(const fs_step *steps, int64_t count, int threads);
/* fs_run for all but the last `last_count` of the steps, then fs_run_to_end for these; in one parallel region where
   there are many small steps, as in training. */
int fs_run_together(const fs_step *steps, int64_t count, int64_t last_count, int threads, fs_failure *failure);

/* A long run asks `poll` about every 50 ms, on the thread that called fs_run, whether to stop (not 0); a short one
   never does. Null, as at the start: nobody is asked. */
typedef int (*fs_poll_fn)(void);
void fs_set_poll(fs_poll_fn poll);

/* ---- decoding: a model's step run over and over, each time on the tokens chosen last (decode.c) ---- */

/* A pointer among a program's arguments, `where` bytes in: to array number `which`, `offset` bytes in. */
typedef struct {
    int64_t where, which, offset;
} fs_patch;

/* An integer among the arguments that follows the number of rows: base + slope * rows. */
typedef struct {
    int64_t where, base, slope;
} fs_scaled;

/* What a row has beside its tokens: a state, or something that stays as it is. */
typedef struct {
    const char *initial; /* (rows, bytes) */
    int64_t bytes;
    int64_t in, out; /* numbers of the arrays that the step reads it from and leaves it in; out -1: it stays */
} fs_carried;

/* Steps of a program that run for any number of rows up to the one that it was made for. */
typedef struct {
    int64_t step_count, patch_count, scaled_count, turned_count;
    const fs_patch *patches;
    const fs_scaled *scaled;
    const int64_t *turned; /* places of flags `down` among the arguments: every other run walks the other way */
} fs_rows_program;

/* One thread's own copy of it: its arguments, and the addresses of the arrays that they are bound to. */
typedef struct {
    const fs_step *steps;
    char *arguments;
    char **data;
} fs_rows_worker;

/* What a model that reads a window has of each of its timesteps, or of the last one (timed 0), for its rest. */
typedef struct {
    int64_t bytes, timed;
    int64_t out, in; /* numbers among the first part's arrays, and among those of the rest */
} fs_passed;

/* A model that reads the last `window` tokens each time, in two parts: recurrent layers, whose windows advance side by
   side, a row for each, by the token that all of them read next; and the rest, on the window that is complete. */
typedef struct {
    fs_rows_program first; /* for `window` rows of one timestep; its first array is the tokens (window, 1) */
    const fs_rows_worker *workers;
    const fs_carried *states; /* `initial` is not read: they begin as zeros */
    const fs_passed *passed;
    int64_t state_count, passed_count;
} fs_sliding;

typedef struct {
    /* The step, for up to `capacity` rows on each of the workers. */
    fs_rows_program step;
    const fs_rows_worker *workers;
    const fs_carried *carried;
    int64_t carried_count, worker_count, step_threads;
    int64_t capacity, window, vocabulary; /* rows; tokens that a step reads of each; values it gives for each */
    int64_t tokens_in, values_out;        /* numbers of those arrays */
    const fs_sliding *sliding;            /* null, or what comes before the step; then capacity is 1, without a beam */
    /* Runs the step in place of `step`, always for all of `capacity`, on one worker; else null. */
    int (*run)(void *context, fs_failure *failure);
    void *context;

    /* What is wanted of it. */
    int64_t rows, width, max_length; /* width: hypotheses of a beam, 0 for a single best or drawn token */
    int64_t end;                     /* the token that ends a row, -1 for none */
    int64_t draw, probabilities, top_k;
    float temperature, top_p, length_penalty;
    const int32_t *prompts; /* (rows, window) */
    const uint64_t *seeds;  /* (rows,) of a draw */
    int32_t *ids;           /* (rows, max(width, 1), max_length), what lies behind the end is not touched */
    int32_t *lengths;       /* (rows, max(width, 1)) */
    float *scores;          /* (rows, max(width, 1)), or null without a beam */

    fs_failure failure;
    int in_first; /* whether the step that failed is one of `sliding` */
} fs_decoding;

enum fs_decoding_status {
    FS_DECODED,
    FS_DECODING_STEP_FAILED, /* failure: as fs_run's */
    FS_DECODING_STOPPED,     /* by the poll function, or by run */
    FS_DECODING_NO_CHOICE,   /* failure: position is the row, value how many tokens it had, its values are NaN */
    FS_DECODING_NO_MEMORY
};
int fs_decode(fs_decoding *decoding);

/* Floats of scratch that a recurrent step wants. */
int64_t fs_recurrent_scratch(int op, int64_t batch, int64_t timesteps, int64_t inputs, int64_t units);
#define FS_PLAN_TEXT 256
/* How a recurrent step would run on `threads` threads, in words (a buffer of FS_PLAN_TEXT bytes). */
void fs_recurrent_plan_text(int op, int64_t batch, int64_t timesteps, int64_t inputs, int64_t units, int threads,
                            char *text);

int fs_has_openmp(void);
/* Nobody may ask for more threads than this: the beginnings of so many have room on a stack. */
#define FS_MOST_THREADS 1024
#endif

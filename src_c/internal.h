/* What the C files share and Cython does not see. */
#ifndef FS_INTERNAL_H
#define FS_INTERNAL_H
#include "fastseq.h"
#include <fenv.h>
#include <setjmp.h>

/* Most rows that threads share when each owns units: their flags stand on each thread's stack. */
#define FS_SHARED_ROWS 256
/* Most rows that a recurrent kernel has in hand at a time; a multiple of every number of rows that a block takes. */
#define FS_MOST_LISTED 480

/* The finalizer of SplitMix64 (Steele, Lea, Flood 2014): random numbers are made of counters with it. */
static inline uint64_t fs_mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

typedef struct fs_barrier fs_barrier;

/* What the threads of one call that may be interrupted share. */
typedef struct {
    int stop;          /* set once, read by all: results are not wanted any more */
    int64_t next_poll; /* in ns, 0 before the first look; belongs to the thread that polls */
    fenv_t mode;       /* the caller's floating-point mode, for what `poll` runs */
    jmp_buf *out;      /* out of the region that thread 0 is in; null where it is in none, or alone */
    int forks;         /* before that region */
} fs_watch;

/* For any thread of the call: whether to stop. One thread, that which came from Python, has `polls` and asks the poll
   function when 50 ms have passed; a look costs it a reading of the clock (20 ns), the others a load. */
void fs_watch_begin(fs_watch *watch);
int fs_look(fs_watch *watch, int polls);

/* fs_run inside a watched loop in C: `watch` is the loop's, `polls` as for fs_look. */
int fs_run_watched(const fs_step *steps, int64_t count, int threads, fs_watch *watch, int polls, fs_failure *failure);

/* The share of a step that one thread does: rows [row_lo, row_hi), and panels (or groups of them) [unit_lo, unit_hi).
   Only with a barrier do several threads work on the same rows. */
typedef struct {
    int64_t row_lo, row_hi, unit_lo, unit_hi;
    fs_barrier *barrier;
    fs_failure *failure;
    fs_watch *watch; /* null where the step is too short to be watched */
    int polls;
} fs_share;

/* A step is watched once the call has so much work in it (some ms), and every step after it. */
#define FS_WATCHED_WORK 2e8

/* A kernel of a watched step looks whenever it has done so many multiply-adds: 20 us to some ms. */
#define FS_WORK_PER_LOOK 4e6

/* Of a watched step: whether to stop, asked after `work` more multiply-adds; `unlooked` counts those since the last
   look. A kernel that stops leaves its barrier open (fs_leave) and writes no more. */
int fs_stops_after(const fs_share *share, double *unlooked, double work);
/* A macro, so that a step that is not watched does not even work out `work`. */
#define FS_STOPS(share, unlooked, work)                                                                                \
    (__builtin_expect((share)->watch != NULL, 0) && fs_stops_after(share, unlooked, work))

typedef int (*fs_kernel_fn)(const void *args, const fs_share *share);

/* How to divide a step: `rows` independent rows of `row_work` multiply-adds each, or `units` panels of all rows. */
typedef struct {
    int64_t rows, units;
    double row_work;
    int by_units; /* threads share rows but own units, and meet at a barrier `meets` times */
    int meets;
} fs_extent;

/* Which part of a step thread number `thread` of `threads` does; they meet at `barrier` where they have to. */
static inline void fs_take_part(fs_share *share, const fs_extent *extent, fs_barrier *barrier, int thread, int threads)
{
    int by_units = threads > 1 && extent->by_units;
    share->row_lo = by_units ? 0 : extent->rows * thread / threads;
    share->row_hi = by_units ? extent->rows : extent->rows * (thread + 1) / threads;
    share->unit_lo = by_units ? extent->units * thread / threads : 0;
    share->unit_hi = by_units ? extent->units * (thread + 1) / threads : extent->units;
    share->barrier = by_units && extent->meets ? barrier : NULL;
}

typedef struct {
    const char *name;
    const char *const *kernel_names; /* by fs_op_id */
    const fs_kernel_fn *kernels;     /* by fs_op_id */
} fs_isa;

extern const fs_isa *fs_isa_active;
extern fs_sgemm_fn fs_sgemm;

/* By fs_op_id. Whoever starts a region asks once and carries the answer to its threads, as with all that they decide
   by: another thread may choose another instruction set meanwhile. */
static inline const fs_kernel_fn *fs_kernels_now(void)
{
    return __atomic_load_n(&fs_isa_active, __ATOMIC_ACQUIRE)->kernels;
}

int fs_cpu_has(const char *isa);

/* Inputs that a step multiplies with weights. */
static inline int64_t fs_multiplied_inputs(const fs_recurrent_args *a) { return a->ids ? 0 : a->inputs; }

/* Weight gradients: threads own columns of c, in blocks of four panels, or rows of it where there is one such block. */
#define FS_PRODUCT_COLUMNS (4 * FS_PANEL)
#define FS_PRODUCT_ROWS 24
static inline int fs_product_by_columns(const fs_product_tn_args *a) { return a->n > FS_PRODUCT_COLUMNS; }
static inline int64_t fs_product_parts(const fs_product_tn_args *a)
{
    return fs_product_by_columns(a) ? (a->n + FS_PRODUCT_COLUMNS - 1) / FS_PRODUCT_COLUMNS
                                    : (a->m + FS_PRODUCT_ROWS - 1) / FS_PRODUCT_ROWS;
}

/* Sums over dimensions: one piece of work gives so many neighbours of the last dimension that stays. */
#define FS_REDUCE_BLOCK 256
static inline int64_t fs_reduce_blocks(const fs_reduce_sum_args *a)
{
    return (a->k2 + FS_REDUCE_BLOCK - 1) / FS_REDUCE_BLOCK;
}

void fs_extent_of(int op, const void *args, int threads, fs_extent *extent);
/* How many of `threads` pay, where a meeting costs `meeting_ns`. */
int fs_threads_for(const fs_extent *extent, int threads, int64_t meeting_ns);
int fs_worth_a_thread(const fs_extent *extent); /* to run beside another step */
/* Whether a step is to be shared by threads that are at hand. */
int fs_pays_in_team(const fs_extent *extent, int threads, int64_t meeting_ns);
int fs_alternates(int64_t rows, int64_t inputs, int64_t units, int64_t vectors);
int fs_fetches_ahead(int64_t rows, int64_t inputs, int64_t units, int64_t vectors);
int64_t fs_row_group(int64_t inputs, int64_t units, int64_t vectors);
int64_t fs_back_row_group(int64_t units, int64_t gates);
int64_t fs_hoist_steps(int64_t batch, int64_t timesteps, int64_t inputs, int64_t units, int64_t gates);

/* ---- regions (threads.c) ---- */

typedef void (*fs_body)(void *context, int thread, int threads);

/* Runs body on at most `threads` threads, as many as can be had; each is told how many there are. */
void fs_parallel(int threads, fs_body body, void *context);

/* fs_parallel for a body whose thread 0 may run Python, with `watch` for its looks. There a process may be forked: the
   child has thread 0 alone, in the middle of the region, and is then orphaned, which fs_look tells as it tells of an
   interrupt. Thread 0 goes back to the end of the body without waiting for any other, and leaves the region there. */
void fs_watch_region(fs_watch *watch, int threads, fs_body body, void *context);
void fs_watch_threads(fs_watch *watch, int threads); /* thread 0, as its body begins: how many there are */
int fs_orphaned(const fs_watch *watch);              /* for thread 0 */
void fs_leave_orphaned(const fs_watch *watch);       /* does not return where it is */

struct fs_barrier {
    int arrived;
    unsigned generation;
    int threads; /* each writes the same number before it waits, what the runtime really gave */
    int sleepers;
    int open;
    char apart[44]; /* a cache line of its own */
};
static inline void fs_barrier_of(fs_barrier *barrier, int threads)
{
    __atomic_store_n(&barrier->threads, threads, __ATOMIC_RELAXED);
}
/* 0 when all have come, 1 where the barrier is open. */
int fs_barrier_wait(fs_barrier *barrier);
/* Lets everybody through from now on: a thread that stops will not come any more. */
void fs_barrier_open(fs_barrier *barrier);

/* Of steps that threads share: which failed, and where first, whoever came first. */
typedef struct {
    fs_failure *failure;
    int64_t failed; /* number of the step, from 1; 0: none */
    int lock;
} fs_outcome;
void fs_note_failure(fs_outcome *outcome, int64_t step, const fs_failure *failure);
static inline int64_t fs_failed_step(const fs_outcome *outcome)
{
    return __atomic_load_n(&outcome->failed, __ATOMIC_RELAXED);
}

/* What a meeting costs, as last measured (meeting.c), and the least that it can cost. */
#define FS_LEAST_MEETING_NS 20
int64_t fs_meeting_ns(void);
/* Measures it with so many threads, where that is due: for steps whose threads meet, with as many as they might use. */
int fs_meeting_due(int64_t now);
void fs_measure_meeting(int threads, int64_t now);

#ifdef FS_STRESS
/* One time of so many sleeps, up to 0.2 ms. */
void fs_stress_pause(int one_of);
#else
#define fs_stress_pause(one_of) ((void)0)
#endif

/* Whether a step of `work` multiply-adds is left to one thread, because threads have lately had to take turns on their
   cores; and what a region that began then tells of that (turns.c). */
int fs_threads_take_turns(double work, int64_t now);
void fs_note_region(double work, int64_t began);
int64_t fs_now_ns(void);

/* What a kernel does that stops early. */
static inline void fs_leave(const fs_share *share)
{
    if (share->barrier)
        fs_barrier_open(share->barrier);
}

/* Threads of one region that run programs together (team.c). Thread 0 says which (fs_team_run, as fs_run) and when it
   is over (fs_team_end); the others follow. What it says is said before a meeting, and nobody changes it until all have
   met again. */
typedef struct {
    fs_barrier barrier;
    const fs_step *steps; /* null: it is over */
    int64_t count;
    int64_t meeting_ns; /* what a meeting costs, for all of them: they have to agree about what is shared */
    const fs_kernel_fn *kernels;
    fs_outcome outcome;
    int threads; /* belongs to thread 0; the others know it from their region */
} fs_team;
void fs_team_begin(fs_team *team, int threads); /* thread 0 */
int fs_team_run(fs_team *team, const fs_step *steps, int64_t count, fs_failure *failure);
void fs_team_follow(fs_team *team, int thread, int threads);
void fs_team_end(fs_team *team);

/* How a thread runs programs inside a loop in C: together with a team, or alone (null); as fs_run_watched says. */
typedef struct {
    fs_team *team;
    fs_watch *watch;
    int polls;
} fs_runner;

/* Runs a program for `rows` rows on the arrays at worker->data, as fs_run. */
int fs_run_rows(const fs_rows_program *program, const fs_rows_worker *worker, int64_t rows, const fs_runner *runner,
                fs_failure *failure);

/* The first part of a model that slides over tokens (slide.c); null without memory. */
typedef struct fs_slide fs_slide;
fs_slide *fs_slide_new(const fs_decoding *decoding, int worker, const fs_runner *runner);
void fs_slide_free(fs_slide *slide);
/* Feeds the window's last token, or all of a fresh one's, and points `data` at what the complete window passes on. As
   fs_run. */
int fs_slide_feed(fs_slide *slide, const int32_t *window, int fresh, char **data, fs_failure *failure);
#endif

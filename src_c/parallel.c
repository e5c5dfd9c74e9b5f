/* Runs the steps of a program, each on as many threads as pay: one parallel region per step, however many timesteps it
   has. And how threads of a region meet, what fails in them, and how long steps are interrupted. */
#include "internal.h"
#include <sched.h>
#include <time.h>
#ifdef __linux__
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#if defined(__x86_64__) || defined(__i386__)
#define FS_PAUSE() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define FS_PAUSE() __asm__ volatile("yield")
#else
#define FS_PAUSE() ((void)0)
#endif

/* Waiting for the others: by spinning while they are at it (a meeting takes 0.06 us). Then by yielding, in case they
   wait for this core: the system moves one of two threads that both want to run to an idle core, within ms, but leaves
   two on one core of which one always sleeps (each meeting of theirs took 50 us, for good). At last asleep, when the
   system has given their cores to somebody else: a core that sleeps here can take them in. */
#define FS_SPINS 256           /* between two looks at the clock, some us */
#define FS_LONGEST_SPIN 50000  /* ns */
#define FS_LONGEST_YIELD 500000

static void sleep_until_changed(fs_barrier *barrier, unsigned generation)
{
#ifdef __linux__
    __atomic_add_fetch(&barrier->sleepers, 1, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, &barrier->generation, FUTEX_WAIT_PRIVATE, generation, NULL, NULL, 0);
    __atomic_sub_fetch(&barrier->sleepers, 1, __ATOMIC_SEQ_CST);
#else
    (void)barrier, (void)generation;
    sched_yield();
#endif
}

static void wake_sleepers(fs_barrier *barrier)
{
#ifdef __linux__
    if (__atomic_load_n(&barrier->sleepers, __ATOMIC_SEQ_CST))
        syscall(SYS_futex, &barrier->generation, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
#else
    (void)barrier;
#endif
}

int fs_barrier_wait(fs_barrier *barrier)
{
    fs_stress_pause(64);
    /* In this order: whoever reads the generation that opening makes finds it open, and whoever reads an earlier one
       sees it change. */
    unsigned generation = __atomic_load_n(&barrier->generation, __ATOMIC_ACQUIRE);
    if (__atomic_load_n(&barrier->open, __ATOMIC_RELAXED))
        return 1;
    int threads = __atomic_load_n(&barrier->threads, __ATOMIC_RELAXED);
    if (__atomic_add_fetch(&barrier->arrived, 1, __ATOMIC_ACQ_REL) == threads) {
        __atomic_store_n(&barrier->arrived, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&barrier->generation, generation + 1, __ATOMIC_SEQ_CST);
        wake_sleepers(barrier);
        return 0;
    }
    int64_t began = 0, waited = 0;
    for (int spins = 1; __atomic_load_n(&barrier->generation, __ATOMIC_ACQUIRE) == generation; spins++) {
        if (waited < FS_LONGEST_SPIN)
            FS_PAUSE();
        else if (waited < FS_LONGEST_YIELD)
            sched_yield();
        else
            sleep_until_changed(barrier, generation);
        if (spins % FS_SPINS == 0 || waited >= FS_LONGEST_SPIN) {
            int64_t now = fs_now_ns();
            began = began ? began : now;
            waited = now - began;
        }
    }
    return __atomic_load_n(&barrier->open, __ATOMIC_RELAXED);
}

void fs_barrier_open(fs_barrier *barrier)
{
    __atomic_store_n(&barrier->open, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&barrier->generation, 1, __ATOMIC_SEQ_CST);
    wake_sleepers(barrier);
}

/* ---- failures ---- */

void fs_note_failure(fs_outcome *outcome, int64_t step, const fs_failure *failure)
{
    while (__atomic_exchange_n(&outcome->lock, 1, __ATOMIC_ACQUIRE))
        sched_yield();
    if (!outcome->failed || failure->position < outcome->failure->position) {
        *outcome->failure = *failure;
        outcome->failure->step = step;
    }
    __atomic_store_n(&outcome->failed, step + 1, __ATOMIC_RELAXED);
    __atomic_store_n(&outcome->lock, 0, __ATOMIC_RELEASE);
}

/* ---- interrupts ---- */

#define FS_POLL_EVERY 50000000 /* ns */
#define FS_LONGEST_PAUSE 500000000

static fs_poll_fn poll_function;
void fs_set_poll(fs_poll_fn poll) { poll_function = poll; }

/* To some ms, in a few ns. */
static int64_t coarse_ns(void)
{
    struct timespec now;
#ifdef CLOCK_MONOTONIC_COARSE
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
#else
    clock_gettime(CLOCK_MONOTONIC, &now);
#endif
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void fs_watch_begin(fs_watch *watch)
{
    watch->stop = 0;
    watch->next_poll = 0;
    watch->out = NULL;
    fegetenv(&watch->mode);
}

int fs_look(fs_watch *watch, int polls)
{
    if (__atomic_load_n(&watch->stop, __ATOMIC_RELAXED))
        return 1;
    if (!polls || poll_function == NULL)
        return 0;
    int64_t now = coarse_ns();
    if (watch->next_poll == 0)
        watch->next_poll = now + FS_POLL_EVERY;
    if (now < watch->next_poll)
        return 0;
    /* What runs now, a signal handler perhaps, must not run in the kernels' floating-point mode. */
    fenv_t mode;
    fegetenv(&mode);
    fesetenv(&watch->mode);
    int stop = poll_function() || fs_orphaned(watch);
    fesetenv(&mode);
    /* Where another thread holds the GIL, polling waits for it: then it comes less often, so that it takes a twentieth
       of the time at most. */
    int64_t then = coarse_ns(), pause = (then - now) * 20;
    pause = pause < FS_LONGEST_PAUSE ? pause : FS_LONGEST_PAUSE;
    watch->next_poll = then + (pause > FS_POLL_EVERY ? pause : FS_POLL_EVERY);
    if (stop)
        __atomic_store_n(&watch->stop, 1, __ATOMIC_RELAXED);
    return stop;
}

int fs_stops_after(const fs_share *share, double *unlooked, double work)
{
    if ((*unlooked += work) < FS_WORK_PER_LOOK)
        return 0;
    *unlooked = 0;
    return fs_look(share->watch, share->polls);
}

/* Threads [first, first + count) of a region work on one step. */
typedef struct {
    const fs_step *step;
    fs_kernel_fn kernel;
    fs_extent extent;
    fs_barrier barrier;
} fs_job;

typedef struct {
    fs_job jobs[2];
    int job_count;
    int64_t number; /* of the first job's step */
    fs_outcome outcome;
    fs_watch *watch; /* null: nothing stops it */
    int polls;       /* thread 0 asks */
    int finished;    /* threads that have, where it is watched */
} fs_region;

/* Kernels that look for themselves, or whose threads meet; the others get their rows in pieces, and a look is between
   them. */
static int looks_itself(int op)
{
    switch (op) {
    case FS_OP_DENSE:
    case FS_OP_LSTM:
    case FS_OP_GRU:
    case FS_OP_GRU_RESET_BEFORE:
    case FS_OP_SIMPLE_RNN:
    case FS_OP_RECURRENT_GENERAL:
    case FS_OP_MATMUL:
    case FS_OP_LSTM_BACKWARD:
    case FS_OP_GRU_BACKWARD:
    case FS_OP_GRU_RESET_BEFORE_BACKWARD:
    case FS_OP_SIMPLE_RNN_BACKWARD:
    case FS_OP_RECURRENT_GENERAL_BACKWARD:
        return 1;
    default:
        return 0;
    }
}

static __attribute__((noinline)) int run_watched(const fs_job *job, const fs_share *share)
{
    if (job->extent.rows == 1 || looks_itself(job->step->op))
        return job->kernel(job->step->args, share);
    double rows = FS_WORK_PER_LOOK / (job->extent.row_work > 1 ? job->extent.row_work : 1);
    int64_t at_once = rows < 64 ? (int64_t)rows + 1 : (int64_t)rows / 64 * 64;
    fs_share piece = *share;
    for (int64_t row = share->row_lo; row < share->row_hi; row += at_once) {
        piece.row_lo = row;
        piece.row_hi = share->row_hi - row < at_once ? share->row_hi : row + at_once;
        int status = job->kernel(job->step->args, &piece);
        if (status || fs_look(share->watch, share->polls))
            return status;
    }
    return 0;
}

static void run_share(fs_region *region, int number, int thread, int threads, int polls)
{
    fs_job *job = &region->jobs[number];
    fs_failure failure;
    fs_share share = {.failure = &failure, .watch = region->watch, .polls = polls};
    fs_take_part(&share, &job->extent, &job->barrier, thread, threads);
    if (share.watch ? run_watched(job, &share) : job->kernel(job->step->args, &share))
        fs_note_failure(&region->outcome, region->number + number, &failure);
}

static void run_jobs(fs_region *region, int thread, int threads)
{
    int polls = region->watch && region->polls && thread == 0;
    if (region->job_count == 1) {
        if (region->jobs[0].extent.by_units)
            fs_barrier_of(&region->jobs[0].barrier, threads);
        run_share(region, 0, thread, threads, polls);
        return;
    }
    /* Two jobs: the first half of the threads takes one, the rest the other; a thread alone does both in turn. */
    int half = threads / 2;
    for (int i = 0; i < 2; i++) {
        int count = half == 0 ? 1 : i == 0 ? half : threads - half;
        int own = half == 0 ? 0 : i == 0 ? thread : thread - half;
        if (own < 0 || own >= count)
            continue;
        fs_barrier_of(&region->jobs[i].barrier, count);
        run_share(region, i, own, count, polls);
    }
}

/* Thread 0 is the only one that can be told to stop, so it goes on asking until the others have finished too. */
static void ask_for_others(fs_region *region, int threads)
{
    for (int spins = 0; __atomic_load_n(&region->finished, __ATOMIC_RELAXED) < threads; spins++) {
        if (spins < 8 * FS_SPINS) {
            FS_PAUSE();
            continue;
        }
        if (fs_look(region->watch, 1) && fs_orphaned(region->watch))
            return;
        nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
    }
}

static void region_body(void *context, int thread, int threads)
{
    fs_region *region = context;
    int asks = region->watch && region->polls && thread == 0;
    if (asks)
        fs_watch_threads(region->watch, threads);
    fs_stress_pause(4);
    run_jobs(region, thread, threads);
    if (region->watch == NULL || threads == 1)
        return;
    __atomic_add_fetch(&region->finished, 1, __ATOMIC_RELAXED);
    if (!asks)
        return;
    if (!fs_orphaned(region->watch))
        ask_for_others(region, threads);
    fs_leave_orphaned(region->watch);
}

/* Whether it did: not where threads take turns. Out of the way of steps on one thread. */
static __attribute__((noinline)) int run_in_parallel(fs_region *region, int threads, double work)
{
    int64_t began = fs_now_ns();
    if (fs_threads_take_turns(work, began))
        return 0;
    for (int j = 0; j < region->job_count; j++)
        region->jobs[j].barrier = (fs_barrier){0};
    if (region->watch && region->polls)
        fs_watch_region(region->watch, threads, region_body, region);
    else
        fs_parallel(threads, region_body, region);
    fs_note_region(work, began);
    return 1;
}

/* With the threads that the step might use, and so for no step that is too small for several. */
static void measure_meeting(const fs_extent *extent, int threads)
{
    int most = fs_threads_for(extent, threads, FS_LEAST_MEETING_NS);
    int64_t now = most > 1 ? fs_now_ns() : 0;
    if (most > 1 && fs_meeting_due(now))
        fs_measure_meeting(most, now);
}

/* begun: whether `watch` is; else it begins with the first step that is watched (reading the floating-point mode takes
   25 ns, a tenth of a small call). */
static __attribute__((noinline)) int run_steps(const fs_step *steps, int64_t count, int threads,
                                                           fs_watch *watch, int begun, int polls, fs_failure *failure)
{
    const fs_kernel_fn *kernels = fs_kernels_now();
    double work = 0;
    for (int64_t i = 0; i < count; i++) {
        /* The jobs, 256 bytes, get their values below, one by one: setting all of them to 0 first took 6 ns. */
        fs_region region;
        region.job_count = steps[i].with_next ? 2 : 1;
        region.number = i;
        region.outcome = (fs_outcome){.failure = failure};
        region.watch = NULL;
        int wanted = 0;
        double before = work;
        for (int j = 0; j < region.job_count; j++) {
            fs_job *job = &region.jobs[j];
            int share = region.job_count == 2 && threads > 1 ? threads / 2 : threads;
            job->step = &steps[i + j];
            job->kernel = kernels[job->step->op];
            fs_extent_of(job->step->op, job->step->args, share, &job->extent);
            if (job->extent.meets && share > 1)
                measure_meeting(&job->extent, share);
            wanted += fs_threads_for(&job->extent, share, fs_meeting_ns());
            work += (double)job->extent.rows * job->extent.row_work;
        }
        if (__builtin_expect(work > FS_WATCHED_WORK, 0) && watch) {
            if (!begun)
                fs_watch_begin(watch);
            begun = 1;
            if (fs_look(watch, polls))
                return FS_INTERRUPTED;
            region.watch = watch;
            region.polls = polls;
            region.finished = 0;
        }
        if (region.job_count == 2 && (threads < 2 || !fs_worth_a_thread(&region.jobs[0].extent)))
            wanted = 1;
        if (wanted <= 1 || !run_in_parallel(&region, wanted, work - before))
            run_jobs(&region, 0, 1);
        /* First: an exception of Python's is waiting. */
        if (region.watch && __atomic_load_n(&watch->stop, __ATOMIC_RELAXED))
            return FS_INTERRUPTED;
        if (region.outcome.failed)
            return FS_FAILED;
        i += region.job_count - 1;
    }
    return FS_DONE;
}

int fs_run_watched(const fs_step *steps, int64_t count, int threads, fs_watch *watch, int polls, fs_failure *failure)
{
    return run_steps(steps, count, threads, watch, 1, polls, failure);
}

int fs_run(const fs_step *steps, int64_t count, int threads, fs_failure *failure)
{
    fs_watch watch;
    return run_steps(steps, count, threads, &watch, 0, 1, failure);
}

void fs_run_to_end(const fs_step *steps, int64_t count, int threads)
{
    fs_failure failure;
    run_steps(steps, count, threads, NULL, 1, 0, &failure);
}

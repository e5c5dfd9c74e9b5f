/* The only file with OpenMP: runs the steps of a program, each on as many threads as pay.
   One parallel region per step, however many timesteps it has. Built without OpenMP, everything runs on one thread. */
#include "internal.h"
#include <sched.h>
#ifdef __linux__
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif
#ifdef _OPENMP
#include <omp.h>
#include <pthread.h>
#endif

#if defined(__x86_64__) || defined(__i386__)
#define FS_PAUSE() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define FS_PAUSE() __asm__ volatile("yield")
#else
#define FS_PAUSE() ((void)0)
#endif

int fs_has_openmp(void)
{
#ifdef _OPENMP
    return 1;
#else
    return 0;
#endif
}

#ifdef _OPENMP
/* A forked child has none of the parent's threads, but libgomp's pool of the forking thread still lists them and the
   child's first region would wait for them for ever. So the pool is given back before the fork; parent and child each
   make a new one when they next need it. Where that fails the child stays on one thread. */
static int one_thread_only;
static int release_failed;

static void before_fork(void)
{
#if _OPENMP >= 201811
    release_failed = omp_pause_resource_all(omp_pause_soft) != 0;
#else
    release_failed = 1;
#endif
}
static void in_child(void) { one_thread_only |= release_failed; }
static void register_fork_handlers(void) { pthread_atfork(before_fork, NULL, in_child); }
#endif

void fs_parallel(int threads, void (*body)(void *context, int thread, int threads), void *context)
{
#ifdef _OPENMP
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (threads > 1 && !one_thread_only) {
        pthread_once(&once, register_fork_handlers);
        /* The runtime may give fewer threads than asked for, so the body divides by what it finds. */
#pragma omp parallel num_threads(threads)
        body(context, omp_get_thread_num(), omp_get_num_threads());
        return;
    }
#endif
    body(context, 0, 1);
}

/* Waiting for the others: by spinning while they are at it (a meeting takes 0.06 us), and asleep when one of them does
   not come, because the system has given its core to somebody else: a core that sleeps here can take it in. */
#define FS_SPINS 2000

static void sleep_until_changed(fs_barrier *barrier, int generation)
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

void fs_barrier_wait(fs_barrier *barrier)
{
    int generation = __atomic_load_n(&barrier->generation, __ATOMIC_RELAXED);
    if (__atomic_add_fetch(&barrier->arrived, 1, __ATOMIC_ACQ_REL) == barrier->threads) {
        __atomic_store_n(&barrier->arrived, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&barrier->generation, generation + 1, __ATOMIC_SEQ_CST);
        wake_sleepers(barrier);
        return;
    }
    for (int spins = 0; __atomic_load_n(&barrier->generation, __ATOMIC_ACQUIRE) == generation; spins++) {
        if (spins < FS_SPINS)
            FS_PAUSE();
        else
            sleep_until_changed(barrier, generation);
    }
}

/* Threads [first, first + count) of a region work on one step. */
typedef struct {
    const fs_step *step;
    fs_extent extent;
    fs_barrier barrier;
} fs_job;

typedef struct {
    fs_job jobs[2];
    int job_count;
    fs_failure *failure;
    int failed;
} fs_region;

static int64_t part(int64_t count, int index, int parts) { return count * index / parts; }

static void run_share(fs_region *region, fs_job *job, int thread, int threads)
{
    fs_share share = {0, job->extent.rows, 0, job->extent.units, NULL, region->failure};
    if (threads > 1 && job->extent.by_units) {
        share.unit_lo = part(job->extent.units, thread, threads);
        share.unit_hi = part(job->extent.units, thread + 1, threads);
        if (job->extent.meets)
            share.barrier = &job->barrier;
    } else {
        share.row_lo = part(job->extent.rows, thread, threads);
        share.row_hi = part(job->extent.rows, thread + 1, threads);
    }
    if (fs_isa_active->kernels[job->step->op](job->step->args, &share))
        __atomic_store_n(&region->failed, 1, __ATOMIC_RELAXED);
}

static void region_body(void *context, int thread, int threads)
{
    fs_region *region = context;
    if (region->job_count == 1) {
        fs_job *job = &region->jobs[0];
        if (job->extent.by_units) {
            /* Every thread writes the same number: what the runtime really gave. */
            __atomic_store_n(&job->barrier.threads, threads, __ATOMIC_RELAXED);
        }
        run_share(region, job, thread, threads);
        return;
    }
    /* Two jobs: the first half of the threads takes one, the rest the other; a thread alone does both in turn. */
    int half = threads / 2;
    for (int i = 0; i < 2; i++) {
        fs_job *job = &region->jobs[i];
        int count = half == 0 ? 1 : i == 0 ? half : threads - half;
        int own = half == 0 ? 0 : i == 0 ? thread : thread - half;
        if (own < 0 || own >= count)
            continue;
        __atomic_store_n(&job->barrier.threads, count, __ATOMIC_RELAXED);
        run_share(region, job, own, count);
    }
}

int fs_run(const fs_step *steps, int64_t count, int threads, fs_failure *failure)
{
    for (int64_t i = 0; i < count; i++) {
        fs_region region = {.job_count = steps[i].with_next ? 2 : 1, .failure = failure};
        int wanted = 0;
        failure->step = i;
        for (int j = 0; j < region.job_count; j++) {
            fs_job *job = &region.jobs[j];
            int share = region.job_count == 2 && threads > 1 ? threads / 2 : threads;
            job->step = &steps[i + j];
            fs_extent_of(job->step->op, job->step->args, share, &job->extent);
            wanted += fs_threads_for(&job->extent, share);
        }
        if (region.job_count == 2 && (threads < 2 || !fs_worth_a_thread(&region.jobs[0].extent)))
            wanted = 1;
        if (wanted > 1)
            fs_parallel(wanted, region_body, &region);
        else
            region_body(&region, 0, 1);
        if (region.failed)
            return 1;
        i += region.job_count - 1;
    }
    return 0;
}

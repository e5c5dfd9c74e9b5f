/* The only file with OpenMP: a parallel region, the threads that it can have, and what a forked child has of them.
   Built without OpenMP everything runs on one thread; with FS_PTHREADS, as tests for data races are, on threads that a
   race detector knows from their beginning to their end (OpenMP's runtime hides how its own wait for each other). */
#define _GNU_SOURCE /* pthread_getattr_np */
#include "threads/parallel.h"
#include "abi/fastseq.h"
#include "abi/mix.h"
#include "threads/clock.h"
#include "threads/stress.h"
#include <stdlib.h>
#if defined(FS_PTHREADS) || defined(_OPENMP)
#define FS_HAS_THREADS 1
#include <pthread.h>
#include <sched.h>
#endif
#if defined(_OPENMP) && !defined(FS_PTHREADS)
#include <omp.h>
#include <sys/resource.h>
#endif

int fs_has_openmp(void)
{
#ifdef FS_HAS_THREADS
    return 1;
#else
    return 0;
#endif
}

/* ---- forks ---- */

/* How many forks lie between this process and the one that loaded the library. A region notes the number as it begins:
   a thread that finds another one is in a child whose other threads stayed with the parent. Only a child that still has
   one thread writes it. */
static int forks;

void fs_watch_region(fs_watch *watch, int threads, fs_body body, void *context)
{
    jmp_buf out;
    jmp_buf *before = watch->out;
    watch->forks = forks;
    watch->out = &out;
    if (_setjmp(out) == 0)
        fs_parallel(threads, body, context);
    watch->out = before;
}

void fs_watch_threads(fs_watch *watch, int threads)
{
    if (threads == 1)
        watch->out = NULL;
}

int fs_orphaned(const fs_watch *watch) { return watch->out != NULL && watch->forks != forks; }

void fs_leave_orphaned(const fs_watch *watch)
{
    if (fs_orphaned(watch))
        longjmp(*watch->out, 1);
}

#ifdef FS_HAS_THREADS
/* Held while threads are made: a child begins with it free. */
static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;
static int one_thread_only; /* written by pthread_once's function, or by a child that has one thread */
static int release_failed;  /* belongs to the thread that forks: it holds `making` */

static int release_threads(void);

static void before_fork(void)
{
    pthread_mutex_lock(&making);
    release_failed = !release_threads();
}

static void in_parent(void) { pthread_mutex_unlock(&making); }

static void in_child(void)
{
    forks++;
    one_thread_only |= release_failed;
    pthread_mutex_unlock(&making);
}

static void register_fork_handlers(void)
{
    if (pthread_atfork(before_fork, in_parent, in_child))
        one_thread_only = 1;
}

static int may_have_threads(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_fork_handlers);
    return !one_thread_only;
}
#endif

#if defined(FS_PTHREADS)

/* ---- threads made for a region and ended with it ---- */

/* Whether this thread is in a region: a region within it has one thread, as in OpenMP. "initial-exec" makes it part of
   the thread's own memory; memory that the system's library takes when a thread first asks looks like a race when it is
   given back. */
static _Thread_local int inside __attribute__((tls_model("initial-exec")));

typedef struct {
    fs_body body;
    void *context;
    int threads; /* 0 until it is known how many there are */
    pthread_mutex_t lock;
    pthread_cond_t known;
} fs_start;

typedef struct {
    fs_start *start;
    pthread_t thread;
    int number;
} fs_member;

static int release_threads(void) { return !inside; }

static void *run_member(void *argument)
{
    fs_member *member = argument;
    fs_start *start = member->start;
    pthread_mutex_lock(&start->lock);
    while (start->threads == 0)
        pthread_cond_wait(&start->known, &start->lock);
    pthread_mutex_unlock(&start->lock);
    inside = 1;
    start->body(start->context, member->number, start->threads);
    return NULL;
}

void fs_parallel(int threads, fs_body body, void *context)
{
    fs_start start = {.body = body, .context = context, .lock = PTHREAD_MUTEX_INITIALIZER,
                      .known = PTHREAD_COND_INITIALIZER};
    fs_member members[64];
    int made = 0;
    while (!inside && may_have_threads() && made < threads - 1 && made < 64) {
        fs_member *member = &members[made];
        *member = (fs_member){.start = &start, .number = made + 1};
        if (pthread_create(&member->thread, NULL, run_member, member))
            break;
        made++;
    }
    pthread_mutex_lock(&start.lock);
    start.threads = made + 1;
    pthread_cond_broadcast(&start.known);
    pthread_mutex_unlock(&start.lock);
    int within = inside;
    inside |= made > 0;
    body(context, 0, made + 1);
    inside = within;
    for (int i = 0; i < made; i++)
        pthread_join(members[i].thread, NULL);
}

#elif defined(_OPENMP)

/* ---- threads that OpenMP's runtime makes, and keeps for the thread that called it ---- */

/* libgomp ends the process where it cannot make a thread, so it is asked only for threads that can be had. It keeps
   those of the last region, for each calling thread, and makes new ones where the next region wants more. Before that
   as many as are missing are made here, with stacks of the same size, all alive at the same time, and ended. Where one
   cannot be made the region gets fewer, and calls of this thread do so for a second.

   A race is left. Between the end of the probe and libgomp's own threads, some 10 us, another process of this user or
   container may take what the probe had found (processes, addresses); so may another thread of this process that is not
   in this file. For 0.1 s after a probe, unless a limit was changed, a region trusts that it can have the same threads
   again. Regions of other libraries on the same libgomp and thread end threads that are counted here. Two threads that
   come through this file do not race: while one probes the other one waits until that region has begun. */
#define FS_TRUSTED 100000000 /* ns */
#define FS_PATIENCE 1000000000

typedef struct {
    int had;               /* threads of the last region */
    int probed, limit;     /* found the last time; the most that could be had, where it was less than asked for */
    int64_t trusted_until; /* ns */
    int64_t limited_until;
    struct rlimit limits[3];
} fs_pool;

/* Of the calling thread. No thread of a region may touch it: memory for it might have to be had first. */
static _Thread_local fs_pool pool;

static int release_threads(void)
{
#if _OPENMP >= 201811 || (defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 9)
    /* A forked child has none of the parent's threads, but libgomp's pool of the forking thread still lists them and
       the child's first region would wait for them for ever. So the pool is given back before the fork; parent and
       child each make a new one when they next need it. Where that fails, as inside a region, the child stays on one
       thread. */
    if (omp_pause_resource_all(omp_pause_soft) != 0)
        return 0;
    pool.had = 0;
    return 1;
#else
    return 0;
#endif
}

/* Bytes of a stack as OpenMP's runtime takes them from the environment: a number and B, K (the default), M or G. 0: the
   system's default. */
static size_t stack_size(void)
{
    static const char *const names[] = {"OMP_STACKSIZE", "GOMP_STACKSIZE"};
    for (int i = 0; i < 2; i++) {
        const char *text = getenv(names[i]);
        char *end;
        unsigned long number = text ? strtoul(text, &end, 10) : 0;
        if (number == 0)
            continue;
        while (*end == ' ' || *end == '\t')
            end++;
        int unit = *end | 0x20; /* in lower case */
        int shift = unit == 'b' ? 0 : unit == 'm' ? 20 : unit == 'g' ? 30 : 10;
        return (size_t)number << shift;
    }
    return 0;
}

/* Bytes that OpenMP's runtime takes for each thread, from the heap and from the caller's stack (a part of that). */
#define FS_HEAP_OF_THREAD 1024
#define FS_STACK_OF_THREAD 192
#define FS_STACK_OF_REGION 32768

/* Threads whose beginnings the caller's stack has room for. */
static int fit_stack(int threads)
{
#ifdef __GLIBC__
    pthread_attr_t attributes;
    void *lowest;
    size_t size;
    if (threads <= 16 || pthread_getattr_np(pthread_self(), &attributes))
        return threads;
    int failed = pthread_attr_getstack(&attributes, &lowest, &size);
    pthread_attr_destroy(&attributes);
    if (failed)
        return threads;
    int64_t left = (char *)__builtin_frame_address(0) - (char *)lowest - FS_STACK_OF_REGION;
    int64_t most = left < 0 ? 0 : left / FS_STACK_OF_THREAD;
    return most < threads ? (int)most + 1 : threads;
#else
    return threads;
#endif
}

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    int over;
} fs_probe;

static void *wait_for_end(void *argument)
{
    fs_probe *probe = argument;
    pthread_mutex_lock(&probe->lock);
    while (!probe->over)
        pthread_cond_wait(&probe->ended, &probe->lock);
    pthread_mutex_unlock(&probe->lock);
    return NULL;
}

/* How many of `threads` can be there at the same time, where `there` of them are: the calling one and those that the
   runtime keeps for it. */
static __attribute__((noinline)) int probe_threads(int threads, int there)
{
    fs_probe probe = {.lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};
    pthread_t *made = malloc((size_t)threads * sizeof *made);
    pthread_attr_t attributes;
    int wanted = threads - there, count = 0;
    if (made == NULL || pthread_attr_init(&attributes)) {
        free(made);
        return there;
    }
    if (stack_size())
        pthread_attr_setstacksize(&attributes, stack_size());
    while (count < wanted && pthread_create(&made[count], &attributes, wait_for_end, &probe) == 0)
        count++;
    void *heap = malloc((size_t)threads * FS_HEAP_OF_THREAD);
    int enough = heap != NULL;
    free(heap);
    pthread_mutex_lock(&probe.lock);
    probe.over = 1;
    pthread_cond_broadcast(&probe.ended);
    pthread_mutex_unlock(&probe.lock);
    for (int i = 0; i < count; i++)
        pthread_join(made[i], NULL);
    pthread_attr_destroy(&attributes);
    free(made);
    /* Where there was an end to them, the last one is left to others. */
    return !enough ? there : count == wanted ? threads : count > 0 ? there + count - 1 : there;
}

static int limits_changed(void)
{
    static const int kinds[] = {RLIMIT_AS, RLIMIT_DATA,
#ifdef RLIMIT_NPROC
                                RLIMIT_NPROC
#endif
    };
    int changed = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct rlimit now = {0, 0};
        getrlimit(kinds[i], &now);
        changed |= now.rlim_cur != pool.limits[i].rlim_cur;
        pool.limits[i] = now;
    }
    return changed;
}

/* As many of `threads` as can be had; under `making`. */
static int threads_to_be_had(int threads)
{
    int64_t now = fs_now_ns();
    int changed = limits_changed();
    if (!changed && threads <= pool.probed && now < pool.trusted_until)
        return threads;
    int fit = fit_stack(threads), there = pool.had < 1 ? 1 : pool.had < fit ? pool.had : fit;
    pool.probed = probe_threads(fit, there);
    now = fs_now_ns();
    pool.trusted_until = now + FS_TRUSTED;
    pool.limit = pool.probed;
    pool.limited_until = pool.probed < threads ? now + FS_PATIENCE : 0;
    return pool.probed;
}

static __attribute__((noinline)) void run_with_new_threads(int threads, fs_body body, void *context)
{
    pthread_mutex_lock(&making);
    threads = threads_to_be_had(threads);
    if (threads <= 1) {
        pthread_mutex_unlock(&making);
        body(context, 0, 1);
        return;
    }
    pool.had = threads;
#pragma omp parallel num_threads(threads)
    {
        /* Thread 0 comes here when all others have been made. */
        if (omp_get_thread_num() == 0)
            pthread_mutex_unlock(&making);
        body(context, omp_get_thread_num(), omp_get_num_threads());
    }
}

void fs_parallel(int threads, fs_body body, void *context)
{
    /* A region within a region, as where a decoding loop calls Python, has one thread. */
    if (threads <= 1 || !may_have_threads() || omp_in_parallel()) {
        body(context, 0, 1);
        return;
    }
    if (pool.limited_until) {
        if (fs_now_ns() >= pool.limited_until)
            pool.limited_until = 0;
        else if (threads > pool.limit)
            threads = pool.limit;
        if (threads <= 1) {
            body(context, 0, 1);
            return;
        }
    }
    if (threads > pool.had) {
        run_with_new_threads(threads, body, context);
        return;
    }
    pool.had = threads;
    /* The runtime may give fewer threads than asked for, so the body divides by what it finds. */
#pragma omp parallel num_threads(threads)
    body(context, omp_get_thread_num(), omp_get_num_threads());
}

#else

void fs_parallel(int threads, fs_body body, void *context)
{
    (void)threads;
    body(context, 0, 1);
}

#endif

/* ---- tests that widen the time between what threads do ---- */

#ifdef FS_STRESS
void fs_stress_pause(int one_of)
{
    static uint64_t counter;
    uint64_t random = fs_mix(__atomic_add_fetch(&counter, 0x9E3779B97F4A7C15ull, __ATOMIC_RELAXED));
    if (random % (uint64_t)one_of == 0)
        nanosleep(&(struct timespec){.tv_nsec = (long)(random >> 40) % 200000}, NULL);
}
#endif

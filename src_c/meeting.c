/* What it costs threads to meet at a barrier: plan.c weighs it against the work between two meetings. */
#include "internal.h"

/* Cores that share a cache meet in 60 ns, others in 450, and a virtual machine's may be moved from the ones to the
   others: so it is measured, again after a while, in some 10 us. Where threads have to take turns on a core it takes
   ms, and is done less often. */
#define FS_MEASURE_EVERY 1000000000 /* ns */
#define FS_TAKES_TURNS 5000         /* ns */
#define FS_MEETINGS 8
#define FS_MEASUREMENTS 3

static int64_t meeting_ns = 60;

int64_t fs_meeting_ns(void) { return __atomic_load_n(&meeting_ns, __ATOMIC_RELAXED); }

typedef struct {
    fs_barrier barrier;
    int64_t best; /* the quickest of some: a thread that lost its core meanwhile says nothing */
} fs_measurement;

static void meet(void *context, int thread, int threads)
{
    fs_measurement *m = context;
    __atomic_store_n(&m->barrier.threads, threads, __ATOMIC_RELAXED);
    for (int i = 0; i < FS_MEASUREMENTS && threads > 1; i++) {
        int64_t begin = fs_now_ns();
        for (int j = 0; j < FS_MEETINGS; j++)
            fs_barrier_wait(&m->barrier);
        int64_t one = (fs_now_ns() - begin) / FS_MEETINGS;
        if (thread == 0 && (m->best == 0 || one < m->best))
            m->best = one;
    }
}

/* Asked for before steps whose threads meet; every 64th question looks at the clock. */
void fs_measure_meeting(int threads)
{
    static int64_t measured_at;
    static unsigned questions;
    if (__atomic_fetch_add(&questions, 1, __ATOMIC_RELAXED) % 64)
        return;
    int64_t now = fs_now_ns(), before = __atomic_load_n(&measured_at, __ATOMIC_RELAXED);
    if (before && now - before < (fs_meeting_ns() < FS_TAKES_TURNS ? 1 : 10) * (int64_t)FS_MEASURE_EVERY)
        return;
    /* One thread measures, the others go on with the old number. */
    if (!__atomic_compare_exchange_n(&measured_at, &before, now, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        return;
    fs_measurement m = {.best = 0};
    fs_parallel(threads, meet, &m);
    if (m.best)
        __atomic_store_n(&meeting_ns, m.best < 20 ? 20 : m.best, __ATOMIC_RELAXED);
}

/* What it costs threads to meet at a barrier: plan.c weighs it against the work between two meetings. */
#include "threads/meeting.h"
#include "threads/barrier.h"
#include "threads/clock.h"
#include "threads/parallel.h"

/* Cores that share a cache meet in 60 ns, others in 450, and a virtual machine's may be moved from the ones to the
   others: so it is measured, again after a while, in some 10 us. Where threads have to take turns on a core a meeting
   takes 50 us, and the measurement some ms. New threads may be on one core for a moment only: so it is made again
   after 8 times as long as it took, and each time it is still so after twice as long as before. */
#ifdef FS_STRESS
#define FS_MEASURE_EVERY 100000 /* ns */
#define FS_MEASURE_SELDOM 100000
#else
#define FS_MEASURE_EVERY 1000000000
#define FS_MEASURE_SELDOM 10000000000
#endif
#define FS_TAKES_TURNS 5000 /* ns */
#define FS_MEETINGS 8
#define FS_MEASUREMENTS 3

static int64_t meeting_ns = 60;

int64_t fs_meeting_ns(void) { return __atomic_load_n(&meeting_ns, __ATOMIC_RELAXED); }

typedef struct {
    fs_barrier barrier;
    int64_t best; /* the quickest of some: a thread that lost its core meanwhile says nothing */
    int over; /* written by thread 0 between two meetings, read by all between two others */
} fs_measurement;

static void meet(void *context, int thread, int threads)
{
    fs_measurement *m = context;
    fs_barrier_of(&m->barrier, threads);
    for (int i = 0; i < FS_MEASUREMENTS && threads > 1 && !m->over; i++) {
        /* The first one waits for threads to wake. */
        fs_barrier_wait(&m->barrier);
        int64_t begin = fs_now_ns();
        for (int j = 0; j < FS_MEETINGS; j++)
            fs_barrier_wait(&m->barrier);
        int64_t one = (fs_now_ns() - begin) / FS_MEETINGS;
        if (thread == 0) {
            m->best = i == 0 || one < m->best ? one : m->best;
            m->over = one >= FS_TAKES_TURNS;
        }
        fs_barrier_wait(&m->barrier);
    }
}

/* How long the next measurement has to wait for one that took so long. */
static int64_t wait_after(int64_t took, int64_t best)
{
    static int64_t last; /* wait, where threads took turns */
    int64_t wait = 0;
    if (best >= FS_TAKES_TURNS) {
        wait = 2 * __atomic_load_n(&last, __ATOMIC_RELAXED);
        wait = wait < 8 * took ? 8 * took : wait;
        wait = wait < FS_MEASURE_SELDOM ? wait : FS_MEASURE_SELDOM;
    }
    __atomic_store_n(&last, wait, __ATOMIC_RELAXED);
    return wait ? wait : FS_MEASURE_EVERY;
}

static int64_t next;

int fs_meeting_due(int64_t now) { return now >= __atomic_load_n(&next, __ATOMIC_RELAXED); }

void fs_measure_meeting(int threads, int64_t now)
{
    int64_t due = __atomic_load_n(&next, __ATOMIC_RELAXED);
    /* One thread measures, the others go on with the old number. */
    if (now < due || !__atomic_compare_exchange_n(&next, &due, now + FS_MEASURE_SELDOM, 0, __ATOMIC_RELAXED,
                                                  __ATOMIC_RELAXED))
        return;
    fs_measurement m = {.best = 0};
    fs_parallel(threads, meet, &m);
    if (m.best)
        __atomic_store_n(&meeting_ns, m.best < FS_LEAST_MEETING_NS ? FS_LEAST_MEETING_NS : m.best, __ATOMIC_RELAXED);
    int64_t end = fs_now_ns();
    __atomic_store_n(&next, end + wait_after(end - now, m.best), __ATOMIC_RELAXED);
}

/* What it costs threads to meet at a barrier: plan.c weighs it against the work between two meetings. */
#include "threads/meeting.h"
#include "threads/barrier.h"
#include "threads/clock.h"
#include "threads/parallel.h"

/* Threads on cores that share a cache meet in 60 ns, on others in 450, and a virtual machine may move its cores from
   the first kind to the second. So a meeting is measured while the library runs, once a second, in some 10 us.

   Two threads that share one core take turns on it: a meeting takes 50 us then, and the measurement some ms. New
   threads may share a core for a moment only, so the next measurement comes soon, after 8 times as long as this one
   took. As long as measurements find that threads take turns, each waits twice as long as the one before, up to 10 s.
   */
#ifdef FS_STRESS
#define FS_MEASURE_EVERY 100000 /* ns */
#define FS_MEASURE_SELDOM 100000
#else
#define FS_MEASURE_EVERY 1000000000
#define FS_MEASURE_SELDOM 10000000000
#endif
#define FS_TAKES_TURNS 5000 /* ns of a meeting: 11 times what it takes on two cores that share no cache */
#define FS_SOON 8
#define FS_MEETINGS 8
#define FS_MEASUREMENTS 3

static int64_t meeting_ns = 60;

int64_t fs_meeting_ns(void) { return __atomic_load_n(&meeting_ns, __ATOMIC_RELAXED); }

typedef struct {
    fs_barrier barrier;
    int64_t best; /* the quickest of some, since a thread that loses its core meanwhile makes the others slow */
    int over;     /* written by thread 0 between two meetings, read by all between two others */
} fs_measurement;

static void meet(void *context, int thread, int threads)
{
    fs_measurement *m = context;
    fs_barrier_of(&m->barrier, threads);
    for (int i = 0; i < FS_MEASUREMENTS && threads > 1 && !m->over; i++) {
        /* The first meeting waits for threads to wake, so it is not counted. */
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

/* How long the next measurement has to wait, in ns, after one that took `took` and whose quickest meeting took `best`.
   */
static int64_t wait_after(int64_t took, int64_t best)
{
    static int64_t last; /* wait after a measurement whose threads took turns, else 0 */
    int64_t wait = 0;
    if (best >= FS_TAKES_TURNS) {
        wait = 2 * __atomic_load_n(&last, __ATOMIC_RELAXED);
        wait = wait < FS_SOON * took ? FS_SOON * took : wait;
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

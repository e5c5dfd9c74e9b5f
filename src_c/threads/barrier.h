/* Where threads of a region meet (barrier.c). */
#ifndef FS_BARRIER_H
#define FS_BARRIER_H

typedef struct {
    int arrived;
    unsigned generation;
    int threads; /* each writes the same number before it waits, what the runtime really gave */
    int sleepers;
    int open;
    char apart[44]; /* a cache line of its own */
} fs_barrier;

static inline void fs_barrier_of(fs_barrier *barrier, int threads)
{
    __atomic_store_n(&barrier->threads, threads, __ATOMIC_RELAXED);
}
/* 0 when all have come, 1 where the barrier is open. */
int fs_barrier_wait(fs_barrier *barrier);
/* Lets everybody through from now on: a thread that stops will not come any more. */
void fs_barrier_open(fs_barrier *barrier);
#endif

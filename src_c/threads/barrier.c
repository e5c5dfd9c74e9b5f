/* How threads of a region meet. */
#include "threads/barrier.h"
#include "threads/clock.h"
#include "threads/pause.h"
#include "threads/stress.h"
#include <sched.h>
#ifdef __linux__
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

/* Waiting for the others: by spinning while they are at it (a meeting takes 0.06 us). Then by yielding, in case they
   wait for this core: the system moves one of two threads that both want to run to an idle core, within ms, but leaves
   two on one core of which one always sleeps (each meeting of theirs took 50 us, for good). At last asleep, when the
   system has given their cores to somebody else: a core that sleeps here can take them in. */
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

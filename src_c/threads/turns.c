/* Whether threads get a core each, or have to take turns with those of other processes: then a region of some 10 us
   waits for a thread's next turn, which comes after ms, and one thread alone is done long before. */
#include "threads/turns.h"
#include "threads/clock.h"
#include "threads/watch.h"

/* A region took turns that lasted longer than this and a ns for each multiply-add: one thread alone takes a tenth of
   that or less. */
#define FS_TURN 1000000 /* ns */
/* After such a region steps go to one thread for 4 times as long as the region took. When the next region takes turns
   again they do so for 8 times as long, then 16, up to 64: one slow moment costs little, and a long contest a 64th of
   the time. Two threads beside two busy processes on two cores, an epoch of GRU(16) over 1,000 sequences: 20 to 1150 ms
   -> 13 to 80 ms. */
#define FS_LEAST_FACTOR 4
#define FS_MOST_FACTOR 64
#define FS_LONGEST_ALONE 1000000000 /* ns */
/* Larger steps (some ms) lose less by waiting than by being left to one thread. */
#define FS_LARGE_STEP FS_WATCHED_WORK

static int64_t alone_until;
static int alone_factor = FS_LEAST_FACTOR;

int fs_threads_take_turns(double work, int64_t now)
{
    return work < FS_LARGE_STEP && now < __atomic_load_n(&alone_until, __ATOMIC_RELAXED);
}

void fs_note_region(double work, int64_t began)
{
    if (work >= FS_LARGE_STEP)
        return;
    int64_t now = fs_now_ns(), took = now - began;
    int factor = __atomic_load_n(&alone_factor, __ATOMIC_RELAXED);
    if ((double)took < FS_TURN + work) {
        if (factor != FS_LEAST_FACTOR)
            __atomic_store_n(&alone_factor, FS_LEAST_FACTOR, __ATOMIC_RELAXED);
        return;
    }
    took = took < FS_LONGEST_ALONE / factor ? took * factor : FS_LONGEST_ALONE;
    __atomic_store_n(&alone_until, now + took, __ATOMIC_RELAXED);
    if (factor < FS_MOST_FACTOR)
        __atomic_store_n(&alone_factor, 2 * factor, __ATOMIC_RELAXED);
}

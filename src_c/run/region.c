/* Parallel regions of runs: left out while threads take turns, and interrupted by what thread 0 is told. */
#include "run/region.h"
#include "threads/clock.h"
#include "threads/pause.h"
#include "threads/turns.h"
#include <time.h>

typedef struct {
    fs_body body;
    void *context;
    fs_watch *watch;
    int finished; /* threads that have */
} fs_watched;

/* Thread 0 is the only one that can be told to stop, so it goes on asking until the others have finished too. */
static void ask_for_others(fs_watched *w, int threads)
{
    for (int spins = 0; __atomic_load_n(&w->finished, __ATOMIC_RELAXED) < threads; spins++) {
        if (spins < 8 * FS_SPINS) {
            FS_PAUSE();
            continue;
        }
        if (fs_look(w->watch, 1) && fs_orphaned(w->watch))
            return;
        nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
    }
}

static void watched_body(void *context, int thread, int threads)
{
    fs_watched *w = context;
    if (thread == 0)
        fs_watch_threads(w->watch, threads);
    w->body(w->context, thread, threads);
    if (threads > 1) {
        __atomic_add_fetch(&w->finished, 1, __ATOMIC_RELAXED);
        if (thread == 0) {
            if (!fs_orphaned(w->watch))
                ask_for_others(w, threads);
            fs_leave_orphaned(w->watch);
        }
    }
}

/* Out of line, so that steps on one thread do not pay for it. */
__attribute__((noinline)) int fs_run_region(fs_body body, void *context, int threads, double work, fs_watch *watch,
                                            int polls)
{
    int64_t began = fs_now_ns();
    if (fs_threads_take_turns(work, began))
        return 0;
    if (watch && polls) {
        fs_watched watched = {body, context, watch, 0};
        fs_watch_region(watch, threads, watched_body, &watched);
    } else {
        fs_parallel(threads, body, context);
    }
    fs_note_region(work, began);
    return 1;
}

/* How long calls are interrupted: who asks Python, and how often. */
#include "threads/watch.h"
#include "abi/fastseq.h"
#include "threads/clock.h"
#include "threads/parallel.h"

#define FS_POLL_EVERY 50000000 /* ns */
/* Where another thread holds the GIL, polling waits for it: then it comes less often, so that it takes a twentieth of
   the time at most, but so often all the same. */
#define FS_POLL_SELDOM 500000000

static fs_poll_fn poll_function;
void fs_set_poll(fs_poll_fn poll) { poll_function = poll; }

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
    int64_t now = fs_coarse_ns();
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
    int64_t then = fs_coarse_ns(), wait = (then - now) * 20;
    wait = wait < FS_POLL_SELDOM ? wait : FS_POLL_SELDOM;
    watch->next_poll = then + (wait > FS_POLL_EVERY ? wait : FS_POLL_EVERY);
    if (stop)
        __atomic_store_n(&watch->stop, 1, __ATOMIC_RELAXED);
    return stop;
}

int fs_stops_after(fs_watch *watch, int polls, double *unlooked, double work)
{
    if ((*unlooked += work) < FS_WORK_PER_LOOK)
        return 0;
    *unlooked = 0;
    return fs_look(watch, polls);
}

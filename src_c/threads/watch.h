/* How a call is interrupted (watch.c): its threads look now and then whether its results are still wanted. */
#ifndef FS_WATCH_H
#define FS_WATCH_H
#include <fenv.h>
#include <setjmp.h>
#include <stdint.h>

/* What the threads of one call that may be interrupted share. */
typedef struct {
    int stop;          /* set once, read by all: results are not wanted any more */
    int64_t next_poll; /* in ns, 0 before the first look; belongs to the thread that polls */
    fenv_t mode;       /* the caller's floating-point mode, for what `poll` runs */
    jmp_buf *out;      /* out of the region that thread 0 is in; null where it is in none, or alone */
    int forks;         /* before that region */
} fs_watch;

/* A call is watched once it has so many multiply-adds in it (some ms), and what comes after them. */
#define FS_WATCHED_WORK 2e8

/* A thread of a watched call looks whenever it has done so many multiply-adds: 20 us to some ms. */
#define FS_WORK_PER_LOOK 4e6

/* For any thread of the call: whether to stop. One thread, that which came from Python, has `polls` and asks the poll
   function when 50 ms have passed; a look costs it a reading of the clock (20 ns), the others a load. */
void fs_watch_begin(fs_watch *watch);
int fs_look(fs_watch *watch, int polls);

/* fs_look after each FS_WORK_PER_LOOK: `work` more multiply-adds are done, `unlooked` counts those since the last
   look. */
int fs_stops_after(fs_watch *watch, int polls, double *unlooked, double work);
#endif

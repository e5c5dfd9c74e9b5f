/* Parallel regions (parallel.c): a body that several threads run at the same time. */
#ifndef FS_PARALLEL_H
#define FS_PARALLEL_H
#include "threads/watch.h"

typedef void (*fs_body)(void *context, int thread, int threads);

/* Runs body on at most `threads` threads, as many as can be had; each is told how many there are. */
void fs_parallel(int threads, fs_body body, void *context);

/* fs_parallel for a body whose thread 0 may run Python, with `watch` for its looks. There a process may be forked: the
   child has thread 0 alone, in the middle of the region, and is then orphaned, which fs_look tells as it tells of an
   interrupt. Thread 0 goes back to the end of the body without waiting for any other, and leaves the region there. */
void fs_watch_region(fs_watch *watch, int threads, fs_body body, void *context);
void fs_watch_threads(fs_watch *watch, int threads); /* thread 0, as its body begins: how many there are */
int fs_orphaned(const fs_watch *watch);              /* for thread 0 */
void fs_leave_orphaned(const fs_watch *watch);       /* does not return where it is */
#endif

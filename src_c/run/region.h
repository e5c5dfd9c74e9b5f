/* A parallel region that may be interrupted (region.c). */
#ifndef FS_REGION_H
#define FS_REGION_H
#include "threads/parallel.h"

/* Runs body on several threads, for so much work, and returns whether it did: not while threads take turns on their
   cores. watch: null, or what may stop it; `polls` as for fs_look, of thread 0. */
int fs_run_region(fs_body body, void *context, int threads, double work, fs_watch *watch, int polls);
#endif

/* Running steps inside a loop in C (steps.c); abi/fastseq.h has what Cython calls. */
#ifndef FS_STEPS_H
#define FS_STEPS_H
#include "abi/fastseq.h"
#include "threads/watch.h"

/* fs_run inside a watched loop: `watch` is the loop's, `polls` as for fs_look. */
int fs_run_watched(const fs_step *steps, int64_t count, int threads, fs_watch *watch, int polls, fs_failure *failure);
#endif

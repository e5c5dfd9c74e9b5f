/* How a step is divided among threads, and what a kernel is told of its part. */
#ifndef FS_SHARE_H
#define FS_SHARE_H
#include "abi/fastseq.h"
#include "threads/barrier.h"
#include "threads/watch.h"

/* How to divide a step: `rows` independent rows of `row_work` multiply-adds each, or `units` panels of all rows. */
typedef struct {
    int64_t rows, units;
    double row_work;
    int by_units; /* threads share rows but own units, and meet at a barrier `meets` times */
    int meets;
} fs_extent;

/* The share of a step that one thread does: rows [row_lo, row_hi), and panels (or groups of them) [unit_lo, unit_hi).
   Only with a barrier do several threads work on the same rows. */
typedef struct {
    int64_t row_lo, row_hi, unit_lo, unit_hi;
    fs_barrier *barrier;
    fs_failure *failure;
    fs_watch *watch; /* null where the step is too short to be watched */
    int polls;
} fs_share;

/* Which part of a step thread number `thread` of `threads` does; they meet at `barrier` where they have to. */
static inline void fs_take_part(fs_share *share, const fs_extent *extent, fs_barrier *barrier, int thread, int threads)
{
    int by_units = threads > 1 && extent->by_units;
    share->row_lo = by_units ? 0 : extent->rows * thread / threads;
    share->row_hi = by_units ? extent->rows : extent->rows * (thread + 1) / threads;
    share->unit_lo = by_units ? extent->units * thread / threads : 0;
    share->unit_hi = by_units ? extent->units * (thread + 1) / threads : extent->units;
    share->barrier = by_units && extent->meets ? barrier : NULL;
}

/* Of a watched step: whether to stop, asked after `work` more multiply-adds. A kernel that stops leaves its barrier
   open (fs_leave) and writes no more. A macro, so that a step that is not watched does not even work out `work`. */
#define FS_STOPS(share, unlooked, work)                                                                                \
    (__builtin_expect((share)->watch != NULL, 0) &&                                                                    \
     fs_stops_after((share)->watch, (share)->polls, (unlooked), (work)))

/* What a kernel does that stops early. */
static inline void fs_leave(const fs_share *share)
{
    if (share->barrier)
        fs_barrier_open(share->barrier);
}
#endif

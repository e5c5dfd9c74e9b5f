/* The time that threads go by: a clock that nobody sets back. */
#ifndef FS_CLOCK_H
#define FS_CLOCK_H
#include <stdint.h>
#include <time.h>

static inline int64_t fs_clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline int64_t fs_now_ns(void) { return fs_clock_ns(CLOCK_MONOTONIC); }

/* Right to some ms, in 5 ns where the system has such a clock; fs_now_ns takes 20. */
static inline int64_t fs_coarse_ns(void)
{
#ifdef CLOCK_MONOTONIC_COARSE
    return fs_clock_ns(CLOCK_MONOTONIC_COARSE);
#else
    return fs_now_ns();
#endif
}
#endif

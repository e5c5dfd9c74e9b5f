/* Loops over time inside a program: the same steps again and again, on the next timestep's part of their arrays. */
#include "run/steps.h"

/* A body is short; looking at the clock (20 ns) after so many is nothing. */
#define FS_TIMES_PER_LOOK 16

static void move(char *arguments, const fs_loop *loop, const fs_move *moves, int64_t times)
{
    for (int64_t i = loop->first_move; i < loop->first_move + loop->move_count; i++)
        *(char **)(arguments + moves[i].where) += moves[i].bytes * times;
}

static int run_part(const fs_step *steps, int64_t first, int64_t last, int threads, fs_watch *watch,
                    fs_failure *failure)
{
    int status = fs_run_watched(steps + first, last - first, threads, watch, 1, failure);
    if (status == FS_FAILED)
        failure->step += first;
    return status;
}

static int run_loop(const fs_step *steps, char *arguments, const fs_loop *loop, const fs_move *moves, int threads,
                    fs_watch *watch, fs_failure *failure)
{
    int status = FS_DONE;
    int64_t done = 0;
    while (done < loop->times && status == FS_DONE) {
        if (loop->condition >= 0 && !**(const uint8_t **)(arguments + loop->condition))
            break;
        status = run_part(steps, loop->first, loop->last, threads, watch, failure);
        move(arguments, loop, moves, 1);
        if (++done % FS_TIMES_PER_LOOK == 0 && status == FS_DONE && fs_look(watch, 1))
            status = FS_INTERRUPTED;
    }
    move(arguments, loop, moves, -done);
    return status;
}

int fs_run_loops(const fs_step *steps, int64_t count, char *arguments, const fs_loop *loops, int64_t loop_count,
                 const fs_move *moves, int threads, fs_failure *failure)
{
    fs_watch watch;
    int64_t at = 0;
    int status = FS_DONE;
    fs_watch_begin(&watch);
    for (int64_t i = 0; i < loop_count && status == FS_DONE; i++) {
        status = run_part(steps, at, loops[i].first, threads, &watch, failure);
        if (status == FS_DONE)
            status = run_loop(steps, arguments, &loops[i], moves, threads, &watch, failure);
        at = loops[i].last;
    }
    return status == FS_DONE ? run_part(steps, at, count, threads, &watch, failure) : status;
}

/* Loops over time inside a program: the same steps again and again, on the next timestep's part of their arrays.

   Where rows of the batch do not meet (fs_cut), tiles of rows run through all times by themselves, on as many threads
   as pay, each with arguments of its own: threads meet once a loop, and not at every step. */
#include "abi/loops.h"
#include "run/extents.h"
#include "run/kernel_table.h"
#include "run/plan.h"
#include "run/region.h"
#include "run/steps.h"
#include "threads/meeting.h"
#include <stdlib.h>
#include <string.h>

/* A body is short; looking at the clock (20 ns) after so many is nothing. */
#define FS_TIMES_PER_LOOK 16

/* Rows of a tile, a multiple of the six that products take at once. With 12 a layer-normalised LSTM(64) of 32 rows took
   4.9 ms for 4.2, though its arrays are in L1 then: what a step costs by itself counts more. */
#define FS_TILE_ROWS 48

/* A step that one thread runs again and again: what it would ask each time is asked once. */
typedef struct {
    fs_kernel_fn kernel;
    const void *args;
    fs_share share;
} fs_prepared;

/* A loop: steps whose arguments are at `arguments`; prepared: of one thread, or null. */
typedef struct {
    const fs_looped *program;
    const fs_loop *loop;
    const fs_step *steps; /* of the body */
    const fs_prepared *prepared;
    char *arguments;
    int threads, polls;
    fs_watch *watch;
    fs_failure *failure;
} fs_round;

/* Whether it did: not where a time takes so long that it has to be watched, or steps run beside each other. */
static int prepare(const fs_step *steps, int64_t count, fs_prepared *prepared, fs_failure *failure)
{
    const fs_kernel_fn *kernels = fs_kernels_now();
    double work = 0;
    for (int64_t i = 0; i < count; i++) {
        fs_extent extent;
        if (steps[i].with_next)
            return 0;
        fs_extent_of(steps[i].op, steps[i].args, 1, &extent);
        work += (double)extent.rows * extent.row_work;
        prepared[i] = (fs_prepared){kernels[steps[i].op], steps[i].args, {.failure = failure}};
        fs_take_part(&prepared[i].share, &extent, NULL, 0, 1);
    }
    return work < FS_WORK_PER_LOOK;
}

static int run_prepared(const fs_prepared *prepared, int64_t count, fs_failure *failure)
{
    for (int64_t i = 0; i < count; i++)
        if (prepared[i].kernel(prepared[i].args, &prepared[i].share)) {
            failure->step = i;
            return FS_FAILED;
        }
    return FS_DONE;
}

static void move(const fs_round *r, int64_t times)
{
    const fs_move *moves = r->program->moves + r->loop->first_move;
    for (int64_t i = 0; i < r->loop->move_count; i++)
        *(char **)(r->arguments + moves[i].where) += moves[i].bytes * times;
}

static int run_part(const fs_looped *program, int64_t first, int64_t last, int threads, fs_watch *watch,
                    fs_failure *failure)
{
    int status = fs_run_watched(program->steps + first, last - first, threads, watch, 1, failure);
    if (status == FS_FAILED)
        failure->step += first;
    return status;
}

static int run_times(const fs_round *r)
{
    const fs_loop *loop = r->loop;
    int status = FS_DONE;
    int64_t done = 0;
    while (done < loop->times && status == FS_DONE) {
        if (loop->condition >= 0 && !**(const uint8_t **)(r->arguments + loop->condition))
            break;
        const int64_t count = loop->last - loop->first;
        status = r->prepared ? run_prepared(r->prepared, count, r->failure)
                             : fs_run_watched(r->steps, count, r->threads, r->watch, r->polls, r->failure);
        move(r, 1);
        if (++done % FS_TIMES_PER_LOOK == 0 && status == FS_DONE && fs_look(r->watch, r->polls))
            status = FS_INTERRUPTED;
    }
    move(r, -done);
    if (status == FS_FAILED)
        r->failure->step += loop->first;
    return status;
}

/* ---- tiles of rows ---- */

typedef struct {
    const fs_looped *program;
    const fs_loop *loop;
    fs_watch *watch;
    int64_t tiles, next;
    char *memory; /* of each thread, so many bytes: arguments, and the steps of the body, as they are and prepared */
    size_t bytes;
} fs_tiled;

/* The arguments of the body for the rows of a tile. */
static void cut(const fs_tiled *t, char *arguments, int64_t tile)
{
    const fs_cut *cuts = t->program->cuts + t->loop->first_cut;
    const int64_t lo = t->loop->rows * tile / t->tiles, hi = t->loop->rows * (tile + 1) / t->tiles;
    memcpy(arguments, t->program->arguments, (size_t)t->program->bytes);
    for (int64_t i = 0; i < t->loop->cut_count; i++)
        if (cuts[i].is_size)
            *(int64_t *)(arguments + cuts[i].where) = (hi - lo) * cuts[i].of_row;
        else
            *(char **)(arguments + cuts[i].where) += lo * cuts[i].of_row;
}

/* Takes tiles until there are none. Steps that are cut cannot fail. */
static void run_tiles(void *context, int thread, int threads)
{
    fs_tiled *t = context;
    const fs_loop *loop = t->loop;
    const int64_t count = loop->last - loop->first;
    (void)threads;
    char *arguments = t->memory + (size_t)thread * t->bytes;
    fs_step *steps = (fs_step *)(arguments + t->program->bytes);
    fs_prepared *prepared = (fs_prepared *)(steps + count);
    fs_failure failure;
    fs_round round = {t->program, loop, steps, NULL, arguments, 1, thread == 0, t->watch, &failure};
    memcpy(steps, t->program->steps + loop->first, (size_t)count * sizeof(fs_step));
    for (int64_t i = 0; i < count; i++)
        steps[i].args = arguments + ((const char *)steps[i].args - t->program->arguments);
    for (;;) {
        int64_t tile = __atomic_fetch_add(&t->next, 1, __ATOMIC_RELAXED);
        if (tile >= t->tiles)
            break;
        cut(t, arguments, tile);
        round.prepared = prepare(steps, count, prepared, &failure) ? prepared : NULL;
        if (run_times(&round) != FS_DONE)
            break;
    }
}

/* Whether it did: not where there is no memory for it. */
static int run_in_tiles(const fs_looped *program, const fs_loop *loop, int threads, fs_watch *watch, int *status)
{
    fs_extent extent = {.rows = loop->rows, .units = 1};
    for (int64_t i = loop->first; i < loop->last; i++)
        extent.row_work += fs_work_of(&program->steps[i]) * (double)loop->times / (double)loop->rows;
    int wanted = fs_threads_for(&extent, threads, fs_meeting_ns());
    int64_t tiles = (loop->rows + FS_TILE_ROWS - 1) / FS_TILE_ROWS;
    tiles = (tiles + wanted - 1) / wanted * wanted;
    fs_tiled tiled = {.program = program, .loop = loop, .watch = watch};
    tiled.tiles = tiles < loop->rows ? tiles : loop->rows;
    tiled.bytes = (size_t)program->bytes + (size_t)(loop->last - loop->first) * (sizeof(fs_step) + sizeof(fs_prepared));
    tiled.bytes = (tiled.bytes + 63) / 64 * 64;
    tiled.memory = malloc(tiled.bytes * (size_t)wanted);
    if (tiled.memory == NULL)
        return 0;
    const double work = (double)extent.rows * extent.row_work;
    if (wanted <= 1 || !fs_run_region(run_tiles, &tiled, wanted, work, watch, 1))
        run_tiles(&tiled, 0, 1);
    *status = __atomic_load_n(&watch->stop, __ATOMIC_RELAXED) ? FS_INTERRUPTED : FS_DONE;
    free(tiled.memory);
    return 1;
}

static int run_whole(const fs_looped *program, const fs_loop *loop, int threads, fs_watch *watch, fs_failure *failure)
{
    const fs_step *steps = program->steps + loop->first;
    const int64_t count = loop->last - loop->first;
    fs_prepared *prepared = malloc((size_t)count * sizeof *prepared);
    fs_extent all = {.rows = 1, .units = 1};
    int alone = prepared != NULL && prepare(steps, count, prepared, failure);
    for (int64_t i = 0; alone && threads > 1 && i < count; i++) {
        fs_extent_of(steps[i].op, steps[i].args, threads, &all);
        alone = fs_threads_for(&all, threads, fs_meeting_ns()) == 1;
    }
    const fs_round round = {program, loop, steps, alone ? prepared : NULL, program->arguments, threads, 1, watch,
                            failure};
    int status = run_times(&round);
    free(prepared);
    return status;
}

int fs_run_loops(const fs_looped *program, int threads, fs_failure *failure)
{
    fs_watch watch;
    int64_t at = 0;
    int status = FS_DONE;
    fs_watch_begin(&watch);
    for (int64_t i = 0; i < program->loop_count && status == FS_DONE; i++) {
        const fs_loop *loop = &program->loops[i];
        status = run_part(program, at, loop->first, threads, &watch, failure);
        at = loop->last;
        if (status != FS_DONE)
            break;
        if (loop->cut_count == 0 || !run_in_tiles(program, loop, threads, &watch, &status))
            status = run_whole(program, loop, threads, &watch, failure);
    }
    return status == FS_DONE ? run_part(program, at, program->count, threads, &watch, failure) : status;
}

/* The core's threads alone, for tests/native/test_threads.py: kernels that only note what they are given, and what a
   meeting costs as the test says. Built with what test_threads.py lists of src_c. */
#include "run/team.h"
#include "threads/meeting.h"
#include "threads/parallel.h"
#include "threads/turns.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what the core asks for and is not here ---- */

static int64_t asked;
static int changes; /* what a meeting costs, from one question to the next */

int64_t fs_meeting_ns(void)
{
    int64_t number = __atomic_fetch_add(&asked, 1, __ATOMIC_RELAXED);
    return changes && number % 2 ? 1000000 : 20;
}
int fs_meeting_due(int64_t now) { return now < 0; }
void fs_measure_meeting(int threads, int64_t now) { (void)threads, (void)now; }

/* Threads have a core each here, however busy the machine is. */
int fs_threads_take_turns(double work, int64_t now) { return work < 0 && now < 0; }
void fs_note_region(double work, int64_t began) { (void)work, (void)began; }

/* ---- kernels ---- */

#define ROWS 64
#define STEPS 40
static int done[STEPS][ROWS];
static int64_t fails_from[STEPS]; /* row that fails and all after it; ROWS: none */
static fs_dense_args dense[STEPS];

/* Notes each of its rows, of a panel alone where threads own panels. */
static int note(const void *args, const fs_share *share)
{
    int64_t step = (const fs_dense_args *)args - dense;
    for (int64_t row = share->row_lo; row < share->row_hi; row++) {
        if (row >= fails_from[step]) {
            share->failure->position = row;
            share->failure->value = 7;
            return 1;
        }
        __atomic_add_fetch(&done[step][row], 1, __ATOMIC_RELAXED);
    }
    return 0;
}

static fs_kernel_fn kernels[FS_OP_COUNT];
static const fs_isa isa = {.name = "test", .kernels = kernels};
const fs_isa *fs_isa_active = &isa;

static void prepare(fs_step *steps)
{
    kernels[FS_OP_DENSE] = note;
    memset(done, 0, sizeof done);
    for (int i = 0; i < STEPS; i++) {
        /* Small ones pay where a meeting is cheap and do not where it is dear. */
        dense[i] = (fs_dense_args){.rows = ROWS, .inputs = i % 3 ? 20 : 700, .units = 64};
        steps[i] = (fs_step){.op = FS_OP_DENSE, .args = &dense[i]};
        fails_from[i] = ROWS;
    }
}

/* Whether every step before `last` was done once, and none after it. */
static int once(int last)
{
    for (int i = 0; i < STEPS; i++)
        for (int row = 0; row < ROWS; row++)
            if (done[i][row] != (i < last) && i != last)
                return 0;
    return 1;
}

static int together(void)
{
    fs_step steps[STEPS];
    fs_failure failure;
    for (int run = 0; run < 400; run++) {
        prepare(steps);
        changes = run % 4 > 0;
        if (fs_run_together(steps, STEPS, 0, 2, &failure) != FS_DONE || !once(STEPS))
            return 1;
    }
    return 0;
}

static int failures(void)
{
    fs_step steps[STEPS];
    for (int run = 0; run < 120; run++) {
        fs_failure failure = {-1, -1, -1};
        int at = run % STEPS;
        prepare(steps);
        fails_from[at] = run % 7;
        if (fs_run_together(steps, STEPS, 0, 3, &failure) != FS_FAILED || !once(at))
            return 1;
        if (failure.step != at || failure.position != run % 7 || failure.value != 7)
            return 2;
        prepare(steps);
        fails_from[at] = run % 7;
        if (fs_run(steps, STEPS, 3, &failure) != FS_FAILED || !once(at) || failure.step != at ||
            failure.position != run % 7)
            return 3;
    }
    return 0;
}

/* ---- regions ---- */

static int members;

static void count(void *context, int thread, int threads)
{
    if (thread == 0)
        *(int *)context = threads;
    __atomic_add_fetch(&members, 1, __ATOMIC_RELAXED);
}

static void *most(void *argument)
{
    for (int threads = 1; threads <= FS_MOST_THREADS; threads *= 2)
        for (int again = 0; again < 2; again++) {
            int told = 0;
            members = 0;
            fs_parallel(threads, count, &told);
            if (told < 1 || told > threads || members != told)
                *(int *)argument = 1;
        }
    return NULL;
}

/* As many threads as may be asked for, by one with a small stack: there the beginnings of so many have no room. */
static int stacks(void)
{
    int wrong = 0;
    pthread_attr_t small;
    pthread_t thread;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 64 * 1024);
    if (pthread_create(&thread, &small, most, &wrong))
        return 2;
    pthread_join(thread, NULL);
    most(&wrong);
    return wrong;
}

int main(int count_of, char **what)
{
    (void)count_of;
    int found = strcmp(what[1], "together") == 0   ? together()
                : strcmp(what[1], "failures") == 0 ? failures()
                                                   : stacks();
    printf("%s: %d\n", what[1], found);
    return found;
}

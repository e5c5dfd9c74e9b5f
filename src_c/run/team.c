/* Threads that run one program after another together, in one parallel region: between two steps they meet at a barrier
   (0.1 us) where a region of its own for each step takes 0.4 us to start, and more where its threads sleep. So a single
   row's step is worth several threads from some 10,000 multiply-adds on: each reads its share of the weights from its
   own L2. */
#include "run/team.h"
#include "run/extents.h"
#include "run/plan.h"
#include "threads/clock.h"
#include "threads/meeting.h"
#include "threads/parallel.h"
#include "threads/stress.h"
#include "threads/turns.h"

/* Multiply-adds of a program's shared steps (5 us) that are worth a region. */
#define FS_MIN_WORK_TOGETHER 600e3

static void run_share(fs_team *team, int64_t number, const fs_extent *extent, int thread, int threads)
{
    const fs_step *step = &team->steps[number];
    fs_failure failure;
    fs_share share = {.failure = &failure};
    fs_take_part(&share, extent, &team->barrier, thread, threads);
    if (team->kernels[step->op](step->args, &share))
        fs_note_failure(&team->outcome, number, &failure);
}

/* Every thread of the team walks through all steps. A step that is large enough is shared; thread 0 does the others
   alone. All threads have to decide alike which steps are shared, because a thread that shares a step which another one
   does not share waits for ever. So they decide by the steps, by the number of threads and by what the team says, none
   of which changes while they walk.

   Once a step has failed the threads run no later one, but they still meet. In the step that failed every thread does
   its share, also one that comes late and sees that the step has failed: others may wait for it inside that step. */
static void run_steps(fs_team *team, int thread, int threads)
{
    int shared_before = 0;
    int64_t count = team->count, meeting_ns = team->meeting_ns;
    for (int64_t i = 0; i < count; i++) {
        const fs_step *step = &team->steps[i];
        fs_extent extent;
        fs_extent_of(step->op, step->args, threads, &extent);
        int shared = fs_pays_in_team(&extent, threads, meeting_ns);
        fs_stress_pause(4);
        if (i > 0 && (shared || shared_before))
            fs_barrier_wait(&team->barrier);
        shared_before = shared;
        int64_t failed = fs_failed_step(&team->outcome);
        if (failed && failed <= i)
            continue;
        if (shared)
            run_share(team, i, &extent, thread, threads);
        else if (thread == 0)
            run_share(team, i, &extent, 0, 1);
    }
    /* Also where nothing was shared: before anybody changes the steps' arguments all have done with them. */
    fs_barrier_wait(&team->barrier);
}

/* Thread 0 calls it before a meeting: what the team runs next. */
static void say(fs_team *team, const fs_step *steps, int64_t count, fs_failure *failure)
{
    team->steps = steps;
    team->count = count;
    team->meeting_ns = fs_meeting_ns();
    team->kernels = fs_kernels_now();
    team->outcome = (fs_outcome){.failure = failure};
}

void fs_team_begin(fs_team *team, int threads)
{
    team->threads = threads;
    fs_barrier_of(&team->barrier, threads);
}

int fs_team_run(fs_team *team, const fs_step *steps, int64_t count, fs_failure *failure)
{
    say(team, steps, count, failure);
    fs_barrier_wait(&team->barrier);
    run_steps(team, 0, team->threads);
    return team->outcome.failed ? FS_FAILED : FS_DONE;
}

void fs_team_follow(fs_team *team, int thread, int threads)
{
    fs_barrier_of(&team->barrier, threads);
    for (;;) {
        fs_barrier_wait(&team->barrier);
        if (team->steps == NULL)
            return;
        run_steps(team, thread, threads);
    }
}

void fs_team_end(fs_team *team)
{
    team->steps = NULL;
    fs_barrier_wait(&team->barrier);
}

/* ---- a whole program in one region ---- */

static void together(void *context, int thread, int threads)
{
    fs_team *team = context;
    fs_barrier_of(&team->barrier, threads);
    run_steps(team, thread, threads);
}

/* The steps of a program that its threads would share. */
typedef struct {
    int shared;
    double own; /* multiply-adds of those steps */
} fs_pay;

static int pays(const fs_pay *pay, double work)
{
    return pay->shared > 1 && pay->own >= FS_MIN_WORK_TOGETHER && work < FS_WATCHED_WORK;
}

/* Whether one region for all steps pays: several steps are to be shared, and all steps together are too short to be
   watched. `best`, unless null, becomes what would be shared if a meeting cost the least that it can. */
static int pays_together(const fs_step *steps, int64_t count, int threads, double *work, fs_pay *best)
{
    int64_t meeting_ns = fs_meeting_ns();
    fs_pay pay = {0, 0};
    *work = 0;
    for (int64_t i = 0; i < count; i++) {
        fs_extent extent;
        if (steps[i].with_next) {
            if (best)
                best->shared = 0;
            return 0;
        }
        fs_extent_of(steps[i].op, steps[i].args, threads, &extent);
        double of_step = (double)extent.rows * extent.row_work;
        *work += of_step;
        if (fs_pays_in_team(&extent, threads, meeting_ns)) {
            pay.shared++;
            pay.own += of_step;
        }
        if (best && fs_pays_in_team(&extent, threads, FS_LEAST_MEETING_NS)) {
            best->shared++;
            best->own += of_step;
        }
    }
    return pays(&pay, *work);
}

/* Whether several threads run the program together. `work` becomes the program's multiply-adds, and `now` the time
   after a measurement of a meeting, where one was due. */
static int run_together_pays(const fs_step *steps, int64_t count, int threads, int64_t *now, double *work)
{
    if (!fs_meeting_due(*now))
        return pays_together(steps, count, threads, work, NULL);
    fs_pay best = {0, 0};
    int found = pays_together(steps, count, threads, work, &best);
    if (!found && !pays(&best, *work))
        return 0;
    fs_measure_meeting(threads, *now);
    *now = fs_now_ns();
    return pays_together(steps, count, threads, work, NULL);
}

int fs_run_together(const fs_step *steps, int64_t count, int64_t last_count, int threads, fs_failure *failure)
{
    double work;
    int64_t began = threads > 1 ? fs_now_ns() : 0;
    if (threads > 1 && run_together_pays(steps, count, threads, &began, &work) && !fs_threads_take_turns(work, began)) {
        fs_team team = {.threads = 0};
        say(&team, steps, count, failure);
        fs_parallel(threads, together, &team);
        fs_note_region(work, began);
        return team.outcome.failed ? FS_FAILED : FS_DONE;
    }
    int status = fs_run(steps, count - last_count, threads, failure);
    if (status == FS_DONE)
        fs_run_to_end(steps + count - last_count, last_count, threads);
    return status;
}

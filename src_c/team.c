/* Threads that run one program after another together, in one parallel region: between two steps they meet at a barrier
   (0.1 us) where a region of its own for each step takes 0.4 us to start, and more where its threads sleep. So a single
   row's step is worth several threads from some 10,000 multiply-adds on: each reads its share of the weights from its
   own L2. */
#include "internal.h"

/* Multiply-adds of a program's shared steps (5 us) that are worth a region. */
#define FS_MIN_WORK_TOGETHER 600e3

static void run_share(fs_team *team, const fs_step *step, const fs_extent *extent, int thread, int threads)
{
    fs_share share = {.failure = team->failure};
    fs_take_part(&share, extent, &team->barrier, thread, threads);
    if (fs_isa_active->kernels[step->op](step->args, &share))
        __atomic_store_n(&team->failed, 1, __ATOMIC_RELAXED);
}

/* Every thread of the team walks the same way through the steps; thread 0 does alone what is too small to be shared.
   Once a step has failed nothing is run any more, but the meetings are kept. */
static void run_steps(fs_team *team, int thread)
{
    int shared_before = 0;
    for (int64_t i = 0; i < team->count; i++) {
        const fs_step *step = &team->steps[i];
        fs_extent extent;
        fs_extent_of(step->op, step->args, team->threads, &extent);
        int shared = fs_pays_in_team(&extent, team->threads);
        if (i > 0 && (shared || shared_before))
            fs_barrier_wait(&team->barrier);
        shared_before = shared;
        if (__atomic_load_n(&team->failed, __ATOMIC_RELAXED))
            continue;
        if (shared) {
            run_share(team, step, &extent, thread, team->threads);
        } else if (thread == 0) {
            team->failure->step = i;
            run_share(team, step, &extent, 0, 1);
        }
    }
    /* Also where nothing was shared: before anybody changes the steps' arguments all have done with them. */
    fs_barrier_wait(&team->barrier);
}

int fs_team_run(fs_team *team, const fs_step *steps, int64_t count, fs_failure *failure)
{
    team->steps = steps;
    team->count = count;
    team->failure = failure;
    team->failed = 0;
    fs_barrier_wait(&team->barrier);
    run_steps(team, 0);
    return team->failed;
}

void fs_team_follow(fs_team *team, int thread)
{
    for (;;) {
        fs_barrier_wait(&team->barrier);
        if (team->steps == NULL)
            return;
        run_steps(team, thread);
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
    /* Every thread writes the same number: what the runtime really gave. */
    __atomic_store_n(&team->threads, threads, __ATOMIC_RELAXED);
    __atomic_store_n(&team->barrier.threads, threads, __ATOMIC_RELAXED);
    run_steps(team, thread);
}

/* Whether one region for all steps pays: several steps are to be shared, and none takes so long that it should be
   watched. */
static int pays_together(const fs_step *steps, int64_t count, int threads, double *work)
{
    int shared = 0;
    double own = 0;
    *work = 0;
    for (int64_t i = 0; i < count; i++) {
        fs_extent extent;
        if (steps[i].with_next)
            return 0;
        fs_extent_of(steps[i].op, steps[i].args, threads, &extent);
        double of_step = (double)extent.rows * extent.row_work;
        *work += of_step;
        if (fs_pays_in_team(&extent, threads)) {
            shared++;
            own += of_step;
        }
    }
    return shared > 1 && own >= FS_MIN_WORK_TOGETHER && *work < FS_WATCHED_WORK;
}

int fs_run_together(const fs_step *steps, int64_t count, int64_t last_count, int threads, fs_failure *failure)
{
    double work;
    fs_team team = {.steps = steps, .count = count, .failure = failure};
    int64_t began = fs_now_ns();
    if (threads > 1)
        fs_measure_meeting(threads, began);
    if (threads > 1 && pays_together(steps, count, threads, &work) && !fs_threads_take_turns(work, began)) {
        fs_parallel(threads, together, &team);
        fs_note_region(work, began);
        return team.failed ? FS_FAILED : FS_DONE;
    }
    int status = fs_run(steps, count - last_count, threads, failure);
    if (status == FS_DONE)
        fs_run_to_end(steps + count - last_count, last_count, threads);
    return status;
}

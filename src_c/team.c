/* Threads that run one program after another together, in one parallel region: between two steps they meet at a barrier
   (0.1 us) where a region of its own for each step takes 0.4 us to start, and more where its threads sleep. So a single
   row's step is worth several threads from some 10,000 multiply-adds on: each reads its share of the weights from its
   own L2. */
#include "internal.h"

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

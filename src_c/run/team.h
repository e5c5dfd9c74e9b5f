/* Threads of one region that run programs together (team.c). Thread 0 says which (fs_team_run, as fs_run) and when it
   is over (fs_team_end); the others follow. What it says is said before a meeting, and nobody changes it until all have
   met again. */
#ifndef FS_TEAM_H
#define FS_TEAM_H
#include "run/kernel_table.h"
#include "run/outcome.h"

typedef struct {
    fs_barrier barrier;
    const fs_step *steps; /* null: it is over */
    int64_t count;
    int64_t meeting_ns; /* what a meeting costs, for all of them: they have to agree about what is shared */
    const fs_kernel_fn *kernels;
    fs_outcome outcome;
    int threads; /* belongs to thread 0; the others know it from their region */
} fs_team;
void fs_team_begin(fs_team *team, int threads); /* thread 0 */
int fs_team_run(fs_team *team, const fs_step *steps, int64_t count, fs_failure *failure);
void fs_team_follow(fs_team *team, int thread, int threads);
void fs_team_end(fs_team *team);
#endif

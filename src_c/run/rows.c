/* The arguments of a program that was made for a capacity, set for the rows that there are, and its run. */
#include "run/rows.h"
#include "run/steps.h"

int fs_run_rows(const fs_rows_program *program, const fs_rows_worker *worker, int64_t rows, const fs_runner *runner,
                fs_failure *failure)
{
    char *arguments = worker->arguments;
    for (int64_t i = 0; i < program->patch_count; i++) {
        const fs_patch *patch = &program->patches[i];
        if (patch->which >= 0)
            *(char **)(arguments + patch->where) = worker->data[patch->which] + patch->offset;
    }
    for (int64_t i = 0; i < program->scaled_count; i++) {
        const fs_scaled *scaled = &program->scaled[i];
        *(int64_t *)(arguments + scaled->where) = scaled->base + scaled->slope * rows;
    }
    for (int64_t i = 0; i < program->turned_count; i++)
        *(int64_t *)(arguments + program->turned[i]) ^= 1;
    if (runner->team)
        return fs_team_run(runner->team, worker->steps, program->step_count, failure);
    return fs_run_watched(worker->steps, program->step_count, 1, runner->watch, runner->polls, failure);
}

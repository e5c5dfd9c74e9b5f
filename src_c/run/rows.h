/* A program for any number of rows, inside a loop in C (rows.c). */
#ifndef FS_ROWS_H
#define FS_ROWS_H
#include "run/team.h"

/* How a thread runs programs there: together with a team, or alone (null); as fs_run_watched says. */
typedef struct {
    fs_team *team;
    fs_watch *watch;
    int polls;
} fs_runner;

/* Runs a program for `rows` rows on the arrays at worker->data, as fs_run. */
int fs_run_rows(const fs_rows_program *program, const fs_rows_worker *worker, int64_t rows, const fs_runner *runner,
                fs_failure *failure);
#endif

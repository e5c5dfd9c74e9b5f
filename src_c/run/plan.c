/* Choices that depend on shapes: how many threads pay for a step, when the input product is hoisted, how many rows go
   together. How an operation's work is divided stands in extents.c; choices that depend on the length of a vector as
   well stand in kernels/recurrent_inl.h. */
#include "run/plan.h"
#include "run/extents.h"
#include "threads/meeting.h"
#include <stdio.h>

/* Input sums of one block of timesteps, in floats: they stay in L2 beside the weights. */
#define FS_HOIST_FLOATS (64 * 1024)
/* With more rows than this each reading of the weights is used well enough, and hoisting only adds stores. Measured,
   time hoisted / within the step, LSTM and GRU of 64 to 512 units: 1 row 0.5-0.9, 2 0.6-0.9, 4 0.8-1.0, 6 1.0, 8
   1.0-1.04. */
#define FS_HOIST_MAX_ROWS 6

/* Timesteps whose input sums are computed ahead as one product, 0 for none: then x is multiplied within the step. */
int64_t fs_hoist_steps(int64_t batch, int64_t timesteps, int64_t inputs, int64_t units, int64_t gates)
{
    if (batch == 0 || batch > FS_HOIST_MAX_ROWS || timesteps < 2 || inputs == 0)
        return 0;
    int64_t steps = FS_HOIST_FLOATS / (batch * fs_panels(units) * FS_PANEL * gates);
    if (steps < 2)
        steps = 2;
    return steps < timesteps ? steps : timesteps;
}

/* h twice (before and after the step), c or what else a cell keeps, one flag byte per row, hoisted sums. */
int64_t fs_recurrent_scratch(int op, int64_t batch, int64_t timesteps, int64_t inputs, int64_t units)
{
    int cell = fs_operation_of(op);
    int64_t width = fs_unit_blocks(cell, units) * fs_unit_panels(cell) * FS_PANEL;
    int64_t hoist = fs_hoist_steps(batch, timesteps, inputs, units, fs_gates_of(cell));
    return batch * width * 4 + (batch + 3) / 4 + hoist * batch * width * fs_gates_of(cell) + 64;
}

/* Whether steps walk the blocks up and down in turn: what the last step read last is then still near when this one
   begins. Worth it where few rows make a step wait for weights that L1, or L2, does not hold: LSTM of 1 row and 96
   units (144 KB) 8% less time, 512 units (4 MB) 15%, 1024 (16 MB) 2%; 8 rows of 256 units 3%. `vectors`: 16 weights for
   each k that one thread walks. */
int fs_alternates(int64_t rows, int64_t inputs, int64_t units, int64_t vectors, int64_t w_bytes)
{
    int64_t depth = rows > FS_HOIST_MAX_ROWS ? inputs + units : units;
    return rows <= 8 && depth * vectors * FS_PANEL * w_bytes > (48 << 10);
}

/* Whether blocks of rows fetch the next panel's weights while they multiply with this one, each a part of it. Panels of
   more than a quarter of L2 come from beyond it in every step (32 rows of 1024 units: 10% less time; of 512: none).
   `vectors`: 16 of a panel's weights for each k. */
int fs_fetches_ahead(int64_t rows, int64_t inputs, int64_t units, int64_t vectors, int64_t w_bytes)
{
    return rows > 8 && (inputs + units) * vectors * FS_PANEL * w_bytes > (256 << 10);
}

/* Rows that run through all timesteps before the next ones begin. Weights of less than a quarter of L2 are quickly read
   again, and a group's states, inputs and outputs then stay in L1 (1000 rows of 16 units: 9% less time). */
int64_t fs_row_group(int64_t inputs, int64_t units, int64_t vectors, int64_t w_bytes)
{
    int64_t weights = (inputs + units) * vectors * FS_PANEL * w_bytes;
    int64_t row = (inputs + 4 * units) * (int64_t)sizeof(float);
    if (weights > (256 << 10))
        return FS_MOST_LISTED;
    int64_t rows = (24 << 10) / row / 24 * 24;
    return rows < 24 ? 24 : rows > FS_MOST_LISTED ? FS_MOST_LISTED : rows;
}

/* Rows that run back through all timesteps before the next ones begin: as fs_row_group. */
int64_t fs_back_row_group(int64_t units, int64_t gates, int64_t w_bytes)
{
    if (units * gates * fs_panels(units) * FS_PANEL * w_bytes > (256 << 10))
        return FS_MOST_LISTED;
    int64_t rows = (24 << 10) / (units * (2 * gates + 4) * (int64_t)sizeof(float)) / 24 * 24;
    return rows < 24 ? 24 : rows > FS_MOST_LISTED ? FS_MOST_LISTED : rows;
}

/* Between two meetings at the barrier a thread wants so many for each ns that a meeting costs. At 60 ns, two threads
   over one: LSTM (1,100,64,64), 16e3 a meeting, 1.3 times as fast; (3,250,13,50) 1.15; SimpleRNN (1,100,128,128) 1.35.
   Where the cores share no cache a meeting costs 450 ns, and the first of these took 1.7 times as long on two. */
#define FS_MIN_WORK_PER_MEETING_NS 167.0

int fs_worth_a_thread(const fs_extent *extent)
{
    return (double)extent->rows * extent->row_work >= FS_MIN_WORK_PER_THREAD;
}

int fs_threads_for(const fs_extent *extent, int threads, int64_t meeting_ns)
{
    double work = (double)extent->rows * extent->row_work;
    double most = work / FS_MIN_WORK_PER_THREAD;
    if (extent->by_units && extent->meets) {
        double by_meetings = work / extent->meets / (FS_MIN_WORK_PER_MEETING_NS * (double)meeting_ns);
        most = by_meetings < most ? by_meetings : most;
    }
    int64_t parts = extent->by_units ? extent->units : extent->rows;
    most = (double)parts < most ? (double)parts : most;
    return most >= threads ? threads : most < 1 ? 1 : (int)most;
}

int fs_pays_in_team(const fs_extent *extent, int threads, int64_t meeting_ns)
{
    int64_t parts = extent->by_units ? extent->units : extent->rows;
    double work = (double)extent->rows * extent->row_work;
    return parts >= threads && work >= FS_MIN_WORK_PER_MEETING_NS * (double)meeting_ns * (1 + extent->meets) * threads;
}

void fs_recurrent_plan_text(int op, int64_t batch, int64_t timesteps, int64_t inputs, int64_t units, int threads,
                            char *text)
{
    fs_recurrent_args a = {.batch = batch, .timesteps = timesteps, .inputs = inputs, .units = units};
    fs_extent extent;
    fs_extent_of(op, &a, threads, &extent);
    int cell = fs_operation_of(op);
    int64_t hoist = fs_hoist_steps(batch, timesteps, inputs, units, fs_gates_of(cell));
    int used = fs_threads_for(&extent, threads, fs_meeting_ns());
    int64_t own_rows = extent.by_units ? batch : (batch + used - 1) / used;
    int64_t vectors = fs_panels(units) * fs_gates_of(cell);
    int64_t own = extent.by_units ? (vectors + used - 1) / used : vectors;
    int64_t w_bytes = fs_weight_bytes(op), group = fs_row_group(inputs, units, vectors, w_bytes);
    char team[64] = "1 thread", rows[64] = "";
    if (used > 1)
        snprintf(team, sizeof team, "%d threads that own %s", used, extent.by_units ? "units" : "rows");
    if (group < own_rows)
        snprintf(rows, sizeof rows, "; %d rows at a time", (int)group);
    int alternates = fs_alternates(own_rows, inputs, units, own, w_bytes);
    int ahead = fs_fetches_ahead(own_rows, inputs, units, cell == FS_OP_GRU ? 3 : 4, w_bytes);
    snprintf(text, FS_PLAN_TEXT, "%s; input product %s%s%s%s", team,
             inputs == 0 ? "looked up" : hoist ? "hoisted" : "within the step", rows,
             alternates ? "; weights read up and down" : "", ahead ? "; weights fetched ahead" : "");
}

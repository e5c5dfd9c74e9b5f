/* How work is divided: what each op's rows and units are, when threads own units instead of rows, when the input
   product is hoisted. Choices that depend on shapes are made here; those that depend on the length of a vector as well
   stand in kernels/recurrent_inl.h. */
#include "run/plan.h"
#include "threads/meeting.h"
#include <stdio.h>

static int64_t panels(int64_t units) { return (units + FS_PANEL - 1) / FS_PANEL; }

static int gates_of(int op) { return op == FS_OP_LSTM ? 4 : op == FS_OP_SIMPLE_RNN ? 1 : 3; }

/* Panels that stay together: where a product has one gate, or two, the kernel takes four panels, or two, in their
   place. */
static int unit_panels(int op) { return op == FS_OP_SIMPLE_RNN || op == FS_OP_GRU_RESET_BEFORE ? 4 : 1; }

static int64_t unit_blocks(int op, int64_t units) { return (panels(units) + unit_panels(op) - 1) / unit_panels(op); }

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
    int64_t steps = FS_HOIST_FLOATS / (batch * panels(units) * FS_PANEL * gates);
    if (steps < 2)
        steps = 2;
    return steps < timesteps ? steps : timesteps;
}

/* h twice (before and after the step), c or what else a cell keeps, one flag byte per row, hoisted sums. */
int64_t fs_recurrent_scratch(int op, int64_t batch, int64_t timesteps, int64_t inputs, int64_t units)
{
    int64_t width = unit_blocks(op, units) * unit_panels(op) * FS_PANEL;
    int64_t hoist = fs_hoist_steps(batch, timesteps, inputs, units, gates_of(op));
    return batch * width * 4 + (batch + 3) / 4 + hoist * batch * width * gates_of(op) + 64;
}

/* Whether steps walk the blocks up and down in turn: what the last step read last is then still near when this one
   begins. Worth it where few rows make a step wait for weights that L1, or L2, does not hold: LSTM of 1 row and 96
   units (144 KB) 8% less time, 512 units (4 MB) 15%, 1024 (16 MB) 2%; 8 rows of 256 units 3%. `vectors`: 16 floats of
   weights for each k that one thread walks. */
int fs_alternates(int64_t rows, int64_t inputs, int64_t units, int64_t vectors)
{
    int64_t depth = rows > FS_HOIST_MAX_ROWS ? inputs + units : units;
    return rows <= 8 && depth * vectors * FS_PANEL * 4 > (48 << 10);
}

/* Whether blocks of rows fetch the next panel's weights while they multiply with this one, each a part of it. Panels of
   more than a quarter of L2 come from beyond it in every step (32 rows of 1024 units: 10% less time; of 512: none).
   `vectors`: 16 floats of a panel's weights for each k. */
int fs_fetches_ahead(int64_t rows, int64_t inputs, int64_t units, int64_t vectors)
{
    return rows > 8 && (inputs + units) * vectors * FS_PANEL * 4 > (256 << 10);
}

/* Rows that run through all timesteps before the next ones begin. Weights of less than a quarter of L2 are quickly read
   again, and a group's states, inputs and outputs then stay in L1 (1000 rows of 16 units: 9% less time). */
int64_t fs_row_group(int64_t inputs, int64_t units, int64_t vectors)
{
    int64_t weights = (inputs + units) * vectors * FS_PANEL * 4, row = (inputs + 4 * units) * 4;
    if (weights > (256 << 10))
        return FS_MOST_LISTED;
    int64_t rows = (24 << 10) / row / 24 * 24;
    return rows < 24 ? 24 : rows > FS_MOST_LISTED ? FS_MOST_LISTED : rows;
}

/* Whether threads share the rows and own units: then each reads only its share of the weights, from its own L2 where it
   fits. From four rows a thread on, rows are independent and need no meetings, which is faster until the weights are
   large. Measured, two threads, time with own units / with own rows: LSTM of 64 units 1.47, 128 1.09, 256 0.97 (8 rows)
   and 0.99 (64 rows), 512 0.99, 1024 0.79; GRU 128 1.05, 256 0.93 (8 rows) and 1.01, 512 1.03, 1024 0.95. */
static int owns_units(int op, const fs_recurrent_args *a, int threads)
{
    double depth = (double)(fs_multiplied_inputs(a) + a->units);
    double bytes = depth * (double)(panels(a->units) * FS_PANEL * gates_of(op)) * 4;
    if (a->batch > FS_SHARED_ROWS)
        return 0;
    return a->batch < 4 * (int64_t)threads || (a->batch < 8 * (int64_t)threads && bytes > 1e6) || bytes > 16e6;
}

static void recurrent_extent(int op, const fs_recurrent_args *a, int threads, fs_extent *extent)
{
    int64_t gates = gates_of(op);
    extent->rows = a->batch;
    extent->units = unit_blocks(op, a->units);
    double depth = (double)(fs_multiplied_inputs(a) + a->units + 16);
    extent->row_work = (double)a->timesteps * depth * (double)(panels(a->units) * FS_PANEL * gates);
    if (threads > 1 && owns_units(op, a, threads)) {
        extent->by_units = 1;
        extent->meets = (int)(a->timesteps < 1000000 ? a->timesteps : 1000000) * (op == FS_OP_GRU_RESET_BEFORE ? 2 : 1);
    }
}

/* The forward op of a backward one. */
static int forward_of(int op)
{
    return op == FS_OP_LSTM_BACKWARD                ? FS_OP_LSTM
           : op == FS_OP_GRU_BACKWARD               ? FS_OP_GRU
           : op == FS_OP_GRU_RESET_BEFORE_BACKWARD ? FS_OP_GRU_RESET_BEFORE
                                                    : FS_OP_SIMPLE_RNN;
}

/* Rows that run back through all timesteps before the next ones begin: as fs_row_group. */
int64_t fs_back_row_group(int64_t units, int64_t gates)
{
    if (units * gates * panels(units) * FS_PANEL * 4 > (256 << 10))
        return FS_MOST_LISTED;
    int64_t rows = (24 << 10) / (units * (2 * gates + 4) * 4) / 24 * 24;
    return rows < 24 ? 24 : rows > FS_MOST_LISTED ? FS_MOST_LISTED : rows;
}

static void recurrent_backward_extent(int op, const fs_recurrent_backward_args *a, int threads, fs_extent *extent)
{
    fs_recurrent_args forward = {.batch = a->batch, .timesteps = a->timesteps, .units = a->units};
    op = forward_of(op);
    extent->rows = a->batch;
    extent->units = panels(a->units);
    extent->row_work =
        (double)a->timesteps * (double)(a->units + 16) * (double)(panels(a->units) * FS_PANEL * gates_of(op));
    if (threads > 1 && owns_units(op, &forward, threads)) {
        extent->by_units = 1;
        extent->meets = (int)(a->timesteps < 1000000 ? a->timesteps : 1000000) * (op == FS_OP_GRU_RESET_BEFORE ? 2 : 1);
    }
}

void fs_extent_of(int op, const void *args, int threads, fs_extent *extent)
{
    *extent = (fs_extent){.rows = 1, .units = 1, .row_work = 1};
    switch (op) {
    case FS_OP_DENSE: {
        const fs_dense_args *a = args;
        extent->rows = a->rows;
        extent->units = (panels(a->units) + 3) / 4;
        extent->row_work = (double)(a->inputs + (a->softmax ? 40 : 16)) * (double)(panels(a->units) * 16);
        extent->by_units = a->rows < 4 * (int64_t)threads;
        extent->meets = extent->by_units && a->softmax;
        break;
    }
    case FS_OP_LSTM:
    case FS_OP_GRU:
    case FS_OP_GRU_RESET_BEFORE:
    case FS_OP_SIMPLE_RNN:
        recurrent_extent(op, args, threads, extent);
        break;
    case FS_OP_RECURRENT_GENERAL: {
        const fs_recurrent_general_args *a = args;
        extent->rows = a->batch;
        extent->row_work = (double)a->timesteps * (double)(a->inputs + a->units) * (double)a->units * 16;
        break;
    }
    case FS_OP_EMBEDDING: {
        const fs_embedding_args *a = args;
        extent->rows = a->count;
        extent->row_work = (double)a->width * 2;
        break;
    }
    case FS_OP_ACTIVATION: {
        const fs_activation_args *a = args;
        extent->rows = a->count;
        extent->row_work = 20;
        break;
    }
    case FS_OP_ROW_ACTIVATION: {
        const fs_row_activation_args *a = args;
        extent->rows = a->outer;
        extent->row_work = (double)(a->n * a->inner) * 30;
        break;
    }
    case FS_OP_CHOICE: {
        const fs_choice_args *a = args;
        extent->rows = a->rows;
        extent->row_work = (double)a->n * 30;
        break;
    }
    case FS_OP_BINARY: {
        const fs_binary_args *a = args;
        extent->rows = a->n0;
        extent->row_work = (double)(a->n1 * a->n2) * (double)(a->n3 * a->n4) * 4;
        break;
    }
    case FS_OP_SELECT: {
        const fs_select_args *a = args;
        extent->rows = a->n0;
        extent->row_work = (double)(a->n1 * a->n2) * (double)(a->n3 * a->n4) * 4;
        break;
    }
    case FS_OP_COPY: {
        const fs_copy_args *a = args;
        extent->rows = a->n0;
        extent->row_work = (double)(a->n1 * a->n2) * (double)(a->n3 * a->n4) * 4;
        break;
    }
    case FS_OP_SGD:
    case FS_OP_RMSPROP:
    case FS_OP_ADAM:
    case FS_OP_NADAM:
    case FS_OP_ADAGRAD:
    case FS_OP_ADADELTA: {
        const fs_update_args *a = args;
        extent->rows = a->count;
        extent->row_work = 20;
        break;
    }
    case FS_OP_SUM_SQUARES: {
        const fs_sum_squares_args *a = args;
        extent->rows = (a->count + FS_NORM_BLOCK - 1) / FS_NORM_BLOCK;
        extent->row_work = FS_NORM_BLOCK;
        break;
    }
    case FS_OP_LSTM_BACKWARD:
    case FS_OP_GRU_BACKWARD:
    case FS_OP_GRU_RESET_BEFORE_BACKWARD:
    case FS_OP_SIMPLE_RNN_BACKWARD:
        recurrent_backward_extent(op, args, threads, extent);
        break;
    case FS_OP_RECURRENT_GENERAL_BACKWARD: {
        const fs_recurrent_general_backward_args *a = args;
        extent->rows = a->batch;
        extent->row_work = (double)a->timesteps * (double)(a->units + 16) * (double)a->units * 8;
        break;
    }
    case FS_OP_PRODUCT_TN: {
        const fs_product_tn_args *a = args;
        extent->rows = fs_product_parts(a) * (a->splits > 1 ? a->splits : 1);
        extent->row_work = (double)(a->n0 * a->n1) * (double)a->m * (double)a->n;
        extent->row_work /= extent->rows ? (double)extent->rows : 1.0;
        break;
    }
    case FS_OP_PACK: {
        const fs_pack_args *a = args;
        extent->rows = a->panels;
        extent->row_work = (double)(a->rows * a->gates) * 64;
        break;
    }
    case FS_OP_ACTIVATION_BACKWARD: {
        const fs_activation_backward_args *a = args;
        extent->rows = a->count;
        extent->row_work = 20;
        break;
    }
    case FS_OP_ROW_ACTIVATION_BACKWARD: {
        const fs_row_activation_backward_args *a = args;
        extent->rows = a->outer;
        extent->row_work = (double)(a->n * a->inner) * 10;
        break;
    }
    case FS_OP_EMBEDDING_BACKWARD: { /* threads own columns of the table */
        const fs_embedding_backward_args *a = args;
        extent->rows = panels(a->width);
        extent->row_work = (double)(a->count + a->rows) * 32;
        break;
    }
    case FS_OP_REDUCE_SUM: {
        const fs_reduce_sum_args *a = args;
        extent->rows = a->k0 * a->k1 * fs_reduce_blocks(a);
        extent->row_work = (double)(a->r0 * a->r1) * (double)a->r2;
        extent->row_work *= (double)(a->k2 < FS_REDUCE_BLOCK ? a->k2 : FS_REDUCE_BLOCK);
        break;
    }
    case FS_OP_LOSS: {
        const fs_loss_args *a = args;
        extent->rows = (a->rows + FS_LOSS_BLOCK - 1) / FS_LOSS_BLOCK;
        extent->row_work = (double)FS_LOSS_BLOCK * (double)(a->n + 8) * (a->kind <= FS_LOSS_HUBER ? 4 : 30);
        break;
    }
    case FS_OP_HITS: {
        const fs_hits_args *a = args;
        extent->rows = (a->rows + FS_LOSS_BLOCK - 1) / FS_LOSS_BLOCK;
        extent->row_work = (double)FS_LOSS_BLOCK * (double)(a->n + 8) * 4;
        break;
    }
    /* On one thread each: one row, whose work counts where a call may be interrupted. */
    case FS_OP_MATMUL: { /* threaded inside BLAS */
        const fs_matmul_args *a = args;
        extent->row_work = (double)(a->batch * a->m) * (double)(a->n * a->k);
        break;
    }
    case FS_OP_EMBEDDING_PLACES:
        extent->row_work = (double)((const fs_embedding_places_args *)args)->count * 8;
        break;
    case FS_OP_CHECK_IDS:
        extent->row_work = (double)((const fs_check_ids_args *)args)->count;
        break;
    case FS_OP_ONE_HOT: {
        const fs_one_hot_args *a = args;
        extent->row_work = (double)a->count * (double)a->width;
        break;
    }
    case FS_OP_CAST:
        extent->row_work = (double)((const fs_cast_args *)args)->count * 2;
        break;
    case FS_OP_AFFINE:
        extent->row_work = (double)((const fs_affine_args *)args)->count * 2;
        break;
    case FS_OP_MASKING: {
        const fs_masking_args *a = args;
        extent->row_work = (double)a->rows * (double)a->width * 8;
        break;
    }
    case FS_OP_MASK_LOGIC:
        extent->row_work = (double)((const fs_mask_logic_args *)args)->count * 2;
        break;
    case FS_OP_RANDOM:
        extent->row_work = (double)((const fs_random_args *)args)->count * 100;
        break;
    case FS_OP_NORMALIZE: {
        const fs_normalize_args *a = args;
        extent->row_work = (double)(a->outer * a->n) * (double)a->inner * 20;
        break;
    }
    default:
        break;
    }
}

/* Starting a region costs 0.4 us when its threads are awake, more when they sleep, and a scheduling quantum when
   another process has their core: a thread wants this many multiply-adds (about 5 us) to be worth it. */
#define FS_MIN_WORK_PER_THREAD 600e3
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
    int64_t hoist = fs_hoist_steps(batch, timesteps, inputs, units, gates_of(op));
    int used = fs_threads_for(&extent, threads, fs_meeting_ns());
    int64_t own_rows = extent.by_units ? batch : (batch + used - 1) / used;
    int64_t vectors = panels(units) * gates_of(op), own = extent.by_units ? (vectors + used - 1) / used : vectors;
    int64_t group = fs_row_group(inputs, units, vectors);
    char team[64] = "1 thread", rows[64] = "";
    if (used > 1)
        snprintf(team, sizeof team, "%d threads that own %s", used, extent.by_units ? "units" : "rows");
    if (group < own_rows)
        snprintf(rows, sizeof rows, "; %d rows at a time", (int)group);
    snprintf(text, FS_PLAN_TEXT, "%s; input product %s%s%s%s", team,
             inputs == 0 ? "looked up" : hoist ? "hoisted" : "within the step", rows,
             fs_alternates(own_rows, inputs, units, own) ? "; weights read up and down" : "",
             fs_fetches_ahead(own_rows, inputs, units, op == FS_OP_GRU ? 3 : 4) ? "; weights fetched ahead" : "");
}

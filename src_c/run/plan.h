/* Choices that depend on shapes (plan.c), and the blocks in which kernels and plan count work. */
#ifndef FS_PLAN_H
#define FS_PLAN_H
#include "run/share.h"

/* Most rows that threads share when each owns units: their flags stand on each thread's stack. */
#define FS_SHARED_ROWS 256
/* Most rows that a recurrent kernel has in hand at a time; a multiple of every number of rows that a block takes. */
#define FS_MOST_LISTED 480

static inline int64_t fs_panels(int64_t units) { return (units + FS_PANEL - 1) / FS_PANEL; }

/* Gates of a recurrent layer's operation: FS_OP_<name>, as fs_operation_of gives it, here and below. */
static inline int fs_gates_of(int op)
{
    return op == FS_OP_LSTM ? FS_LSTM_GATES : op == FS_OP_SIMPLE_RNN ? FS_SIMPLE_RNN_GATES : FS_GRU_GATES;
}

/* Panels that stay together: where a product has one gate, or two, the kernel takes four panels, or two, in their
   place. */
static inline int fs_unit_panels(int op) { return op == FS_OP_SIMPLE_RNN || op == FS_OP_GRU_RESET_BEFORE ? 4 : 1; }

static inline int64_t fs_unit_blocks(int op, int64_t units)
{
    return (fs_panels(units) + fs_unit_panels(op) - 1) / fs_unit_panels(op);
}

/* Inputs that a step multiplies with weights. */
static inline int64_t fs_multiplied_inputs(const fs_recurrent_args *a) { return a->ids ? 0 : a->inputs; }

/* Parts of the c of a weight gradient that threads may own. */
static inline int fs_product_by_columns(const fs_product_tn_args *a) { return a->n > FS_PRODUCT_COLUMNS; }
static inline int64_t fs_product_parts(const fs_product_tn_args *a)
{
    return fs_product_by_columns(a) ? (a->n + FS_PRODUCT_COLUMNS - 1) / FS_PRODUCT_COLUMNS
                                    : (a->m + FS_PRODUCT_ROWS - 1) / FS_PRODUCT_ROWS;
}

/* One entry of a batch of products, as the kernel does it: y (m, n) = a (m, k) b (k, n), lanes of vectors along n. */
typedef struct {
    int64_t m, k, n, am, ak, bk, bn, ym, yn;
    int turned; /* the transposed product, b' a': the same sums of the same factors */
} fs_matrices;
static inline fs_matrices fs_matrices_of(const fs_matmul_args *a)
{
    /* So that vectors are stored whole. */
    if (a->yn != 1 && a->ym == 1)
        return (fs_matrices){a->n, a->k, a->m, a->bn, a->bk, a->ak, a->am, a->yn, a->ym, 1};
    return (fs_matrices){a->m, a->k, a->n, a->am, a->ak, a->bk, a->bn, a->ym, a->yn, 0};
}

/* A product's pieces of work: `rows` rows by FS_PRODUCT_COLUMNS columns of an entry. A piece packs its columns of b, so
   it has many rows; fewer where few columns would give too few pieces for threads. */
typedef struct {
    int64_t rows, down, across;
} fs_matmul_plan;
static inline fs_matmul_plan fs_plan_matmul(const fs_matrices *s)
{
    fs_matmul_plan p = {.rows = 192, .across = (s->n + FS_PRODUCT_COLUMNS - 1) / FS_PRODUCT_COLUMNS};
    if (p.across < 4)
        p.rows = 96;
    p.down = (s->m + p.rows - 1) / p.rows;
    return p;
}

/* Queries of one head that go together through all keys: as even as can be; half as many where threads would find
   little to share; and fewer of very long sequences, so that a piece of work takes well below a second anywhere. */
static inline int64_t fs_attention_rows(const fs_attention_args *a)
{
    const double work = (double)a->keys * (double)(a->size + a->value_size + 32);
    const int64_t few = a->batch * a->heads * a->queries < 32 * FS_ATTENTION_ROWS;
    const int64_t all = few ? FS_ATTENTION_ROWS / 2 : FS_ATTENTION_ROWS;
    int64_t most = work > 0.0 ? (int64_t)(6e8 / work) : all;
    most = most < 12 ? 12 : most > all ? all : most;
    const int64_t chunks = (a->queries + most - 1) / most;
    return chunks ? (a->queries + chunks - 1) / chunks : 1;
}

/* A pool's gradient: one piece of work is so many columns of an outer row. */
#define FS_POOL_COLUMNS 64
static inline int64_t fs_pool_blocks(const fs_pool_backward_args *a)
{
    return (a->inner + FS_POOL_COLUMNS - 1) / FS_POOL_COLUMNS;
}

/* Sums over dimensions: one piece of work gives so many neighbours of the last dimension that stays. */
#define FS_REDUCE_BLOCK 256
static inline int64_t fs_reduce_blocks(const fs_reduce_sum_args *a)
{
    return (a->k2 + FS_REDUCE_BLOCK - 1) / FS_REDUCE_BLOCK;
}

static inline int64_t fs_smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* Columns behind an axis that one thread walks along it. */
#define FS_COLUMNS 64
static inline int64_t fs_column_blocks(int64_t inner) { return (inner + FS_COLUMNS - 1) / FS_COLUMNS; }

/* How a chain's elements make pieces of work: tiles of some rows of dimension 3 by columns of dimension 4, about 4,096
   elements (2 us for one instruction). */
#define FS_CHAIN_TILE 4096
typedef struct {
    int64_t rows, cols, down, across; /* of a tile; tiles of dimensions 3 and 4 */
} fs_tiles;
static inline fs_tiles fs_chain_tiles(const fs_chain_args *a)
{
    fs_tiles t = {.rows = 1, .cols = FS_CHAIN_TILE, .down = a->n3};
    t.across = (a->n4 + FS_CHAIN_TILE - 1) / FS_CHAIN_TILE;
    if (a->n4 < FS_CHAIN_TILE) {
        t.rows = a->n4 ? FS_CHAIN_TILE / a->n4 : 1;
        t.cols = a->n4;
        t.down = (a->n3 + t.rows - 1) / t.rows;
        t.across = a->n4 ? 1 : 0;
    }
    return t;
}

/* A reduction's pieces of work: outputs, or where the last dimension stays, columns of it: fewer for a piece where
   there would be too few pieces for threads; or `step` outputs of a short row each. */
typedef struct {
    int64_t outputs, count; /* elements of y, and how many elements each is of */
    int64_t pieces, across, cols, step;
} fs_reduce_plan;
static inline fs_reduce_plan fs_plan_reduce(const fs_reduce_args *a)
{
    const int64_t sizes[5] = {a->n0, a->n1, a->n2, a->n3, a->n4};
    fs_reduce_plan p = {.outputs = 1, .count = 1, .across = 1, .cols = 1, .step = 1};
    for (int d = 0; d < 5; d++)
        *(a->reduced >> d & 1 ? &p.count : &p.outputs) *= sizes[d];
    p.pieces = p.outputs;
    if (p.count == 0 || p.outputs == 0)
        return p;
    if (!a->last) {
        /* Wide ones read long runs of a row: (4096, 1024) over its first axis, 64 -> 256 columns, 6 -> 10 GB/s. */
        p.cols = p.outputs >= 8192 ? 512 : p.outputs >= 1024 ? 256 : p.outputs >= 512 ? 64 : 16;
        p.across = (a->n4 + p.cols - 1) / p.cols;
        p.pieces = p.outputs / a->n4 * p.across;
    } else if (a->reduced == 1 << 4) {
        p.step = 1 + FS_CHAIN_TILE / 4 / a->n4;
        p.pieces = (p.outputs + p.step - 1) / p.step;
    }
    return p;
}

/* On how many of `threads` the step is done soonest, where a meeting costs `meeting_ns`. */
int fs_threads_for(const fs_extent *extent, int threads, int64_t meeting_ns);
int fs_worth_a_thread(const fs_extent *extent); /* to run beside another step */
/* Whether a step is to be shared by threads that are at hand. */
int fs_pays_in_team(const fs_extent *extent, int threads, int64_t meeting_ns);
/* `w_bytes` of the choices below: bytes of a packed weight (W_BYTES of a kernel's body, fs_weight_bytes of a step). */
int fs_alternates(int64_t rows, int64_t inputs, int64_t units, int64_t vectors, int64_t w_bytes);
int fs_fetches_ahead(int64_t rows, int64_t inputs, int64_t units, int64_t vectors, int64_t w_bytes);
int64_t fs_row_group(int64_t inputs, int64_t units, int64_t vectors, int64_t w_bytes);
int64_t fs_back_row_group(int64_t units, int64_t gates, int64_t w_bytes);
int64_t fs_hoist_steps(int64_t batch, int64_t timesteps, int64_t inputs, int64_t units, int64_t gates);
#endif

/* How much work products and recurrent layers are, and whether their threads own rows or units. */
#include "run/extents.h"
#include "run/plan.h"

void fs_dense_extent(int op, const void *args, int threads, fs_extent *extent)
{
    (void)op;
    const fs_dense_args *a = args;
    extent->rows = a->rows;
    extent->units = (fs_panels(a->units) + FS_GROUP_PANELS - 1) / FS_GROUP_PANELS;
    /* measured with one input, as in extents.c: linear 5, tanh 23, softmax 39 */
    extent->row_work = (double)(a->inputs + (a->softmax ? 40 : 16)) * (double)(fs_panels(a->units) * FS_PANEL);
    extent->by_units = a->rows < 4 * (int64_t)threads;
    extent->meets = extent->by_units && a->softmax;
}

FS_EXTENT(matmul)
{
    const fs_matrices s = fs_matrices_of(a);
    const fs_matmul_plan plan = fs_plan_matmul(&s);
    const double width = (double)(fs_panels(s.n) * FS_PANEL), pieces = (double)(plan.down * plan.across);
    extent->rows = a->n0 * a->n1 * a->n2 * plan.down * plan.across;
    /* measured for an element of y, k 1, 16, 64, 256: 5, 22, 76, 294 */
    if (extent->rows)
        extent->row_work = (double)(s.m * (s.k + 16)) * width / pieces;
}

FS_EXTENT(attention)
{
    const int64_t rows = fs_attention_rows(a);
    extent->rows = a->batch * a->heads * ((a->queries + rows - 1) / rows);
    /* measured for a score, heads of 64: 180; with causal half of them fall away */
    const double scores = (double)rows * (double)a->keys * (a->causal && a->queries > 1 ? 0.5 : 1.0);
    extent->row_work = scores * (double)(a->size + a->value_size + 50);
}

FS_EXTENT(fourier)
{
    const int64_t length = a->padded ? a->padded : a->n;
    int64_t depth = 1;
    while ((int64_t)1 << depth < length)
        depth++;
    extent->rows = fs_smaller(a->rows, FS_FOURIER_GROUPS);
    /* measured: n 64 84, 1024 66, 1000 208; of 1021, which is padded to 2048, 236 */
    extent->row_work = (double)(length * depth) * (a->padded ? 600 : 200);
    extent->row_work *= extent->rows ? (double)a->rows / (double)extent->rows : 0.0;
}

FS_EXTENT(product_tn)
{
    extent->rows = fs_product_parts(a) * (a->splits > 1 ? a->splits : 1);
    extent->row_work = (double)(a->n0 * a->n1) * (double)a->m * (double)a->n;
    extent->row_work /= extent->rows ? (double)extent->rows : 1.0;
}

FS_EXTENT(pack)
{
    extent->rows = a->panels;
    extent->row_work = (double)(a->rows * a->gates) * 64; /* measured for 16 units: 70, of a transposed matrix 570 */
}

FS_EXTENT(recurrent_general)
{
    extent->rows = a->batch;
    /* measured for a weight of every gate: LSTM 13, SimpleRNN 4.6 */
    extent->row_work = (double)a->timesteps * (double)(a->inputs + a->units) * (double)a->units * 13;
}

FS_EXTENT(recurrent_general_backward)
{
    extent->rows = a->batch;
    /* measured for a weight of every gate: LSTM 5.4, SimpleRNN 1.3 */
    extent->row_work = (double)a->timesteps * (double)(a->units + 16) * (double)a->units * 5;
}

/* ---- recurrent layers ---- */

/* Whether threads share the rows and own units: then each reads only its share of the weights, from its own L2 where it
   fits. From four rows a thread on, rows are independent and need no meetings, which is faster until the weights are
   large. Measured, two threads, time with own units / with own rows: LSTM of 64 units 1.47, 128 1.09, 256 0.97 (8 rows)
   and 0.99 (64 rows), 512 0.99, 1024 0.79; GRU 128 1.05, 256 0.93 (8 rows) and 1.01, 512 1.03, 1024 0.95. */
static int owns_units(int cell, int64_t w_bytes, const fs_recurrent_args *a, int threads)
{
    double depth = (double)(fs_multiplied_inputs(a) + a->units);
    double bytes = depth * (double)(fs_panels(a->units) * FS_PANEL * fs_gates_of(cell) * w_bytes);
    if (a->batch > FS_SHARED_ROWS)
        return 0;
    return a->batch < 4 * (int64_t)threads || (a->batch < 8 * (int64_t)threads && bytes > 1e6) || bytes > 16e6;
}

/* Threads that own units meet at every timestep, once for each phase of the cell. */
static void share_units(int cell, int64_t timesteps, fs_extent *extent)
{
    extent->by_units = 1;
    extent->meets = (int)(timesteps < 1000000 ? timesteps : 1000000) * (cell == FS_OP_GRU_RESET_BEFORE ? 2 : 1);
}

void fs_recurrent_extent(int op, const void *args, int threads, fs_extent *extent)
{
    const fs_recurrent_args *a = args;
    int cell = fs_operation_of(op);
    extent->rows = a->batch;
    extent->units = fs_unit_blocks(cell, a->units);
    double depth = (double)(fs_multiplied_inputs(a) + a->units + 16);
    extent->row_work = (double)a->timesteps * depth * (double)(fs_panels(a->units) * FS_PANEL * fs_gates_of(cell));
    if (threads > 1 && owns_units(cell, fs_weight_bytes(op), a, threads))
        share_units(cell, a->timesteps, extent);
}

/* The forward op of a backward one. */
static int forward_of(int op)
{
    return op == FS_OP_LSTM_BACKWARD                ? FS_OP_LSTM
           : op == FS_OP_GRU_BACKWARD               ? FS_OP_GRU
           : op == FS_OP_GRU_RESET_BEFORE_BACKWARD ? FS_OP_GRU_RESET_BEFORE
                                                    : FS_OP_SIMPLE_RNN;
}

void fs_recurrent_backward_extent(int op, const void *args, int threads, fs_extent *extent)
{
    const fs_recurrent_backward_args *a = args;
    fs_recurrent_args forward = {.batch = a->batch, .timesteps = a->timesteps, .units = a->units};
    int cell = forward_of(fs_operation_of(op));
    extent->rows = a->batch;
    extent->units = fs_panels(a->units);
    extent->row_work =
        (double)a->timesteps * (double)(a->units + 16) * (double)(fs_panels(a->units) * FS_PANEL * fs_gates_of(cell));
    if (threads > 1 && owns_units(cell, fs_weight_bytes(op), &forward, threads))
        share_units(cell, a->timesteps, extent);
}

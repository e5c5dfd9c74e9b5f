/* How much work an operation is, and in how many independent rows: a function for each, products and recurrent layers
   in extents_products.c.

   `row_work` counts in the time that a multiply-add of a product takes (0.017 ns: dense (64,256,256) on a core of Zen
   4). The figures behind `measured` are such counts for an element, the best of 60 rounds of 0.4 ms over 16,384
   elements in L2, with AVX-512; with AVX2 they are the same within 1.7 times, but where a second figure stands. A
   factor is rounded, and where shapes or kinds differ it is one of the lower ones: a step that is thought too small
   goes to one thread, which costs less than threads that are not worth their start. */
#include "run/extents.h"
#include "run/plan.h"

enum { PIECES, LOOKS };

typedef struct {
    fs_extent_fn extent;
    int looks, operation;
    int64_t w_bytes;
} fs_division;

static const fs_division divisions[] = {
#define FS_DIVISION(upper, lower, form, divided, looks) {fs_##divided##_extent, looks, FS_OP_##upper, FS_BYTES_##form},
    FS_OPS(FS_DIVISION)
#undef FS_DIVISION
};

void fs_extent_of(int op, const void *args, int threads, fs_extent *extent)
{
    *extent = (fs_extent){.rows = 1, .units = 1, .row_work = 1};
    divisions[op].extent(op, args, threads, extent);
}

double fs_work_of(const fs_step *step)
{
    fs_extent extent;
    fs_extent_of(step->op, step->args, 1, &extent);
    return (double)extent.rows * extent.row_work;
}

int fs_looks_itself(int op) { return divisions[op].looks; }

int fs_operation_of(int op) { return divisions[op].operation; }

int64_t fs_weight_bytes(int op) { return divisions[op].w_bytes; }

/* ---- threads own rows ---- */

FS_EXTENT(embedding)
{
    extent->rows = a->count;
    extent->row_work = (double)a->width * 3; /* measured 3.5 */
}

FS_EXTENT(activation)
{
    extent->rows = a->count;
    extent->row_work = 20; /* measured: relu 4, sigmoid 15, tanh 17, elu 38, gelu 39, mish 86 */
}

FS_EXTENT(activation_backward)
{
    extent->rows = a->count;
    extent->row_work = 20; /* measured: relu 14, sigmoid 19, tanh 21, elu 24, gelu 60, mish 104 */
}

FS_EXTENT(row_activation)
{
    extent->rows = a->outer;
    /* measured: softmax 27, log_softmax 30, each 62 where inner is 8; sparsemax, which sorts, 1500 */
    extent->row_work = (double)(a->n * a->inner) * (a->kind == FS_ACT_SPARSEMAX ? 1500 : 30);
}

FS_EXTENT(row_activation_backward)
{
    extent->rows = a->outer;
    /* measured: softmax 56, log_softmax 306 (AVX2: 228), sparsemax 2400 (2200) */
    double element = a->kind == FS_ACT_SPARSEMAX ? 2000 : a->kind == FS_ACT_LOG_SOFTMAX ? 200 : 50;
    extent->row_work = (double)(a->n * a->inner) * element;
}

FS_EXTENT(choice)
{
    extent->rows = a->rows;
    extent->row_work = (double)a->n * 30; /* measured: best 8, with log_probs 25, draw 29, top_k 78 */
}

FS_EXTENT(binary)
{
    extent->rows = a->n0;
    extent->row_work = (double)(a->n1 * a->n2) * (double)(a->n3 * a->n4) * 8; /* measured 8 */
}

FS_EXTENT(select)
{
    extent->rows = a->n0;
    extent->row_work = (double)(a->n1 * a->n2) * (double)(a->n3 * a->n4) * 36; /* measured 54, AVX2 36 */
}

FS_EXTENT(copy)
{
    extent->rows = a->n0;
    extent->row_work = (double)(a->n1 * a->n2) * (double)(a->n3 * a->n4) * 4; /* measured 4, transposed 34 */
}

FS_EXTENT_OF(update, fs_update_args)
{
    extent->rows = a->count;
    extent->row_work = 20; /* measured: sgd 8, adagrad, nadam, adam, rmsprop 16 to 17, adadelta 27 */
}

FS_EXTENT(sum_squares)
{
    extent->rows = (a->count + FS_NORM_BLOCK - 1) / FS_NORM_BLOCK;
    extent->row_work = FS_NORM_BLOCK * 3.5; /* measured 3.6 */
}

/* What an instruction of a chain takes for an element, where it is more than that of a sum, 3. All are measured: a step
   of nine less a step of one, over 8; with AVX2 functions take 1.3 to 1.9 times as long. */
static const int16_t instruction_work[] = {
    [FS_CHAIN_SQRT] = 10, [FS_CHAIN_RECIPROCAL] = 6, [FS_CHAIN_DIVIDE] = 6, [FS_CHAIN_RSQRT] = 16,
    [FS_CHAIN_EXP] = 15, [FS_CHAIN_TANH] = 16, [FS_CHAIN_SIGMOID] = 15, [FS_CHAIN_EXPM1] = 27, [FS_CHAIN_LOG] = 22,
    [FS_CHAIN_LOG1P] = 28, [FS_CHAIN_ERF] = 45, [FS_CHAIN_SOFTPLUS] = 44,
    [FS_CHAIN_SIN] = 55, [FS_CHAIN_COS] = 55, [FS_CHAIN_TAN] = 60, [FS_CHAIN_SINC] = 80, [FS_CHAIN_ARCSIN] = 50,
    [FS_CHAIN_ARCCOS] = 55, [FS_CHAIN_ARCTAN] = 70, [FS_CHAIN_SINH] = 70, [FS_CHAIN_COSH] = 50,
    [FS_CHAIN_ARCSINH] = 125, [FS_CHAIN_ARCCOSH] = 95, [FS_CHAIN_ARCTANH] = 95, [FS_CHAIN_EXP2] = 50,
    [FS_CHAIN_LOG2] = 60, [FS_CHAIN_LOG10] = 65, [FS_CHAIN_CBRT] = 125, [FS_CHAIN_ERFC] = 100, [FS_CHAIN_ERFINV] = 190,
    [FS_CHAIN_I0] = 105, [FS_CHAIN_I1] = 120, [FS_CHAIN_FLOOR] = 7, [FS_CHAIN_CEIL] = 8, [FS_CHAIN_TRUNC] = 7,
    [FS_CHAIN_ROUND] = 5, [FS_CHAIN_SIGN] = 5,
    [FS_CHAIN_ARCTAN2] = 95, [FS_CHAIN_POWER] = 160, [FS_CHAIN_FMOD] = 45, [FS_CHAIN_MOD] = 55,
    [FS_CHAIN_LOGADDEXP] = 140, [FS_CHAIN_LOGADDEXP2] = 140, [FS_CHAIN_HYPOT] = 32, [FS_CHAIN_NEXTAFTER] = 14,
    [FS_CHAIN_FLOOR_DIVIDE_I32] = 95, [FS_CHAIN_MOD_I32] = 95, [FS_CHAIN_FMOD_I32] = 95, [FS_CHAIN_POWER_I32] = 200,
    [FS_CHAIN_GCD] = 95, [FS_CHAIN_LCM] = 190, [FS_CHAIN_SELECT] = 5, [FS_CHAIN_ACTIVATION] = 15 /* the last one */
};

static double chain_work(const fs_chain_args *a)
{
    double work = 1.0;
    for (int64_t i = 0; i < a->instructions; i++) {
        const int of_this = instruction_work[a->code[5 * i]];
        work += of_this ? of_this : 3;
    }
    return work;
}

FS_EXTENT(elementwise)
{
    const fs_tiles tiles = fs_chain_tiles((const fs_chain_args *)a);
    extent->rows = a->n0 * a->n1 * a->n2 * tiles.down * tiles.across;
    extent->row_work = (double)(tiles.rows * tiles.cols) * chain_work((const fs_chain_args *)a);
}

FS_EXTENT(reduce)
{
    const fs_reduce_plan plan = fs_plan_reduce(a);
    extent->rows = plan.pieces;
    /* measured: over the last axis 6 (sum) to 95 (max of int32), and 600 to 2000 for an output; over others 15 to 30 */
    extent->row_work = (double)(plan.count * plan.cols * plan.step) * (chain_work((const fs_chain_args *)a) + 10.0);
    extent->row_work += a->last ? (double)plan.step * 600.0 : 0.0;
}

FS_EXTENT(gather)
{
    extent->rows = a->outer * a->count;
    /* measured for a row, with the check of its id: of 1 value 203, 16 263, 64 376, 256 1700 */
    extent->row_work = (double)a->inner * (a->each ? 20 : 4) + 100;
}

FS_EXTENT(scatter)
{
    extent->rows = a->outer * fs_column_blocks(a->inner);
    /* measured: of 16 and 64 columns 8.9 and 8.4, of one 23 */
    extent->row_work = (double)(a->n + 4 * a->count) * (double)fs_smaller(a->inner, FS_COLUMNS) * 10;
}

FS_EXTENT(argsort)
{
    extent->rows = a->outer;
    /* measured, n 16, 64, 1024: best 1 101, 89, 89; best 4 170, 116, 99; all 342, 1184, 683 */
    extent->row_work = (double)a->n * (double)a->inner * (a->best < 8 ? 100 : 800);
}

FS_EXTENT(search)
{
    extent->rows = a->count;
    extent->row_work = 1000; /* measured among 16 values 436, 1,000 1114, 100,000 5447 */
}

FS_EXTENT(cumulate)
{
    extent->rows = a->outer * fs_column_blocks(a->inner);
    /* measured: over the last axis 178, over another one, of 64 columns, 13 */
    extent->row_work = (double)a->n * (double)fs_smaller(a->inner, FS_COLUMNS) * 60;
}

/* Threads own columns of the table. */
FS_EXTENT(embedding_backward)
{
    extent->rows = fs_panels(a->width);
    extent->row_work = (double)(a->count + a->rows) * 45; /* measured: 256 ids of 64 rows 61, of 2048 rows 45 */
}

FS_EXTENT(reduce_sum)
{
    extent->rows = a->k0 * a->k1 * fs_reduce_blocks(a);
    extent->row_work = (double)(a->r0 * a->r1) * (double)a->r2 * 2; /* measured: over rows 3.4, last axis 2.3 */
    extent->row_work *= (double)(a->k2 < FS_REDUCE_BLOCK ? a->k2 : FS_REDUCE_BLOCK);
}

FS_EXTENT(loss)
{
    extent->rows = (a->rows + FS_LOSS_BLOCK - 1) / FS_LOSS_BLOCK;
    /* measured for n + 8 values, n 1, 16, 256: squared 39, 46, 11; huber 40, 50, 16; categorical 44, 70, 60; binary 47,
       86, 66 */
    extent->row_work = (double)FS_LOSS_BLOCK * (double)(a->n + 8) * (a->kind <= FS_LOSS_HUBER ? 12 : 40);
}

FS_EXTENT(hits)
{
    extent->rows = (a->rows + FS_LOSS_BLOCK - 1) / FS_LOSS_BLOCK;
    extent->row_work = (double)FS_LOSS_BLOCK * (double)(a->n + 8) * 18; /* measured, n 1, 16, 256: 20, 43, 18 */
}

/* Rows in groups, at most so many of them, each with scratch of its own. */
static void in_groups(fs_extent *extent, int64_t batch, int64_t most, double work_of_row)
{
    extent->rows = fs_smaller(batch, most);
    extent->row_work = extent->rows ? work_of_row * (double)batch / (double)extent->rows : 0.0;
}

/* measured for a frame: 5300, and for each class 39, each state 230; of the gradient 13000, 96 and 640 */
FS_EXTENT(ctc_loss)
{
    const double classes = (double)a->classes, states = (double)(2 * a->longest + 1);
    const double frame = a->dx ? 13000 + 90 * classes + 600 * states : 5000 + 38 * classes + 230 * states;
    in_groups(extent, a->batch, a->groups, (double)a->timesteps * frame);
}

/* measured for a class of a frame: 77, and with a beam of 10 (32 and 1000 classes) 330 and 107 for each prefix, of 100
   790 and 163 */
FS_EXTENT(ctc_decode)
{
    const double classes = (double)a->classes, beams = (double)a->beams;
    const double frame = a->beams ? beams * (100 * classes + 8000) : 70 * classes;
    in_groups(extent, a->batch, a->groups, (double)a->timesteps * frame);
}

/* ---- on one thread: one row, whose work counts where a call may be interrupted ---- */

FS_EXTENT(embedding_places) { extent->row_work = (double)a->count * 30; } /* measured 32 */

FS_EXTENT(check_ids) { extent->row_work = (double)a->count * 29; } /* measured 29 */

FS_EXTENT(one_hot) { extent->row_work = (double)a->count * (double)a->width * 2.5; } /* measured 2.6 */

/* measured: 3 to 4, to bool 31 */
FS_EXTENT(cast)
{
    int to_bool = a->kind == FS_CAST_I32_U8 || a->kind == FS_CAST_F32_U8;
    extent->row_work = (double)a->count * (to_bool ? 30 : 3);
}

FS_EXTENT(affine) { extent->row_work = (double)a->count * 4; } /* measured 4.2 */

FS_EXTENT(masking) { extent->row_work = (double)a->rows * (double)a->width * 6; } /* measured 6 */

FS_EXTENT(mask_logic) { extent->row_work = (double)a->count * 50; } /* measured 52 to 63 */

/* measured: keep 21, AVX2 440, whose compiler does not vectorize it; normal 1300 */
FS_EXTENT(random) { extent->row_work = (double)a->count * (a->kind == FS_RANDOM_NORMAL ? 1200 : 20); }

/* measured: 65 */
FS_EXTENT(normalize) { extent->row_work = (double)(a->outer * a->n) * (double)a->inner * 65; }

/* measured: 80 to 86 */
FS_EXTENT(normalize_backward) { extent->row_work = (double)(a->outer * a->n) * (double)a->inner * 80; }

FS_EXTENT(loss_weights) { extent->row_work = (double)a->rows * 110; } /* measured 110 to 120 */

FS_EXTENT(clip_scale) { extent->row_work = (double)a->count * 45; } /* measured 44 to 47 */

FS_EXTENT(column_sums) { extent->row_work = (double)a->count * (double)a->width * 45; } /* measured 44 to 47 */

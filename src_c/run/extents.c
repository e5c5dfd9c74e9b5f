/* How much work an operation is, and in how many independent rows: a function for each, products and recurrent layers
   in extents_products.c. `row_work` counts in the time of one multiply-add of a product. */
#include "run/extents.h"
#include "run/plan.h"

enum { PIECES, LOOKS };

typedef struct {
    fs_extent_fn extent;
    int looks;
    int64_t w_bytes;
} fs_division;

static const fs_division divisions[] = {
#define FS_DIVISION(upper, lower, form, divided, looks) {fs_##divided##_extent, looks, FS_BYTES_##form},
    FS_OPS(FS_DIVISION)
#undef FS_DIVISION
};

void fs_extent_of(int op, const void *args, int threads, fs_extent *extent)
{
    *extent = (fs_extent){.rows = 1, .units = 1, .row_work = 1};
    divisions[op].extent(op, args, threads, extent);
}

int fs_looks_itself(int op) { return divisions[op].looks; }

int64_t fs_weight_bytes(int op) { return divisions[op].w_bytes; }

/* ---- threads own rows ---- */

FS_EXTENT(embedding)
{
    extent->rows = a->count;
    extent->row_work = (double)a->width * 2;
}

FS_EXTENT(activation)
{
    extent->rows = a->count;
    extent->row_work = 20;
}

FS_EXTENT(activation_backward)
{
    extent->rows = a->count;
    extent->row_work = 20;
}

FS_EXTENT(row_activation)
{
    extent->rows = a->outer;
    extent->row_work = (double)(a->n * a->inner) * 30;
}

FS_EXTENT(row_activation_backward)
{
    extent->rows = a->outer;
    extent->row_work = (double)(a->n * a->inner) * 10;
}

FS_EXTENT(choice)
{
    extent->rows = a->rows;
    extent->row_work = (double)a->n * 30;
}

FS_EXTENT(binary)
{
    extent->rows = a->n0;
    extent->row_work = (double)(a->n1 * a->n2) * (double)(a->n3 * a->n4) * 4;
}

FS_EXTENT(select)
{
    extent->rows = a->n0;
    extent->row_work = (double)(a->n1 * a->n2) * (double)(a->n3 * a->n4) * 4;
}

FS_EXTENT(copy)
{
    extent->rows = a->n0;
    extent->row_work = (double)(a->n1 * a->n2) * (double)(a->n3 * a->n4) * 4;
}

FS_EXTENT_OF(update, fs_update_args)
{
    extent->rows = a->count;
    extent->row_work = 20;
}

FS_EXTENT(sum_squares)
{
    extent->rows = (a->count + FS_NORM_BLOCK - 1) / FS_NORM_BLOCK;
    extent->row_work = FS_NORM_BLOCK;
}

/* Threads own columns of the table. */
FS_EXTENT(embedding_backward)
{
    extent->rows = fs_panels(a->width);
    extent->row_work = (double)(a->count + a->rows) * 32;
}

FS_EXTENT(reduce_sum)
{
    extent->rows = a->k0 * a->k1 * fs_reduce_blocks(a);
    extent->row_work = (double)(a->r0 * a->r1) * (double)a->r2;
    extent->row_work *= (double)(a->k2 < FS_REDUCE_BLOCK ? a->k2 : FS_REDUCE_BLOCK);
}

FS_EXTENT(loss)
{
    extent->rows = (a->rows + FS_LOSS_BLOCK - 1) / FS_LOSS_BLOCK;
    extent->row_work = (double)FS_LOSS_BLOCK * (double)(a->n + 8) * (a->kind <= FS_LOSS_HUBER ? 4 : 30);
}

FS_EXTENT(hits)
{
    extent->rows = (a->rows + FS_LOSS_BLOCK - 1) / FS_LOSS_BLOCK;
    extent->row_work = (double)FS_LOSS_BLOCK * (double)(a->n + 8) * 4;
}

/* ---- on one thread: one row, whose work counts where a call may be interrupted ---- */

FS_EXTENT(embedding_places) { extent->row_work = (double)a->count * 8; }

FS_EXTENT(check_ids) { extent->row_work = (double)a->count; }

FS_EXTENT(one_hot) { extent->row_work = (double)a->count * (double)a->width; }

FS_EXTENT(cast) { extent->row_work = (double)a->count * 2; }

FS_EXTENT(affine) { extent->row_work = (double)a->count * 2; }

FS_EXTENT(masking) { extent->row_work = (double)a->rows * (double)a->width * 8; }

FS_EXTENT(mask_logic) { extent->row_work = (double)a->count * 2; }

FS_EXTENT(random) { extent->row_work = (double)a->count * 100; }

FS_EXTENT(normalize) { extent->row_work = (double)(a->outer * a->n) * (double)a->inner * 20; }

FS_EXTENT(normalize_backward) { extent->row_work = (double)(a->outer * a->n) * (double)a->inner * 20; }

FS_EXTENT(loss_weights) { extent->row_work = (double)a->rows * 2; }

FS_EXTENT(clip_scale) { extent->row_work = (double)a->count; }

FS_EXTENT(column_sums) { extent->row_work = (double)a->count * (double)a->width; }

/* How much work the operations of ops_normalization.h are; see extents.c. */
#include "run/extents.h"

/* measured, n 32, 64, 256, 1024: 33, 25, 13, 13 an element */
FS_EXTENT(layer_norm)
{
    extent->rows = a->rows;
    extent->row_work = (double)a->n * 12 + 600;
}

/* measured, n 32, 64, 256, 1024: 23, 18, 13, 20 an element */
FS_EXTENT(layer_norm_backward)
{
    extent->rows = (a->rows + FS_LAYER_NORM_ROWS - 1) / FS_LAYER_NORM_ROWS;
    extent->row_work = FS_LAYER_NORM_ROWS * ((double)a->n * 14 + 300);
}

/* measured, n 64, 256, 1024, both sums: 4, 6, 6 an element */
FS_EXTENT(channel_sums)
{
    extent->rows = (a->rows + FS_LAYER_NORM_ROWS - 1) / FS_LAYER_NORM_ROWS;
    extent->row_work = FS_LAYER_NORM_ROWS * (double)a->n * (a->products ? 6 : 3);
}

/* measured, n 64, 256, 1024: 5, 6, 6 to 8 an element */
FS_EXTENT(batch_norm)
{
    extent->rows = a->outer;
    extent->row_work = (double)(a->n * a->inner) * 6;
}

/* How much work pools over windows are: see extents.c, whose units these are. */
#include "run/extents.h"
#include "run/plan.h"

FS_EXTENT(pool)
{
    extent->rows = a->outer * a->windows;
    /* measured, for a place that is taken: largest value 2 to 6, mean 7 to 9 */
    extent->row_work = (double)fs_smaller(a->size, a->length) * (double)a->inner * (a->kind == FS_POOL_MEAN ? 6 : 3);
}

FS_EXTENT(pool_backward)
{
    const double places = (double)a->length + (double)(a->windows * fs_smaller(a->size, a->length));
    extent->rows = a->outer * fs_pool_blocks(a);
    extent->row_work = places * (double)fs_smaller(a->inner, FS_POOL_COLUMNS) * 7; /* measured 7 to 13 */
}

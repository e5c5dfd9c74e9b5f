/* How much work convolutions are, and whether their threads own rows, which are outputs of any sequence, or units. */
#include "run/extents.h"
#include "run/plan.h"

void fs_conv1d_extent(int op, const void *args, int threads, fs_extent *extent)
{
    (void)op;
    const fs_conv1d_args *a = args;
    const int64_t panels = fs_panels(a->units);
    extent->rows = a->batch * a->timesteps;
    extent->units = a->groups * ((panels + FS_GROUP_PANELS - 1) / FS_GROUP_PANELS);
    extent->row_work = (double)(a->taps * a->inputs + 16) * (double)(a->groups * panels * FS_PANEL);
    extent->by_units = extent->rows < 4 * (int64_t)threads;
}

FS_EXTENT(depthwise_conv1d)
{
    extent->rows = a->batch * a->timesteps;
    /* measured for a channel of 64, 1, 3, 9 taps: 13, 17, 28; of 8: 43, 53, 82 */
    extent->row_work = (double)(2 * a->taps + 8) * (double)a->units;
}

/* y = activation(convolution of x over time + bias): a tile of a dense product whose rows walk from tap to tap. A lane
   of a sum is bias, then the inputs of tap 0 in order, of tap 1 ... No window is copied, and what stands outside of x
   is read where it is, so that "causal" and "same" need no longer copy of x. */

/* Rows of weights that all windows in hand pass before the next ones: 128 KiB of a group of panels, which stay in L2.
   Between them the sums wait in memory as they are. (1,1000,256) to 256, k 9: 26 -> 56 G multiply-adds a second. */
#define FS_CONV1D_DEPTH 512

typedef struct {
    const fs_conv1d_args *a;
    fs_windows windows;
    float p[3];
    int64_t panels;      /* of one group of channels */
    int joined;          /* whether a window inside of x is one piece of memory */
    int64_t tap_lo, tap_hi; /* the taps that are added now */
    float sums[FS_WINDOWS][FS_GROUP_PANELS * FS_PANEL] __attribute__((aligned(64)));
} fs_conv1d_run;

/* What is not in line in the blocks: every activation but linear and relu. The sums come through memory. */
static __attribute__((noinline)) void fs_conv1d_any(const fs_conv1d_run *c, const int32_t *rows, int64_t shift,
                                                    int64_t unit, fs_sums sums, int R, int G)
{
    for (int r = 0; r < R; r++)
        for (int g = 0; g < G; g++)
            fs_store_units(c->windows.y[rows[r]] + shift, unit + g * FS_PANEL, c->a->units,
                           v_one_nan(fs_vact((int)c->a->activation, sums[r][g], c->p)));
}

/* Adds the products of taps [tap_lo, tap_hi) of windows first .. first + R - 1; w: the weights of tap 0, `channel` the
   first of their group. */
FS_INLINE void fs_conv1d_taps(fs_sums acc, const fs_conv1d_run *c, int first, int64_t channel, const fs_weight *w,
                              const int R, const int G)
{
    const fs_conv1d_args *a = c->a;
    const float *x[FS_MOST_ROWS];
    w += c->tap_lo * a->inputs * G * FS_PANEL;
    if (fs_all_inside(&c->windows, first, R)) {
        const int64_t count = c->tap_hi - c->tap_lo, joined = c->joined ? count : 1, inputs = joined * a->inputs;
        FS_UNROLL for (int r = 0; r < R; r++)
            x[r] = c->windows.x[first + r] + (c->windows.start[first + r] + c->tap_lo * a->gap) * a->x_time + channel;
        for (int64_t tap = 0; tap < count; tap += joined, w += inputs * G * FS_PANEL) {
            fs_accumulate(acc, x, w, inputs, G * FS_PANEL, (fs_ahead){NULL, 0}, R, G);
            FS_UNROLL for (int r = 0; r < R; r++) x[r] += a->gap * a->x_time;
        }
        return;
    }
    for (int64_t tap = c->tap_lo; tap < c->tap_hi; tap++, w += a->inputs * G * FS_PANEL) {
        FS_UNROLL for (int r = 0; r < R; r++)
            x[r] = fs_window_at(&c->windows, first + r, c->windows.start[first + r] + tap * a->gap, a->length,
                                a->x_time, a->out_time) + channel;
        fs_accumulate(acc, x, w, a->inputs, G * FS_PANEL, (fs_ahead){NULL, 0}, R, G);
    }
}

/* Outputs rows[0] .. of those in hand, which are neighbours, through one vector of each of G panels. block counts
   vectors of all groups of panels. */
FS_INLINE void fs_conv1d_block(fs_conv1d_run *c, const int32_t *rows, int64_t block, const int R, const int G)
{
    const fs_conv1d_args *a = c->a;
    const int64_t across = (c->panels + FS_GROUP_PANELS - 1) / FS_GROUP_PANELS;
    const int64_t group = block / FS_VECTORS / across, beside = block / FS_VECTORS % across;
    const int64_t unit = beside * FS_GROUP_PANELS * FS_PANEL + block % FS_VECTORS * VLEN;
    const int64_t depth = a->taps * a->inputs, shift = group * a->units;
    const fs_weight *w = (const fs_weight *)a->w + (group * c->panels + beside * FS_GROUP_PANELS) * FS_PANEL * depth +
                         block % FS_VECTORS * VLEN;
    const int lane = (int)(block % FS_VECTORS * VLEN), first = rows[0];
    fs_sums acc;
    FS_UNROLL for (int r = 0; r < R; r++)
    {
        const float *from = c->tap_lo ? c->sums[first + r] + lane : a->bias + group * c->panels * FS_PANEL + unit;
        FS_UNROLL for (int g = 0; g < G; g++) acc[r][g] = v_load(from + g * FS_PANEL);
    }
    fs_conv1d_taps(acc, c, first, group * a->inputs, w, R, G);
    if (c->tap_hi < a->taps) {
        FS_UNROLL for (int r = 0; r < R; r++)
        {
            FS_UNROLL for (int g = 0; g < G; g++) v_store(c->sums[first + r] + lane + g * FS_PANEL, acc[r][g]);
        }
        return;
    }
    const int relu = a->activation == FS_ACT_RELU && fs_relu_is_plain(c->p);
    if (relu || a->activation == FS_ACT_LINEAR) {
        FS_UNROLL for (int r = 0; r < R; r++)
        {
            FS_UNROLL for (int g = 0; g < G; g++)
                fs_store_units(c->windows.y[rows[r]] + shift, unit + g * FS_PANEL, a->units,
                               v_one_nan(relu ? v_max(v_zero(), acc[r][g]) : acc[r][g]));
        }
        return;
    }
    fs_sums sums;
    FS_UNROLL for (int r = 0; r < R; r++)
    {
        FS_UNROLL for (int g = 0; g < G; g++) sums[r][g] = acc[r][g];
    }
    fs_conv1d_any(c, rows, shift, unit, sums, R, G);
}

#define FS_CONV1D_PANELS(G, most)                                                                                      \
    FS_INLINE void fs_conv1d_##G(fs_conv1d_run *c, const int32_t *rows, int64_t block, const int R)                    \
    {                                                                                                                  \
        fs_conv1d_block(c, rows, block, R, G);                                                                         \
    }                                                                                                                  \
    most(fs_conv1d_##G, fs_conv1d_run)
FS_CONV1D_PANELS(1, FS_BY_ROWS_8)
FS_CONV1D_PANELS(2, FS_BY_ROWS_6)
FS_CONV1D_PANELS(3, FS_BY_ROWS_OF_3)
FS_CONV1D_PANELS(4, FS_BY_ROWS_6)

/* The `count` outputs in hand through one group of panels. */
static void fs_conv1d_group(fs_conv1d_run *run, int64_t group, const int32_t *rows, int count)
{
    static void (*const *const tables[])(fs_conv1d_run *, const int32_t *, int64_t) = {
        0, fs_conv1d_1_table, fs_conv1d_2_table, fs_conv1d_3_table, fs_conv1d_4_table};
    static const int most_rows[] = {0, 8, 6, FS_ROWS_3, 6};
    const int64_t across = (run->panels + FS_GROUP_PANELS - 1) / FS_GROUP_PANELS;
    const int64_t left = run->panels - group % across * FS_GROUP_PANELS;
    const int panels = left < FS_GROUP_PANELS ? (int)left : FS_GROUP_PANELS;
    const int64_t depth = FS_CONV1D_DEPTH / (run->a->inputs ? run->a->inputs : 1);
    run->tap_lo = 0;
    do {
        const int64_t left_taps = run->a->taps - run->tap_lo;
        run->tap_hi = run->tap_lo + (left_taps < depth + 1 ? left_taps : depth < 1 ? 1 : depth);
        for (int64_t block = group * FS_VECTORS; block < (group + 1) * FS_VECTORS; block++)
            for (int done = 0; done < count;) {
                int n = fs_block_rows(count - done, most_rows[panels]);
                tables[panels][n](run, rows + done, block);
                done += n;
            }
        run->tap_lo = run->tap_hi;
    } while (run->tap_lo < run->a->taps);
}

static int fs_conv1d(const fs_conv1d_args *a, const fs_share *share)
{
    fs_conv1d_run run;
    int32_t rows[FS_WINDOWS];
    double unlooked = 0;
    run.a = a; /* not all of it: nobody reads sums that were not written */
    run.p[0] = a->p0, run.p[1] = a->p1, run.p[2] = a->p2;
    run.panels = fs_panels(a->units);
    run.joined = a->gap * a->x_time == a->inputs;
    for (int i = 0; i < FS_WINDOWS; i++)
        rows[i] = i;
    for (int64_t first = share->row_lo; first < share->row_hi; first += FS_WINDOWS) {
        int count = share->row_hi - first < FS_WINDOWS ? (int)(share->row_hi - first) : FS_WINDOWS;
        FS_TAKE_WINDOWS(&run.windows, a, first, count);
        for (int64_t group = share->unit_lo; group < share->unit_hi; group++) {
            fs_conv1d_group(&run, group, rows, count);
            if (FS_STOPS(share, &unlooked,
                         (double)(a->taps * a->inputs + 16) * (double)(count * FS_GROUP_PANELS * FS_PANEL))) {
                fs_leave(share);
                return 0;
            }
        }
    }
    return 0;
}

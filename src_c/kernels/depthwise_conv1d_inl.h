/* A convolution over time of each channel by itself. A lane of a sum is bias, then tap 0, tap 1 ... */

#define FS_DEPTHWISE_ROWS 8

/* Outputs [first, first + R) of those in hand, channels [unit, unit + lanes). */
FS_INLINE void fs_depthwise_tile(const fs_depthwise_conv1d_args *a, const fs_windows *windows, const float *p,
                                 int first, int64_t unit, int lanes, const int R, const int whole)
{
    const float *w = a->w + unit, *x[FS_DEPTHWISE_ROWS];
    const int inside = fs_all_inside(windows, first, R);
    vf acc[FS_DEPTHWISE_ROWS];
    vf bias = a->bias ? (whole ? v_load(a->bias + unit) : v_load_part(a->bias + unit, lanes)) : v_zero();
    FS_UNROLL for (int r = 0; r < R; r++)
    {
        acc[r] = bias;
        x[r] = windows->x[first + r] + windows->start[first + r] * a->x_time + unit;
    }
    for (int64_t tap = 0; tap < a->taps; tap++, w += a->units) {
        const vf weight = whole ? v_load(w) : v_load_part(w, lanes);
        FS_UNROLL for (int r = 0; r < R; r++)
        {
            const float *from = x[r];
            if (!inside)
                from = unit + fs_window_at(windows, first + r, windows->start[first + r] + tap * a->gap, a->length,
                                           a->x_time, a->out_time);
            acc[r] = v_fma(whole ? v_load(from) : v_load_part(from, lanes), weight, acc[r]);
            x[r] += a->gap * a->x_time;
        }
    }
    FS_UNROLL for (int r = 0; r < R; r++)
    {
        const vf y = v_one_nan(fs_vact((int)a->activation, acc[r], p));
        if (whole)
            v_store(windows->y[first + r] + unit, y);
        else
            v_store_part(windows->y[first + r] + unit, lanes, y);
    }
}

static int fs_depthwise_conv1d(const fs_depthwise_conv1d_args *a, const fs_share *share)
{
    const float p[3] = {a->p0, a->p1, a->p2};
    fs_windows windows;
    for (int64_t first = share->row_lo; first < share->row_hi; first += FS_WINDOWS) {
        const int count = share->row_hi - first < FS_WINDOWS ? (int)(share->row_hi - first) : FS_WINDOWS;
        FS_TAKE_WINDOWS(&windows, a, first, count);
        for (int64_t unit = 0; unit < a->units; unit += VLEN) {
            const int lanes = a->units - unit < VLEN ? (int)(a->units - unit) : VLEN;
            int row = 0;
            for (; lanes == VLEN && row + FS_DEPTHWISE_ROWS <= count; row += FS_DEPTHWISE_ROWS)
                fs_depthwise_tile(a, &windows, p, row, unit, VLEN, FS_DEPTHWISE_ROWS, 1);
            for (; lanes < VLEN && row + FS_DEPTHWISE_ROWS <= count; row += FS_DEPTHWISE_ROWS)
                fs_depthwise_tile(a, &windows, p, row, unit, lanes, FS_DEPTHWISE_ROWS, 0);
            for (; row < count; row++)
                fs_depthwise_tile(a, &windows, p, row, unit, lanes, 1, 0);
        }
    }
    return 0;
}

/* Windows over time: where the taps of each output of a convolution lie. */

/* Outputs in hand: all panels of a group pass over their windows, one after the other, while these are in L1. */
#define FS_WINDOWS 48

typedef struct {
    const float *x[FS_WINDOWS];       /* the sequence of each output */
    const float *outside[FS_WINDOWS]; /* timestep 0 of what stands outside of it */
    float *y[FS_WINDOWS];
    int64_t start[FS_WINDOWS]; /* the timestep of the first tap, below 0 where it stands before x */
    int inside[FS_WINDOWS];    /* whether x has all taps */
} fs_windows;

/* Takes outputs [first, first + count) of all sequences in hand; a: fs_conv1d_args or fs_depthwise_conv1d_args. */
#define FS_TAKE_WINDOWS(windows, a, first, count)                                                                      \
    do {                                                                                                               \
        int64_t row_ = (first) / (a)->timesteps, time_ = (first) % (a)->timesteps;                                     \
        const int64_t reach_ = ((a)->taps - 1) * (a)->gap;                                                             \
        for (int i_ = 0; i_ < (count); i_++) {                                                                         \
            const int64_t start_ = time_ * (a)->stride - (a)->before;                                                  \
            (windows)->x[i_] = (a)->x + row_ * (a)->x_row;                                                             \
            (windows)->outside[i_] = (a)->outside + row_ * (a)->out_row + (a)->before * (a)->out_time;                 \
            (windows)->y[i_] = (a)->y + row_ * (a)->y_row + time_ * (a)->y_time;                                       \
            (windows)->start[i_] = start_;                                                                             \
            (windows)->inside[i_] = start_ >= 0 && start_ + reach_ < (a)->length;                                      \
            if (++time_ == (a)->timesteps)                                                                             \
                time_ = 0, row_++;                                                                                     \
        }                                                                                                              \
    } while (0)

/* Where timestep `time` of output i's sequence stands; x_time, out_time: from one timestep to the next. */
FS_INLINE const float *fs_window_at(const fs_windows *w, int i, int64_t time, int64_t length, int64_t x_time,
                                    int64_t out_time)
{
    return time >= 0 && time < length ? w->x[i] + time * x_time : w->outside[i] + time * out_time;
}

/* Whether all of outputs [first, first + R) have windows inside of x. */
FS_INLINE int fs_all_inside(const fs_windows *w, int first, const int R)
{
    int all = 1;
    FS_UNROLL for (int r = 0; r < R; r++) all &= w->inside[first + r];
    return all;
}

/* Channels by given means and variances, and sums of channels over rows: BatchNormalization. */
#ifndef FS_CHANNELS_INL_H
#define FS_CHANNELS_INL_H

#define FS_CHANNELS 1024 /* whose scale and shift stay in the cache */
#define FS_SHORT_ROW 128 /* four of them at once lie in few enough places of memory to be fetched ahead */

/* scale, shift (count) of the channels from `first` on. */
static void fs_channels(const fs_batch_norm_args *a, int64_t first, int64_t count, float *scale, float *shift)
{
    const vf epsilon = v_set1(a->epsilon), one = v_set1(1.0f);
    for (int64_t i = 0; i < count; i += VLEN) {
        const int part = count - i < VLEN ? (int)(count - i) : VLEN;
        const int64_t at = first + i;
        const vf root = v_sqrt(v_add(v_load_part(a->variance + at, part), epsilon));
        const vf s = v_div(a->gamma ? v_load_part(a->gamma + at, part) : one, root);
        v_store(scale + i, s);
        const vf beta = a->beta ? v_load_part(a->beta + at, part) : v_zero();
        v_store(shift + i, v_fnma(v_load_part(a->mean + at, part), s, beta));
    }
}

/* `count` channels of `rows` rows, n apart: each scale and shift is loaded once for all of them. */
FS_INLINE void fs_channel_rows(float *y, const float *x, int64_t n, int rows, int64_t count, const float *scale,
                               const float *shift)
{
    int64_t i = 0;
    for (; i + VLEN <= count; i += VLEN) {
        const vf s = v_load(scale + i), b = v_load(shift + i);
        for (int r = 0; r < rows; r++)
            v_store(y + r * n + i, v_one_nan(v_fma(v_load(x + r * n + i), s, b)));
    }
    if (i < count) {
        const int left = (int)(count - i);
        const vf s = v_load(scale + i), b = v_load(shift + i);
        for (int r = 0; r < rows; r++)
            v_store_part(y + r * n + i, left, v_one_nan(v_fma(v_load_part(x + r * n + i, left), s, b)));
    }
}

static int fs_batch_norm(const fs_batch_norm_args *a, const fs_share *share)
{
    __attribute__((aligned(64))) float scale[FS_CHANNELS + VLEN], shift[FS_CHANNELS + VLEN];
    for (int64_t first = 0; first < a->n; first += FS_CHANNELS) {
        const int64_t count = a->n - first < FS_CHANNELS ? a->n - first : FS_CHANNELS;
        fs_channels(a, first, count, scale, shift);
        int64_t row = share->row_lo;
        for (; a->inner == 1 && row < share->row_hi;) {
            const int64_t from = row * a->n + first;
            const int rows = share->row_hi - row < 4 || a->n > FS_SHORT_ROW ? 1 : 4;
            if (rows == 4)
                fs_channel_rows(a->y + from, a->x + from, a->n, 4, count, scale, shift);
            else
                fs_channel_rows(a->y + from, a->x + from, a->n, 1, count, scale, shift);
            row += rows;
        }
        for (; row < share->row_hi; row++) {
            const int64_t from = (row * a->n + first) * a->inner;
            for (int64_t c = 0; c < count; c++) {
                const vf s = v_bcast(scale + c), b = v_bcast(shift + c);
                FS_MAP(a->y + from + c * a->inner, a->x + from + c * a->inner, a->inner, v_fma(v, s, b));
            }
        }
    }
    return 0;
}

/* Columns [at, at + 4 VLEN) of the rows of a block, or the `part` ones of a vector that begin there. */
FS_INLINE void fs_channel_block(const fs_channel_sums_args *a, int64_t first, int64_t last, int64_t at, int vectors,
                                int part, float *sum, float *product)
{
    vf p_centre[4], q_centre[4], sums[4], products[4];
#define FS_HERE(p) (part == VLEN ? v_load((p) + at + j * VLEN) : v_load_part((p) + at + j * VLEN, part))
    for (int j = 0; j < vectors; j++) {
        p_centre[j] = a->a_centre ? FS_HERE(a->a_centre) : v_zero();
        q_centre[j] = a->b_centre ? FS_HERE(a->b_centre) : v_zero();
        sums[j] = products[j] = v_zero();
    }
    for (int64_t row = first; row < last; row++) {
        const float *x = a->a + row * a->n, *y = product ? a->b + row * a->n : 0;
        for (int j = 0; j < vectors; j++) {
            const vf p = v_sub(FS_HERE(x), p_centre[j]);
            sums[j] = v_add(sums[j], p);
            if (product)
                products[j] = v_fma(p, v_sub(FS_HERE(y), q_centre[j]), products[j]);
        }
    }
#undef FS_HERE
    for (int j = 0; j < vectors; j++) {
        v_store_part(sum + at + j * VLEN, part, v_one_nan(sums[j]));
        if (product)
            v_store_part(product + at + j * VLEN, part, v_one_nan(products[j]));
    }
}

static int fs_channel_sums(const fs_channel_sums_args *a, const fs_share *share)
{
    const int64_t n = a->n;
    for (int64_t block = share->row_lo; block < share->row_hi; block++) {
        const int64_t first = block * FS_LAYER_NORM_ROWS, last = fs_smaller(first + FS_LAYER_NORM_ROWS, a->rows);
        float *sum = a->sums + block * n, *product = a->products ? a->products + block * n : 0;
        int64_t at = 0;
        if (product) {
            for (; at + 4 * VLEN <= n; at += 4 * VLEN)
                fs_channel_block(a, first, last, at, 4, VLEN, sum, a->products + block * n);
            for (; at < n; at += VLEN)
                fs_channel_block(a, first, last, at, 1, n - at < VLEN ? (int)(n - at) : VLEN, sum, product);
        } else {
            for (; at + 4 * VLEN <= n; at += 4 * VLEN)
                fs_channel_block(a, first, last, at, 4, VLEN, sum, 0);
            for (; at < n; at += VLEN)
                fs_channel_block(a, first, last, at, 1, n - at < VLEN ? (int)(n - at) : VLEN, sum, 0);
        }
    }
    return 0;
}
#endif

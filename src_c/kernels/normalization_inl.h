/* Rows by their mean and variance: LayerNormalization, RMSNormalization.

   A row's sums run in 64 lanes on every ISA (element i in lane i % 64, in order of i), by blocks of 8192 elements, and
   then in one fixed tree over the lanes. A row is read from memory once and three times from the cache: for its sum,
   for what is left behind the mean and the squares of that, and for the result.

   The mean is rounded, by up to 1e-6 at 29; what that leaves, `rest`, is the mean of what lies behind it, and is taken
   off too: then the error is that of the result's own rounding, whatever the mean. */
#ifndef FS_NORMALIZATION_INL_H
#define FS_NORMALIZATION_INL_H

#define FS_WIDE (4 * FS_LANES)
#define FS_WIDE_VECS (4 * FS_LANE_VECS)
#define FS_WIDE_BLOCK 8192
#define FS_GROUP_ROWS 16
#define FS_GROUP_ELEMENTS 2048

/* The 64 lanes as 16 are added to `total`. */
FS_INLINE void fs_wide_fold(vf total[FS_LANE_VECS], const vf acc[FS_WIDE_VECS])
{
    for (int j = 0; j < FS_LANE_VECS; j++) {
        const vf even = v_add(acc[j], acc[2 * FS_LANE_VECS + j]);
        const vf odd = v_add(acc[FS_LANE_VECS + j], acc[3 * FS_LANE_VECS + j]);
        total[j] = v_add(total[j], v_add(even, odd));
    }
}

FS_INLINE void fs_wide_zero(vf *acc, int count)
{
    for (int j = 0; j < count; j++)
        acc[j] = v_zero();
}

/* 16 elements of x, of which `left` there are, with `fill` behind them. */
FS_INLINE void fs_sixteen(vf v[FS_LANE_VECS], const float *x, int64_t left, float fill)
{
    if (left < FS_LANES) {
        fs_lane_load(v, x, (int)left, fill);
        return;
    }
    for (int j = 0; j < FS_LANE_VECS; j++)
        v[j] = v_load(x + j * VLEN);
}

/* What 16 of the last elements of a row add, of which `left` there are. */
FS_INLINE void fs_sums_rest(vf *sum, vf *squared, const float *x, int64_t left, float mean)
{
    vf v[FS_LANE_VECS];
    if (left <= 0)
        return;
    fs_sixteen(v, x, left, mean);
    for (int j = 0; j < FS_LANE_VECS; j++) {
        const vf d = v_sub(v[j], v_set1(mean));
        sum[j] = v_add(sum[j], d);
        if (squared)
            squared[j] = v_fma(d, d, squared[j]);
    }
}

/* sums[0] of x - mean and, where `squares` says so, sums[1] of (x - mean)^2 over a row. */
FS_INLINE void fs_wide_sums(const float *x, int64_t n, float mean, int squares, float sums[2])
{
    const vf m = v_set1(mean);
    vf total[2][FS_LANE_VECS];
    fs_wide_zero(total[0], FS_LANE_VECS);
    fs_wide_zero(total[1], FS_LANE_VECS);
    for (int64_t at = 0; at < n;) {
        const int64_t end = n - at < FS_WIDE_BLOCK ? n : at + FS_WIDE_BLOCK;
        vf sum[FS_WIDE_VECS], squared[FS_WIDE_VECS];
        fs_wide_zero(sum, FS_WIDE_VECS);
        fs_wide_zero(squared, FS_WIDE_VECS);
        for (; at + FS_WIDE <= end; at += FS_WIDE)
            for (int j = 0; j < FS_WIDE_VECS; j++) {
                const vf d = v_sub(v_load(x + at + j * VLEN), m);
                sum[j] = v_add(sum[j], d);
                if (squares)
                    squared[j] = v_fma(d, d, squared[j]);
            }
        if (at < end) {
#define FS_REST(k)                                                                                                     \
    fs_sums_rest(sum + (k)*FS_LANE_VECS, squares ? squared + (k)*FS_LANE_VECS : 0, x + at + (k)*FS_LANES,              \
                 end - at - (k)*FS_LANES, mean)
            FS_REST(0); /* numbers that the compiler knows: the sums stay in registers */
            FS_REST(1);
            FS_REST(2);
            FS_REST(3);
#undef FS_REST
        }
        at = end;
        fs_wide_fold(total[0], sum);
        if (squares)
            fs_wide_fold(total[1], squared);
    }
    sums[0] = fs_lane_sum(total[0]);
    if (squares)
        sums[1] = fs_lane_sum(total[1]);
}

/* What a row is normalized by: (x - mean) * inverse + rest. */
typedef struct {
    float mean, inverse, rest;
} fs_norm_by;

/* How many rows go together: what each waits for, the others fill; all of them stay in the cache. */
FS_INLINE int64_t fs_norm_group(int64_t n)
{
    const int64_t rows = FS_GROUP_ELEMENTS / n;
    return rows < 1 ? 1 : rows < FS_GROUP_ROWS ? rows : FS_GROUP_ROWS;
}

/* by (rows) of x (rows, n). */
static void fs_norm_of(fs_norm_by *by, const float *x, int64_t rows, int64_t n, int rms, float epsilon)
{
    float sums[FS_GROUP_ROWS][2];
    for (int64_t r = 0; r < rows; r++) {
        by[r].mean = 0.0f;
        if (!rms) {
            fs_wide_sums(x + r * n, n, 0.0f, 0, sums[r]);
            by[r].mean = sums[r][0] / (float)n;
        }
    }
    for (int64_t r = 0; r < rows; r++)
        fs_wide_sums(x + r * n, n, by[r].mean, 1, sums[r]);
    for (int64_t r = 0; r < rows; r++) {
        const float left = rms ? 0.0f : sums[r][0] / (float)n, variance = sums[r][1] / (float)n - left * left;
        const double above = variance < 0.0f ? 0.0 : (double)variance; /* a NaN stays */
        by[r].inverse = (float)(1.0 / __builtin_sqrt(above + (double)epsilon));
        by[r].rest = -left * by[r].inverse;
    }
}

/* (x - mean) * inverse + rest, then * gamma + beta; without a gamma and a beta only what there is. */
FS_INLINE vf fs_norm_value(vf x, vf mean, vf inverse, vf rest, const vf *gamma, const vf *beta)
{
    const vf d = v_fma(v_sub(x, mean), inverse, rest);
    const vf y = gamma && beta ? v_fma(d, *gamma, *beta) : gamma ? v_mul(d, *gamma) : beta ? v_add(d, *beta) : d;
    return v_one_nan(y);
}

/* y (n) of x. Meanwhile what lies `ahead` elements further on is fetched: without it memory rests while a group of rows
   that is in the cache is computed. */
FS_INLINE void fs_norm_write(float *y, const float *x, int64_t n, const fs_norm_by *by, const float *gamma,
                             const float *beta, int64_t ahead)
{
    const vf m = v_set1(by->mean), r = v_set1(by->inverse), rest = v_set1(by->rest);
    int64_t i = 0;
    for (; i + VLEN <= n; i += VLEN) {
        if (i % FS_LANES == 0)
            __builtin_prefetch(x + ahead + i);
        const vf g = gamma ? v_load(gamma + i) : r, b = beta ? v_load(beta + i) : r;
        v_store(y + i, fs_norm_value(v_load(x + i), m, r, rest, gamma ? &g : 0, beta ? &b : 0));
    }
    if (i < n) {
        const int left = (int)(n - i);
        const vf g = gamma ? v_load_part(gamma + i, left) : r, b = beta ? v_load_part(beta + i, left) : r;
        v_store_part(y + i, left, fs_norm_value(v_load_part(x + i, left), m, r, rest, gamma ? &g : 0, beta ? &b : 0));
    }
}

static int fs_layer_norm(const fs_layer_norm_args *a, const fs_share *share)
{
    const int64_t n = a->n, group = fs_norm_group(n);
    fs_norm_by by[FS_GROUP_ROWS];
    for (int64_t first = share->row_lo; first < share->row_hi; first += group) {
        const int64_t rows = share->row_hi - first < group ? share->row_hi - first : group;
        fs_norm_of(by, a->x + first * n, rows, n, (int)a->rms, a->epsilon);
        for (int64_t r = 0; r < rows; r++) {
            const float *x = a->x + (first + r) * n;
            float *y = a->y + (first + r) * n;
            const int64_t ahead = first + group + r < share->row_hi ? group * n : 0;
            if (a->gamma && a->beta)
                fs_norm_write(y, x, n, by + r, a->gamma, a->beta, ahead);
            else if (a->gamma)
                fs_norm_write(y, x, n, by + r, a->gamma, 0, ahead);
            else
                fs_norm_write(y, x, n, by + r, 0, a->beta, ahead);
            if (a->trace) {
                a->trace[3 * (first + r)] = by[r].mean;
                a->trace[3 * (first + r) + 1] = by[r].inverse;
                a->trace[3 * (first + r) + 2] = by[r].rest;
            }
        }
    }
    return 0;
}

/* What the gradients of a row go by, and the means of dy * gamma, and of that times what the row was normalized to. */
typedef struct {
    const float *x, *dy;
    float *dx;
    fs_norm_by by;
    float sums[2];
} fs_norm_row;

FS_INLINE void fs_products_rest(vf *sum, vf *product, const fs_norm_row *r, const float *gamma, int64_t at,
                                int64_t left)
{
    const vf m = v_set1(r->by.mean), inverse = v_set1(r->by.inverse), rest = v_set1(r->by.rest);
    vf x[FS_LANE_VECS], dy[FS_LANE_VECS], g[FS_LANE_VECS];
    if (left <= 0)
        return;
    fs_sixteen(x, r->x + at, left, r->by.mean);
    fs_sixteen(dy, r->dy + at, left, 0.0f);
    for (int j = 0; j < FS_LANE_VECS; j++)
        g[j] = v_set1(1.0f);
    if (gamma)
        fs_sixteen(g, gamma + at, left, 0.0f);
    for (int j = 0; j < FS_LANE_VECS; j++) {
        const vf d = v_mul(dy[j], g[j]);
        sum[j] = v_add(sum[j], d);
        product[j] = v_fma(d, v_fma(v_sub(x[j], m), inverse, rest), product[j]);
    }
}

/* Both sums of a row. */
FS_INLINE void fs_norm_sums(fs_norm_row *r, const float *gamma, int64_t n)
{
    vf total[2][FS_LANE_VECS];
    fs_wide_zero(total[0], FS_LANE_VECS);
    fs_wide_zero(total[1], FS_LANE_VECS);
    for (int64_t at = 0; at < n;) {
        const int64_t end = n - at < FS_WIDE_BLOCK ? n : at + FS_WIDE_BLOCK;
        vf sum[FS_WIDE_VECS], product[FS_WIDE_VECS];
        fs_wide_zero(sum, FS_WIDE_VECS);
        fs_wide_zero(product, FS_WIDE_VECS);
#define FS_REST(k, count)                                                                                              \
    fs_products_rest(sum + (k)*FS_LANE_VECS, product + (k)*FS_LANE_VECS, r, gamma, at + (k)*FS_LANES, count)
        for (; at + FS_WIDE <= end; at += FS_WIDE) {
            FS_REST(0, FS_LANES);
            FS_REST(1, FS_LANES);
            FS_REST(2, FS_LANES);
            FS_REST(3, FS_LANES);
        }
        FS_REST(0, end - at);
        FS_REST(1, end - at - FS_LANES);
        FS_REST(2, end - at - 2 * FS_LANES);
        FS_REST(3, end - at - 3 * FS_LANES);
#undef FS_REST
        at = end;
        fs_wide_fold(total[0], sum);
        fs_wide_fold(total[1], product);
    }
    r->sums[0] = fs_lane_sum(total[0]) / (float)n;
    r->sums[1] = fs_lane_sum(total[1]) / (float)n;
}

/* dx of some rows, `part` columns of them from `at` on, and what they add to d_gamma and d_beta, row after row; `ahead`
   as in fs_norm_write. */
FS_INLINE void fs_norm_back(const fs_norm_row *r, int64_t rows, const float *gamma, int64_t at, int part,
                            float *d_gamma, float *d_beta, int64_t ahead)
{
#define FS_HERE(p) (part == VLEN ? v_load((p) + at) : v_load_part((p) + at, part))
#define FS_PUT(p, v) (part == VLEN ? v_store((p) + at, v) : v_store_part((p) + at, part, v))
    const vf g = gamma ? FS_HERE(gamma) : v_set1(1.0f);
    vf of_gamma = d_gamma ? FS_HERE(d_gamma) : v_zero(), of_beta = d_beta ? FS_HERE(d_beta) : v_zero();
    for (int64_t i = 0; i < rows; i++, r++) {
        if (at % FS_LANES == 0) {
            __builtin_prefetch(r->x + ahead + at);
            __builtin_prefetch(r->dy + ahead + at);
        }
        const vf dy = FS_HERE(r->dy), inverse = v_set1(r->by.inverse);
        const vf d = v_fma(v_sub(FS_HERE(r->x), v_set1(r->by.mean)), inverse, v_set1(r->by.rest));
        const vf left = v_sub(v_mul(dy, g), v_set1(r->sums[0]));
        FS_PUT(r->dx, v_one_nan(v_mul(inverse, v_fnma(d, v_set1(r->sums[1]), left))));
        of_gamma = v_fma(dy, d, of_gamma);
        of_beta = v_add(of_beta, dy);
    }
    if (d_gamma)
        FS_PUT(d_gamma, v_one_nan(of_gamma));
    if (d_beta)
        FS_PUT(d_beta, v_one_nan(of_beta));
#undef FS_HERE
#undef FS_PUT
}

static int fs_layer_norm_backward(const fs_layer_norm_backward_args *a, const fs_share *share)
{
    const int64_t n = a->n, group = fs_norm_group(n);
    fs_norm_row r[FS_GROUP_ROWS];
    for (int64_t block = share->row_lo; block < share->row_hi; block++) {
        float *d_gamma = a->d_gamma ? a->d_gamma + block * n : 0, *d_beta = a->d_beta ? a->d_beta + block * n : 0;
        const int64_t start = block * FS_LAYER_NORM_ROWS, stop = fs_smaller(start + FS_LAYER_NORM_ROWS, a->rows);
        for (int64_t i = 0; i < n; i++) {
            if (d_gamma)
                d_gamma[i] = 0.0f;
            if (d_beta)
                d_beta[i] = 0.0f;
        }
        for (int64_t first = start; first < stop; first += group) {
            const int64_t rows = fs_smaller(group, stop - first), ahead = first + rows + rows <= a->rows ? rows * n : 0;
            int64_t at = 0;
            for (int64_t i = 0; i < rows; i++) {
                const int64_t row = first + i;
                const float *by = a->trace + 3 * row;
                r[i] = (fs_norm_row){.x = a->x + row * n, .dy = a->dy + row * n, .dx = a->dx + row * n,
                                     .by = {by[0], by[1], by[2]}};
                fs_norm_sums(r + i, a->gamma, n);
                r[i].sums[0] = a->rms ? 0.0f : r[i].sums[0];
            }
            for (; at + VLEN <= n; at += VLEN)
                fs_norm_back(r, rows, a->gamma, at, VLEN, d_gamma, d_beta, ahead);
            if (at < n)
                fs_norm_back(r, rows, a->gamma, at, (int)(n - at), d_gamma, d_beta, ahead);
        }
    }
    return 0;
}
#endif

/* Pools over windows (abi/ops_pooling.h says in which order places are taken), and their gradients. */

/* Columns above which a timestep is taken whole before the next one is, so that memory is read in its order: of 65 MB,
   (32, 2000, 256), 4 or 16 timesteps of 64 columns in turn took three times as long. Fewer are taken so many floats at
   a time, in registers. */
#define FS_POOL_WIDE 64
#define FS_POOL_BLOCK 1024
/* Columns whose sums stay beside each other while the timesteps of a window that is longer than FS_POOL_SHORT pass. */
#define FS_POOL_SUMS 256
#define FS_POOL_SHORT 16

/* The places of window w: `count` of them from `first` on. */
typedef struct {
    int64_t first, count;
} fs_pool_places;

FS_INLINE fs_pool_places fs_places_of_window(int64_t w, int64_t length, int64_t size, int64_t stride, int64_t before)
{
    const int64_t start = w * stride - before, first = start < 0 ? 0 : start;
    return (fs_pool_places){first, (start + size < length ? start + size : length) - first};
}

/* b where it is larger than a, or NaN. */
FS_INLINE vf fs_larger(vf a, vf b) { return v_select(v_isnan(b), b, v_max(b, a)); }

/* The first lane alone where n is 1: a masked load and store takes longer. */
FS_INLINE vf fs_pool_load(const float *p, int n)
{
    return n == VLEN ? v_load(p) : n == 1 ? v_bcast(p) : v_load_part(p, n);
}
FS_INLINE void fs_pool_store(float *p, int n, vf a)
{
    if (n == VLEN) {
        v_store(p, a);
    } else if (n == 1) {
        float lanes[VLEN];
        v_store(lanes, a);
        *p = lanes[0];
    } else {
        v_store_part(p, n, a);
    }
}

/* y[i], i < (vectors - 1) VLEN + n: the largest of x[t step + i], t < count; what stands in y too where `begun`. */
FS_INLINE void fs_pool_largest(const float *x, float *y, int64_t count, int64_t step, int begun, const int vectors,
                               int n)
{
    vf a[4];
    for (int j = 0; j < vectors; j++)
        a[j] = fs_pool_load((begun ? y : x) + j * VLEN, n);
    for (int64_t t = !begun; t < count; t++)
        for (int j = 0; j < vectors; j++)
            a[j] = fs_larger(a[j], fs_pool_load(x + t * step + j * VLEN, n));
    for (int j = 0; j < vectors; j++)
        fs_pool_store(y + j * VLEN, n, v_one_nan(a[j]));
}

/* The mean of the same places. */
FS_INLINE void fs_pool_mean(const float *x, float *y, int64_t count, int64_t step, const int vectors, int n)
{
    vd low[4], high[4];
    for (int j = 0; j < vectors; j++)
        low[j] = high[j] = vd_set1(0.0);
    for (int64_t t = 0; t < count; t++)
        for (int j = 0; j < vectors; j++) {
            const vf v = fs_pool_load(x + t * step + j * VLEN, n);
            low[j] = vd_add(low[j], vd_low(v));
            high[j] = vd_add(high[j], vd_high(v));
        }
    for (int j = 0; j < vectors; j++)
        fs_pool_store(y + j * VLEN, n, v_one_nan(v_div(v_join(low[j], high[j]), v_set1((float)count))));
}

/* fs_pool_mean of `width` columns, one timestep of all after the other. */
static void fs_pool_long_mean(const float *x, float *y, int64_t width, int64_t count, int64_t step)
{
    vd low[FS_POOL_SUMS / VLEN], high[FS_POOL_SUMS / VLEN];
    const int vectors = (int)(width / VLEN), rest = (int)(width % VLEN);
    for (int j = 0; j < vectors + (rest > 0); j++)
        low[j] = high[j] = vd_set1(0.0);
    for (int64_t t = 0; t < count; t++, x += step) {
        for (int j = 0; j < vectors; j++) {
            const vf v = v_load(x + j * VLEN);
            low[j] = vd_add(low[j], vd_low(v));
            high[j] = vd_add(high[j], vd_high(v));
        }
        if (rest) {
            const vf v = v_load_part(x + vectors * VLEN, rest);
            low[vectors] = vd_add(low[vectors], vd_low(v));
            high[vectors] = vd_add(high[vectors], vd_high(v));
        }
    }
    const vf n = v_set1((float)count);
    for (int j = 0; j < vectors + (rest > 0); j++)
        fs_pool_store(y + j * VLEN, j < vectors ? VLEN : rest, v_one_nan(v_div(v_join(low[j], high[j]), n)));
}

/* `width` neighbours of windows of `count` places that stand `step` apart. */
static void fs_pool_columns(int kind, const float *x, float *y, int64_t width, int64_t count, int64_t step)
{
    if (kind == FS_POOL_MEAN) {
        int64_t i = 0;
        for (; count > FS_POOL_SHORT && i + 2 * VLEN < width; i += FS_POOL_SUMS)
            fs_pool_long_mean(x + i, y + i, width - i < FS_POOL_SUMS ? width - i : FS_POOL_SUMS, count, step);
        for (; i + 2 * VLEN <= width; i += 2 * VLEN)
            fs_pool_mean(x + i, y + i, count, step, 2, VLEN);
        for (; i < width; i += VLEN)
            fs_pool_mean(x + i, y + i, count, step, 1, width - i < VLEN ? (int)(width - i) : VLEN);
        return;
    }
    /* Where windows are neighbours too, `width` is theirs, and each timestep of it lies in the one before. */
    const int64_t block = width > step ? count : width > FS_POOL_WIDE ? 1 : FS_POOL_BLOCK / width;
    for (int64_t t = 0; t < count; t += block) {
        const int64_t times = count - t < block ? count - t : block;
        const float *from = x + t * step;
        int64_t i = 0;
        for (; i + 4 * VLEN <= width; i += 4 * VLEN)
            fs_pool_largest(from + i, y + i, times, step, t > 0, 4, VLEN);
        for (; i + VLEN <= width; i += VLEN)
            fs_pool_largest(from + i, y + i, times, step, t > 0, 1, VLEN);
        if (i < width)
            fs_pool_largest(from + i, y + i, times, step, t > 0, 1, (int)(width - i));
    }
}

static int fs_pool(const fs_pool_args *a, const fs_share *share)
{
    if (share->row_lo == share->row_hi)
        return 0;
    int64_t outer = share->row_lo / a->windows, w = share->row_lo % a->windows;
    for (int64_t row = share->row_lo; row < share->row_hi;) {
        const fs_pool_places places = fs_places_of_window(w, a->length, a->size, a->stride, a->before);
        int64_t many = 1;
        if (a->stride == 1 && places.count == a->size) {
            /* Whole windows, one timestep apart: neighbours, as the columns of one window are. */
            const int64_t whole = a->length - a->size + a->before + 1, end = whole < a->windows ? whole : a->windows;
            many = end - w < share->row_hi - row ? end - w : share->row_hi - row;
        }
        fs_pool_columns((int)a->kind, a->x + (outer * a->length + places.first) * a->inner, a->y + row * a->inner,
                        many * a->inner, places.count, a->inner);
        row += many;
        w += many;
        if (w == a->windows)
            w = 0, outer++;
    }
    return 0;
}

/* The gradient of n columns of one window: at `x` and `dx` its first place. */
FS_INLINE void fs_pool_window_backward(int kind, const float *x, const float *y, vf dy, float *dx, int64_t count,
                                       int64_t step, int n)
{
    const vf zero = v_zero();
    if (kind == FS_POOL_MEAN) {
        dy = v_div(dy, v_set1((float)count));
        for (int64_t t = 0; t < count; t++)
            fs_pool_store(dx + t * step, n, v_one_nan(v_add(fs_pool_load(dx + t * step, n), dy)));
        return;
    }
    const vf largest = fs_pool_load(y, n);
    if (kind == FS_POOL_MAX_SHARED) {
        vf equal = zero;
        for (int64_t t = 0; t < count; t++)
            equal = v_add(equal, v_select(v_eq(fs_pool_load(x + t * step, n), largest), v_set1(1.0f), zero));
        dy = v_mul(v_div(v_set1(1.0f), equal), dy);
    }
    for (int64_t t = 0; t < count; t++) {
        const vm here = v_eq(fs_pool_load(x + t * step, n), largest);
        const vf sum = v_add(fs_pool_load(dx + t * step, n), v_select(here, dy, zero));
        fs_pool_store(dx + t * step, n, v_one_nan(sum));
        if (kind == FS_POOL_MAX)
            dy = v_select(here, zero, dy); /* the first one has it */
    }
}

static int fs_pool_backward(const fs_pool_backward_args *a, const fs_share *share)
{
    const int64_t blocks = fs_pool_blocks(a);
    for (int64_t row = share->row_lo; row < share->row_hi; row++) {
        const int64_t outer = row / blocks, column = row % blocks * FS_POOL_COLUMNS;
        const int64_t width = a->inner - column < FS_POOL_COLUMNS ? a->inner - column : FS_POOL_COLUMNS;
        const int64_t from = outer * a->length * a->inner + column, to = outer * a->windows * a->inner + column;
        for (int64_t t = 0; t < a->length; t++)
            __builtin_memset(a->dx + from + t * a->inner, 0, (size_t)width * sizeof(float));
        for (int64_t w = 0; w < a->windows; w++) {
            const fs_pool_places places = fs_places_of_window(w, a->length, a->size, a->stride, a->before);
            const int64_t at = from + places.first * a->inner, o = to + w * a->inner;
            for (int64_t i = 0; i < width; i += VLEN) {
                const int n = width - i < VLEN ? (int)(width - i) : VLEN;
                fs_pool_window_backward((int)a->kind, a->x ? a->x + at + i : NULL, a->y ? a->y + o + i : NULL,
                                        fs_pool_load(a->dy + o + i, n), a->dx + at + i, places.count, a->inner, n);
            }
        }
    }
    return 0;
}

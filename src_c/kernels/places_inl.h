/* Elements by their places along an axis (FS_GATHER_ARGS and the next): taken, put, sorted, found. None of them rounds,
   but for sums and products of what is put into one place, which are taken in the order of the places. */

/* A NaN's sign depends on the CPU: stored, it is the same one everywhere. */
FS_INLINE float fs_one_nan(float x) { return x == x ? x : __builtin_nanf(""); }

static int fs_gather(const fs_gather_args *a, const fs_share *share)
{
    const int64_t inner = a->inner, size = a->size;
    for (int64_t row = share->row_lo; row < share->row_hi; row++) {
        const int64_t o = row / a->count, k = row % a->count;
        const int32_t *places = a->places + (a->own ? row : k) * (a->each ? inner : 1);
        const char *x = (const char *)a->x + o * a->n * inner * size;
        char *y = (char *)a->y + row * inner * size;
        if (!a->each)
            __builtin_memcpy(y, x + *places * inner * size, (size_t)(inner * size));
        else if (size == 4)
            for (int64_t i = 0; i < inner; i++)
                ((int32_t *)y)[i] = ((const int32_t *)x)[places[i] * inner + i];
        else
            for (int64_t i = 0; i < inner; i++)
                y[i] = x[places[i] * inner + i];
    }
    return 0;
}

#define FS_PUT_ALL(expression)                                                                                         \
    for (int64_t k = 0; k < a->count; k++, v += inner, places += step)                                                 \
        for (int64_t i = lo; i < hi; i++) {                                                                            \
            const int64_t at = places[a->each ? i : 0] * inner + i;                                                    \
            y[at] = expression;                                                                                        \
        }                                                                                                              \
    return;

/* Columns [lo, hi) of one outer, floats. A NaN on either side comes through, as in NumPy and TensorFlow. */
static void fs_put_floats(const fs_scatter_args *a, const int32_t *places, const float *v, float *y, int64_t lo,
                          int64_t hi)
{
    const int64_t inner = a->inner, step = a->each ? inner : 1;
    switch (a->kind) {
    case FS_PUT_SET:
        FS_PUT_ALL(v[i])
    case FS_PUT_ADD:
        FS_PUT_ALL(fs_one_nan(y[at] + v[i]))
    case FS_PUT_MULTIPLY:
        FS_PUT_ALL(fs_one_nan(y[at] * v[i]))
    case FS_PUT_MAXIMUM:
        FS_PUT_ALL(v[i] > y[at] || v[i] != v[i] ? v[i] : y[at])
    default: /* FS_PUT_MINIMUM */
        FS_PUT_ALL(v[i] < y[at] || v[i] != v[i] ? v[i] : y[at])
    }
}

static void fs_put_whole(const fs_scatter_args *a, const int32_t *places, const int32_t *v, int32_t *y, int64_t lo,
                         int64_t hi)
{
    const int64_t inner = a->inner, step = a->each ? inner : 1;
    switch (a->kind) {
    case FS_PUT_SET:
        FS_PUT_ALL(v[i])
    case FS_PUT_ADD:
        FS_PUT_ALL((int32_t)((uint32_t)y[at] + (uint32_t)v[i]))
    case FS_PUT_MULTIPLY:
        FS_PUT_ALL((int32_t)((uint32_t)y[at] * (uint32_t)v[i]))
    case FS_PUT_MAXIMUM:
        FS_PUT_ALL(v[i] > y[at] ? v[i] : y[at])
    default: /* FS_PUT_MINIMUM */
        FS_PUT_ALL(v[i] < y[at] ? v[i] : y[at])
    }
}

static int fs_scatter(const fs_scatter_args *a, const fs_share *share)
{
    const int64_t inner = a->inner, across = fs_column_blocks(inner);
    for (int64_t piece = share->row_lo; piece < share->row_hi; piece++) {
        const int64_t o = piece / across, lo = piece % across * FS_COLUMNS, hi = fs_smaller(lo + FS_COLUMNS, inner);
        const int32_t *places = a->places + (a->own ? o * a->count : 0) * (a->each ? inner : 1);
        const float *x = (const float *)a->x + (a->x ? o * a->n * inner : 0), *v = (const float *)a->v + o * a->count * inner;
        float *y = (float *)a->y + o * a->n * inner;
        for (int64_t row = lo; row < a->n * inner; row += inner) {
            if (a->x)
                __builtin_memcpy(y + row, x + row, (size_t)(hi - lo) * 4);
            else
                __builtin_memset(y + row, 0, (size_t)(hi - lo) * 4);
        }
        if (a->whole)
            fs_put_whole(a, places, (const int32_t *)v, (int32_t *)y, lo, hi);
        else
            fs_put_floats(a, places, v, y, lo, hi);
    }
    return 0;
}

/* ---- order ---- */

/* A number that grows with the element: all bits of a float, the sign turned round. */
FS_INLINE uint32_t fs_order_of(const void *x, int64_t at, int whole)
{
    if (whole)
        return (uint32_t)((const int32_t *)x)[at] ^ 0x80000000u;
    uint32_t bits;
    const float value = ((const float *)x)[at];
    if (value != value)
        return 0xffffffffu;
    if (value == 0.0f)
        return 0x80000000u; /* both zeros, and what counts as zero */
    __builtin_memcpy(&bits, &value, 4);
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

/* An element's order and its place in one number: no two are equal. */
FS_INLINE uint64_t fs_key_of(const fs_argsort_args *a, const void *x, int64_t k, int64_t step)
{
    const uint32_t order = fs_order_of(x, k * step, (int)a->whole);
    return (uint64_t)(a->descending ? ~order : order) << 32 | (uint64_t)k;
}

/* The `count` smallest of the first n keys, by insertion: most keys are no better than the worst of those found. */
static void fs_few_keys(const fs_argsort_args *a, const void *x, int64_t step, uint64_t *keys)
{
    int64_t count = 0;
    for (int64_t k = 0; k < a->n; k++) {
        const uint64_t key = fs_key_of(a, x, k, step);
        if (count == a->best && key >= keys[count - 1])
            continue;
        int64_t at = count < a->best ? count++ : count - 1;
        for (; at > 0 && keys[at - 1] > key; at--)
            keys[at] = keys[at - 1];
        keys[at] = key;
    }
}

/* All keys in order: by the four bytes of their order, the last one first; they stand in the order of places already. A
   byte that is the same in all is left out. Returns where they ended: `keys` or `other`. */
static uint64_t *fs_sorted_keys(uint64_t *keys, uint64_t *other, int64_t n)
{
    for (int shift = 32; shift < 64; shift += 8) {
        int64_t starts[256] = {0}, sum = 0;
        for (int64_t k = 0; k < n; k++)
            starts[keys[k] >> shift & 255]++;
        if (starts[keys[0] >> shift & 255] == n)
            continue;
        for (int b = 0; b < 256; b++) {
            const int64_t size = starts[b];
            starts[b] = sum;
            sum += size;
        }
        for (int64_t k = 0; k < n; k++)
            other[starts[keys[k] >> shift & 255]++] = keys[k];
        uint64_t *swapped = keys;
        keys = other;
        other = swapped;
    }
    return keys;
}

/* So few are found by insertion, which takes n * best / 4 moves where all are wanted. */
#define FS_FEW_KEYS 48

static int fs_argsort(const fs_argsort_args *a, const fs_share *share)
{
    const int64_t inner = a->inner;
    for (int64_t o = share->row_lo; o < share->row_hi; o++)
        for (int64_t i = 0; i < inner; i++) {
            const float *x = (const float *)a->x + o * a->n * inner + i;
            uint64_t *keys = (uint64_t *)(a->scratch + o * 4 * a->n);
            if (a->best <= FS_FEW_KEYS) {
                fs_few_keys(a, x, inner, keys);
            } else {
                for (int64_t k = 0; k < a->n; k++)
                    keys[k] = fs_key_of(a, x, k, inner);
                keys = fs_sorted_keys(keys, keys + a->n, a->n);
            }
            for (int64_t k = 0; k < a->best; k++)
                a->y[(o * a->best + k) * inner + i] = (int32_t)(uint32_t)keys[k];
        }
    return 0;
}

static int fs_search(const fs_search_args *a, const fs_share *share)
{
    for (int64_t i = share->row_lo; i < share->row_hi; i++) {
        const uint32_t wanted = fs_order_of(a->x, i, (int)a->whole);
        int64_t lo = 0, hi = a->n;
        while (lo < hi) {
            const int64_t middle = lo + (hi - lo) / 2;
            const uint32_t found = fs_order_of(a->sequence, middle, (int)a->whole);
            if (found < wanted || (a->right && found == wanted))
                lo = middle + 1;
            else
                hi = middle;
        }
        a->y[i] = (int32_t)lo;
    }
    return 0;
}

/* ---- sums and products so far ---- */

static int fs_cumulate(const fs_cumulate_args *a, const fs_share *share)
{
    const int64_t inner = a->inner, across = fs_column_blocks(inner);
    const int product = a->kind == FS_CUMULATED_PROD;
    for (int64_t piece = share->row_lo; piece < share->row_hi; piece++) {
        const int64_t o = piece / across, lo = piece % across * FS_COLUMNS, cols = fs_smaller(FS_COLUMNS, inner - lo);
        double sums[FS_COLUMNS];
        uint32_t whole[FS_COLUMNS];
        for (int64_t i = 0; i < cols; i++)
            sums[i] = product, whole[i] = (uint32_t)product;
        for (int64_t k = 0; k < a->n; k++) {
            const int64_t at = (o * a->n + (a->backwards ? a->n - 1 - k : k)) * inner + lo;
            if (a->whole) {
                const uint32_t *x = (const uint32_t *)a->x + at;
                for (int64_t i = 0; i < cols; i++)
                    ((uint32_t *)a->y)[at + i] = whole[i] = product ? whole[i] * x[i] : whole[i] + x[i];
                continue;
            }
            const float *x = (const float *)a->x + at;
            for (int64_t i = 0; i < cols; i++) {
                sums[i] = product ? sums[i] * (double)x[i] : sums[i] + (double)x[i];
                ((float *)a->y)[at + i] = fs_one_nan((float)sums[i]);
            }
        }
    }
    return 0;
}

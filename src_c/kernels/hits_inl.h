/* How often the largest prediction is the right one, or predictions are on the right side of a threshold. */

/* Where the first of the largest of x (n) stands; a NaN counts as the largest, as NumPy has it. */
static int64_t fs_argmax(const float *x, int64_t n)
{
    int nan;
    int64_t found = fs_first_best(x, n, fs_max(x, n), &nan);
    for (int64_t i = 0; nan && i < n; i++)
        if (x[i] != x[i])
            return i;
    return found;
}

/* Numbers of the first largest of each row's few elements. */
FS_INLINE vf fs_short_argmax(const float *x, int64_t rows, int64_t n)
{
    vf lanes[FS_LANES];
    fs_rows_to_lanes(lanes, x, rows, n);
    vf best = lanes[0], number = v_zero();
    for (int64_t k = 1; k < n; k++) {
        /* Stays where what was found is a NaN, else goes where the next is larger or one. */
        vf next = v_select(v_le(lanes[k], best), number, v_set1((float)k));
        vf larger = v_select(v_le(lanes[k], best), best, lanes[k]);
        number = v_select(v_isnan(best), number, next);
        best = v_select(v_isnan(best), best, larger);
    }
    return number;
}

/* hit (rows, at most VLEN): 1 where the largest prediction is the right one. */
static void fs_short_hits(const fs_hits_args *a, int64_t first, int64_t rows, float hit[VLEN])
{
    float truth[VLEN];
    v_store(hit, fs_short_argmax(a->x + first * a->n, rows, a->n));
    if (a->y)
        v_store(truth, fs_short_argmax(a->y + first * a->n, rows, a->n));
    for (int64_t r = 0; r < rows; r++)
        hit[r] = hit[r] == (a->y ? truth[r] : (float)a->classes[first + r]) ? 1.0f : 0.0f;
}

/* How many of a row's predictions are on the side of the threshold that their label is on. */
static double fs_hits_above(const fs_hits_args *a, int64_t row)
{
    const float *x = a->x + row * a->n, *y = a->y + row * a->n;
    int64_t count = 0;
    for (int64_t i = 0; i < a->n; i++)
        count += y[i] == (x[i] > a->threshold ? 1.0f : 0.0f);
    return (double)count / (double)a->n;
}

static int fs_hits(const fs_hits_args *a, const fs_share *share)
{
    const int in_lanes = a->kind == FS_HITS_LARGEST && a->n <= FS_LANES;
    for (int64_t block = share->row_lo; block < share->row_hi; block++) {
        const int64_t lo = block * FS_LOSS_BLOCK, hi = a->rows - lo < FS_LOSS_BLOCK ? a->rows : lo + FS_LOSS_BLOCK;
        double hits = 0.0, all = 0.0;
        float hit[VLEN];
        for (int64_t row = lo; row < hi; row++) {
            const int64_t i = (row - lo) % VLEN;
            const double weight = a->mask && !a->mask[row] ? 0.0 : a->weights ? (double)a->weights[row] : 1.0;
            if (in_lanes && i == 0)
                fs_short_hits(a, row, hi - row < VLEN ? hi - row : VLEN, hit);
            double value;
            if (in_lanes) {
                value = (double)hit[i];
            } else if (a->kind == FS_HITS_ABOVE) {
                value = fs_hits_above(a, row);
            } else {
                const float *y = a->y ? a->y + row * a->n : NULL;
                value = fs_argmax(a->x + row * a->n, a->n) == (y ? fs_argmax(y, a->n) : (int64_t)a->classes[row]);
            }
            hits += value * weight;
            all += weight;
        }
        a->partial[2 * block] = hits;
        a->partial[2 * block + 1] = all;
    }
    return 0;
}

static int fs_column_sums(const fs_column_sums_args *a, const fs_share *share)
{
    (void)share;
    for (int64_t column = 0; column < a->width; column++) {
        double sum = 0.0;
        for (int64_t i = 0; i < a->count; i++)
            sum += a->x[i * a->width + column];
        a->y[column] = sum;
    }
    return 0;
}

/* Gradients of what works row by row or by look-up, and sums over dimensions. */

/* sparsemax, as TensorFlow's gradients of Keras 3.15's formula have it (fs_row_sparsemax): the threshold tau takes a
   share of every gradient that passes it. In tau, x counts once for each place of the support that is at or after its
   own in the sorted row; of equal values the one of the lower index comes first. A NaN makes the whole row NaN. */
static void fs_row_sparsemax_backward(const float *x, const float *dy, float *dx, int64_t n, int64_t apart,
                                      float *scratch)
{
    float *sorted = scratch, *from_here = scratch + n, *taken = scratch + 2 * n;
    for (int64_t i = 0; i < n; i++) {
        sorted[i] = x[i * apart];
        if (sorted[i] != sorted[i]) {
            for (int64_t j = 0; j < n; j++)
                dx[j * apart] = __builtin_nanf("");
            return;
        }
    }
    fs_sort_descending(sorted, n);
    float running = 0.0f, k = 0.0f;
    double total = 0.0;
    for (int64_t i = 0; i < n; i++) {
        running += sorted[i];
        taken[i] = 0.0f;
        from_here[i] = sorted[i] - (running - 1.0f) / (float)(i + 1) > 0.0f;
        total += from_here[i] != 0.0f ? (double)running : 0.0;
        k += from_here[i];
    }
    for (int64_t i = n - 2; i >= 0; i--)
        from_here[i] += from_here[i + 1];
    const float tau = (float)(total - 1.0) / k;
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        if (x[i * apart] - tau >= 0.0f)
            sum += (double)dy[i * apart];
    for (int64_t i = 0; i < n; i++) {
        int64_t lo = 0, hi = n - 1; /* the first place of this value */
        while (lo < hi) {
            int64_t middle = (lo + hi) / 2;
            if (sorted[middle] > x[i * apart])
                lo = middle + 1;
            else
                hi = middle;
        }
        int64_t place = lo + (int64_t)taken[lo];
        taken[lo] += 1.0f;
        double passed = x[i * apart] - tau >= 0.0f ? (double)dy[i * apart] : 0.0;
        dx[i * apart] = (float)(passed - sum * (double)from_here[place] / (double)k);
    }
}

/* One row: x, y, dx (n) and dy (n, or n / 2 of glu), elements `apart` from each other; scratch (3, n). */
static void fs_row_backward(int kind, const float *x, const float *y, const float *dy, float *dx, int64_t n,
                            int64_t apart, float *scratch)
{
    if (kind == FS_ACT_SPARSEMAX) {
        fs_row_sparsemax_backward(x, dy, dx, n, apart, scratch);
        return;
    }
    if (kind == FS_ACT_GLU) {
        const int64_t half = n / 2 * apart;
        for (int64_t i = 0; i < half; i += apart) {
            float gate[VLEN];
            v_store(gate, v_sigmoid(v_bcast(x + half + i)));
            dx[i] = dy[i] * gate[0];
            dx[half + i] = dy[i] * x[i] * (gate[0] * (1.0f - gate[0]));
        }
        return;
    }
    /* In double, as a row's sum may cancel: of softmax sum(dy y), of log_softmax sum(dy). */
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += kind == FS_ACT_SOFTMAX ? (double)dy[i * apart] * (double)y[i * apart] : (double)dy[i * apart];
    for (int64_t i = 0; i < n; i++) {
        float dy_i = dy[i * apart], y_i = y[i * apart];
        if (kind == FS_ACT_SOFTMAX) {
            dx[i * apart] = (float)((double)dy_i - sum) * y_i;
        } else {
            float chance[VLEN];
            v_store(chance, v_exp(v_set1(y_i)));
            dx[i * apart] = (float)((double)dy_i - (double)chance[0] * sum);
        }
    }
}

static int fs_row_activation_backward(const fs_row_activation_backward_args *a, const fs_share *share)
{
    int64_t n_out = a->kind == FS_ACT_GLU ? a->n / 2 : a->n;
    for (int64_t i = share->row_lo; i < share->row_hi; i++)
        for (int64_t j = 0; j < a->inner; j++) {
            int64_t at = i * a->n * a->inner + j;
            fs_row_backward((int)a->kind, a->x ? a->x + at : NULL, a->y ? a->y + at : NULL,
                            a->dy + i * n_out * a->inner + j, a->dx + at, a->n, a->inner,
                            a->scratch ? a->scratch + i * 3 * a->n : NULL);
        }
    return 0;
}

/* Threads own columns, 16 at a time: an id that comes often makes nobody wait, and every sum runs in the order of the
   ids. */
static int fs_embedding_backward(const fs_embedding_backward_args *a, const fs_share *share)
{
    int64_t lo = share->row_lo * FS_PANEL;
    int64_t hi = share->row_hi * FS_PANEL < a->width ? share->row_hi * FS_PANEL : a->width;
    if (!a->accumulate)
        for (int64_t row = 0; row < a->rows; row++)
            __builtin_memset(a->d_table + row * a->width + lo, 0, (size_t)(hi - lo) * sizeof(float));
    for (int64_t i = 0; i < a->count; i++) {
        float *to = a->d_table + a->ids[i] * a->width;
        const float *dy = a->dy + i * a->width;
        for (int64_t u = lo; u < hi; u += VLEN)
            fs_store_units(to, u, hi, v_add(fs_load_units(to, u, hi), fs_load_units(dy, u, hi)));
    }
    return 0;
}

static int fs_embedding_places(const fs_embedding_places_args *a, const fs_share *share)
{
    (void)share;
    for (int32_t i = 0; i < a->count_seen[0]; i++)
        a->places[a->seen[i]] = 0;
    int32_t count = 0;
    for (int64_t i = 0; i < a->count; i++) {
        int32_t *place = a->places + a->ids[i];
        if (*place == 0) {
            a->seen[count] = a->ids[i];
            *place = ++count;
        }
        a->numbers[i] = *place;
    }
    a->count_seen[0] = count;
    return 0;
}

/* Sums of `width` neighbours (at most FS_REDUCE_BLOCK) over r0, r1, r2: each in blocks of FS_SUM_BLOCK numbers. */
static void fs_reduce_columns(const fs_reduce_sum_args *a, const float *x, float *y, int64_t width)
{
    float total[FS_REDUCE_BLOCK], block[FS_REDUCE_BLOCK];
    int in_block = 0;
    for (int64_t u = 0; u < width; u++)
        block[u] = 0.0f, total[u] = a->accumulate ? y[u] : 0.0f;
    for (int64_t r0 = 0; r0 < a->r0; r0++)
        for (int64_t r1 = 0; r1 < a->r1; r1++)
            for (int64_t r2 = 0; r2 < a->r2; r2++) {
                const float *from = x + r0 * a->xr0 + r1 * a->xr1 + r2 * a->xr2;
                if (a->xk2 == 1)
                    for (int64_t u = 0; u < width; u++)
                        block[u] += from[u];
                else
                    for (int64_t u = 0; u < width; u++)
                        block[u] += from[u * a->xk2];
                if (++in_block == FS_SUM_BLOCK) {
                    for (int64_t u = 0; u < width; u++)
                        total[u] += block[u], block[u] = 0.0f;
                    in_block = 0;
                }
            }
    for (int64_t u = 0; u < width; u++)
        y[u] = total[u] + block[u];
}

static int fs_reduce_sum(const fs_reduce_sum_args *a, const fs_share *share)
{
    int64_t blocks = fs_reduce_blocks(a);
    for (int64_t i = share->row_lo; i < share->row_hi; i++) {
        int64_t outer = i / blocks, first = i % blocks * FS_REDUCE_BLOCK;
        int64_t width = a->k2 - first < FS_REDUCE_BLOCK ? a->k2 - first : FS_REDUCE_BLOCK;
        const float *x = a->x + outer / a->k1 * a->xk0 + outer % a->k1 * a->xk1 + first * a->xk2;
        float *y = a->y + outer * a->k2 + first;
        if (a->xr2 != 1 || a->r2 < FS_LANES) {
            fs_reduce_columns(a, x, y, width);
            continue;
        }
        for (int64_t u = 0; u < width; u++) { /* what is summed stands side by side */
            float sum = a->accumulate ? y[u] : 0.0f;
            for (int64_t r0 = 0; r0 < a->r0; r0++)
                for (int64_t r1 = 0; r1 < a->r1; r1++)
                    sum += fs_sum(x + u * a->xk2 + r0 * a->xr0 + r1 * a->xr1, a->r2);
            y[u] = sum;
        }
    }
    return 0;
}

static int fs_normalize_backward(const fs_normalize_backward_args *a, const fs_share *share)
{
    (void)share;
    for (int64_t i = 0; i < a->outer; i++)
        for (int64_t j = 0; j < a->inner; j++) {
            int64_t at = i * a->n * a->inner + j;
            double squares = 0, product = 0;
            for (int64_t k = 0; k < a->n; k++) {
                double x = (double)a->x[at + k * a->inner];
                squares += x * x;
                product += x * (double)a->dy[at + k * a->inner];
            }
            /* Below epsilon the scale is a constant. */
            int constant = squares < (double)a->epsilon;
            double scale = 1.0 / __builtin_sqrt(constant ? (double)a->epsilon : squares);
            double slope = constant ? 0.0 : product * scale * scale * scale;
            for (int64_t k = 0; k < a->n; k++) {
                int64_t e = at + k * a->inner;
                a->dx[e] = (float)(scale * (double)a->dy[e] - slope * (double)a->x[e]);
            }
        }
    return 0;
}

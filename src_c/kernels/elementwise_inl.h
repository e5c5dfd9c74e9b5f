/* What works element by element, on arrays of any strides: copies, sums, products, activations. */

static int fs_copy(const fs_copy_args *a, const fs_share *share)
{
    const char *x = a->x;
    char *y = a->y;
    int dense = a->x4 == 1 && a->y4 == 1;
    for (int64_t i0 = share->row_lo; i0 < share->row_hi; i0++)
        for (int64_t i1 = 0; i1 < a->n1; i1++)
            for (int64_t i2 = 0; i2 < a->n2; i2++)
                for (int64_t i3 = 0; i3 < a->n3; i3++) {
                    const char *from = x + (i0 * a->x0 + i1 * a->x1 + i2 * a->x2 + i3 * a->x3) * a->size;
                    char *to = y + (i0 * a->y0 + i1 * a->y1 + i2 * a->y2 + i3 * a->y3) * a->size;
                    if (dense)
                        __builtin_memcpy(to, from, (size_t)(a->n4 * a->size));
                    else if (a->size == 4)
                        for (int64_t i4 = 0; i4 < a->n4; i4++)
                            ((uint32_t *)to)[i4 * a->y4] = ((const uint32_t *)from)[i4 * a->x4];
                    else
                        for (int64_t i4 = 0; i4 < a->n4; i4++)
                            to[i4 * a->y4] = from[i4 * a->x4];
                }
    return 0;
}

FS_INLINE vf fs_binary_vector(int kind, vf a, vf b)
{
    switch (kind) {
    case FS_ADD:
        return v_add(a, b);
    case FS_SUBTRACT:
        return v_sub(a, b);
    case FS_MULTIPLY:
        return v_mul(a, b);
    case FS_DIVIDE:
        return v_div(a, b);
    /* A NaN on either side comes through, as in NumPy and TensorFlow. */
    case FS_MAXIMUM:
        return v_select(v_isnan(a), a, v_max(a, b));
    case FS_MINIMUM:
        return v_select(v_isnan(a), a, v_min(a, b));
    case FS_PRELU:
        return v_select(v_ge(a, v_zero()), a, v_mul(a, b));
    /* 1 where it holds, else 0: which side of a maximum or minimum the gradient goes to. */
    case FS_AT_LEAST:
        return v_select(v_ge(a, b), v_set1(1.0f), v_zero());
    default: /* FS_ABOVE */
        return v_select(v_gt(a, b), v_set1(1.0f), v_zero());
    }
}

/* One row of n elements; strides of 0 or 1 go by vectors, others element by element. */
FS_INLINE void fs_binary_row(int kind, float *y, const float *a, int64_t a_apart, const float *b, int64_t b_apart,
                             int64_t n)
{
    int64_t i = 0;
    if (a_apart <= 1 && b_apart <= 1 && a_apart >= 0 && b_apart >= 0)
        for (; i + VLEN <= n; i += VLEN) {
            vf left = a_apart ? v_load(a + i) : v_bcast(a);
            vf right = b_apart ? v_load(b + i) : v_bcast(b);
            v_store(y + i, v_one_nan(fs_binary_vector(kind, left, right)));
        }
    for (; i < n; i++) {
        vf v = fs_binary_vector(kind, v_bcast(a + i * a_apart), v_bcast(b + i * b_apart));
        v_store_part(y + i, 1, v_one_nan(v));
    }
}

/* One row of n integers, that wrap around where they do not fit, as in NumPy and TensorFlow. */
FS_INLINE void fs_binary_row_i32(int kind, int32_t *y, const int32_t *a, int64_t a_apart, const int32_t *b,
                                 int64_t b_apart, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        int32_t left = a[i * a_apart], right = b[i * b_apart];
        switch (kind) {
        case FS_ADD_I32:
            y[i] = (int32_t)((uint32_t)left + (uint32_t)right);
            break;
        case FS_SUBTRACT_I32:
            y[i] = (int32_t)((uint32_t)left - (uint32_t)right);
            break;
        case FS_MULTIPLY_I32:
            y[i] = (int32_t)((uint32_t)left * (uint32_t)right);
            break;
        case FS_MAXIMUM_I32:
            y[i] = left > right ? left : right;
            break;
        default: /* FS_MINIMUM_I32 */
            y[i] = left < right ? left : right;
        }
    }
}

static int fs_binary(const fs_binary_args *s, const fs_share *share)
{
    for (int64_t i0 = share->row_lo; i0 < share->row_hi; i0++)
        for (int64_t i1 = 0; i1 < s->n1; i1++)
            for (int64_t i2 = 0; i2 < s->n2; i2++)
                for (int64_t i3 = 0; i3 < s->n3; i3++) {
                    int64_t a = i0 * s->a0 + i1 * s->a1 + i2 * s->a2 + i3 * s->a3;
                    int64_t b = i0 * s->b0 + i1 * s->b1 + i2 * s->b2 + i3 * s->b3;
                    int64_t y = (((i0 * s->n1 + i1) * s->n2 + i2) * s->n3 + i3) * s->n4;
                    if (s->kind >= FS_ADD_I32)
                        fs_binary_row_i32((int)s->kind, (int32_t *)s->y + y, (const int32_t *)s->a + a, s->a4,
                                          (const int32_t *)s->b + b, s->b4, s->n4);
                    else
                        fs_binary_row((int)s->kind, (float *)s->y + y, (const float *)s->a + a, s->a4,
                                      (const float *)s->b + b, s->b4, s->n4);
                }
    return 0;
}

static int fs_select(const fs_select_args *s, const fs_share *share)
{
    for (int64_t i0 = share->row_lo; i0 < share->row_hi; i0++)
        for (int64_t i1 = 0; i1 < s->n1; i1++)
            for (int64_t i2 = 0; i2 < s->n2; i2++)
                for (int64_t i3 = 0; i3 < s->n3; i3++) {
                    const uint8_t *m = s->mask + i0 * s->m0 + i1 * s->m1 + i2 * s->m2 + i3 * s->m3;
                    const uint32_t *a = (const uint32_t *)s->a + i0 * s->a0 + i1 * s->a1 + i2 * s->a2 + i3 * s->a3;
                    const uint32_t *b = (const uint32_t *)s->b + i0 * s->b0 + i1 * s->b1 + i2 * s->b2 + i3 * s->b3;
                    uint32_t *y = (uint32_t *)s->y + (((i0 * s->n1 + i1) * s->n2 + i2) * s->n3 + i3) * s->n4;
                    for (int64_t i4 = 0; i4 < s->n4; i4++)
                        y[i4] = m[i4 * s->m4] ? a[i4 * s->a4] : b[i4 * s->b4];
                }
    return 0;
}

static int fs_affine(const fs_affine_args *a, const fs_share *share)
{
    (void)share;
    int64_t i = 0;
    for (; i + VLEN <= a->count; i += VLEN)
        v_store(a->y + i, v_one_nan(v_fma(v_load(a->x + i), v_set1(a->scale), v_set1(a->shift))));
    int left = (int)(a->count - i);
    if (left)
        v_store_part(a->y + i, left,
                     v_one_nan(v_fma(v_load_part(a->x + i, left), v_set1(a->scale), v_set1(a->shift))));
    return 0;
}

static int fs_activation(const fs_activation_args *a, const fs_share *share)
{
    const float p[3] = {a->p0, a->p1, a->p2};
    fs_act_array((int)a->kind, p, a->y + share->row_lo, a->x + share->row_lo, share->row_hi - share->row_lo);
    return 0;
}

static int fs_row_activation(const fs_row_activation_args *a, const fs_share *share)
{
    int64_t n_out = a->kind == FS_ACT_GLU ? a->n / 2 : a->n;
    for (int64_t i = share->row_lo; i < share->row_hi; i++) {
        float *scratch = a->scratch ? a->scratch + i * 3 * a->n : NULL;
        if (a->inner == 1) {
            fs_row_apply((int)a->kind, a->y + i * n_out, a->x + i * a->n, a->n, scratch);
            continue;
        }
        for (int64_t j = 0; j < a->inner; j++) {
            float *row = scratch + a->n;
            for (int64_t k = 0; k < a->n; k++)
                row[k] = a->x[(i * a->n + k) * a->inner + j];
            fs_row_apply((int)a->kind, row, row, a->n, scratch);
            for (int64_t k = 0; k < n_out; k++)
                a->y[(i * n_out + k) * a->inner + j] = row[k];
        }
    }
    return 0;
}

static int fs_normalize(const fs_normalize_args *a, const fs_share *share)
{
    (void)share;
    for (int64_t i = 0; i < a->outer; i++)
        for (int64_t j = 0; j < a->inner; j++) {
            const float *x = a->x + i * a->n * a->inner + j;
            float *y = a->y + i * a->n * a->inner + j;
            /* In double: one chain of float additions lost to TensorFlow's tree of them. A NaN makes the row NaN. */
            double sum = 0;
            for (int64_t k = 0; k < a->n; k++)
                sum += (double)x[k * a->inner] * (double)x[k * a->inner];
            float scale = (float)(1.0 / __builtin_sqrt(sum < (double)a->epsilon ? (double)a->epsilon : sum));
            for (int64_t k = 0; k < a->n; k++)
                y[k * a->inner] = x[k * a->inner] * scale;
        }
    return 0;
}

/* Ids and masks: table look-ups, checks, casts, byte logic. */

/* What a bad id was as a float, without its fraction; INT64_MIN for NaN, INT64_MAX from 2^63 on. */
FS_INLINE int64_t fs_reported(float x)
{
    if (x != x)
        return INT64_MIN;
    if (x >= 9223372036854775808.0f)
        return INT64_MAX;
    return x > -9223372036854775808.0f ? (int64_t)x : -INT64_MAX;
}

static int fs_check_ids(const fs_check_ids_args *a, const fs_share *share)
{
    for (int64_t i = 0; i < a->count; i++)
        if (a->ids[i] < 0 || a->ids[i] >= a->limit) {
            share->failure->position = i;
            share->failure->value = a->floats ? fs_reported(a->floats[i]) : a->ids[i];
            return 1;
        }
    return 0;
}

static int fs_embedding(const fs_embedding_args *a, const fs_share *share)
{
    for (int64_t i = share->row_lo; i < share->row_hi; i++)
        __builtin_memcpy(a->y + i * a->width, a->table + a->ids[i] * a->width, (size_t)a->width * sizeof(float));
    return 0;
}

static int fs_one_hot(const fs_one_hot_args *a, const fs_share *share)
{
    (void)share;
    __builtin_memset(a->y, 0, (size_t)(a->count * a->width) * sizeof(float));
    for (int64_t i = 0; i < a->count; i++)
        a->y[i * a->width + a->ids[i]] = 1.0f;
    return 0;
}

/* A float that stands for an id: past int32, and NaN, it becomes -1, which every table refuses. */
FS_INLINE int32_t fs_to_int(float x) { return x >= -2147483648.0f && x < 2147483648.0f ? (int32_t)x : -1; }

static int fs_cast(const fs_cast_args *a, const fs_share *share)
{
    (void)share;
#define FS_CAST_LOOP(kind, from, to, expression)                                                                       \
    case kind: {                                                                                                       \
        const from *x = a->x;                                                                                          \
        to *y = a->y;                                                                                                  \
        for (int64_t i = 0; i < a->count; i++)                                                                         \
            y[i] = expression;                                                                                         \
        break;                                                                                                         \
    }
    switch (a->kind) {
        FS_CAST_LOOP(FS_CAST_F32_I32, float, int32_t, fs_to_int(x[i]))
        FS_CAST_LOOP(FS_CAST_I32_F32, int32_t, float, (float)x[i])
        FS_CAST_LOOP(FS_CAST_U8_F32, uint8_t, float, (float)x[i])
        FS_CAST_LOOP(FS_CAST_U8_I32, uint8_t, int32_t, x[i])
        FS_CAST_LOOP(FS_CAST_I32_U8, int32_t, uint8_t, x[i] != 0)
        FS_CAST_LOOP(FS_CAST_F32_U8, float, uint8_t, x[i] != 0.0f)
    }
#undef FS_CAST_LOOP
    return 0;
}

static int fs_masking(const fs_masking_args *a, const fs_share *share)
{
    (void)share;
    for (int64_t row = 0; row < a->rows; row++) {
        const float *x = a->x + row * a->width;
        float *y = a->y + row * a->width;
        uint8_t any = 0;
        for (int64_t i = 0; i < a->width; i++)
            any |= x[i] != a->value;
        a->mask[row] = any;
        /* As Keras: x times the mask, so an infinity or NaN in a masked row would stay NaN; a masked row has neither.
           */
        for (int64_t i = 0; i < a->width; i++)
            y[i] = any ? x[i] : 0.0f;
    }
    return 0;
}

static int fs_mask_logic(const fs_mask_logic_args *a, const fs_share *share)
{
    (void)share;
    const uint8_t *x = a->a;
    for (int64_t i = 0; i < a->count; i++)
        switch (a->kind) {
        case FS_MASK_AND:
            a->y[i] = x[i] & a->b[i];
            break;
        case FS_MASK_OR:
            a->y[i] = x[i] | a->b[i];
            break;
        case FS_MASK_NOT:
            a->y[i] = !x[i];
            break;
        case FS_MASK_NONZERO_I32:
            a->y[i] = ((const int32_t *)a->a)[i] != 0;
            break;
        case FS_MASK_NONZERO_F32:
            a->y[i] = ((const float *)a->a)[i] != 0.0f;
            break;
        }
    return 0;
}

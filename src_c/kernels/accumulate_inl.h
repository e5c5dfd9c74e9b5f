/* The inner loop of every product: R rows times up to 4 gates (or panels) of one vector, in registers. */
#ifndef FS_ACCUMULATE_INL
#define FS_ACCUMULATE_INL

#define FS_VECTORS (FS_PANEL / VLEN) /* vectors in a panel */

/* Rows whose accumulators fit the registers beside 4 gates' weights and one broadcast: 6 x 4 of 32 registers on AVX-512
   and NEON, 3 x 4 of 16 on AVX2 and SSE2. */
#if defined(__AVX512F__) || defined(__aarch64__)
#define FS_ROWS 6
#define FS_REGISTERS 32
#else
#define FS_ROWS 3
#define FS_REGISTERS 16
#endif

#define FS_UNROLL _Pragma("GCC unroll 8")

/* acc[r][g] += sum over k of x[r][k] * w[k][g], k in order, one fused multiply-add each: the order of a lane's sum never
   depends on R, on the ISA, or on what else is computed beside it. `apart` floats lie between k and k + 1. */
FS_INLINE void fs_accumulate(vf acc[FS_ROWS][4], const float *const x[FS_ROWS], const float *w, int64_t count,
                             int64_t apart, const int R, const int G)
{
    for (int64_t k = 0; k < count; k++, w += apart) {
        vf weights[4];
        FS_UNROLL for (int g = 0; g < G; g++)
        {
            weights[g] = v_load(w + g * FS_PANEL);
            /* Left alone, the compiler reads them from memory again for every row: 15 loads for 12 products. Where one
               more register is needed than there are (3 rows of 4 gates on AVX2), that is the lesser evil. */
            if (R > 1 && R * G + G + 1 <= FS_REGISTERS)
                V_IN_REGISTER(weights[g]);
        }
        FS_UNROLL for (int r = 0; r < R; r++)
        {
            vf value = v_bcast(x[r] + k);
            FS_UNROLL for (int g = 0; g < G; g++) acc[r][g] = v_fma(value, weights[g], acc[r][g]);
        }
    }
}

/* Stores the lanes of a vector of units [unit, unit + VLEN) that exist. */
FS_INLINE void fs_store_units(float *y, int64_t unit, int64_t units, vf value)
{
    int64_t left = units - unit;
    if (left >= VLEN)
        v_store(y + unit, value);
    else if (left > 0)
        v_store_part(y + unit, (int)left, value);
}

/* Rows of the next block when `left` rows are left: as even as can be, since a block of 2 rows takes as long as one of 4
   (32 rows go as 6 6 5 5 5 5, not as 6 6 6 6 6 2: 12% less time). */
FS_INLINE int fs_block_rows(int left)
{
    int blocks = (left + FS_ROWS - 1) / FS_ROWS;
    return (left + blocks - 1) / blocks;
}

/* One function per number of rows, and a table of them: FS_BY_ROWS(name) makes name_1 .. name_R from the inline
   function name(const context *, const int32_t *rows, int64_t block, const int R). */
#define FS_ROWS_FUNCTION(name, context, R)                                                                             \
    static __attribute__((noinline)) void name##_##R(const context *c, const int32_t *rows, int64_t block)             \
    {                                                                                                                  \
        name(c, rows, block, R);                                                                                       \
    }
#if FS_ROWS == 6
#define FS_BY_ROWS(name, context)                                                                                      \
    FS_ROWS_FUNCTION(name, context, 1) FS_ROWS_FUNCTION(name, context, 2) FS_ROWS_FUNCTION(name, context, 3)           \
    FS_ROWS_FUNCTION(name, context, 4) FS_ROWS_FUNCTION(name, context, 5) FS_ROWS_FUNCTION(name, context, 6)           \
    static void (*const name##_table[])(const context *, const int32_t *, int64_t) = {                                 \
        0, name##_1, name##_2, name##_3, name##_4, name##_5, name##_6};
#else
#define FS_BY_ROWS(name, context)                                                                                      \
    FS_ROWS_FUNCTION(name, context, 1) FS_ROWS_FUNCTION(name, context, 2) FS_ROWS_FUNCTION(name, context, 3)           \
    static void (*const name##_table[])(const context *, const int32_t *, int64_t) = {0, name##_1, name##_2, name##_3};
#endif
#endif
